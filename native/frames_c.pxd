# C types for native/frames_py.py compiled as native.frames_c. Declarations only; the logic is in the Python source.
# Bytes are read through bare pointers: the separator at the end of every frame bounds them, as the source says.

cimport cython
cimport native.spans as spans
from libc.stdint cimport int64_t

cdef Py_ssize_t _FIELDS
cdef Py_ssize_t _MAX_ROWS
cdef Py_ssize_t _MAX_DATA
cdef Py_ssize_t _MAX_TEXT
cdef Py_ssize_t _MAX_DIGITS
cdef int64_t _MAX_ID
cdef int64_t _INT32
cdef int64_t _MAX_SIZE
cdef int64_t _MAX_VOLUME
cdef Py_ssize_t _PRICE_DIGITS
cdef Py_ssize_t _MONEY_DIGITS
cdef int64_t[10] _POWERS
cdef int64_t[24] _BITS
cdef int64_t _DAY_NS
cdef int64_t _SECOND_NS
cdef int64_t _DAYS_TO_2000
cdef int _OTHER
cdef int _QUOTE
cdef int _DEPTH
cdef int _SEPARATOR
cdef int _ANY
cdef int _PRICE
cdef int _MONEY
cdef int _STAMP
cdef int _STRING
cdef int _BOOL
cdef int _ID
cdef int _ACCOUNT_ID
cdef int _SIZE
cdef int _CODE
cdef int _VOLUME
cdef bytes _HEADS
cdef tuple _SHAPES
cdef tuple _NEEDS

@cython.final
cdef class Contracts:
    cdef bytes _table
    cdef list _names
    cdef int64_t[64] _ticks
    cdef double[64] _per_nano
    cpdef bint follow(self, str contract, object tick_nano) except -1

@cython.final
cdef class Reader:
    cdef Contracts _contracts
    cdef Py_ssize_t _limit
    cdef bytearray _rest
    cdef bytes _data
    cdef const unsigned char* _p
    cdef Py_ssize_t _size
    cdef Py_ssize_t _start
    cdef Py_ssize_t _stop
    cdef bytes _shape
    cdef int64_t _value
    cdef int64_t[1] _run
    cdef bint _is_null
    cdef Py_ssize_t _contract
    cdef int64_t _tick
    cdef double _per_nano
    cdef int _date
    cdef int64_t _days
    cdef unsigned char[20] _second
    cdef int64_t _second_ns
    cdef readonly int kind
    cdef readonly bint more
    cdef readonly Py_ssize_t rows
    cdef int64_t[1536] _values
    cdef int64_t[64] _given
    cdef int[64] _actions

    cpdef int feed(self, object data) except -1
    @cython.locals(end=Py_ssize_t, whole=bytes)
    cdef object _join(self, bytes data)
    @cython.locals(kind=int)
    cpdef int next(self) except -1
    cpdef bytes record(self)
    cpdef str contract(self)
    cpdef object number(self, Py_ssize_t row, Py_ssize_t at)
    @cython.locals(span=object)
    cpdef str text(self, Py_ssize_t row, Py_ssize_t at)
    cpdef int action(self, Py_ssize_t row) except -1
    @cython.locals(given=int64_t, stamp=int64_t)
    cpdef tuple quote(self)

    @cython.locals(heads="const unsigned char*", line=Py_ssize_t, kind=int, pos=Py_ssize_t, needed=int64_t)
    cdef int _scan(self) except -1
    @cython.locals(p="const unsigned char*", at=Py_ssize_t, size=Py_ssize_t, left=Py_ssize_t)
    cdef Py_ssize_t _line(self, const unsigned char* table, Py_ssize_t first, Py_ssize_t pos) except? -2
    @cython.locals(table="const unsigned char*", line=Py_ssize_t)
    cdef Py_ssize_t _followed(self, Py_ssize_t pos) except -1
    cdef Py_ssize_t _elements(self, Py_ssize_t pos, int kind, int64_t needed) except -1
    @cython.locals(wrapped=Py_ssize_t, action=int)
    cdef Py_ssize_t _element(self, Py_ssize_t pos, int kind, int64_t needed) except -1
    cdef Py_ssize_t _after(self, Py_ssize_t pos, const unsigned char* words, Py_ssize_t size) except -1
    @cython.locals(p="const unsigned char*", shape="const unsigned char*", edge=Py_ssize_t, slots=Py_ssize_t, line=Py_ssize_t, size=Py_ssize_t, seen=int64_t, given=int64_t, bit=int64_t)
    cdef Py_ssize_t _object(self, Py_ssize_t pos, Py_ssize_t row, int64_t needed) except -1
    cdef Py_ssize_t _member(self, Py_ssize_t pos, int kind) except -1
    @cython.locals(number=int64_t)
    cdef Py_ssize_t _bounded(self, Py_ssize_t pos, int kind) except -1
    @cython.locals(tick=int64_t, ticks=int64_t, value=int64_t)
    cdef Py_ssize_t _price(self, Py_ssize_t pos) except -1
    @cython.locals(p="const unsigned char*", negative=bint, end=Py_ssize_t, number=int64_t)
    cdef Py_ssize_t _decimal(self, Py_ssize_t pos, Py_ssize_t digits) except -1
    @cython.locals(p="const unsigned char*", negative=bint, end=Py_ssize_t)
    cdef Py_ssize_t _integer(self, Py_ssize_t pos) except -1
    @cython.locals(after=Py_ssize_t)
    cdef Py_ssize_t _bool(self, Py_ssize_t pos) except -1
    @cython.locals(p="const unsigned char*", first=Py_ssize_t)
    cdef Py_ssize_t _text(self, Py_ssize_t pos) except -1
    @cython.locals(first=Py_ssize_t, exponent=Py_ssize_t)
    cdef Py_ssize_t _any(self, Py_ssize_t pos) except -1
    @cython.locals(p="const unsigned char*", first=Py_ssize_t, last=Py_ssize_t)
    cdef Py_ssize_t _digits(self, Py_ssize_t pos, bint one) except -1
    cdef Py_ssize_t _stamp(self, Py_ssize_t pos) except -1
    @cython.locals(hour=int64_t, minute=int64_t, second=int64_t)
    cdef bint _is_second(self, Py_ssize_t pos) except -1
    @cython.locals(year=int, month=int, day=int, date=int)
    cdef bint _day(self, Py_ssize_t pos) except -1
    @cython.locals(tens=int, ones=int)
    cdef int _two(self, Py_ssize_t pos) except? -2
    @cython.locals(p="const unsigned char*", end=Py_ssize_t)
    cdef Py_ssize_t _fraction(self, Py_ssize_t pos) except -1
    cdef Py_ssize_t _zone(self, Py_ssize_t pos) except -1

cdef int _month_days(int year, int month) except -1
@cython.locals(before=int64_t)
cdef int64_t _days_of(int year, int month, int day) except -1

# C types for native/minutes_py.py compiled as native.minutes_c. Declarations only; the logic is in the Python source.

cimport cython
from libc.stdint cimport int64_t

cdef Py_ssize_t _DIGITS, _VOLUME_DIGITS
cdef int64_t _NANO, _MINUTE_NS, _DAY_MINUTES, _FIRST_YEAR, _LAST_YEAR
cdef int64_t[::1] _PLACES, _DAYS_BEFORE

cdef class Block:
    cdef readonly int64_t tick_nano, from_ns, until_ns, last_ns
    cdef readonly Py_ssize_t count
    cdef readonly object starts, opens, highs, lows, closes, volumes
    cdef int64_t[::1] _starts, _opens, _highs, _lows, _closes, _volumes
    cdef int64_t _number

    cpdef clear(self)

    @cython.locals(at=Py_ssize_t)
    cpdef put(self, int64_t start_ns, int64_t opened, int64_t high, int64_t low, int64_t close, int64_t volume)

    @cython.locals(at=Py_ssize_t, after=Py_ssize_t)
    cpdef Py_ssize_t read(self, const unsigned char[::1] text, Py_ssize_t begin) except? -1

    @cython.locals(start=int64_t, opened=int64_t, high=int64_t, low=int64_t, close=int64_t, row=Py_ssize_t)
    cdef Py_ssize_t _line(self, const unsigned char[::1] text, Py_ssize_t at) except? -1

    @cython.locals(
        century=int64_t, year=int64_t, month=int64_t, day=int64_t, hour=int64_t, minute=int64_t, days=int64_t)
    cdef int64_t _start(self, const unsigned char[::1] text, Py_ssize_t at) except? -1

    @cython.locals(size=Py_ssize_t, end=Py_ssize_t, point=Py_ssize_t, whole=int64_t, part=int64_t, nano=int64_t)
    cdef Py_ssize_t _price(self, const unsigned char[::1] text, Py_ssize_t at) except? -1

    @cython.locals(size=Py_ssize_t, end=Py_ssize_t, number=int64_t)
    cdef Py_ssize_t _volume(self, const unsigned char[::1] text, Py_ssize_t at) except? -1

cdef object _column()

@cython.locals(tens=int64_t, ones=int64_t)
cdef int64_t _pair(const unsigned char[::1] text, Py_ssize_t at) except? -1

@cython.locals(leap=bint, before=int64_t, length=int64_t, past=int64_t, whole=int64_t)
cdef int64_t _days(int64_t year, int64_t month, int64_t day) except? -1

# C types for native/wire_py.py compiled as native.wire_c. Declarations only; the logic is in the Python source.

cimport cython
cimport native.spans as spans
from libc.stdint cimport int64_t, uint32_t, uint64_t

cdef uint32_t _CRC_TABLE[2048]
cdef uint32_t _ONES
cdef Py_ssize_t _PAYLOAD, _SHORTEST, _MAX_CONTENT, _CRC_SIZE, _ROOM, _LEVELS
cdef int _UNSIGNED, _NEGATIVE, _BYTES, _TEXT, _ARRAY, _FALSE, _TRUE, _NULL
cdef int64_t _MIN_INT64, _MAX_INT64
cdef Buffer _BUFFER

@cython.final
@cython.no_gc
@cython.freelist(8)
cdef class Frame:
    cdef readonly uint32_t type, version, session, seq, ack, t_ms
    cdef readonly tuple payload

@cython.final
cdef class Buffer:
    cdef unsigned char data[128]
    cdef Py_ssize_t at, end, limit

    @cython.locals(crc=uint32_t, at=Py_ssize_t)
    cdef uint32_t crc32(self, Py_ssize_t first, Py_ssize_t end) noexcept
    cdef void put_u16(self, Py_ssize_t at, uint32_t number) noexcept
    cdef void put_u32(self, Py_ssize_t at, uint32_t number) noexcept
    cdef uint32_t u16(self, Py_ssize_t at) noexcept
    @cython.locals(high=uint32_t)
    cdef uint32_t u32(self, Py_ssize_t at) noexcept
    @cython.locals(after=Py_ssize_t, at=Py_ssize_t)
    cdef void stuff(self) noexcept
    @cython.locals(at=Py_ssize_t, distance=Py_ssize_t)
    cdef bint unstuff(self) noexcept

    cdef void begin(self, Py_ssize_t first) noexcept
    @cython.locals(size=Py_ssize_t, index=Py_ssize_t, raw="const unsigned char *")
    cdef int fill(self, bytes value) except -1
    cdef int put(self, int value) except -1
    @cython.locals(at=Py_ssize_t, size=Py_ssize_t, low=int)
    cdef int put_head(self, int major, uint64_t number) except -1
    cdef int put_bytes(self, int major, bytes value) except -1
    @cython.locals(number=int64_t)
    cdef int put_int(self, object value) except -1
    cdef int put_wide(self, object value) except -1
    cdef int put_item(self, object value, Py_ssize_t nesting) except -1
    @cython.locals(items=tuple)
    cdef int put_array(self, object values, Py_ssize_t nesting) except -1

    @cython.locals(number=uint64_t, size=Py_ssize_t, at=Py_ssize_t, index=Py_ssize_t)
    cdef uint64_t take_head(self, int initial) except? 18446744073709551615
    @cython.locals(size=uint64_t, left=uint64_t)
    cdef Py_ssize_t take_size(self, int initial) except -1
    @cython.locals(initial=int, major=int)
    cdef object take_item(self, Py_ssize_t nesting)
    @cython.locals(value=int64_t)
    cdef object take_unsigned(self, uint64_t number)
    @cython.locals(value=int64_t)
    cdef object take_negative(self, uint64_t number)
    @cython.locals(first=Py_ssize_t)
    cdef bytes take_bytes(self, Py_ssize_t size)
    @cython.locals(first=Py_ssize_t)
    cdef str take_text(self, Py_ssize_t size)
    @cython.locals(items=list, index=Py_ssize_t)
    cdef tuple take_array(self, Py_ssize_t size, Py_ssize_t nesting)
    cdef tuple take_checked(self)
    cdef tuple take_payload(self)

cdef bytes _utf8(str text)
cdef bytes _frozen(object data)
cdef list _added(list found, object one)

@cython.locals(number=int64_t)
cdef int64_t _unsigned(str name, object value, int64_t most) except -1

@cython.locals(buffer=Buffer)
cpdef bytes cbor_encode(object values)

@cython.locals(buffer=Buffer)
cpdef tuple cbor_decode(object data)

@cython.locals(buffer=Buffer)
cpdef bytes encode(object type_, object version, object session, object seq, object ack, object t_ms, object payload)

@cython.final
cdef class Decoder:
    cdef Buffer buffer
    cdef Py_ssize_t filled
    cdef bint lost
    cdef int64_t counted[6]

    @cython.locals(found=list, size=Py_ssize_t, raw="const unsigned char *", filled=Py_ssize_t, index=Py_ssize_t, byte=int, buffer=Buffer, most=Py_ssize_t)
    cpdef tuple feed(self, object data)
    cdef object fault(self, Py_ssize_t code)
    @cython.locals(buffer=Buffer, frame=Frame)
    cdef object finish(self, Py_ssize_t size)

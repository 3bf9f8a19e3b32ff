# native/spans.py for the compiled twins: inline, for one call of the C library costs less than a Python call.

cimport cython
from libc.stdint cimport uint64_t
from libc.string cimport memcmp, memcpy

# Names are 8 to 16 bytes: their first and last eight cover them. Longer and shorter ones go to the library.
@cython.overflowcheck(False)
cdef inline bint same(
    const unsigned char* left, Py_ssize_t at, const unsigned char* right, Py_ssize_t start, Py_ssize_t size
) noexcept nogil:
    cdef uint64_t head, tail, other_head, other_tail
    if size < 8 or size > 16:
        return memcmp(left + at, right + start, <size_t>size) == 0
    memcpy(&head, left + at, 8)
    memcpy(&tail, left + at + size - 8, 8)
    memcpy(&other_head, right + start, 8)
    memcpy(&other_tail, right + start + size - 8, 8)
    return head == other_head and tail == other_tail

cdef inline void copy(unsigned char* target, Py_ssize_t at, const unsigned char* source, Py_ssize_t size) noexcept nogil:
    memcpy(target + at, source, <size_t>size)

cdef extern from "Python.h":
    bint PyUnicode_IS_ASCII(object text)
    void* PyUnicode_DATA(object text)
    Py_ssize_t PyUnicode_GET_LENGTH(object text)

# Eight characters of ASCII at once. Some byte of `x` is zero exactly when `(x - ONES) & ~x & TOPS` is not: a borrow
# only reaches bytes above a zero. In the same way for below 32 with 32s; 127 alone reaches its top bit when raised by 1.
@cython.overflowcheck(False)
cdef inline bint odd(uint64_t x) noexcept nogil:
    cdef uint64_t ones = 0x0101010101010101, tops = 0x8080808080808080
    cdef uint64_t quote = x ^ (ones * 34), slash = x ^ (ones * 92)
    cdef uint64_t found = (x - ones * 32) & ~x
    found |= (quote - ones) & ~quote
    found |= (slash - ones) & ~slash
    found |= x + ones
    return (found & tops) != 0

@cython.overflowcheck(False)
cdef inline Py_ssize_t plain(unsigned char* target, Py_ssize_t at, str text, Py_ssize_t most) noexcept:
    cdef Py_ssize_t index = 0, size = PyUnicode_GET_LENGTH(text)
    cdef const unsigned char* source
    cdef uint64_t eight
    if size > most or not PyUnicode_IS_ASCII(text):
        return -1
    source = <const unsigned char*>PyUnicode_DATA(text)
    while index + 8 <= size:
        memcpy(&eight, source + index, 8)
        if odd(eight):
            return -1
        index += 8
    eight = 0x6161616161616161
    memcpy(&eight, source + index, <size_t>(size - index))
    if odd(eight):
        return -1
    memcpy(target + at, source, <size_t>size)
    return size

cdef inline bytes cut(unsigned char* source, Py_ssize_t size):
    return source[:size]

# native/spans.py for the compiled twins: inline, for one call of the C library costs less than a Python call.

cimport cython
from libc.stdint cimport int64_t, uint32_t, uint64_t
from libc.string cimport memchr, memcmp, memcpy

# Names are 4 to 32 bytes: words of four or eight, which may lie over each other, cover them. Longer and shorter ones
# go to the library.
@cython.overflowcheck(False)
cdef inline bint same(
    const unsigned char* left, Py_ssize_t at, const unsigned char* right, Py_ssize_t start, Py_ssize_t size
) noexcept nogil:
    left += at
    right += start
    if size < 4 or size > 32:
        return memcmp(left, right, <size_t>size) == 0
    if size < 8:
        return (four(left) ^ four(right)) | (four(left + size - 4) ^ four(right + size - 4)) == 0
    if (eight(left) ^ eight(right)) | (eight(left + size - 8) ^ eight(right + size - 8)) != 0:
        return False
    if size <= 16:
        return True
    return (eight(left + 8) ^ eight(right + 8)) | (eight(left + size - 16) ^ eight(right + size - 16)) == 0

@cython.overflowcheck(False)
cdef inline uint64_t eight(const unsigned char* source) noexcept nogil:
    cdef uint64_t word
    memcpy(&word, source, 8)
    return word

@cython.overflowcheck(False)
cdef inline uint32_t four(const unsigned char* source) noexcept nogil:
    cdef uint32_t word
    memcpy(&word, source, 4)
    return word

cdef inline void copy(unsigned char* target, Py_ssize_t at, const unsigned char* source, Py_ssize_t size) noexcept nogil:
    memcpy(target + at, source, <size_t>size)

cdef inline void keep(unsigned char* target, const unsigned char* source, Py_ssize_t at, Py_ssize_t size) noexcept nogil:
    memcpy(target, source + at, <size_t>size)

@cython.overflowcheck(False)
cdef inline Py_ssize_t zero(const unsigned char* source, Py_ssize_t size) noexcept nogil:
    cdef const unsigned char* found = <const unsigned char*>memchr(source, 0, <size_t>size)
    return -1 if found is NULL else found - source

# Eighteen digits fit 64 bits, and what more come to is not told.
@cython.overflowcheck(False)
cdef inline Py_ssize_t digits(const unsigned char* source, Py_ssize_t at, Py_ssize_t most, int64_t* number) noexcept nogil:
    cdef Py_ssize_t end = at
    cdef uint64_t found = 0
    cdef unsigned char digit = source[at] - 48
    while digit <= 9:
        found = found * 10 + digit
        end += 1
        digit = source[end] - 48
    if end - at > most:
        return at
    number[0] = <int64_t>found
    return end

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

# Above 127 a character has its top bit.
@cython.overflowcheck(False)
cdef inline Py_ssize_t odd_one(const unsigned char* source, Py_ssize_t at, Py_ssize_t size) noexcept nogil:
    cdef uint64_t tops = 0x8080808080808080
    while at + 8 <= size and eight(source + at) & tops == 0 and not odd(eight(source + at)):
        at += 8
    while 32 <= source[at] <= 126 and source[at] != 34 and source[at] != 92:
        at += 1
    return at

cdef inline bytes cut(unsigned char* source, Py_ssize_t size):
    return source[:size]

cdef inline int64_t nearly(int64_t number, double factor) noexcept nogil:
    return <int64_t>(<double>number * factor + 0.5)

cdef extern from "Python.h":
    str PyUnicode_New(Py_ssize_t size, unsigned int most)

# Text is nearly always ASCII, which is copied; the rest takes the library's way.
@cython.overflowcheck(False)
cdef inline str text(const unsigned char* source, Py_ssize_t at, Py_ssize_t size):
    cdef str made
    cdef Py_ssize_t index
    cdef unsigned char tops = 0
    source += at
    for index in range(size):
        tops |= source[index]
    if tops > 127:
        return source[:size].decode("utf-8")
    made = PyUnicode_New(size, 127)
    memcpy(PyUnicode_DATA(made), source, <size_t>size)
    return made

# native/spans.py for the compiled twins: inline, for one call of the C library costs less than a Python call.

from libc.string cimport memcmp, memcpy

cdef inline bint same(
    const unsigned char* left, Py_ssize_t at, const unsigned char* right, Py_ssize_t start, Py_ssize_t size
) noexcept nogil:
    return memcmp(left + at, right + start, <size_t>size) == 0

cdef inline void copy(unsigned char* target, Py_ssize_t at, const unsigned char* source, Py_ssize_t size) noexcept nogil:
    memcpy(target + at, source, <size_t>size)

# native/spans.py for the compiled twins: inline, for one call of the C library costs less than a Python call.

from libc.string cimport memcmp, memcpy

cdef inline bint same(
    const unsigned char* left, Py_ssize_t at, const unsigned char* right, Py_ssize_t start, Py_ssize_t size
) noexcept nogil:
    return memcmp(left + at, right + start, <size_t>size) == 0

cdef inline void copy(unsigned char* target, Py_ssize_t at, const unsigned char* source, Py_ssize_t size) noexcept nogil:
    memcpy(target + at, source, <size_t>size)

cdef extern from "Python.h":
    bint PyUnicode_IS_ASCII(object text)
    void* PyUnicode_DATA(object text)
    Py_ssize_t PyUnicode_GET_LENGTH(object text)

cdef inline Py_ssize_t plain(unsigned char* target, Py_ssize_t at, str text, Py_ssize_t most) noexcept:
    cdef Py_ssize_t index, size = PyUnicode_GET_LENGTH(text)
    cdef const unsigned char* source
    cdef unsigned char code
    cdef bint bad = False
    if size > most or not PyUnicode_IS_ASCII(text):
        return -1
    source = <const unsigned char*>PyUnicode_DATA(text)
    for index in range(size):
        code = source[index]
        bad |= (code < 32) | (code > 126) | (code == 34) | (code == 92)
        target[at + index] = code
    return -1 if bad else size

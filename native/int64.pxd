# native/int64.py for the compiled twins: inline, one instruction and a test of the processor's overflow flag.

from cpython.long cimport PyLong_Check
from libc.stdint cimport int64_t

cdef extern from "Python.h":
    int64_t PyLong_AsLongLongAndOverflow(object value, int* out) except? -1

cdef extern from *:
    bint __builtin_add_overflow(int64_t a, int64_t b, int64_t* c) nogil
    bint __builtin_sub_overflow(int64_t a, int64_t b, int64_t* c) nogil
    bint __builtin_mul_overflow(int64_t a, int64_t b, int64_t* c) nogil

# What each returns with an exception is a number that hardly ever comes, so that few are asked about twice.
cdef inline int64_t beyond() except? -4611686018427387905:
    raise OverflowError("integer outside the signed 64-bit range")

cdef inline int64_t whole(object value) except? -4611686018427387905:
    cdef int out = 0
    cdef int64_t number
    if not PyLong_Check(value):
        raise TypeError(f"an integer is needed, not {type(value).__name__}")
    number = PyLong_AsLongLongAndOverflow(value, &out)
    return beyond() if out else number

cdef inline int64_t plus(int64_t a, int64_t b) except? -4611686018427387905:
    cdef int64_t c
    return beyond() if __builtin_add_overflow(a, b, &c) else c

cdef inline int64_t minus(int64_t a, int64_t b) except? -4611686018427387905:
    cdef int64_t c
    return beyond() if __builtin_sub_overflow(a, b, &c) else c

cdef inline int64_t times(int64_t a, int64_t b) except? -4611686018427387905:
    cdef int64_t c
    return beyond() if __builtin_mul_overflow(a, b, &c) else c

cdef inline int64_t size(int64_t a) except? -4611686018427387905:
    return minus(0, a) if a < 0 else a

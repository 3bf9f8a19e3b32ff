# C types for native/fixed_py.py compiled as native.fixed_c. Declarations only; the logic is in the Python source.
# Arguments of the public functions stay objects: the source checks them itself, so that both twins say the same words.

cimport cython
from libc.stdint cimport int64_t

cdef int64_t _MAX
cdef int64_t _MIN
cdef Py_ssize_t _MAX_DIGITS
cdef Py_ssize_t _MAX_TEXT
cdef Py_ssize_t _MAX_EXPONENT

@cython.locals(left=int64_t, right=int64_t, divisor=int64_t, product=int64_t, quotient=int64_t)
cpdef object muldiv(object a, object b, object c)

cpdef int64_t int64(object value) except? -1

cdef bint _product_fits(int64_t a, int64_t b) except -1

@cython.locals(excess=int64_t)
cdef int _carry(int64_t remainder, int64_t divisor, int odd) except -1

cdef object _muldiv_wide(object a, object b, object c)

@cython.locals(length=Py_ssize_t, start=Py_ssize_t, whole_end=Py_ssize_t, end=Py_ssize_t)
cpdef object parse_decimal(object text, object digits)

@cython.locals(index=Py_ssize_t)
cdef Py_ssize_t _digits_end(str text, Py_ssize_t start, Py_ssize_t length) except -1

@cython.locals(first=Py_ssize_t)
cdef bint _is_exponent(str text, Py_ssize_t start, Py_ssize_t length) except -1

@cython.locals(exponent=Py_ssize_t, index=Py_ssize_t)
cdef Py_ssize_t _exponent(str text, Py_ssize_t start, Py_ssize_t length) except? -1

@cython.locals(last=Py_ssize_t, places=Py_ssize_t, shift=Py_ssize_t, index=Py_ssize_t, number=int64_t)
cdef object _scale(str text, Py_ssize_t start, Py_ssize_t whole_end, Py_ssize_t end, Py_ssize_t digits)

# shift stays an object: ``10**shift`` of C integers would be a double.
cdef object _scale_wide(str text, str mantissa, object shift)

@cython.locals(sign=str, shown=str, point=Py_ssize_t, places=Py_ssize_t)
cpdef str format_decimal(object value, object digits, object min_places=*)

cdef int _check_digits(object digits) except -1

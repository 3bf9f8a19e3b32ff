# C types for native/matching_py.py compiled as native.matching_c. Declarations only; the logic is in the Python source.
# Arguments stay objects where the source checks them itself, so that both twins say the same words.

cimport cython
from libc.stdint cimport int64_t

cdef int64_t _MOST

@cython.locals(number=int64_t)
cpdef int64_t ticks(object value) except? -1

cdef int64_t _sign(object side) except? 0

cpdef int64_t market_price(object side, object touch, object slippage) except? -1

cpdef bint limit_reaches(object side, object limit, object touch) except? -1

@cython.locals(beyond=int64_t)
cpdef bint limit_fills(object side, object limit, object price, object touch_is_enough) except? -1

@cython.locals(sign=int64_t, level=int64_t, far=int64_t, worse=int64_t)
cpdef object stop_fill(object side, object stop, object price, object touch, object slippage)

@cython.locals(sign=int64_t, level=int64_t, following=int64_t)
cpdef int64_t trailed(object side, object stop, object trail, object price) except? -1

@cython.locals(
    first=int64_t, highest=int64_t, lowest=int64_t, slipped=int64_t, best_price=int64_t, number=object,
    best_id=object, best_away=int64_t, found=bint, best_is_limit=bint, sign=int64_t, entered=bint, is_limit=bint, level=int64_t,
    worse=int64_t, price=int64_t, away=int64_t)
cpdef object first_fill(object orders, object opened, object high, object low, object stop_slippage)

cdef bint _before(
    bint is_limit, int64_t away, object number, bint best_is_limit, int64_t best_away, object best_id) except? -1

@cython.locals(index=Py_ssize_t, last=Py_ssize_t, bottom=int64_t, top=int64_t)
cpdef Py_ssize_t untouched(
    const int64_t[::1] lows, const int64_t[::1] highs, object begin, object end, object floor, object ceiling
) except? -1

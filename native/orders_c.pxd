# C types for native/orders_py.py compiled as native.orders_c. Declarations only; the logic is in the Python source.
# The buffer holds the longest body twice over, which a test shows.

cimport cython
cimport native.spans as spans
from libc.stdint cimport int64_t, uint64_t

cdef Py_ssize_t _MAX_TAG
cdef int64_t _MAX_SIZE
cdef int64_t _MAX_ID
cdef int64_t _MAX_LEG
cdef int64_t _MAX_UNITS
cdef int64_t _UNFIT
cdef int64_t _NO_TICKS

@cython.final
cdef class _Form:
    cdef bytes middle
    cdef int64_t account
    cdef bytes buy
    cdef bytes sell
    cdef bytes limit
    cdef bytes stop
    cdef int64_t units
    cdef int64_t most
    cdef Py_ssize_t places
    cdef int64_t scale
    cdef int begin(self, int64_t account) except -1

@cython.final
cdef class Writer:
    cdef dict _kinds
    cdef dict _forms
    cdef bytes _stop_end
    cdef bytes _target_end
    cdef unsigned char[1024] _out
    cdef Py_ssize_t _at

    cpdef bint know(self, str contract, object tick_nano, object places) except -1
    @cython.locals(form=_Form, account=int64_t, contracts=int64_t, is_buy=bint)
    cpdef bytes place(
        self, object kind, object contract, object account_id, object side, object size, object limit_ticks,
        object stop_ticks, object stop_leg, object target_leg, object tag
    )
    @cython.locals(form=_Form, account=int64_t, order=int64_t, contracts=int64_t)
    cpdef bytes modify(
        self, object kind, object contract, object account_id, object venue_id, object limit_ticks,
        object stop_ticks, object size
    )
    @cython.locals(account=int64_t, order=int64_t)
    cpdef bytes cancel(self, object account_id, object venue_id)

    @cython.locals(forms=dict)
    cdef _Form _form(self, object contract, object kind)
    cdef int _pair(self, int64_t account, int64_t order) except -1
    @cython.locals(price=int64_t)
    cdef bint _needed(self, bytes name, object ticks, _Form form) except -1
    @cython.locals(units=int64_t)
    cdef int _price(self, int64_t ticks, _Form form) except -1
    @cython.locals(stop=int64_t, target=int64_t)
    cdef bint _legs(self, object stop_leg, object target_leg, bint is_buy) except -1
    @cython.locals(size=Py_ssize_t)
    cdef bint _tag(self, str text) except -1
    cdef bytes _ended(self)
    @cython.locals(size=Py_ssize_t)
    cdef int _put(self, bytes words) except -1
    @cython.locals(places=Py_ssize_t, limit=uint64_t)
    cdef int _number(self, uint64_t value) except -1
    @cython.locals(end=Py_ssize_t, at=Py_ssize_t, rest=uint64_t)
    cdef int _digits(self, uint64_t value, Py_ssize_t places) except -1

@cython.locals(number=int64_t)
cdef int64_t _whole(object value, int64_t most) except? -2
@cython.locals(number=int64_t)
cdef int64_t _signed(object value, int64_t most) except? -2

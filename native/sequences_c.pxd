# C types for native/sequences_py.py compiled as native.sequences_c. Declarations only; the logic is in the Python source.
# Portfolio, Actions and the checks stay Python: they run once a search. What runs once a sequence is C.

cimport cython
from libc.stdint cimport int64_t

cdef Py_ssize_t _STRIDE

cdef class Search:
    cdef Py_ssize_t count, depth, kept, limit
    cdef int64_t cash
    cdef double floor, linear
    cdef double security_weight, country_weight, group_weight
    cdef double security_rate, country_rate, group_rate
    cdef int64_t[::1] cash_changes, changes, countries, groups, labels, securities
    cdef double[::1] gains
    cdef int64_t[::1] country_gaps, group_gaps, security_gaps, taken
    cdef int64_t[::1] kept_paths, kept_sizes, path
    cdef double[::1] kept_scores

    cdef object _take_portfolio(self, object portfolio)
    cdef object _take_actions(self, object portfolio, object actions, object labels)

    @cython.locals(security_gap=int64_t, country_gap=int64_t, group_gap=int64_t, score=double)
    cdef void walk(self) noexcept nogil

    @cython.locals(
        action=Py_ssize_t, security=Py_ssize_t, country=Py_ssize_t, group=Py_ssize_t,
        left=int64_t, change=int64_t, was_security=int64_t, was_country=int64_t, was_group=int64_t,
        securities=int64_t, countries=int64_t, groups=int64_t, grown=double, score=double,
    )
    cdef void _extend(
        self, Py_ssize_t first, Py_ssize_t size, int64_t cash,
        int64_t security_gap, int64_t country_gap, int64_t group_gap, double linear,
    ) noexcept nogil

    @cython.locals(place=Py_ssize_t, last=Py_ssize_t, index=Py_ssize_t, step=Py_ssize_t)
    cdef void _offer(self, double score, Py_ssize_t size) noexcept nogil

    cdef bint _beats(self, double score, Py_ssize_t size, Py_ssize_t place) noexcept nogil

    @cython.locals(step=Py_ssize_t)
    cdef void _move(self, Py_ssize_t source, Py_ssize_t target) noexcept nogil

    @cython.locals(place=Py_ssize_t, step=Py_ssize_t)
    cpdef list ranked(self)

cdef double _above(double value) noexcept nogil

cdef int64_t _magnitude(int64_t value) noexcept nogil

@cython.locals(total=int64_t, index=Py_ssize_t)
cdef int64_t _width(int64_t[::1] gaps) noexcept nogil

@cython.locals(plan=Search)
cpdef list search(object portfolio, object actions, object depth, object k)

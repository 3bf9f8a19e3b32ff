# Runs native.sequences_c without the interpreter's lock; declaring a function nogil does not release it. No logic.

from native.sequences_c cimport Search

from native.sequences_c import Actions, Portfolio, prepare

__all__ = ["Actions", "Portfolio", "search"]


def search(portfolio, actions, depth, k):
    cdef Search plan = prepare(portfolio, actions, depth, k)
    with nogil:
        plan.walk()
    return plan.ranked()

# Runs native.sequences_c without the interpreter's lock: declaring a function nogil does not release it. No logic;
# the rest of the module is passed on.

from native.sequences_c cimport Search

from native.sequences_c import (
    MAX_ACTIONS, MAX_DEPTH, MAX_FACTOR, MAX_KEPT, MAX_MICRO, MAX_PARTS, MAX_SECURITIES, MAX_SEQUENCES, MIN_SCALE,
    SCALES, WEIGHTS, Actions, Portfolio, prepare,
)


def search(portfolio, actions, depth, k):
    cdef Search plan = prepare(portfolio, actions, depth, k)
    with nogil:
        plan.walk()
    return plan.ranked()

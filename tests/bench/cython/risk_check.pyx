# Calls native.gate as another compiled module does: one C call an order, no Python in between.

from native.gate_c cimport Gate


def work(Gate gate, list orders, object view):
    cdef long long total = 0
    for order in orders:
        total = (total * 31 + gate.check(order, view)) % 1000003
    return total

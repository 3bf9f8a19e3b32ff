# C types for native/gate_py.py compiled as native.gate_c. Declarations only; the logic is in the Python source.

cimport cython
from libc.stdint cimport int64_t

cdef int64_t _MAX
cdef int64_t _MIN

cdef int PASSED, SHAPE, LISTED, SYNCED, TRADING_STATE, ARMED, UNKNOWN_ORDER, JOURNAL, ACCOUNT
cdef int INSTRUMENT, BRACKET, ORDER_SIZE, REDUCE_ONLY, ENTRY_HOURS, QUOTE, COLLAR
cdef int ORDER_RATE, CONTRACTS, LOSS, DUPLICATE

@cython.locals(number=int64_t)
cdef int64_t _int(object value) except? -1

cdef int64_t _plus(int64_t a, int64_t b) except? -1

cdef int64_t _minus(int64_t a, int64_t b) except? -1

cdef int64_t _size(int64_t a) except? -1

cdef int64_t _times(int64_t a, int64_t b) except? -1

cdef class Product:
    cdef public object instrument
    cdef readonly int64_t weight, tick_value, fee, most, open_ns, until_ns
    cpdef entries(self, object open_ns, object until_ns)

cdef class _Side:
    cdef Product product
    cdef int64_t buys, sells
    cdef int add(self, int64_t side, int64_t size) except -1

cdef class Gate:
    cdef object _entry, _active
    cdef tuple _terminal, _types
    cdef dict _raised, _products
    cdef int64_t _collar, _quote_age, _order_contracts, _tenths, _slippage, _daily, _least_bracket
    cdef bint _has_daily, _need_bracket
    cdef int64_t _full_until, _day_from, _day_until, _recent_until
    cdef readonly int64_t value, limit

    cpdef know(self, str contract, Product product)
    cpdef Product product(self, str contract)
    cpdef forget(self)
    cpdef counted(self, object full_until, object day_from, object day_until, object recent_until)

    @cython.locals(failed=int)
    cpdef int check(self, object order, object view) except? -2

    cdef int _fail(self, int rule, int64_t value, int64_t limit) except? -2
    cdef int _state(self, object order, object view) except? -2

    @cython.locals(size=int64_t, filled=int64_t, each=tuple)
    cdef bint _is_shaped(self, object order) except -1

    @cython.locals(product=Product, stop=int64_t, target=int64_t, size=int64_t, now=int64_t)
    cdef int _order(self, object order, object view) except? -2

    @cython.locals(
        now=int64_t, age=int64_t, bid=int64_t, ask=int64_t, most=int64_t, side=int64_t, spread=int64_t, near=int64_t,
        off=int64_t, price=int64_t)
    cdef int _market(self, object order, object view) except? -2

    @cython.locals(
        found=dict, groups=dict, legs=dict, left=dict, seen=bint, risk=int64_t, remaining=int64_t, best=tuple,
        pair=tuple, failed=int)
    cdef int _amounts(self, object order, object view) except? -2

    cdef int64_t _remaining(self, object order) except? -1

    @cython.locals(side=_Side, product=Product)
    cdef bint _add(self, dict found, object order, int64_t size) except -1

    @cython.locals(held=Product, own=Product, side=_Side, of_symbol=int64_t, tenths=int64_t, net=int64_t, worst=int64_t)
    cdef int _worst(self, object order, object positions, dict found) except? -2

    @cython.locals(product=Product, stop=int64_t, each=int64_t)
    cdef int64_t _at_risk(self, object order) except? -1

    @cython.locals(counted=int64_t)
    cdef int64_t _dearest(self, dict groups, object order, int64_t loss) except? -1

    @cython.locals(total=int64_t, net=int64_t, product=Product, each=int64_t)
    cdef int64_t _to_close(self, object positions) except? -1

    @cython.locals(day=int64_t, equity=int64_t, floor=int64_t)
    cdef int _loss(self, object view, int64_t risk) except? -2

# C types for native/gate_py.py compiled as native.gate_c. Declarations only; the logic is in the Python source.

cimport cython
cimport native.int64 as int64
cimport native.slots as slots
from libc.stdint cimport int64_t

cdef Py_ssize_t _MOST_LINES

cdef int PASSED, SHAPE, LISTED, SYNCED, TRADING_STATE, ARMED, UNKNOWN_ORDER, JOURNAL, ACCOUNT
cdef int INSTRUMENT, BRACKET, ORDER_SIZE, REDUCE_ONLY, ENTRY_HOURS, QUOTE, COLLAR
cdef int ORDER_RATE, CONTRACTS, LOSS, DUPLICATE

@cython.final
cdef class Places:
    cdef object order, view, quote, bracket, account
    cdef Py_ssize_t tag, account_id, contract, side, size, filled, type, role, state, limit, stop, order_bracket, oco
    cdef Py_ssize_t parent, bracket_stop, bracket_target, quoted, recv, bid, ask, last, reported_id, can_trade
    cdef Py_ssize_t utc, mono, trading, armed, listed, synced, reported, unknown, journal, instrument, seen, orders
    cdef Py_ssize_t positions, day, balance, equity, floor
    cdef int _of_order(self, object order) except -1
    cdef int _of_view(self, object view) except -1

@cython.final
cdef class Product:
    cdef public object instrument
    cdef readonly int64_t weight, tick_value, fee, most, open_ns, until_ns
    cpdef tuple state(self)
    cpdef restore(self, tuple state)
    cpdef entries(self, object open_ns, object until_ns)

@cython.final
cdef class _Tally:
    cdef str contract
    cdef Product product
    cdef int64_t round, buys, sells, net
    cdef _Tally before

@cython.final
cdef class _Line:
    cdef str tag, parent, oco
    cdef _Tally tally
    cdef bint entry, leg, spare
    cdef int64_t side, size, open, left, stop, counted

@cython.final
cdef class Gate:
    cdef Places _at
    cdef object _entry, _active, _working, _pending
    cdef tuple _words, _kinds, _terminal, _types
    cdef int64_t _limited, _stopped
    cdef dict _raised, _tallies
    cdef _Tally _counted
    cdef _Line _own
    cdef list _lines
    cdef Py_ssize_t _count
    cdef int64_t _round
    cdef int64_t _collar, _quote_age, _order_contracts, _tenths, _slippage, _daily, _least_bracket
    cdef bint _has_daily, _need_bracket
    cdef int64_t _full_until, _day_from, _day_until, _recent_until, _utc, _mono
    cdef readonly int64_t value, limit

    cdef int _begin(self, tuple words, dict raised, tuple kinds) except -1
    @cython.locals(tally=_Tally)
    cpdef tuple state(self)
    cpdef restore(self, tuple state)
    cpdef know(self, str contract, Product product)
    @cython.locals(tally=_Tally)
    cpdef Product product(self, str contract)
    cpdef forget(self)
    @cython.locals(line=_Line)
    cdef int _forget_lines(self) except -1
    cpdef counted(self, object full_until, object day_from, object day_until, object recent_until)

    @cython.locals(at=Places, failed=int)
    cpdef int check(self, object order, object view) except? -2

    cdef int _fail(self, int rule, int64_t value, int64_t limit) except? -2

    @cython.locals(at=Places, size=int64_t, types=tuple, index=Py_ssize_t, limited=bint, stopped=bint, has_limit=bint, has_stop=bint)
    cdef bint _is_shaped(self, object order) except -1

    @cython.locals(at=Places, own_id=int64_t)
    cdef int _state(self, object order, object view) except? -2

    @cython.locals(at=Places, own=_Line, product=Product, target=int64_t)
    cdef int _order(self, object order, object view) except? -2

    @cython.locals(
        at=Places, age=int64_t, bid=int64_t, ask=int64_t, most=int64_t, side=int64_t, spread=int64_t,
        near=int64_t, off=int64_t, price=int64_t, quoted=str)
    cdef int _market(self, object order, object view) except? -2

    @cython.locals(at=Places, own=_Line, line=_Line, failed=int, risk=int64_t, index=Py_ssize_t)
    cdef int _amounts(self, object order, object view) except? -2

    @cython.locals(own=_Line, line=_Line, known=bint, index=Py_ssize_t)
    cdef bint _take_all(self, object orders, object positions) except -1

    @cython.locals(at=Places)
    cdef int _take(self, _Line line, object order) except -1

    cdef _Tally _tally(self, str contract, _Tally last)

    cdef bint _has_ended(self, object state) except -1

    @cython.locals(more=int64_t)
    cdef int _raise(self, _Line line) except -1

    @cython.locals(other=_Line, index=Py_ssize_t)
    cdef int _pair(self, _Line leg) except -1

    @cython.locals(own=_Line, line=_Line, index=Py_ssize_t)
    cdef int64_t _left_of(self, str tag, bint known) except? -4611686018427387905

    @cython.locals(tally=_Tally)
    cdef int _add(self, _Line line, int64_t size) except -1

    cdef int _touch(self, _Tally tally) except -1

    @cython.locals(nets=dict, tally=_Tally)
    cdef bint _hold(self, object positions) except -1

    @cython.locals(tally=_Tally, product=Product, of_symbol=int64_t, tenths=int64_t, worst=int64_t)
    cdef int _worst(self, Product own) except? -2

    @cython.locals(product=Product, first=_Line, each=int64_t, loss=int64_t, counted=int64_t)
    cdef int64_t _dearest(self, _Line line, Py_ssize_t before) except? -4611686018427387905

    @cython.locals(other=_Line, index=Py_ssize_t)
    cdef _Line _first_of(self, _Line line, Py_ssize_t before)

    @cython.locals(total=int64_t, tally=_Tally, product=Product, one_way=int64_t, each=int64_t)
    cdef int64_t _to_close(self) except? -4611686018427387905

    @cython.locals(at=Places, day=int64_t, equity=int64_t, floor=int64_t)
    cdef int _loss(self, object view, int64_t risk) except? -2

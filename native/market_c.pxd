# C types for native/market_py.py compiled as native.market_c. Declarations only; the logic is in the Python source.
# Arguments of the public functions stay objects: the source checks them itself, so that both twins say the same words.

cimport cython
from libc.stdint cimport int64_t

from native.indicators_c cimport Indicator

cdef int64_t _MINUTE_NS
cdef int64_t _LONGEST_DAY_NS
cdef int64_t _MAX
cdef int64_t _MIN
cdef int64_t _MAX_PRICE

@cython.locals(number=int64_t)
cdef int64_t _int64(object value) except? -1
cdef int _refuse(int64_t volume) except -1
cdef object _length_ns(object minutes)
cdef Bars _emptied(object out)
cdef object _column(object values)
cdef int _check_length(Py_ssize_t first, Py_ssize_t second) except -1

cdef class Bars:
    cdef readonly Py_ssize_t count
    cdef Py_ssize_t _room
    cdef tuple _columns
    cdef int64_t[::1] _start_ns
    cdef int64_t[::1] _open
    cdef int64_t[::1] _high
    cdef int64_t[::1] _low
    cdef int64_t[::1] _close
    cdef int64_t[::1] _volume
    @cython.locals(index=Py_ssize_t)
    cpdef list rows(self)
    cpdef tuple row(self, Py_ssize_t index)
    cdef int _add(
        self, int64_t start_ns, int64_t opened, int64_t high, int64_t low, int64_t close, int64_t volume
    ) except -1
    cdef int _set(
        self, Py_ssize_t i, int64_t start_ns, int64_t opened, int64_t high, int64_t low, int64_t close, int64_t volume
    ) except -1
    cdef int _resize(self, Py_ssize_t room) except -1
    cdef int _adopt(self, tuple columns) except -1

cdef class _Day:
    cdef object _day_of
    cdef int64_t start_ns
    cdef int64_t end_ns
    cdef int64_t begin
    cdef int64_t end
    @cython.locals(start=int64_t, end=int64_t)
    cdef bint find(self, int64_t utc_ns) except -1
    cdef int64_t window(self, int64_t utc_ns, int64_t length_ns) except? -1

cdef int64_t _next_window(_Day day, int64_t utc_ns, int64_t length) except? -1

# The arrays have room for MAX_FRAMES; only indices below _frames are used.
cdef class Market:
    cdef readonly tuple minutes
    cdef Py_ssize_t _frames
    cdef int64_t _length[16]
    cdef int64_t _start[16]
    cdef int64_t _end[16]
    cdef int64_t _open[16]
    cdef int64_t _high[16]
    cdef int64_t _low[16]
    cdef int64_t _close[16]
    cdef int64_t _volume[16]
    cdef int64_t _late[16]
    cdef _Day _day
    cdef int64_t _room
    cdef list _of_trades
    cdef list _of_bars
    cdef int64_t _bid
    cdef int64_t _ask
    cdef int64_t _last
    cdef int _said
    cdef readonly int64_t quote_ns
    cdef readonly Bars closed
    @cython.locals(
        price=int64_t, size=int64_t, when=int64_t, new_day=bint, closed=int, late=bint, i=Py_ssize_t
    )
    cpdef int on_trade(self, object price_ticks, object volume, object utc_ns) except -1
    @cython.locals(when=int64_t, closed=int, i=Py_ssize_t)
    cpdef int close_until(self, object utc_ns) except -1
    cdef Py_ssize_t _index(self, Py_ssize_t frame) except -1
    @cython.locals(high=int64_t, low=int64_t, close=int64_t, volume=int64_t)
    cdef int _tell(self, Py_ssize_t i) except -1
    cdef int _begin_bar(self, Py_ssize_t i, int64_t price, int64_t utc_ns) except -1
    @cython.locals(each=Indicator, k=Py_ssize_t)
    cdef int _feed(self, list indicators, double high, double low, double close, double volume) except -1
    @cython.locals(each=Indicator, indicators=list)
    cdef int _begin_day(self) except -1
    @cython.locals(before=int, said=int, changed=int, bid=int64_t, ask=int64_t, last=int64_t, when=int64_t)
    cpdef int on_quote(self, object bid_ticks, object ask_ticks, object last_ticks, object utc_ns) except -1

@cython.locals(
    starts=int64_t[::1], opens=int64_t[::1], highs=int64_t[::1], lows=int64_t[::1], closes=int64_t[::1],
    volumes=int64_t[::1], i=Py_ssize_t,
    first=Py_ssize_t, when=int64_t, last=int64_t, end=int64_t, high=int64_t, low=int64_t, room=int64_t
)
cdef int _coarsen(Bars bars, Py_ssize_t count, int64_t length, _Day day, Bars out) except -1

@cython.locals(
    i=Py_ssize_t, count=Py_ssize_t, first=Py_ssize_t, when=int64_t, last=int64_t, end=int64_t, price=int64_t,
    high=int64_t, low=int64_t, room=int64_t
)
cdef int _ticks_to_bars(
    const int64_t[::1] times, const int64_t[::1] prices, const int64_t[::1] sizes, int64_t length, _Day day, Bars out
) except -1

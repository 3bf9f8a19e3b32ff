# C types for native/indicators_py.py compiled as native.indicators_c. Declarations only; the logic is in the Python
# source. Arguments of the public functions stay objects: the source checks them itself, so that both twins say the
# same words. Other native modules may cimport Indicator and feed it without crossing into Python.

cimport cython
cimport libc.math as math
from libc.stdint cimport int64_t

cdef double _MOST
cdef double _FLAT
cdef double _NAN

cdef double _number(object value) except? -1
cdef double _bounded(double value) except? -1
cdef double _ordered(double high, double low) except? -1
cdef double _positive(double volume) except? -1
cdef object _period(object value)
cdef object _zeros(Py_ssize_t length)
cdef object _column(object values)
cdef int _check_length(Py_ssize_t first, Py_ssize_t second) except -1

cdef class Indicator:
    cdef readonly double value
    cdef readonly Py_ssize_t seen
    cdef int _feed(self, double high, double low, double close, double volume) except -1
    cdef int _begin_day(self) except -1

cdef class Sma(Indicator):
    cdef readonly Py_ssize_t period
    cdef double[::1] _ring
    cdef Py_ssize_t _at
    cdef double _sum
    cdef double _fresh
    cpdef double peek(self, object close) except? -1
    @cython.locals(last=bint, total=double)
    cdef double _after(self, double close) except? -1
    @cython.locals(at=Py_ssize_t)
    cdef int _feed(self, double high, double low, double close, double volume) except -1

cdef class Ema(Indicator):
    cdef readonly Py_ssize_t period
    cdef double _share
    cdef double _sum
    cdef int _feed(self, double high, double low, double close, double volume) except -1

cdef class Rsi(Indicator):
    cdef readonly Py_ssize_t period
    cdef double _last
    cdef double _gain
    cdef double _loss
    @cython.locals(change=double, gain=double, loss=double, total=double)
    cdef int _feed(self, double high, double low, double close, double volume) except -1
    cdef bint _warm_up(self, double gain, double loss) except -1

cdef class Atr(Indicator):
    cdef readonly Py_ssize_t period
    cdef double _last
    cdef double _mean
    @cython.locals(top=double, bottom=double)
    cdef int _feed(self, double high, double low, double close, double volume) except -1

cdef class Bollinger(Indicator):
    cdef readonly Py_ssize_t period
    cdef readonly double width
    cdef readonly double upper
    cdef readonly double lower
    cdef readonly double deviation
    cdef double[::1] _ring
    cdef Py_ssize_t _at
    cdef double _anchor
    cdef double _sum
    cdef double _squares
    cdef double _fresh_anchor
    cdef double _fresh_sum
    cdef double _fresh_squares
    @cython.locals(at=Py_ssize_t, oldest=double)
    cdef int _feed(self, double high, double low, double close, double volume) except -1
    @cython.locals(distance=double)
    cdef int _add(self, double close) except -1
    cdef int _renew(self, double close) except -1
    @cython.locals(n=double, variance=double)
    cdef int _measure(self) except -1

cdef class Vwap(Indicator):
    cdef readonly double volume
    cdef double _anchor
    cdef double _sum
    cdef int _feed(self, double high, double low, double close, double volume) except -1
    cdef int _take(self, double price, double volume) except -1
    cdef int _begin_day(self) except -1

cdef class _Highest:
    cdef Py_ssize_t _period
    cdef double[::1] _values
    cdef int64_t[::1] _times
    cdef Py_ssize_t _head
    cdef Py_ssize_t _length
    cdef int64_t _now
    @cython.locals(last=Py_ssize_t)
    cdef double push(self, double value) except? -1
    @cython.locals(slot=Py_ssize_t)
    cdef Py_ssize_t _slot(self, Py_ssize_t place) except -1

cdef class Donchian(Indicator):
    cdef readonly Py_ssize_t period
    cdef readonly double high
    cdef readonly double low
    cdef _Highest _highest
    cdef _Highest _lowest
    @cython.locals(top=double, bottom=double)
    cdef int _feed(self, double high, double low, double close, double volume) except -1

cdef object _over(Indicator each, object closes)

@cython.locals(i=Py_ssize_t)
cdef int _fill(Indicator each, const double[::1] closes, double[::1] out) except -1

@cython.locals(i=Py_ssize_t)
cdef int _fill_bollinger(
    Bollinger each, const double[::1] closes, double[::1] upper, double[::1] mean, double[::1] lower
) except -1

@cython.locals(i=Py_ssize_t)
cdef int _fill_atr(
    Atr each, const double[::1] highs, const double[::1] lows, const double[::1] closes, double[::1] out
) except -1

@cython.locals(i=Py_ssize_t)
cdef int _fill_vwap(Vwap each, const double[::1] prices, const double[::1] volumes, double[::1] out) except -1

@cython.locals(i=Py_ssize_t)
cdef int _fill_donchian(
    Donchian each, const double[::1] highs, const double[::1] lows, double[::1] top, double[::1] bottom
) except -1

@cython.locals(index=Py_ssize_t, last=Py_ssize_t, known=int, after=int, close=double, quick=double, calm=double)
cpdef object uncrossed(
    Sma fast, Sma slow, object side, const int64_t[::1] closes, object begin, object end)

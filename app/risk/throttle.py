"""Rolling windows of the gate: orders a minute, orders a trading day, the same intent twice.

Only approvals are counted. Minutes and repetitions run on monotonic time; the trading day comes from the
calendar. No clock is read here.
"""

from __future__ import annotations

from collections import deque
from typing import Any

from app.domain.calendar import TradingCalendar
from app.domain.orders import Order
from app.errors import Refused
from app.risk.limits import Limits

MINUTE_NS = 60_000_000_000
MS = 1_000_000

Intent = tuple[Any, ...]


def intent_of(order: Order) -> Intent:
    """What makes two orders the same wish. A fresh `ref` makes a new one."""
    return (
        *(order.strategy, order.ref, order.contract, order.side, order.type),
        *(order.limit_ticks, order.stop_ticks, order.size),
    )


class Throttle:
    """The windows of one account. Bounded by the limits: nothing older than its window is kept."""

    def __init__(self, limits: Limits, calendar: TradingCalendar) -> None:
        self._limits, self._calendar = limits, calendar
        self._minute: deque[int] = deque()  # mono_ns of approvals, oldest first
        self._recent: dict[Intent, int] = {}  # mono_ns of approved placements, oldest first
        self._day_start_ns = 0
        self._today = 0

    def resume(self, orders_today: int, utc_ns: int) -> None:
        """After a restart: so many orders were approved since the trading day of `utc_ns` began."""
        self._day_start_ns, self._today = self._calendar.trading_day_start(utc_ns), orders_today

    def refuse_rate(self, utc_ns: int, mono_ns: int) -> None:
        """Raises Refused `gate.order_rate` when the minute or the trading day is full."""
        self._drop_old(mono_ns)
        minute, most = len(self._minute), self._limits.orders_per_minute
        if minute >= most:
            raise Refused("gate.order_rate", f"{minute} orders in a minute", f"{most} a minute")
        today, most = self._today_at(utc_ns), self._limits.orders_per_day
        if today >= most:
            raise Refused("gate.order_rate", f"{today} orders today", f"{most} a trading day")

    def refuse_duplicate(self, order: Order, mono_ns: int) -> None:
        """Raises Refused `gate.duplicate` for an intent approved less than `duplicate_window_ns` ago."""
        self._drop_old(mono_ns)
        sent, window = self._recent.get(intent_of(order)), self._limits.duplicate_window_ns
        if sent is not None:
            age = f"the same order {(mono_ns - sent) // MS} ms ago"
            raise Refused("gate.duplicate", age, f"once in {window // MS} ms", "a new wish has a new ref")

    def known_until(self, utc_ns: int, mono_ns: int) -> tuple[int, int, int, int]:
        """Until when these windows answer the same: (the minute is full before this monotonic time, the day
        has room from, and until, these market times, an intent may be an echo before this monotonic time).

        0 = not full, no room, no echo.
        """
        self._drop_old(mono_ns)
        most, recent = self._limits.orders_per_minute, self._recent
        full_until = self._minute[-most] + MINUTE_NS if len(self._minute) >= most else 0
        echo_until = next(reversed(recent.values())) + self._limits.duplicate_window_ns if recent else 0
        if self._today_at(utc_ns) >= self._limits.orders_per_day:
            return full_until, 0, 0, echo_until
        return (
            full_until,
            self._calendar.trading_day_start(utc_ns),
            self._calendar.next_open(utc_ns),
            echo_until,
        )

    def count(self, order: Order, placed: bool, utc_ns: int, mono_ns: int) -> None:
        """An approval was given."""
        self._drop_old(mono_ns)
        self._today = self._today_at(utc_ns) + 1
        self._day_start_ns = max(self._day_start_ns, self._calendar.trading_day_start(utc_ns))
        self._minute.append(mono_ns)
        if placed:
            intent = intent_of(order)
            self._recent.pop(intent, None)  # so that the dictionary stays in order of time
            self._recent[intent] = mono_ns

    def _today_at(self, utc_ns: int) -> int:
        """A clock that was set back starts no new trading day."""
        return 0 if self._calendar.trading_day_start(utc_ns) > self._day_start_ns else self._today

    def _drop_old(self, mono_ns: int) -> None:
        minute, recent, window = self._minute, self._recent, self._limits.duplicate_window_ns
        while minute and mono_ns - minute[0] >= MINUTE_NS:
            minute.popleft()
        while recent:
            oldest = next(iter(recent))
            if mono_ns - recent[oldest] < window:
                return
            del recent[oldest]

"""Overnight range breakout: two stop entries around the night's range at the New York open, once a day.

The rule, in New York local time and with the default settings:

1. From 18:00 to 09:30 the range of the one-minute bars is tracked. Fewer than 10 bars: no trade today.
2. At 09:30 the ATR is the mean true range of the last 14 completed five-minute bars; the first uses the bar
   before it.
3. A buy stop goes one tick above the high, a sell stop one tick below the low, as an OCO pair. Each carries a
   bracket: stop 1.25 ATR, target 2 ATR, both rounded up to whole ticks, a stop never nearer than 4 ticks.
4. The first fill cancels the other side (the engine does that). If both fill first, the engine goes FLAT
   and the day is over. Once a day, whatever happens; the memory of it survives a restart.
5. At 15:45, or when an early-close day must be flat, entries are cancelled and the position is closed.

Started after 09:30 it may still place for `grace_minutes`, if the history since 18:00 is there and the
price has not left the range since 09:30. Otherwise `facts()["why"]` says why it stays out. The pair is all
or nothing: when one side is refused, the other is cancelled.

Pure: bars and instants in, intents out. All prices are integer ticks, all averages exact fractions. The
numbers are `overnight_settings`, measuring is `night` and `overnight_plan`, hours are
`app.domain.calendar`; closing the account for the day stays the engine's own duty.
"""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping, Sequence
from contextlib import suppress
from dataclasses import asdict, dataclass
from datetime import date
from enum import StrEnum
from fractions import Fraction

from app.domain.calendar import TradingCalendar
from app.domain.events import Fill
from app.domain.instruments import by_symbol
from app.domain.intents import Cancel, Close, Intent, Modify, Place
from app.domain.market import Bar, Quote
from app.domain.orders import Bracket, Order, OrderState, OrderType, Role, Side
from app.errors import IllegalTransition, Refused
from app.strategies.night import NS, Day, Night, day_of, history_start
from app.strategies.overnight_plan import Plan, StayOut, check_filters, measure
from app.strategies.overnight_settings import NAME, OvernightRangeSettings
from app.strategies.prices import in_ticks, price_text
from app.strategies.view import View

__all__ = ["NAME", "TRANSITIONS", "OvernightRange", "OvernightRangeSettings", "Phase"]

# What still stands after the window is closed again this often; the engine repeats its own calls much sooner.
CLOSE_AGAIN_NS = 30 * NS
# Within the grace, what is not known yet (a quote, the history) is looked for every second.
LOOK_AGAIN_NS = NS
# How an entry ends that never rested at the venue, or no longer can: the pair is broken.
_WILL_NOT_COME = frozenset({OrderState.REJECTED, OrderState.WITHDRAWN, OrderState.LOST})
POSITION_BRACKETS = "position brackets"  # in the venue's rejection when the account takes no native brackets
SWITCH_ON = (
    "switch on Auto OCO Brackets in TopstepX settings (Position Brackets are on), then restart Plimsoll"
)


class Phase(StrEnum):
    TRACKING = "tracking"  # the night, and the grace after it
    PLACED = "placed"
    FILLED = "filled"
    DONE = "done"  # the position is closed again, or the entries ended without a fill
    CLOSED = "closed"  # ended by the end of the window
    STAYED_OUT = "stayed_out"


_P = Phase
# A fill counts in every phase: one may be under way while the entries are cancelled.
TRANSITIONS: dict[Phase, dict[str, Phase]] = {
    _P.TRACKING: {"place": _P.PLACED, "stay_out": _P.STAYED_OUT, "fill": _P.FILLED},
    _P.PLACED: {"fill": _P.FILLED, "gone": _P.DONE, "stay_out": _P.STAYED_OUT, "end": _P.CLOSED},
    _P.FILLED: {"fill": _P.FILLED, "flat": _P.DONE, "end": _P.CLOSED},
    _P.DONE: {"fill": _P.FILLED},
    _P.CLOSED: {"fill": _P.CLOSED},
    _P.STAYED_OUT: {"fill": _P.FILLED},
}
_AFTER_PLACING = (_P.PLACED, _P.FILLED, _P.DONE, _P.CLOSED)


@dataclass(slots=True)
class Memory:
    """What must survive a restart: how far today came. `entry_ticks` is the price of the filled entry."""

    date: str = ""
    phase: Phase = Phase.TRACKING
    why: str = ""
    side: int = 0
    entry_ticks: int = 0

    def move(self, event: str) -> None:
        """Raises IllegalTransition and changes nothing when the table has no such row."""
        try:
            self.phase = TRANSITIONS[self.phase][event]
        except KeyError:
            raise IllegalTransition(NAME, self.phase, event) from None


class OvernightRange:
    """One instrument, one pair of entries a day. Implements the engine's `Strategy` protocol."""

    name = NAME
    _view: View

    def __init__(self, settings: OvernightRangeSettings, calendar: TradingCalendar | None = None) -> None:
        """Raises Refused for an unknown symbol."""
        self.settings = settings
        self.symbol = settings.symbol
        self._instrument = by_symbol(settings.symbol)
        self._calendar = calendar or TradingCalendar()
        daily = settings.zones or settings.use_daily_atr
        self._sessions_back = settings.daily_atr_days + 1 if daily else 1
        self._night = Night(self._calendar, self._sessions_back + 1)
        self._day: Day | None = None
        self._seen_ns = 0
        self._looked_ns = 0  # when `on_time` last ran
        self._plan: Plan | None = None
        self._memory = Memory()
        self._state = ""
        self._stopped = ""  # why it places nothing until a restart
        self._asked = False  # a breakeven change is under way or was refused; asked again after the next bar
        self._contract = ""
        self._breakeven = in_ticks(self._instrument, settings.breakeven_points)

    # -- the engine's calls ------------------------------------------------------------------------------

    def start(self, contract: str, view: View) -> None:
        self._contract, self._view = contract, view

    def wants_bars_from(self, utc_ns: int) -> int:
        """The session before: its last bars may belong to the ATR, its close to the gap."""
        day = self._today(utc_ns)
        return 0 if day is None else history_start(self._calendar, day.trade_date, self._sessions_back)

    def next_time(self, utc_ns: int) -> int:
        """The end of the night, every second of the grace while undecided, the end of the window,
        tomorrow.
        """
        day, looked = self._today(utc_ns), self._looked_ns
        if day is None:
            return 0
        if looked < day.entry_ns:  # also at that very instant, until `on_time` has run
            return day.entry_ns
        if self._memory.phase is Phase.TRACKING:
            return looked + LOOK_AGAIN_NS
        if looked < day.end_ns:
            return day.end_ns
        left = self._view.net(self.symbol) != 0 or any(self._entries())
        return looked + CLOSE_AGAIN_NS if left else day.until_ns

    def on_bar(self, bar: Bar) -> Sequence[Intent]:
        self._night.add(bar)
        self._asked = False
        placed = self._memory.phase is Phase.PLACED
        if placed and not any(self._entries()) and not self._view.net(self.symbol):
            self._move("gone", "the entries ended without a fill")
        return ()

    def on_quote(self, quote: Quote) -> Sequence[Intent]:
        if not self._breakeven or self._asked or self._memory.phase is not Phase.FILLED:
            return ()
        return self._secure(quote)

    def on_time(self, utc_ns: int) -> Sequence[Intent]:
        day = self._today(utc_ns)
        self._looked_ns = utc_ns
        if day is None or utc_ns < day.entry_ns:
            return ()
        if utc_ns >= day.end_ns:
            return self._end(day)
        return self._decide(day, utc_ns) if self._memory.phase is Phase.TRACKING else ()

    def on_order(self, order: Order) -> Sequence[Intent]:
        if order.role is not Role.ENTRY:
            return ()
        if order.state in _WILL_NOT_COME:
            return self._refused(order.reason or f"an entry was {order.state}")
        if order.state.terminal:
            self._ended(order)
        if self._memory.phase in (Phase.PLACED, Phase.FILLED):
            return ()
        return self._cancel_entries("no entries are wanted any more")

    def on_fill(self, fill: Fill, order: Order) -> Sequence[Intent]:
        if order.role is not Role.ENTRY:
            if self._memory.phase is Phase.FILLED and not self._view.net(self.symbol):
                self._move("flat", self._memory.why)
            return ()
        both = self._memory.side == -fill.side
        self._memory.side, self._memory.entry_ticks = int(fill.side), fill.price_ticks
        why = "" if self._memory.phase is Phase.DONE else self._memory.why  # it was said to have had no fill
        self._move("fill", "both sides were filled" if both else why)
        late = self._day is not None and self._view.utc_ns() >= self._day.end_ns
        return (Close(NAME, self._contract, "filled after the end of the window"),) if late else ()

    def on_refused(self, intent: Intent, rule: str, text: str) -> Sequence[Intent]:
        return self._refused(text) if isinstance(intent, Place) else ()

    def state(self) -> str:
        return self._state

    def restore(self, text: str) -> None:
        """Take today's progress back. What cannot be read counts as a day that was already used."""
        try:
            values = json.loads(text)
            memory = Memory(
                values["date"], Phase(values["phase"]), values["why"], values["side"], values["entry_ticks"]
            )
            date.fromisoformat(memory.date)
        except (ValueError, KeyError, TypeError):
            memory = Memory("", Phase.STAYED_OUT, "what happened before the restart could not be read")
        self._memory, self._state = memory, text
        self._day = None  # looked at again with this memory

    def facts(self) -> Mapping[str, str]:
        """Prices and distances as decimal text, "" while unknown."""
        day, plan = self._day, self._planned()
        span = plan or (self._night.range(day.range_ns, day.entry_ns) if day else None)
        return {
            "date": "" if day is None else day.trade_date.isoformat(),
            "high": self._text(span.high if span else None),
            "low": self._text(span.low if span else None),
            "bars": str(span.bars if span else 0),
            "atr": self._text(plan.atr if plan else None),
            "buy_stop": self._text(plan.buy_stop if plan else None),
            "sell_stop": self._text(plan.sell_stop if plan else None),
            "stop_distance": self._text(plan.stop if plan else None),
            "buy_target_distance": self._text(plan.buy_target if plan else None),
            "sell_target_distance": self._text(plan.sell_target if plan else None),
            "zones": self._zones_text(plan),
            "phase": str(self._memory.phase),
            "why": self._stopped or self._memory.why,
        }

    def _planned(self) -> Plan | None:
        """Today's plan; after a restart it is measured again once the history is back."""
        if self._plan is None and self._day is not None and self._memory.phase in _AFTER_PLACING:
            with suppress(StayOut):
                self._plan = measure(self._night, self._day, self.settings)
        return self._plan

    def _text(self, ticks: Fraction | int | None) -> str:
        return price_text(self._instrument, ticks)

    def _zones_text(self, plan: Plan | None) -> str:
        if plan is None or plan.zone_above is None or plan.zone_below is None:
            return ""
        below, above = (" to ".join(map(self._text, edges)) for edges in (plan.zone_below, plan.zone_above))
        return f"{below}, {above}"

    # -- the day -----------------------------------------------------------------------------------------

    def _today(self, utc_ns: int) -> Day | None:
        """The trade date of `utc_ns`; a new one begins with an empty memory. None beyond the calendar."""
        day = self._day
        if day is None or not self._seen_ns <= utc_ns < day.until_ns:
            day = self._begin(utc_ns)
        self._seen_ns = utc_ns
        return day

    def _begin(self, utc_ns: int) -> Day | None:
        try:
            today = self._calendar.trade_date(utc_ns)
        except Refused:
            self._day = None
            return None
        if self._day is None or self._day.trade_date != today:
            s, session = self.settings, self._calendar.session(today, self._instrument.hours)
            self._day = day_of(today, s.range_start, s.range_end, s.grace_minutes, s.window_end, session)
            self._plan = None
            if self._memory.date not in ("", today.isoformat()):
                self._memory = Memory()
            self._memory.date = today.isoformat()
            self._remember()
        return self._day

    def _decide(self, day: Day, now: int) -> Sequence[Intent]:
        """Place the pair, or note why not; what may still arrive in the grace leaves the day undecided."""
        try:
            self._check_day(day, now)
            plan = self._plan = measure(self._night, day, self.settings)
            check_filters(plan, self._night, day, self.settings, self._instrument)
            self._check_market(plan, day, now)
        except StayOut as reason:
            if reason.final:
                self._move("stay_out", str(reason))
            else:
                self._memory.why = str(reason)
                self._remember()
            return ()
        self._move("place", "")
        return self._pair(plan, day)

    def _check_day(self, day: Day, now: int) -> None:
        if self._stopped:
            raise StayOut(self._stopped)
        if day.session is None:
            raise StayOut("no session today")
        if now >= min(day.end_ns, day.session.entries_until_ns):
            raise StayOut("the session closes early: its last entry lies before the entry time")
        if now >= day.grace_ns + LOOK_AGAIN_NS:  # the first second belongs to the entry even without grace
            late = f"started more than {self.settings.grace_minutes} minutes after the entry time"
            raise StayOut(self._memory.why or late)
        if self._view.net(self.symbol) or any(self._entries()):
            raise StayOut("a position or an entry of an earlier day is still there")

    def _check_market(self, plan: Plan, day: Day, now: int) -> None:
        """Both entries must lie beyond the market, and the range must have held since the entry time."""
        quote = self._view.quote(self.symbol)
        bid, ask = (None, None) if quote is None else (quote.bid_ticks, quote.ask_ticks)
        if bid is None or ask is None:
            raise StayOut("no quote yet", final=False)
        since = self._night.range(day.entry_ns, now)
        highest, lowest = (ask, bid) if since is None else (max(ask, since.high), min(bid, since.low))
        if highest >= plan.buy_stop or lowest <= plan.sell_stop:
            raise StayOut("the price has left the range already")
        if not self._view.open():  # such as a link that came back a moment ago
            raise StayOut("trading is not open yet", final=False)

    def _pair(self, plan: Plan, day: Day) -> Sequence[Intent]:
        buy = self._entry(Side.BUY, plan.buy_stop, Bracket(plan.stop, plan.buy_target), day)
        return buy, self._entry(Side.SELL, plan.sell_stop, Bracket(plan.stop, plan.sell_target), day)

    def _entry(self, side: Side, stop_ticks: int, bracket: Bracket, day: Day) -> Place:
        group = f"{NAME}-{day.trade_date.isoformat()}"
        return Place(
            strategy=NAME,
            contract=self._contract,
            side=side,
            size=self.settings.contracts,
            type=OrderType.STOP,
            ref=f"{group}-{side.name.lower()}",
            stop_ticks=stop_ticks,
            bracket=bracket,
            oco=group,
        )

    def _secure(self, quote: Quote) -> Sequence[Intent]:
        """Move the stop to the entry once closing now would bring the wanted gain; never further away."""
        side, entry = self._memory.side, self._memory.entry_ticks
        price = quote.bid_ticks if side > 0 else quote.ask_ticks
        stop = entry + side * self.settings.breakeven_offset_ticks
        if price is None or (price - entry) * side < self._breakeven or (price - stop) * side <= 0:
            return ()
        legs = [o for o in self._view.orders() if o.role is Role.STOP and o.state is OrderState.WORKING]
        intents = [
            Modify(NAME, leg.tag, stop_ticks=stop)
            for leg in legs
            if leg.side == -side and leg.stop_ticks is not None and (stop - leg.stop_ticks) * side > 0
        ]
        self._asked = bool(intents)
        return intents

    def _end(self, day: Day) -> Sequence[Intent]:
        """Flat by the end of the window: repeated until nothing is left."""
        if self._memory.phase is Phase.PLACED:
            self._move("end", "no breakout until the end of the window")
        elif self._memory.phase is Phase.FILLED:
            self._move("end", self._memory.why or "closed at the end of the window")
        elif self._memory.phase is Phase.TRACKING:
            early = "the session closes before the entry time"
            late = self._memory.why or "started after the end of the window"
            self._move("stay_out", early if day.end_ns <= day.entry_ns else late)
        intents: list[Intent] = list(self._cancel_entries("end of the window", again=True))
        if self._view.net(self.symbol):
            intents.append(Close(NAME, self._contract, "end of the window"))
        return intents

    def _refused(self, text: str) -> Sequence[Intent]:
        """An entry will not come: the pair is all or nothing, and an account setting stops the strategy."""
        if POSITION_BRACKETS in text.lower():
            self._stopped = SWITCH_ON
        if self._memory.phase is not Phase.PLACED:
            return ()
        self._move("stay_out", text)
        return self._cancel_entries("the other entry was refused")

    def _ended(self, order: Order) -> None:
        """The last entry ended without a fill, cancelled by a hold for example: the day is over."""
        if self._memory.phase is not Phase.PLACED or order.filled or any(self._entries()):
            return
        if not self._view.net(self.symbol):
            closed = "" if self._view.open() else " while trading was not open"
            self._move("gone", f"the entries were {order.state} without a fill{closed}")

    def _entries(self) -> Iterator[Order]:
        return (o for o in self._view.orders() if o.role is Role.ENTRY)

    def _cancel_entries(self, why: str, again: bool = False) -> Sequence[Intent]:
        return [Cancel(NAME, o.tag, why) for o in self._entries() if again or not o.cancel_requested]

    def _move(self, event: str, why: str) -> None:
        self._memory.move(event)
        self._memory.why = why
        self._remember()

    def _remember(self) -> None:
        self._state = json.dumps(asdict(self._memory))

"""Proof that nothing happens: until when a tick changes nothing, and which bars change nothing but the price.

For a replay, which may then pass over them; the live engine never asks. Each answer errs to "something
may happen". Nothing here changes the engine but `skim` and `take_price`,
which act on what was proved.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

from app.domain.bars import DAY_MINUTES, Windows
from app.domain.market import Quote
from app.engine.settings import FLATTEN_LEAD_NS
from app.risk.state import Code
from native import matching

if TYPE_CHECKING:
    from app.engine.engine import Engine

NEVER = 0
_NOWHERE = (0, 0)  # a band that holds no mark
_DAYS = Windows(DAY_MINUTES)


def until(engine: Engine) -> int:
    """Market time before which no tick of `engine` changes anything unless it is told something new; 0 = a
    tick may.

    What a tick looks at changes by the calendar (session, trade date, its end), by the age of a quote, or by
    an event, after which the engine watches its limits at once. A reason other than closed hours may wait
    for the next tick to end it. Raises Refused outside the calendar.
    """
    reasons = engine.trading.reasons.all()
    if engine.journal.failed or any(reason.code is not Code.SESSION_CLOSED for reason in reasons):
        return NEVER
    now = engine.clock.utc_ns()
    edges = [*_hours(engine, now), *(reason.until_ns for reason in reasons)]
    if not reasons:
        silent_ns = now + engine.feed.silent_mono_ns(engine.contracts) - engine.clock.mono_ns()
        if silent_ns <= now:
            return NEVER
        edges.append(silent_ns)
    return min((edge for edge in edges if edge > now), default=NEVER)


def _hours(engine: Engine, now: int) -> list[int]:
    calendar = engine.calendar
    session = calendar.session_at(now)
    edges = [_DAYS.of(now)[1], calendar.warn_from_ns]
    if session is None:
        return [*edges, calendar.next_open(now)]
    flatten = session.flat_ns - FLATTEN_LEAD_NS
    return [*edges, session.entries_until_ns, flatten, session.venue_close_ns, session.close_ns]


def skim(
    engine: Engine, contract: str, starts: Sequence[int], closes: Sequence[int], begin: int, end: int
) -> int:
    """Take the coming bars that change nothing beyond the last price; returns the index after them.

    `starts` (UTC ns) and `closes` (ticks) are columns; the bars from `begin` on, before `end`, are meant. The
    caller knows that no order fills in them and no timer is due before their end. Trading must be open, or
    closed by the hour with nothing held, the loss limits far away, and the only strategy of the contract must
    take each bar without a word.
    """
    runners = [runner for runner in engine.runners.values() if runner.contract == contract]
    if len(runners) != 1 or not engine.pursuit.done:
        return begin
    reasons, held = engine.trading.reasons.all(), engine.book.positions()
    if any(held or reason.code is not Code.SESSION_CLOSED for reason in reasons):
        return begin
    if held:
        floor, ceiling = _calm_band(engine, contract) if list(held) == [contract] else _NOWHERE
        end = matching.untouched(closes, closes, begin, end, floor, ceiling)
    return runners[0].skim(starts, closes, begin, end)


def take_price(engine: Engine, contract: str, close: int) -> None:
    """The close of the last bar skimmed, which ended now, is the quote."""
    utc, mono = engine.clock.utc_ns(), engine.clock.mono_ns()
    engine.book.quotes[contract] = Quote(contract, close, close, close, utc, mono)
    engine.book.venue_utc_ns = max(engine.book.venue_utc_ns, utc)


def _calm_band(engine: Engine, contract: str) -> tuple[int, int]:
    """(floor, ceiling): marks strictly between them bring no word of the watch. P&L is linear in the mark."""
    needed, ledger = engine.money.calm_open_micro(), engine.book.ledger
    if needed is None:
        return _NOWHERE
    at_zero = ledger.open_micro(contract, 0)
    slope, missing = ledger.open_micro(contract, 1) - at_zero, needed - at_zero
    if slope > 0:
        return max(matching.NO_FLOOR, -(-missing // slope) - 1), matching.NO_CEILING
    return matching.NO_FLOOR, min(matching.NO_CEILING, missing // slope + 1)

"""Proof that nothing happens: until when a tick changes nothing, and which bars change nothing but the price.

For a replay, which may then pass over them; the live engine never asks. Each answer errs to "something
may happen". Nothing here changes the engine but `skim` and `take_price`,
which act on what was proved.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

from app.domain.bars import DAY_MINUTES, Windows
from app.domain.instruments import by_contract
from app.domain.market import Quote
from app.engine.settings import FLATTEN_LEAD_NS
from app.risk.state import Code
from app.risk.watch import Level, assess_both

if TYPE_CHECKING:
    from app.engine.engine import Engine

NEVER = 0
# Bars looked at together while a position is open: its loss limits are judged at the extremes of all of them.
HELD_BARS = 64
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
        silent_ns = _feed(engine, now)
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


def _feed(engine: Engine, now: int) -> int:
    """When the oldest quote becomes too old; now when one is missing."""
    quotes = [engine.book.quotes.get(contract) for contract in engine.contracts.values()]
    mono = engine.clock.mono_ns()
    ages = [0 if quote is None else quote.recv_mono_ns - mono for quote in quotes]
    silent = any(quote is None for quote in quotes)
    return now if silent or not ages else now + min(ages) + engine.settings.feed_silence_ns


def skim(engine: Engine, contract: str, starts: Sequence[int], closes: Sequence[int]) -> int:
    """Take the first of the coming bars that change nothing beyond the last price; returns how many.

    `starts` (UTC ns) and `closes` (ticks) are theirs, oldest first. The caller knows that no order fills in
    them and no timer is due before their end. Trading must be open, or closed by the hour with nothing held,
    the loss limits far away, and the only strategy of the contract must take each bar without a word.
    """
    runners = [runner for runner in engine.runners.values() if runner.contract == contract]
    if len(runners) != 1 or not engine.pursuit.done:
        return 0
    reasons, held = engine.trading.reasons.all(), engine.book.positions()
    if any(held or reason.code is not Code.SESSION_CLOSED for reason in reasons):
        return 0
    if held:
        starts, closes = starts[:HELD_BARS], closes[:HELD_BARS]
        if not _limits_far(engine, contract, closes):
            return 0
    return runners[0].skim(starts, closes)


def take_price(engine: Engine, contract: str, close: int) -> None:
    """The close of the last bar skimmed, which ended now, is the quote."""
    utc, mono = engine.clock.utc_ns(), engine.clock.mono_ns()
    engine.book.quotes[contract] = Quote(contract, close, close, close, utc, mono)


def flat_equity_micro(engine: Engine) -> int | None:
    """The equity less what is open; None while it is not known."""
    today = engine.money.today()
    equity = engine.money.equity_micro(today)
    if today is None or today.unrealised_micro is None or equity is None:
        return None
    return equity - today.unrealised_micro


def _limits_far(engine: Engine, contract: str, closes: Sequence[int]) -> bool:
    """None of `closes` brings a word of the watch. P&L is linear in the price, so its extremes decide."""
    book, money = engine.book, engine.money
    today, positions = money.today(), book.positions()
    flat = flat_equity_micro(engine)
    if today is None or flat is None or list(positions) != [contract]:
        return False
    held = [(by_contract(contract), positions[contract])]
    for mark in (min(closes), max(closes)):
        open_micro = book.ledger.open_micro(contract, mark)
        equity, day_net = flat + open_micro, today.realised_micro + open_micro
        verdicts = assess_both(engine.limits, day_net, equity, money.floor_micro(), held)
        if any(verdict.level is not Level.OK for verdict in verdicts):
            return False
    return True

"""History: pages backwards over silent truncation, each bar once, oldest first, nothing unfinished."""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import AsyncIterator, Callable
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from app.clock import NS, VirtualClock
from app.config import Secret
from app.domain.events import OrderReport
from app.domain.market import MINUTE_NS
from app.domain.orders import OrderState, OrderType, Side
from app.errors import PlimsollError, Theirs
from app.venues.topstepx import reads
from app.venues.topstepx.codec.fields import stamp_ns, stamp_text
from app.venues.topstepx.limiter import Limiter
from app.venues.topstepx.reads import Reads, merged
from app.venues.topstepx.rest import Caller, Rest, open_session
from tests.venues.topstepx.scripted import CONTRACT, QUICK, RecordingSink, ScriptedVenue, ok

BARS = "/api/History/retrieveBars"
START = 1_795_176_000 * NS  # a whole minute
END = START + 600 * MINUTE_NS


def bar_row(start_ns: int, **members: Any) -> dict[str, Any]:
    text = stamp_text(start_ns).replace("Z", "+00:00")
    return {"t": text, "o": 6700.25, "h": 6701, "l": 6700, "c": 6700.5, "v": 10} | members


def archive(starts: list[int], cap: int = 20_000) -> Callable[[dict[str, Any]], dict[str, Any]]:
    """A venue with these bars: newest first, cut silently at `cap` or the limit asked for."""

    def answer(body: dict[str, Any]) -> dict[str, Any]:
        first, last = stamp_ns(body["startTime"]), stamp_ns(body["endTime"])
        found = sorted((start for start in starts if first <= start <= last), reverse=True)
        return ok(bars=[bar_row(start) for start in found[: min(cap, body["limit"])]])

    return answer


@contextlib.asynccontextmanager
async def reads_at(
    venue: ScriptedVenue, now_ns: int = END + MINUTE_NS
) -> AsyncIterator[tuple[Reads, RecordingSink]]:
    sink, clock = RecordingSink(), VirtualClock(now_ns)
    async with venue.serving():
        session = open_session(10, QUICK)
        rest = Rest(
            Caller(venue.url, session), Limiter(), clock, QUICK, "demo", Secret("demo-key"), sink.on_called
        )
        await rest.tokens.login()
        # type: ignore[arg-type, return-value]
        served = Reads(rest, clock, lambda: sink, False, lambda _: None)
        try:
            yield served, sink
        finally:
            await session.close()


async def history(venue: ScriptedVenue, now_ns: int = END + MINUTE_NS) -> list[int]:
    async with reads_at(venue, now_ns) as (served, _):
        return [bar.start_ns for bar in await served.history(CONTRACT, START, END)]


@pytest.mark.parametrize("cap", [25, 100, 599, 600, 20_000])
async def test_reads_everything_whatever_the_venue_cuts(cap: int) -> None:
    venue, starts = ScriptedVenue(), [START + minute * MINUTE_NS for minute in range(600)]
    venue.on(BARS, archive(starts, cap))
    assert await history(venue) == starts


async def test_gaps_stay_gaps_and_bars_outside_are_not_taken() -> None:
    venue = ScriptedVenue()
    starts = [START + minute * MINUTE_NS for minute in (3, 4, 90, 500)]
    outside = [START - MINUTE_NS, END]
    venue.on(BARS, lambda _: ok(bars=[bar_row(start) for start in reversed(starts + outside)]))
    assert await history(venue) == starts


async def test_an_unfinished_bar_is_dropped_even_if_the_venue_sends_it() -> None:
    venue, starts = ScriptedVenue(), [START, START + MINUTE_NS, START + 2 * MINUTE_NS]
    venue.on(BARS, archive(starts))
    assert await history(venue, START + 3 * MINUTE_NS - 1) == starts[:2]
    assert await history(venue, START + 3 * MINUTE_NS) == starts


async def test_a_venue_that_pages_for_ever_is_given_up(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(reads, "BARS_PAGES", 5)
    venue = ScriptedVenue()
    venue.on(BARS, archive([START + minute * MINUTE_NS for minute in range(600)], 1))
    with pytest.raises(Theirs, match="more than 5 pages"):
        await history(venue)


@pytest.mark.parametrize(
    "answer",
    [
        ok(bars=None),
        ok(),
        ok(bars=[bar_row(START, h=6699)]),
        ok(bars=[bar_row(START, o=6700.1)]),
        ok(bars=[bar_row(START, v=-1)]),
        ok(bars=[bar_row(START, c=None)]),
        ok(bars=[{"t": "yesterday"}]),
    ],
)
async def test_a_history_that_makes_no_sense_failed(answer: dict[str, Any]) -> None:
    venue = ScriptedVenue()
    venue.on(BARS, lambda _: answer)
    with pytest.raises(PlimsollError):
        await history(venue)


async def test_history_is_served_in_order_and_bounded() -> None:
    venue = ScriptedVenue()
    venue.on(BARS, archive([START]))
    async with reads_at(venue) as (served, sink):
        for _ in range(reads.MAX_WAITING + 1):
            served.read_bars(CONTRACT, START, START + MINUTE_NS)
        assert await sink.until("on_bars_failed") == CONTRACT
        task = asyncio.create_task(served.run_bars())
        venue.on(BARS, lambda _: ok(bars=None))
        await sink.until("on_bars_failed", 10)
        task.cancel()
        await asyncio.gather(task, return_exceptions=True)


def report(venue_id: int, updated_ns: int, state: OrderState, filled: int = 0) -> OrderReport:
    return OrderReport(
        venue_id,
        1,
        CONTRACT,
        state,
        OrderType.MARKET,
        Side.BUY,
        2,
        filled,
        None,
        None,
        "",
        0,
        0,
        1,
        updated_ns,
    )


REPORTS = st.lists(
    st.builds(
        report,
        st.integers(1, 3),
        st.integers(1, 3),
        st.sampled_from([OrderState.WORKING, OrderState.FILLED]),
        st.integers(0, 2),
    ),
    max_size=8,
)


@given(REPORTS, st.randoms(use_true_random=False))
def test_merging_keeps_the_newest_of_each_whatever_the_order(rows: list[OrderReport], rng: Any) -> None:
    once = merged(rows)
    assert [row.venue_id for row in once] == sorted({row.venue_id for row in rows})
    for row in rows:
        kept = next(other for other in once if other.venue_id == row.venue_id)
        assert kept.updated_ns >= row.updated_ns
        assert kept.updated_ns > row.updated_ns or kept.state.terminal or not row.state.terminal
    shuffled = list(rows)
    rng.shuffle(shuffled)
    assert merged(shuffled) == once

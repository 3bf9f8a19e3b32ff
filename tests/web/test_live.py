"""The live stream: rendered once for everybody, differences only, within its budget of bytes."""

from __future__ import annotations

import json
from dataclasses import replace

from app.clock import NS, VirtualClock
from app.engine.snapshot import Snapshot
from app.web.live import BYTES_PER_SECOND, INTERVAL_NS, PAUSE_MAX_NS, SAMPLE_NS, Live
from tests.web.pictures import ACTIVE, FEED, FakeEngine


class Counting(FakeEngine):
    taken = 0

    def snapshot(self) -> Snapshot:
        self.taken += 1
        return self.view


def test_renders_once_an_interval_whoever_asks() -> None:
    clock, engine = VirtualClock(NS), Counting()
    live = Live(clock, engine.snapshot)
    assert live.parts() is live.parts()
    clock.advance(INTERVAL_NS)
    live.parts()
    assert engine.taken == 2


def test_remembers_when_the_venue_was_last_there() -> None:
    clock, engine = VirtualClock(NS), FakeEngine()
    live = Live(clock, engine.snapshot)
    assert "last confirmed" not in live.parts().slots["positions"]
    engine.view = replace(ACTIVE, link_up=False, utc_ns=ACTIVE.utc_ns + 3600 * NS)
    clock.advance(INTERVAL_NS)
    assert "last confirmed 09:31:15" in live.parts().slots["positions"]


def test_takes_a_point_of_the_picture_every_few_seconds_of_fresh_price() -> None:
    clock, engine = VirtualClock(NS), FakeEngine()
    live = Live(clock, engine.snapshot)
    live.start()
    engine.view = replace(ACTIVE, feeds=(replace(FEED, last="6020.00"),))
    clock.advance(SAMPLE_NS)
    engine.view = replace(ACTIVE, feeds=(replace(FEED, stale=True),))
    clock.advance(10 * SAMPLE_NS)
    assert list(live._history["ES"]) == [6014.25, 6020.0]
    live.stop()
    live.stop()
    assert clock.next_due_ns() is None


def test_keeps_the_stream_within_its_bytes_a_second() -> None:
    assert Live.pause_ns(10) == INTERVAL_NS
    assert Live.pause_ns(BYTES_PER_SECOND) == NS
    assert Live.pause_ns(1_000_000) == PAUSE_MAX_NS < 3 * NS


async def test_counts_its_readers_and_forgets_them() -> None:
    live = Live(VirtualClock(NS), FakeEngine().snapshot)
    events = live.changes(lambda: True)
    first = await anext(events)
    assert live.streams == 1 and set(json.loads(first.removeprefix(b"data: "))) == {"s", "c", "f"}
    await events.aclose()  # type: ignore[attr-defined]
    assert live.streams == 0

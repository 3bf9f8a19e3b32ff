"""Strategies get complete data or wait: history, the minute of a reconnect, time, refusals."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

from app.clock import NS
from app.domain.intents import Intent, Place
from app.domain.market import MINUTE_NS, Bar, MarketTrade
from app.domain.orders import Bracket, OrderType, Side
from app.strategies import build
from tests.engine.world import ES, World


class Recorder:
    """A strategy that writes down what it is told."""

    name, symbol = "recorder", "ES"

    def __init__(self) -> None:
        self.bars: list[Bar] = []
        self.times: list[int] = []
        self.due = 0
        self.wants = 1
        self.refusals: list[str] = []
        self.reply: Callable[[], Sequence[Intent]] = list
        self.memory = "{}"

    def start(self, contract: str, view: Any) -> None:
        self.contract, self.view = contract, view

    def wants_bars_from(self, utc_ns: int) -> int:
        return (utc_ns - 10 * MINUTE_NS) * self.wants

    def next_time(self, utc_ns: int) -> int:
        return self.due

    def on_bar(self, bar: Bar) -> Sequence[Intent]:
        self.bars.append(bar)
        return ()

    def on_quote(self, quote: Any) -> Sequence[Intent]:
        return ()

    def on_time(self, utc_ns: int) -> Sequence[Intent]:
        self.times.append(utc_ns)
        self.due = 0
        return self.reply()

    def on_order(self, order: Any) -> Sequence[Intent]:
        return ()

    def on_fill(self, fill: Any, order: Any) -> Sequence[Intent]:
        self.memory = f'{{"fill": {fill.id}}}'
        return ()

    def on_refused(self, intent: Intent, rule: str, text: str) -> Sequence[Intent]:
        self.refusals.append(rule)
        return self.reply()

    def state(self) -> str:
        return self.memory

    def restore(self, text: str) -> None:
        self.memory = text

    def facts(self) -> dict[str, str]:
        return {}


class History:
    """Answers `read_bars` from the trades the exchange has seen, or fails."""

    def __init__(self, world: World) -> None:
        self.world, self.fails, self.asked = world, 0, []
        world.wire.read_bars = self.read  # type: ignore[method-assign]

    def read(self, contract: str, start_ns: int, end_ns: int) -> None:
        self.asked.append((start_ns, end_ns))
        if self.fails:
            self.fails -= 1
            self.world.wire._later(1, lambda: self.world.engine.on_bars_failed(contract, "time-out"))
            return
        first = -(-start_ns // MINUTE_NS) * MINUTE_NS
        bars = [Bar(t, 1, 1, 1, 1, 1) for t in range(first, end_ns - end_ns % MINUTE_NS, MINUTE_NS)]
        self.world.wire._later(1, lambda: self.world.engine.on_bars(contract, bars))


def world_with(recorder: Recorder, start_ns: int = World.start_ns + 20 * NS) -> tuple[World, History]:
    world = World(start_ns=start_ns, strategies=[recorder])
    return world, History(world)


def trade(world: World) -> None:
    world.engine.on_market_trade(MarketTrade(ES, 24_000, 1, world.clock.utc_ns()))


def minutes(bars: Sequence[Bar]) -> list[int]:
    return [bar.start_ns // MINUTE_NS for bar in bars]


def contiguous(bars: Sequence[Bar]) -> bool:
    found = minutes(bars)
    return found == list(range(found[0], found[0] + len(found)))


def test_gives_history_then_the_broken_minute_then_live_bars_each_once_and_in_order() -> None:
    recorder = Recorder()
    world, history = world_with(recorder)
    world.start()
    for _ in range(200):
        trade(world)
        world.run(1, step_ms=1000)
    assert contiguous(recorder.bars) and len(recorder.bars) == 12
    assert len(history.asked) == 2, "the minute of the connect is read back once it is whole"


def test_does_not_let_the_strategy_decide_before_its_history_is_there() -> None:
    recorder = Recorder()
    world, history = world_with(recorder)
    history.fails = 3
    recorder.due = world.clock.utc_ns() + 5 * NS
    world.start()
    world.run(8)
    assert recorder.times == []
    world.run(15)
    assert len(recorder.times) == 1 and recorder.bars


def test_waits_for_the_broken_minute_when_the_decision_falls_on_its_end() -> None:
    recorder = Recorder()
    world, _ = world_with(recorder)
    recorder.due = world.start_ns + 40 * NS  # the minute in which the link came up ends here
    world.start()
    world.run(38)
    assert recorder.times == []
    world.run(4)
    assert len(recorder.times) == 1
    last_minute_before = recorder.due // MINUTE_NS
    assert minutes(recorder.bars)[-1] >= last_minute_before


def test_fills_the_gap_of_a_lost_link_before_the_strategy_goes_on() -> None:
    recorder = Recorder()
    world, _ = world_with(recorder)
    world.start()
    for _ in range(100):
        trade(world)
        world.run(1, step_ms=1000)
    world.engine.on_link(False, "cut")
    world.run(180, step_ms=1000)
    world.engine.on_link(True, "")
    for _ in range(130):
        trade(world)
        world.run(1, step_ms=1000)
    assert contiguous(recorder.bars)


def test_stops_after_the_second_refusal_in_a_row() -> None:
    recorder = Recorder()
    world, _ = world_with(recorder)
    recorder.reply = lambda: [Place("recorder", ES, Side.BUY, 99, OrderType.MARKET, "x", bracket=Bracket(9))]
    recorder.due = world.clock.utc_ns() + 5 * NS
    world.start()
    world.run(10)
    assert len(recorder.refusals) == 2


def test_remembers_the_strategys_state_over_a_restart() -> None:
    recorder = Recorder()
    world, _ = world_with(recorder)
    recorder.reply = lambda: [Place("recorder", ES, Side.BUY, 1, OrderType.MARKET, "x", bracket=Bracket(9))]
    recorder.due = world.clock.utc_ns() + 5 * NS
    world.start()
    world.run(10)
    assert recorder.memory == '{"fill": 1}'
    recorder.memory = "{}"
    world.restart()
    world.run(1)
    assert recorder.memory == '{"fill": 1}'


NIGHT_BARS = 15 * 60  # the minutes of one whole night
OPENING = World.start_ns - 90 * MINUTE_NS  # 09:30 in New York


def breakout_world() -> World:
    """The overnight breakout two minutes before its decision, after a flat night around the price."""
    world = World(start_ns=OPENING - 2 * MINUTE_NS, strategies=[build("overnight_range", {})])
    night = [Bar(t, 24_000, 24_010, 23_990, 24_000, 9) for t in range(
        OPENING - NIGHT_BARS * MINUTE_NS, OPENING, MINUTE_NS)]  # fmt: skip

    def read(contract: str, start_ns: int, end_ns: int) -> None:
        bars = [bar for bar in night if start_ns <= bar.start_ns <= end_ns - MINUTE_NS]
        world.wire._later(1, lambda: world.engine.on_bars(contract, bars))

    world.wire.read_bars = read  # type: ignore[method-assign]
    return world.start()


def test_a_reconnect_over_the_decision_does_not_cost_the_day() -> None:
    world = breakout_world()
    world.run((OPENING - world.clock.utc_ns()) / NS - 1)
    world.engine.on_link(False, "cut")
    world.run(2)
    world.faults.read_fails = 1.0
    world.engine.on_link(True, "")
    world.run(1.5)
    facts = world.engine.runners["overnight_range"].strategy.facts()
    assert (facts["phase"], facts["why"]) == ("tracking", "trading is not open yet")
    world.faults.read_fails = 0.0
    world.engine.reads.now()
    world.run(3)
    assert sorted(o.stop_ticks or 0 for o in world.engine.book.live_orders() if o.oco) == [23_989, 24_011]


def test_entries_cancelled_by_a_hold_end_the_strategys_day() -> None:
    world = breakout_world()
    world.run((OPENING - world.clock.utc_ns()) / NS + 2)
    strategy = world.engine.runners["overnight_range"].strategy
    assert strategy.facts()["phase"] == "placed"
    world.engine.halt("test", "enough")
    world.run(3)
    facts = strategy.facts()
    assert facts["phase"] == "done"
    assert facts["why"] == "the entries were cancelled without a fill while trading was not open"

"""What follows when the twins of a native module differ: on the engine, in a journal on disk, after restarts.

The differences are planted in the pure twin, see ``tests/native/test_shadow.py``.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

import native
from app.clock import SystemClock
from app.domain import bars
from app.domain.bars import BarBuilder
from app.domain.intents import Place
from app.domain.market import MarketTrade
from app.domain.orders import Bracket, OrderState, OrderType, Side
from app.engine.commands import Commands
from app.engine.records import ReasonOpened, TwinException, TwinsDiffered
from app.engine.twins import Twins, select, take_up
from app.errors import Refused, SettingsError
from app.risk.state import Code, Kind
from app.store import open_journal, read_only, write_cleared
from app.venues.topstepx.codec import requests
from native import gate_py, market_py, matching_py, modes, orders_py
from native.shadow import Difference
from tests.engine.world import ES, MONDAY_10, World
from tests.native.test_shadow import more, plant

ALL = {name: "shadow" for name in native.MODULES if name not in modes.NO_SHADOW}
DIFFERENCE = Difference("market", "Market.on_trade", "(5, 1, 0)", "0", "1")
ENTRY = Place("manual", ES, Side.BUY, 1, OrderType.MARKET, "r1", bracket=Bracket(8, 16))


@pytest.fixture(autouse=True)
def usual(monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    monkeypatch.delenv(native.VARIABLE, raising=False)
    yield
    monkeypatch.undo()
    native.listen(None)
    native.select()
    requests.renew()


def watched(world: World) -> Twins:
    twins = Twins(world.clock, world.engine.journal, world.engine.log, world.engine.trading)
    twins.begin([], native.listen(twins.differed))
    return twins


def shadowed(every: int = 1) -> World:
    """All modules in shadow before anything is built of them; armed and trading."""
    native.select(ALL, every)
    requests.renew()
    world = World()
    watched(world)
    return world.start()


def of(world: World, kind: type) -> list[Any]:
    return [record for record in world.journal.committed if isinstance(record, kind)]


def codes(world: World) -> list[tuple[str, str]]:
    return [(line.level, line.code) for line in world.engine.log.recent]


def trade(world: World, ticks: int = 23_000) -> MarketTrade:
    return MarketTrade(ES, ticks, 1, world.clock.utc_ns())


def test_a_day_with_every_call_compared_finds_no_difference() -> None:
    world = shadowed()
    builder = BarBuilder(1)
    for price in (23_000, 23_008, 22_990, 23_004):
        world.engine.submit([ENTRY])
        builder.add(trade(world, price))
        world.exchange.move(price)
        world.run(30)
    world.engine.flatten("test", "over")
    world.run(20)
    world.agrees()
    assert of(world, TwinsDiffered) == [] and len(world.exchange.fills) >= 2
    assert dict(native.active()) == dict.fromkeys(native.MODULES, "compiled") | ALL


def test_journals_a_difference_and_raises_an_alarm(monkeypatch: pytest.MonkeyPatch) -> None:
    world = shadowed()
    builder = BarBuilder(1)
    plant(monkeypatch, market_py.Market, "on_trade", more)
    assert builder.add(trade(world)) is not None, "the doctored twin's word: a bar"
    monkeypatch.undo()
    world.run(1)
    (told,) = of(world, TwinsDiffered)
    assert (told.module, told.function) == ("market", "Market.on_trade")
    assert str(MONDAY_10)[:6] in told.arguments and told.compiled != told.pure
    (stands,) = of(world, TwinException)
    assert stands.standing and stands.module == "market"
    assert ("alarm", "twins") in codes(world)
    assert world.engine.trading.state == 0, "the pure twin is right by definition: trading goes on"
    assert world.engine.log.recent[0].text.endswith("plimsoll native clear market REASON")


def test_the_page_and_status_show_the_module_on_its_pure_twin() -> None:
    world = World()
    world.engine.native = native.active()
    native.select({"wire": "shadow"})
    assert world.engine.snapshot().native["wire"] == "shadow"
    native.fall_back("wire")
    assert world.engine.snapshot().native["wire"] == "pure (exception)"


def encoding(world: World) -> None:
    """The engine's orders are written as the venue's adapter does."""
    world.engine.gate._encode_place = requests.place_body
    world.engine.gate._encode_modify = requests.modify_body


def test_refuses_the_order_and_stops_entries_when_its_bytes_differ(monkeypatch: pytest.MonkeyPatch) -> None:
    world = shadowed()
    encoding(world)
    assert [each.state for each in world.engine.submit([ENTRY])] == [OrderState.PENDING]
    world.run(2)
    sent = len(world.wire.sent)
    plant(monkeypatch, orders_py.Writer, "place", more)
    assert world.engine.submit([replace(ENTRY, ref="r2")]) == []
    world.run(2)
    reason = world.engine.trading.reasons.get(Code.TWINS)
    assert reason is not None and reason.kind is Kind.PERSON
    assert not [what for _, what, _ in world.wire.sent[sent:] if what == "place"]
    assert of(world, TwinsDiffered)[0].module == "orders" and of(world, TwinException) == []
    assert {("alarm", "twins"), ("warning", "native.orders")} <= set(codes(world))
    assert any(isinstance(r, ReasonOpened) and r.reason.code is Code.TWINS for r in world.journal.committed)


def test_refuses_the_order_and_stops_entries_when_the_gate_differs(monkeypatch: pytest.MonkeyPatch) -> None:
    world = shadowed()
    plant(monkeypatch, gate_py.Gate, "check", lambda call, *args: 0)
    assert world.engine.submit([ENTRY]) == []
    world.run(2)
    reason = world.engine.trading.reasons.get(Code.TWINS)
    assert reason is not None and "the twins of Gate.check differ" in reason.detail
    assert not [what for _, what, _ in world.wire.sent if what == "place"]
    assert ("warning", "native.gate") in codes(world) and of(world, TwinException) == []


def test_closes_a_position_though_the_gate_differs(monkeypatch: pytest.MonkeyPatch) -> None:
    world = shadowed()
    world.engine.submit([ENTRY])
    world.run(5)
    assert world.exchange.net[ES] == 1
    plant(monkeypatch, gate_py.Gate, "check", lambda call, *args: 0)
    world.engine.submit([replace(ENTRY, ref="r2")])
    world.engine.flatten("test", "over")
    world.run(10)
    assert world.exchange.net[ES] == 0


def test_trades_again_only_after_a_person_rearmed(monkeypatch: pytest.MonkeyPatch) -> None:
    world = shadowed()
    encoding(world)
    plant(monkeypatch, orders_py.Writer, "place", more)
    world.engine.submit([ENTRY])
    monkeypatch.undo()
    world.run(5)
    assert world.engine.submit([ENTRY]) == []
    world.restart()
    encoding(world)
    world.run(5)
    assert world.engine.trading.reasons.get(Code.TWINS) is not None, "it outlasts the restart"
    world.engine.rearm("test", "looked into it")
    world.run(2)
    assert len(world.engine.submit([ENTRY])) == 1


def test_never_refuses_a_cancel(monkeypatch: pytest.MonkeyPatch) -> None:
    world = shadowed()
    plant(monkeypatch, orders_py.Writer, "cancel", lambda call, *args: b'{"accountId":1,"orderId":70}')
    assert requests.order_body(1001, 70) == b'{"accountId":1,"orderId":70}'
    assert world.engine.trading.reasons.get(Code.TWINS) is not None


def test_never_refuses_what_the_gate_is_told_for_it_may_be_on_the_way_to_a_close(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    world = shadowed()
    plant(monkeypatch, gate_py.Gate, "know", more_known)
    world.engine.gate._desk.instrument("CON.F.US.MES.Z26")
    assert world.engine.trading.reasons.get(Code.TWINS) is not None


def more_known(call: Any, self: Any, contract: str, product: Any) -> None:
    call(self, contract, product)
    call(self, f"{contract} too", product)


def test_stops_entries_when_matching_differs(monkeypatch: pytest.MonkeyPatch) -> None:
    world = shadowed()
    plant(monkeypatch, matching_py, "market_price", more)
    with pytest.raises(Refused, match=r"native\.matching"):
        native.matching.market_price(1, 5, 1)
    assert world.engine.trading.state and world.engine.trading.reasons.get(Code.TWINS)


async def test_an_exception_outlasts_restarts_until_the_owner_clears_it(tmp_path: Path) -> None:
    native.select(ALL)
    for standing in (False, True, True):
        store = await open_journal(tmp_path, SystemClock())
        found = await store.reader.twin_exceptions()
        assert [each.module for each in found] == (["market"] if standing else [])
        world = World()
        twins = Twins(world.clock, store, world.engine.log, world.engine.trading)
        take_up(found)
        twins.begin(found, [])
        assert (native.active()["market"] == modes.EXCEPTION) is standing
        if not standing:
            twins.differed(DIFFERENCE)
        await store.close()
        native.select(ALL)
    store = await open_journal(tmp_path, SystemClock())
    last = Twins(world.clock, store, world.engine.log, world.engine.trading)
    last.begin(await store.reader.twin_exceptions(), [])
    last.clear("owner", "market fixed in 0.1.1")
    await store.close()
    async with read_only(tmp_path) as reader:
        assert await reader.twin_exceptions() == []


async def test_an_exception_is_cleared_without_a_service_too(tmp_path: Path) -> None:
    store = await open_journal(tmp_path, SystemClock())
    store.append([TwinException("wire", True, "plimsoll", "differed", 1)])
    await store.close()
    await write_cleared(tmp_path, by="cli owner", module="wire", why="fixed", clock=SystemClock())
    async with read_only(tmp_path) as reader:
        assert await reader.twin_exceptions() == []
        (audited,) = await reader.audit(5)
    assert (audited["actor"], audited["command"], audited["detail"]) == (
        "cli owner",
        "native-clear",
        "wire fixed",
    )


def test_runs_what_is_excepted_on_its_pure_twin_whatever_the_settings_say() -> None:
    select({"market": "compiled"}, 1, dev=False)
    take_up([TwinException("market", True, "plimsoll", "differed", 1)])
    assert bars.market.Market.__module__ == "native.market_py"
    native.require_compiled(dev=False)


@pytest.mark.parametrize(
    ("why", "rule"),
    [
        ("", "native.module"),
        ("markets fixed", "native.module"),
        ("wire fixed", "native.exception"),
        ("market", "native.reason"),
        ("market  ", "native.reason"),
    ],
)
def test_refuses_to_clear_what_does_not_stand_or_without_a_reason(why: str, rule: str) -> None:
    world = World()
    twins = watched(world)
    twins.exceptions = {"market": "differed"}
    with pytest.raises(Refused) as refused:
        Commands(world.engine, twins).execute("cli", "native-clear", "uid 0", why)
    assert refused.value.rule == rule and "market" in twins.exceptions


def test_clears_with_a_reason_and_audits_it() -> None:
    world = World()
    twins = watched(world)
    twins.exceptions = {"market": "differed"}
    commands = Commands(world.engine, twins)
    assert commands.execute("cli", "native-clear", "uid 0", "market fixed in 0.1.1")["done"] == "native-clear"
    world.clock.advance(1_000_000_000)
    assert twins.exceptions == {}
    (cleared,) = of(world, TwinException)
    assert (cleared.standing, cleared.by, cleared.why) == (False, "uid 0", "fixed in 0.1.1")
    with pytest.raises(Refused, match="not possible from page"):
        commands.execute("page", "native-clear", "LAN", "market fixed")


@pytest.mark.parametrize(
    ("wanted", "said"),
    [
        ({"fanout": "shadow"}, "setting native.fanout; cannot be shadow: it writes to sockets"),
        ({"sequences": "shadow"}, "setting native.sequences; cannot be shadow: "),
        ({"minutes": "shadow"}, "setting native.minutes; cannot be shadow: it reads files"),
        ({"market": "pure"}, "setting native; the service runs on the pure Python twin of market"),
    ],
)
def test_refuses_modes_that_a_service_cannot_have(wanted: dict[str, str], said: str) -> None:
    with pytest.raises(SettingsError) as refused:
        select(wanted, 1_000, dev=False)
    assert str(refused.value).startswith(said)


@pytest.mark.parametrize("said", ["pure", "compiled,market=pure"])
def test_refuses_pure_twins_by_the_environment_outside_development(
    monkeypatch: pytest.MonkeyPatch, said: str
) -> None:
    monkeypatch.setenv(native.VARIABLE, said)
    with pytest.raises(SettingsError, match=r"pure Python twin of .*market"):
        select({}, 1_000, dev=False)
    select({}, 1_000, dev=True)
    assert native.active()["market"] == "pure"


def test_says_what_differed_before_anybody_could_listen(monkeypatch: pytest.MonkeyPatch) -> None:
    native.select({"market": "shadow"}, 1)
    world = World()
    twins = Twins(world.clock, world.engine.journal, world.engine.log, world.engine.trading)
    twins.begin([TwinException("wire", True, "plimsoll", "differed", 1)], [DIFFERENCE])
    assert set(twins.exceptions) == {"wire", "market"}
    assert codes(world)[:2] == [("alarm", "twins"), ("warning", "twins")]

"""The real client against the real simulator: one bracket's life, and what happens when an answer is lost."""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import AsyncIterator, Callable
from dataclasses import dataclass, replace
from datetime import datetime, time
from pathlib import Path
from typing import Any

import pytest

from app.clock import NS, FollowingClock, VirtualClock
from app.domain.calendar import NEW_YORK, TradingCalendar
from app.domain.events import Outcome
from app.domain.orders import Bracket, Order, OrderState, OrderType, Side
from app.errors import Refused
from app.simulator.faults import NoFaults, Reply
from app.simulator.main import DEMO_DATE, DEMO_SEED, Simulator, SimulatorOptions
from app.simulator.market import Market
from app.venues.topstepx.adapter import TopstepX
from app.venues.topstepx.simclock import SimulatorClock
from tests.venues.topstepx.scripted import (
    PATIENCE,
    QUICK,
    RecordingSink,
    approved,
    entry,
    settings_for,
    warmed,
)

MARKET = Market(DEMO_SEED, TradingCalendar())  # pure, therefore shared
OPEN = time(10, 0)
START = int(datetime.combine(DEMO_DATE, OPEN, NEW_YORK).timestamp()) * NS


class LosesPlaces(NoFaults):
    """Executes every place and answers 500."""

    def reply(self, path: str, reply: Reply) -> Reply:
        return replace(reply, status=500) if path == "/api/order/place" else reply


class LosesPartialCloses(NoFaults):
    """Executes every partial close and answers 500."""

    def reply(self, path: str, reply: Reply) -> Reply:
        return replace(reply, status=500) if path.endswith("partialclosecontract") else reply


@dataclass
class World:
    """A running simulator whose time stands still until a test moves it, and the client connected to it."""

    desk: TopstepX
    sink: RecordingSink
    time: VirtualClock
    simulator: Simulator

    def place(self, **members: Any) -> Order:
        order = entry(**members)
        self.desk.submit(approved(order, self.desk.encode_place(order)))
        return order

    async def until(self, condition: Callable[[], bool]) -> None:
        """Move simulated time until it is so."""
        async with asyncio.timeout(PATIENCE):
            while not condition():
                self.time.advance(NS // 10)
                self.simulator.pump.turn()
                await asyncio.sleep(0.001)

    def states(self, tag: str) -> list[OrderState]:
        return [report.state for report in self.sink.of("on_order") if report.tag == tag]


@contextlib.asynccontextmanager
async def world_at(folder: Path, faults: NoFaults | None = None, **options: Any) -> AsyncIterator[World]:
    clock, sink = VirtualClock(START), RecordingSink()
    chosen = SimulatorOptions(port=0, day=DEMO_DATE, start=OPEN, **options)
    simulator = Simulator(chosen, clock, faults, MARKET)
    url = await simulator.start(0)
    desk = TopstepX(settings_for(url, folder, skip_negotiation=False), FollowingClock(START), times=QUICK)
    desk.connect(sink)  # type: ignore[arg-type]
    await desk.start()
    task = asyncio.create_task(desk.run())
    try:
        await sink.until("on_link")
        await warmed(desk)
        yield World(desk, sink, clock, simulator)
    finally:
        task.cancel()
        await asyncio.gather(task, return_exceptions=True)
        await desk.stop()
        await simulator.stop()


def market(tag: str = "t-1", **members: Any) -> dict[str, Any]:
    return {"tag": tag, "type": OrderType.MARKET, "stop_ticks": None, "bracket": Bracket(40, 80)} | members


async def test_the_life_of_a_bracket(tmp_path: Path) -> None:
    async with world_at(tmp_path) as world:
        desk, sink = world.desk, world.sink
        world.place(**market())
        reply = await sink.until("on_reply")
        assert reply.outcome is Outcome.ACCEPTED
        await world.until(lambda: OrderState.WORKING in world.states("t-1-SL") and bool(sink.of("on_fill")))
        fill = sink.of("on_fill")[0]
        assert (fill.order_id, fill.side, fill.size, fill.gross_micro) == (reply.venue_id, Side.BUY, 1, None)
        assert fill.fees_micro > 0 and sink.of("on_position")[-1].net == 1

        desk.read(START - 3600 * NS)
        snapshot = await sink.until("on_snapshot")
        by_tag = {order.tag: order for order in snapshot.orders}
        assert by_tag["t-1"].state is OrderState.FILLED
        assert by_tag["t-1-SL"].stop_ticks == fill.price_ticks - 40
        assert by_tag["t-1-TP"].limit_ticks == fill.price_ticks + 80
        assert by_tag["t-1-SL"].parent_id == reply.venue_id
        assert snapshot.fills == (fill,) and [p.net for p in snapshot.positions] == [1]
        assert snapshot.account.balance_micro == 50_000_000_000 - fill.fees_micro

        desk.close(fill.contract)
        assert (await sink.until("on_reply", 2)).outcome is Outcome.ACCEPTED
        await world.until(lambda: sink.of("on_position")[-1].net == 0 and len(sink.of("on_fill")) == 2)
        assert sink.of("on_fill")[1].gross_micro is not None
        desk.read_open()
        open_now = await sink.until("on_open")
        assert not any(position.net for position in open_now.positions)
        for count, order in enumerate(open_now.orders, 3):
            desk.cancel(replace(entry(), tag=order.tag, venue_id=order.venue_id))
            assert (await sink.until("on_reply", count)).outcome is Outcome.ACCEPTED
        desk.read_open()
        assert (await sink.until("on_open", 2)).orders == ()


async def test_a_stop_entry_rests_and_its_suspended_legs_are_read(tmp_path: Path) -> None:
    async with world_at(tmp_path) as world:
        await world.until(
            lambda: bool(world.sink.of("on_quote")) and world.sink.of("on_quote")[-1].ask_ticks is not None
        )
        ask = world.sink.of("on_quote")[-1].ask_ticks
        order = world.place(tag="t-2", stop_ticks=ask + 400, bracket=Bracket(20, 40))
        reply = await world.sink.until("on_reply")
        assert reply.outcome is Outcome.ACCEPTED
        world.desk.read(START - 3600 * NS)
        states = {o.tag: (o.state, o.stop_ticks) for o in (await world.sink.until("on_snapshot")).orders}
        assert states == {
            "t-2": (OrderState.WORKING, ask + 400),
            "t-2-SL": (OrderState.SUSPENDED, None),
            "t-2-TP": (OrderState.SUSPENDED, None),
        }
        world.desk.cancel(replace(order, venue_id=reply.venue_id))
        assert (await world.sink.until("on_reply", 2)).outcome is Outcome.ACCEPTED
        await world.until(lambda: OrderState.CANCELLED in world.states("t-2-TP"))
        world.desk.cancel(replace(order, venue_id=reply.venue_id))
        assert (await world.sink.until("on_reply", 3)).outcome is Outcome.REJECTED


async def test_an_order_whose_answer_was_lost_is_found_by_its_tag(tmp_path: Path) -> None:
    async with world_at(tmp_path, LosesPlaces()) as world:
        world.place(**market("t-3"))
        assert (await world.sink.until("on_reply")).outcome is Outcome.AMBIGUOUS
        world.desk.read(START - 3600 * NS)
        snapshot = await world.sink.until("on_snapshot")
        assert [o.venue_id for o in snapshot.orders if o.tag == "t-3"] and len(world.sink.of("on_reply")) == 1


async def test_the_platforms_bracket_setting_is_named_in_the_refusal(tmp_path: Path) -> None:
    async with world_at(tmp_path, auto_oco=False) as world:
        world.place(**market("t-4"))
        reply = await world.sink.until("on_reply")
        assert reply.outcome is Outcome.REJECTED and "Auto OCO Brackets" in reply.reason


async def test_a_burnt_tag_is_refused(tmp_path: Path) -> None:
    async with world_at(tmp_path) as world:
        for count in (1, 2):
            world.place(**market("t-5"))
            reply = await world.sink.until("on_reply", count)
        assert reply.outcome is Outcome.REJECTED and "tag" in reply.reason


async def test_the_night_is_read_oldest_first_without_an_unfinished_bar(tmp_path: Path) -> None:
    async with world_at(tmp_path) as world:
        contract = world.desk.contracts["ES"]
        world.desk.read_bars(contract, START - 16 * 3600 * NS, START + 3600 * NS)
        await world.sink.until("on_bars")
        ((_, (told, bars)),) = [call for call in world.sink.calls if call[0] == "on_bars"]
        starts = [bar.start_ns for bar in bars]
        assert told == contract and starts == sorted(set(starts)) and len(starts) > 900
        assert starts[0] >= START - 16 * 3600 * NS and starts[-1] <= START - 60 * NS + 5 * NS


async def test_one_order_is_read_by_its_id(tmp_path: Path) -> None:
    async with world_at(tmp_path) as world:
        world.place(**market("t-6"))
        venue_id = (await world.sink.until("on_reply")).venue_id
        found = await world.desk.order(venue_id)
        assert (found.tag, found.venue_id, found.size) == ("t-6", venue_id, 1)
        with pytest.raises(Refused, match="searchById"):
            await world.desk.order(venue_id + 1_000)


async def test_one_contract_is_read_by_its_id_also_after_its_expiry(tmp_path: Path) -> None:
    async with world_at(tmp_path) as world:
        found = await world.desk.contract(world.desk.contracts["ES"])
        assert (found.id, found.active, found.tick_value_micro) == ("CON.F.US.EP.Z26", True, 12_500_000)
        assert not (await world.desk.contract("CON.F.US.EP.U26")).active
        with pytest.raises(Refused, match="searchById"):
            await world.desk.contract("CON.F.US.XYZ.Z26")


async def test_closes_part_of_a_position(tmp_path: Path) -> None:
    async with world_at(tmp_path) as world:
        desk, sink = world.desk, world.sink
        world.place(**market(size=3, bracket=None))
        await world.until(lambda: bool(sink.of("on_position")) and sink.of("on_position")[-1].net == 3)
        contract = desk.contracts["ES"]
        assert (await desk.partial_close(contract, 2)).outcome is Outcome.ACCEPTED
        await world.until(lambda: sink.of("on_position")[-1].net == 1)
        assert (await desk.partial_close(contract, 2)).outcome is Outcome.REJECTED
        with pytest.raises(Refused, match="1 to"):
            await desk.partial_close(contract, 0)
        assert len(sink.of("on_reply")) == 1, "the engine hears no reply to what it did not ask for"


async def test_a_partial_close_whose_answer_was_lost_is_ambiguous_and_sent_once(tmp_path: Path) -> None:
    async with world_at(tmp_path, LosesPartialCloses()) as world:
        world.place(**market(size=3, bracket=None))
        await world.until(lambda: bool(world.sink.of("on_position")))
        verdict = await world.desk.partial_close(world.desk.contracts["ES"], 1)
        assert verdict.outcome is Outcome.AMBIGUOUS
        await world.until(lambda: world.sink.of("on_position")[-1].net == 2)


async def test_a_logout_revokes_the_token(tmp_path: Path) -> None:
    async with world_at(tmp_path) as world:
        token = world.desk._rest.tokens.secret.reveal()
        tokens, wall_ns = world.simulator.tokens, world.simulator.api.clock.wall_ns()
        assert tokens.check(token, wall_ns) is not None
        await world.desk.logout()
        assert tokens.check(token, wall_ns) is None


async def test_market_time_follows_the_simulator(tmp_path: Path) -> None:
    async with world_at(tmp_path) as world:
        source = SimulatorClock(world.desk._settings.rest_url)
        clock = await source.open()
        task = asyncio.create_task(source.run())
        world.simulator.time.change(rate=50)
        async with asyncio.timeout(PATIENCE):
            while clock.rate != 50:
                await asyncio.sleep(0)
        task.cancel()
        await asyncio.gather(task, return_exceptions=True)
        await source.close()
        assert START <= clock.utc_ns() < START + 50 * PATIENCE * NS

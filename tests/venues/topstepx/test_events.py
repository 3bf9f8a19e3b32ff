"""What the hubs tell reaches the sink, decoded and in order; and when the link counts as whole."""

from __future__ import annotations

import asyncio
from pathlib import Path

import pytest

from app.clock import SystemClock
from app.venues.topstepx.adapter import TopstepX
from tests.venues.topstepx.scripted import (
    CONTRACT,
    PATIENCE,
    QUICK,
    RecordingSink,
    ScriptedVenue,
    account_row,
    jwt,
    ok,
    order_row,
    position_row,
    running,
    settings_for,
    trade_row,
)


async def test_events_reach_the_sink_in_order(tmp_path: Path) -> None:
    venue, sink = ScriptedVenue(), RecordingSink()
    async with venue.serving(), running(settings_for(venue.url, tmp_path), sink):
        before = len(sink.calls)
        for target, row in (
            ("GatewayUserOrder", order_row(status=2, fillVolume=1)),
            ("GatewayUserTrade", trade_row()),
            ("GatewayUserPosition", position_row()),
            ("GatewayUserAccount", account_row(balance=49998.11)),
        ):
            await venue.user.say(target, {"action": 1, "data": row})
        await sink.until("on_account")
        assert [name for name, _ in sink.calls[before:]] == [
            "on_order",
            "on_fill",
            "on_position",
            "on_account",
        ]


async def test_events_of_other_accounts_and_contracts_are_dropped_and_counted(tmp_path: Path) -> None:
    venue, sink = ScriptedVenue(), RecordingSink()
    async with venue.serving(), running(settings_for(venue.url, tmp_path), sink) as desk:
        await venue.user.say("GatewayUserOrder", order_row(accountId=7))
        await venue.user.say("GatewayUserAccount", account_row(id=7))
        await venue.user.say("GatewayUserAccount", account_row())
        await sink.until("on_account")
        await venue.market.say("GatewayQuote", "CON.F.US.MNQ.Z26", {"lastPrice": 1})
        await venue.market.say("GatewayQuote", CONTRACT, {"lastPrice": 6700.25})
        await sink.until("on_quote")
        assert desk._events.dropped == 3 and sink.of("on_order") == [] and len(sink.of("on_quote")) == 1


async def test_quotes_carry_the_moment_of_their_frame(tmp_path: Path) -> None:
    venue, sink, clock = ScriptedVenue(), RecordingSink(), SystemClock()
    async with venue.serving(), running(settings_for(venue.url, tmp_path), sink):
        before = clock.mono_ns()
        await venue.market.say("GatewayQuote", CONTRACT, {"bestBid": 6700, "bestAsk": 6700.25})
        quote = await sink.until("on_quote")
        received = next(arguments[1] for name, arguments in sink.calls if name == "on_quote")
        assert before <= received == quote.recv_mono_ns <= clock.mono_ns()
        row = {
            "symbolId": "F.US.EP",
            "price": 6700.25,
            "timestamp": "2026-11-20T19:48:53Z",
            "type": 0,
            "volume": 3,
        }
        await venue.market.say("GatewayTrade", CONTRACT, [row, row])
        await sink.until("on_market_trade", 2)


async def test_a_bad_quote_is_counted_and_changes_nothing_else(tmp_path: Path) -> None:
    venue, sink = ScriptedVenue(), RecordingSink()
    async with venue.serving(), running(settings_for(venue.url, tmp_path), sink) as desk:
        await venue.market.say("GatewayQuote", CONTRACT, {"lastPrice": 6700.1})
        await venue.market.say("GatewayQuote", CONTRACT, {"lastPrice": 6700.25})
        assert (await sink.until("on_quote")).last_ticks == 26801
        assert desk._events.misunderstood == 1 and sink.of("on_link") == [True]


async def test_a_user_event_not_understood_makes_the_engine_read_again(tmp_path: Path) -> None:
    venue, sink = ScriptedVenue(), RecordingSink()
    async with venue.serving(), running(settings_for(venue.url, tmp_path), sink) as desk:
        await venue.user.say("GatewayUserOrder", order_row(status=42))
        await venue.user.say("GatewayUserOrder", order_row(status=42))
        await sink.until("on_link", 3)
        assert sink.of("on_link") == [True, False, True] and desk._events.misunderstood == 2
        reason = next(
            arguments[1] for name, arguments in sink.calls if name == "on_link" and not arguments[0]
        )
        assert "status 42" in reason


@pytest.mark.parametrize("which", ["user", "market"])
async def test_the_link_is_down_until_both_hubs_are_back(tmp_path: Path, which: str) -> None:
    venue, sink = ScriptedVenue(), RecordingSink()
    async with venue.serving(), running(settings_for(venue.url, tmp_path), sink):
        hub = getattr(venue, which)
        await hub.sockets[-1].send_str('{"type":7,"error":"Connection closed with an error."}\x1e')
        await sink.until("on_link", 3)
        assert sink.of("on_link") == [True, False, True]
        assert len(hub.sockets) == 2


async def test_one_hub_alone_is_no_link(tmp_path: Path) -> None:
    venue, sink = ScriptedVenue(), RecordingSink()
    venue.market.completes = False
    async with venue.serving():
        desk = TopstepX(settings_for(venue.url, tmp_path), SystemClock(), times=QUICK)
        desk.connect(sink)  # type: ignore[arg-type]
        await desk.start()
        task = asyncio.create_task(desk.run())
        async with asyncio.timeout(PATIENCE):
            while not desk._events.user.up:
                await asyncio.sleep(0)
        await venue.market.until(lambda: len(venue.market.invocations) == 2)
        assert sink.of("on_link") == []
        for key in ("1", "2"):
            await venue.market.sockets[-1].send_str(f'{{"type":3,"invocationId":"{key}","result":null}}\x1e')
        assert await sink.until("on_link") is True
        task.cancel()
        await asyncio.gather(task, return_exceptions=True)
        await desk.stop()


async def test_quotes_start_anew_after_a_reconnect(tmp_path: Path) -> None:
    venue, sink = ScriptedVenue(), RecordingSink()
    async with venue.serving(), running(settings_for(venue.url, tmp_path), sink):
        await venue.market.say("GatewayQuote", CONTRACT, {"bestBid": 6700})
        await sink.until("on_quote")
        await venue.market.sockets[-1].send_str('{"type":7}\x1e')
        await sink.until("on_link", 3)
        await venue.market.say("GatewayQuote", CONTRACT, {"bestAsk": 6700.25})
        assert (await sink.until("on_quote", 2)).bid_ticks is None


@pytest.mark.parametrize("which", ["user", "market"])
async def test_a_logout_by_the_venue_brings_a_login_and_both_hubs_back(tmp_path: Path, which: str) -> None:
    venue, sink = ScriptedVenue(), RecordingSink()
    async with venue.serving(), running(settings_for(venue.url, tmp_path), sink):
        await getattr(venue, which).say("GatewayLogout")
        await sink.until("on_link", 3)
        assert venue.logins == 2
        assert venue.user.tokens[-1] == venue.market.tokens[-1] == jwt(serial=2)


async def test_a_contract_the_owner_holds_is_followed_too_even_after_a_reconnect(tmp_path: Path) -> None:
    venue, sink, micro = ScriptedVenue(), RecordingSink(), "CON.F.US.MNQ.Z26"
    asked = ("SubscribeContractQuotes", [micro])
    async with venue.serving(), running(settings_for(venue.url, tmp_path), sink) as desk:
        venue.on(
            "/api/Position/searchOpen",
            lambda _: ok(positions=[position_row(), position_row(contractId=micro)]),
        )
        desk.read(0)
        await sink.until("on_snapshot")
        await venue.market.until(lambda: venue.market.invocations.count(asked) == 1)
        await venue.market.say("GatewayQuote", micro, {"lastPrice": 21000.25})
        assert (await sink.until("on_quote")).contract == micro
        await venue.market.sockets[-1].send_str('{"type":7}\x1e')
        await venue.market.until(lambda: venue.market.invocations.count(asked) == 2)
        desk.read_open()
        await sink.until("on_open")
    assert venue.market.invocations.count(asked) == 2


async def test_targets_it_does_not_know_are_ignored(tmp_path: Path) -> None:
    venue, sink = ScriptedVenue(), RecordingSink()
    async with venue.serving(), running(settings_for(venue.url, tmp_path), sink) as desk:
        await venue.user.say("GatewayNovelty", {"a": 1})
        await venue.market.say("GatewayDepth", CONTRACT, [])
        await venue.user.say("GatewayUserAccount", account_row())
        await sink.until("on_account")
        assert desk._events.misunderstood == 0

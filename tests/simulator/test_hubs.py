"""Both hubs: every way in, every way out, and an independent client."""

from __future__ import annotations

import asyncio
import json
from typing import Any

import aiohttp
import pytest
from pysignalr.client import SignalRClient

from app.clock import NS
from app.simulator import hubs
from app.simulator.faults import NoFaults, Outgoing
from tests.guards import PATIENCE
from tests.simulator.conftest import ACCOUNT, ES, MES, Bench, Hub


@pytest.mark.parametrize("hub", ["user", "market"])
@pytest.mark.parametrize("query", ["", "?negotiateVersion=1"])
async def test_negotiates_with_and_without_a_version(bench: Bench, hub: str, query: str) -> None:
    status, text = await bench.raw(f"/hubs/{hub}/negotiate{query}", "")
    answer = json.loads(text)
    assert status == 200
    assert answer["negotiateVersion"] == (1 if query else 0)
    assert ("connectionToken" in answer) == bool(query)
    assert answer["availableTransports"][0] == {
        "transport": "WebSockets",
        "transferFormats": ["Text", "Binary"],
    }
    identity = answer.get("connectionToken", answer["connectionId"])
    url = f"/hubs/{hub}?id={identity}&access_token={bench.token}"
    socket = Hub(await bench.http.ws_connect(url))
    await socket.send({"protocol": "json", "version": 1})
    assert await socket.read() == [{}]
    with pytest.raises(aiohttp.WSServerHandshakeError):  # a connection token is good once
        await bench.http.ws_connect(url)


async def test_takes_the_token_from_the_header_too(bench: Bench) -> None:
    socket = await bench.http.ws_connect("/hubs/user", headers={"Authorization": f"Bearer {bench.token}"})
    assert len(bench.simulator.hubs.connections) == 1
    await socket.close()


@pytest.mark.parametrize("token", ["", "wrong"])
async def test_rejects_negotiation_and_upgrade_without_a_good_token(bench: Bench, token: str) -> None:
    assert (await bench.raw("/hubs/user/negotiate?negotiateVersion=1", "", token))[0] == 401
    with pytest.raises(aiohttp.WSServerHandshakeError) as refused:
        await bench.http.ws_connect(f"/hubs/market?access_token={token}")
    assert refused.value.status == 401


async def test_refuses_other_protocols_in_the_handshake(bench: Bench) -> None:
    for hello in ('{"protocol":"messagepack","version":1}', '{"protocol":"json","version":9}', "nonsense"):
        socket = await bench.http.ws_connect(f"/hubs/user?access_token={bench.token}")
        await socket.send_str(hello + "\x1e")
        async with asyncio.timeout(PATIENCE):
            assert "error" in json.loads((await socket.receive()).data[:-1])
            assert (await socket.receive()).type in (
                aiohttp.WSMsgType.CLOSED,
                aiohttp.WSMsgType.CLOSE,
                aiohttp.WSMsgType.ERROR,
            )


async def test_reads_records_split_and_joined_and_answers_only_those_with_an_id(bench: Bench) -> None:
    socket = Hub(await bench.http.ws_connect(f"/hubs/user?access_token={bench.token}"))
    text = '{"protocol":"json","version":1}\x1e' + "".join(
        json.dumps(record) + "\x1e"
        for record in (
            {"type": 1, "target": "SubscribeOrders", "arguments": [ACCOUNT], "headers": {"a": "b"}},
            {"type": 1, "target": "Heartbeat", "arguments": []},
            {"type": 6},
            {"type": 1, "target": "heartbeat", "arguments": [], "invocationId": "7"},
            {"type": 1, "target": "SUBSCRIBETRADES", "arguments": [ACCOUNT], "invocationId": "8"},
        )
    )
    for start in range(0, len(text), 11):
        await socket.socket.send_str(text[start : start + 11])
    await socket.until(lambda record: record.get("invocationId") == "8")
    answers = [record for record in socket.seen if record.get("type") == 3]
    assert [answer["invocationId"] for answer in answers] == ["7", "8"]
    assert "does not exist" in answers[0]["error"]
    assert answers[1]["result"] is None


@pytest.mark.parametrize(
    ("target", "arguments"),
    [
        ("SubscribeOrders", ["1001"]),
        ("SubscribeOrders", [True]),
        ("SubscribeOrders", []),
        ("SubscribeTrades", [7]),
    ],
)
async def test_refuses_subscriptions_to_what_is_no_account_of_ours(
    bench: Bench, target: str, arguments: list[Any]
) -> None:
    hub = await bench.hub("user")
    assert "error" in await hub.call(target, *arguments)


async def test_a_client_that_breaks_the_protocol_is_told_and_dropped(bench: Bench) -> None:
    for frame in ("{nonsense\x1e", '{"type":"x"}\x1e', "[" * 5000 + "\x1e"):
        hub = await bench.hub("market")
        await hub.socket.send_str(frame)
        assert (await hub.until(lambda record: record.get("type") == 7))["error"]
        with pytest.raises(EOFError):
            await hub.read()


async def test_drops_a_client_whose_message_exceeds_32_kilobytes(bench: Bench) -> None:
    hub = await bench.hub("market")
    await hub.socket.send_str(" " * (32 * 1024 + 1))
    with pytest.raises(EOFError):
        await hub.read()


async def test_quotes_are_sparse_trades_are_arrays_depth_begins_with_a_reset(bench: Bench) -> None:
    hub = await bench.hub("market")
    for channel in ("Quotes", "Trades", "MarketDepth"):
        await hub.call(f"SubscribeContract{channel}", ES)
    first = (await hub.until(lambda r: r.get("target") == "GatewayQuote"))["arguments"]
    assert first[0] == ES
    assert {"symbol", "lastPrice", "bestBid", "bestAsk", "volume", "open", "high", "low", "change"} <= first[
        1
    ].keys()
    depth = (await hub.until(lambda r: r.get("target") == "GatewayDepth"))["arguments"][1]
    assert depth[0]["type"] == 6
    assert len(depth) == 21
    bench.clock.advance(2 * NS)
    trades = (await hub.until(lambda r: r.get("target") == "GatewayTrade"))["arguments"][1]
    assert {"symbolId", "price", "timestamp", "type", "volume"} == trades[0].keys()
    stamp = "2026-11-18T15:00:02.0000000+00:00"
    await hub.until(lambda r: r.get("target") == "GatewayQuote" and r["arguments"][1]["lastUpdated"] == stamp)
    deltas = [arguments[1] for arguments in hub.events("GatewayQuote")][1:]
    assert deltas
    assert all("open" not in delta for delta in deltas)


async def test_tape_quotes_and_bars_tell_the_same_story(bench: Bench) -> None:
    hub = await bench.hub("market")
    await hub.call("SubscribeContractTrades", ES)
    for _ in range(3):
        bench.clock.advance(20 * NS)
        await hub.call("SubscribeContractTrades", ES)  # a client silent for 30 seconds would be dropped
    stamp = "2026-11-18T15:01:00"
    await hub.until(
        lambda r: r.get("target") == "GatewayTrade" and r["arguments"][1][-1]["timestamp"] >= stamp
    )
    prints = [
        row for arguments in hub.events("GatewayTrade") for row in arguments[1] if row["timestamp"] < stamp
    ]
    bar = (
        await bench.post(
            "/api/History/retrieveBars", contractId=ES, live=False, startTime="2026-11-18T15:00:00Z",
            endTime="2026-11-18T15:00:59Z", unit=2, unitNumber=1, limit=1, includePartialBar=False,
        )
    )["bars"][0]  # fmt: skip
    prices = [row["price"] for row in prints]
    missed = bench.simulator.world.feed.last_tick("ES", bench.simulator.time.utc_ns() - 60 * NS)
    assert missed is not None
    # The tick at 10:00:00.0 came before us
    assert bar["v"] == sum(row["volume"] for row in prints) + missed.size
    assert (bar["c"], bar["h"], bar["l"]) == (prices[-1], max(prices), min(prices))


async def test_unsubscribing_ends_the_stream(bench: Bench) -> None:
    hub = await bench.hub("market")
    await hub.call("SubscribeContractQuotes", ES)
    await hub.call("UnsubscribeContractQuotes", ES)
    hub.seen.clear()
    bench.clock.advance(5 * NS)
    await hub.call("UnsubscribeContractQuotes", ES)
    assert hub.events() == []
    assert bench.simulator.world.next_due() is not None
    assert not bench.simulator.world._watched


async def test_pings_after_15_seconds_of_its_own_silence(bench: Bench) -> None:
    hub = await bench.hub("user")
    hub.seen.clear()
    bench.clock.advance(15 * NS - 1)
    await hub.call("SubscribeAccounts")
    assert {"type": 6} not in hub.seen
    bench.clock.advance(15 * NS)
    await hub.until(lambda record: record == {"type": 6})


async def test_drops_a_client_silent_for_30_seconds(bench: Bench) -> None:
    hub = await bench.hub("user")
    bench.clock.advance(29 * NS)
    await hub.send({"type": 6})
    await hub.call("SubscribeAccounts")
    bench.clock.advance(29 * NS)
    await hub.call("SubscribeAccounts")
    bench.clock.advance(31 * NS)
    with pytest.raises(EOFError):
        while True:
            await hub.read()


async def test_logout_tells_the_hubs_of_that_session(bench: Bench) -> None:
    hub = await bench.hub("user")
    await bench.post("/api/Auth/logout")
    await hub.until(lambda record: record.get("target") == "GatewayLogout")
    with pytest.raises(EOFError):
        while True:
            await hub.read()


class SlowWire:
    """A client that takes nothing."""

    transport = None

    def __init__(self) -> None:
        self.sent: list[str] = []
        self.aborted = False
        self.gate = asyncio.Event()

    async def send(self, text: str) -> None:
        self.sent.append(text)
        await self.gate.wait()

    def close(self) -> None:
        self.aborted = True

    def abort(self) -> None:
        self.aborted = True


async def test_drops_a_client_whose_outbox_outgrows_the_limit(
    bench: Bench, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(hubs, "OUTBOX_LIMIT", 10)
    session = bench.simulator.tokens.check(bench.token, bench.clock.wall_ns())
    assert session is not None
    wire = SlowWire()
    connection = bench.simulator.hubs.join("market", session, wire)
    writing = asyncio.ensure_future(connection.write())
    connection.push("first")
    await asyncio.sleep(0)
    for _ in range(30):
        connection.push("record")
    assert connection.closed
    assert wire.aborted
    wire.gate.set()
    await writing
    assert connection not in bench.simulator.hubs.connections


async def test_a_client_dropped_while_it_is_told_stops_nobody_else(
    bench: Bench, monkeypatch: pytest.MonkeyPatch
) -> None:
    session = bench.simulator.tokens.check(bench.token, bench.clock.wall_ns())
    assert session is not None
    slow = bench.simulator.hubs.join("market", session, SlowWire())
    for contract in (ES, MES):
        slow.receive('{"protocol":"json","version":1}\x1e' if not slow._shaken else "")
        slow.receive(f'{{"type":1,"target":"SubscribeContractTrades","arguments":["{contract}"]}}\x1e')
    monkeypatch.setattr(hubs, "OUTBOX_LIMIT", 5)
    hub = await bench.hub("market")
    await hub.call("SubscribeContractTrades", ES)
    for _ in range(20):
        bench.clock.advance(NS // 10)
        await hub.call("SubscribeContractTrades", ES)
    assert hub.events("GatewayTrade")
    assert slow.closed
    assert set(bench.simulator.world._watched) == {ES}


async def test_every_event_passes_the_fault_seam(bench: Bench) -> None:
    class Twice(NoFaults):
        def event(self, hub: str, event: Outgoing) -> tuple[Outgoing, Outgoing]:
            return event, event

    bench.simulator.hubs._faults = Twice()
    hub = await bench.user_hub()
    await bench.place()
    await hub.until(lambda r: r["target"] == "GatewayUserAccount")
    await hub.call("SubscribeAccounts")
    assert len(hub.events("GatewayUserTrade")) == 2


def ended(told: list[tuple[str, Any]]) -> bool:
    """Whether all was told of a bracket's end, in whatever order: the position, both trades, both legs."""
    targets = [target for target, _ in told]
    gone = any(target == "GatewayUserPosition" and row["action"] == 2 for target, row in told)
    last = [
        row["data"] for target, row in told if target == "GatewayUserOrder" and row["data"].get("customTag")
    ]
    over = {row["customTag"] for row in last if row["status"] in (2, 3)}
    return gone and targets.count("GatewayUserTrade") == 2 and over == {"mine", "mine-SL", "mine-TP"}


async def test_pysignalr_sees_a_bracket_from_start_to_end(bench: Bench) -> None:
    """An independent client: it negotiates by itself, with the token in the header."""
    client = SignalRClient(f"{bench.url}/hubs/user", headers={"Authorization": f"Bearer {bench.token}"})
    told: list[tuple[str, Any]] = []
    opened, done = asyncio.Event(), asyncio.Event()

    def note(target: str) -> None:
        async def take(arguments: Any) -> None:
            told.append((target, arguments[0]))
            if ended(told):
                done.set()

        client.on(target, take)

    async def subscribe() -> None:
        for channel in ("Orders", "Positions", "Trades"):
            await client.send(f"Subscribe{channel}", [ACCOUNT])
        await client.send("SubscribeAccounts", [])
        opened.set()

    for target in ("GatewayUserOrder", "GatewayUserPosition", "GatewayUserTrade", "GatewayUserAccount"):
        note(target)
    client.on_open(subscribe)
    running = asyncio.ensure_future(client.run())
    async with asyncio.timeout(PATIENCE):
        await opened.wait()
        while len(bench.simulator.hubs._topics) < 4:
            await asyncio.sleep(0)
        legs = {"stopLossBracket": {"ticks": -8, "type": 4}, "takeProfitBracket": {"ticks": 8, "type": 1}}
        await bench.place(customTag="mine", **legs)
        while bench.simulator.exchange.accounts[ACCOUNT].positions:
            bench.clock.advance(NS)
        await done.wait()
    running.cancel()
    await asyncio.gather(running, return_exceptions=True)
    statuses = [
        (row["data"].get("customTag"), row["data"]["status"])
        for target, row in told
        if target == "GatewayUserOrder"
    ]
    assert statuses[:6] == [
        ("mine", 6),
        ("mine-SL", 8),
        ("mine-TP", 8),
        ("mine", 2),
        ("mine-SL", 1),
        ("mine-TP", 1),
    ]
    assert {status for tag, status in statuses[6:] if tag} == {2, 3}
    assert [target for target, _ in told].count("GatewayUserTrade") == 2

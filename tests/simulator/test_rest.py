"""The REST API as a plain HTTP client meets it."""

from __future__ import annotations

import asyncio
import base64
import json
from dataclasses import replace
from datetime import date

import aiohttp
import pytest

from app.clock import NS
from app.simulator.faults import NoFaults, Reply
from app.simulator.rest import ENDPOINTS
from tests.guards import PATIENCE
from tests.simulator.conftest import ACCOUNT, ES, MES, Bench, Make, market_order

LONG_STOP, LONG_TARGET = {"ticks": -20, "type": 4}, {"ticks": 40, "type": 1}


async def test_ping_needs_no_token_and_answers_pong(bench: Bench) -> None:
    async with bench.http.get("/API/status/PING") as reply:
        assert (reply.status, await reply.text()) == (200, "pong")


@pytest.mark.parametrize(("user", "key", "code"), [("demo", "wrong", 3), ("nobody", "demo-key", 1)])
async def test_login_refuses_wrong_credentials_with_http_200(
    bench: Bench, user: str, key: str, code: int
) -> None:
    answer = await bench.post("/api/Auth/loginKey", userName=user, apiKey=key)
    assert (answer["errorCode"], answer["token"]) == (code, None)


async def test_token_is_a_jwt_with_an_expiry_a_client_can_read(bench: Bench) -> None:
    parts = bench.token.split(".")
    claims = json.loads(base64.urlsafe_b64decode(parts[1] + "=="))
    assert len(parts) == 3
    assert claims["exp"] - bench.clock.wall_ns() // NS == 24 * 3600


@pytest.mark.parametrize("token", ["", "abc", "a.b.c"])
@pytest.mark.parametrize("path", sorted(ENDPOINTS))
async def test_rejects_every_endpoint_without_a_token(bench: Bench, path: str, token: str) -> None:
    assert await bench.raw(path, {}, token) == (401, "")


async def test_rejects_a_token_a_day_later_but_not_a_second_before(bench: Bench) -> None:
    bench.clock.step_wall((24 * 3600 - 1) * NS)
    renewed = (await bench.post("/api/Auth/validate"))["newToken"]
    bench.clock.step_wall(NS)
    assert (await bench.raw("/api/Auth/validate", {}))[0] == 401
    bench.token = renewed
    assert (await bench.post("/api/Auth/validate"))["newToken"]


async def test_rejects_a_token_after_logout(bench: Bench) -> None:
    assert (await bench.post("/api/Auth/logout"))["success"]
    assert (await bench.raw("/api/Account/search", {"onlyActiveAccounts": True}))[0] == 401


@pytest.mark.parametrize(
    "body", ["", "nonsense", "[]", '{"accountId":"1001"}', '{"accountId":1.5}', "[" * 9999]
)
async def test_answers_a_body_that_does_not_bind_with_400(bench: Bench, body: str) -> None:
    status, text = await bench.raw("/api/Order/searchOpen", body)
    assert status == 400
    assert json.loads(text)["errors"]["request"] == ["The request field is required."]


async def test_ignores_unknown_members_and_refuses_other_methods_and_paths(bench: Bench) -> None:
    assert (await bench.post("/api/order/SEARCHOPEN", accountId=ACCOUNT, startTime="x"))["orders"] == []
    async with bench.http.get("/api/Order/searchOpen") as reply:
        assert reply.status == 405
    assert (await bench.raw("/api/Order/nothing", {}))[0] == 404


async def test_limits_history_to_50_in_30_seconds_and_the_rest_to_200_in_60(bench: Bench) -> None:
    bars = {
        "contractId": ES, "live": True, "startTime": "2026-11-18T00:00Z", "endTime": "2026-11-18T01:00Z",
        "unit": 2, "unitNumber": 1, "limit": 1, "includePartialBar": False,
    }  # fmt: skip
    assert {(await bench.raw("/api/History/retrieveBars", bars))[0] for _ in range(50)} == {200}
    assert (await bench.raw("/api/History/retrieveBars", bars))[0] == 429
    body = {"accountId": ACCOUNT}
    assert {(await bench.raw("/api/Order/searchOpen", body))[0] for _ in range(200)} == {200}
    assert (await bench.raw("/api/Trade/search", body))[0] == 429
    await bench.log_in()  # uncounted, and another token has its own windows
    assert (await bench.raw("/api/Trade/search", body))[0] == 200


async def test_a_spent_window_rolls_on(bench: Bench) -> None:
    body = {"accountId": ACCOUNT}
    for _ in range(200):
        await bench.raw("/api/Order/searchOpen", body)
    bench.clock.advance(60 * NS - 1)
    assert (await bench.raw("/api/Order/searchOpen", body))[0] == 429
    bench.clock.advance(1)
    assert (await bench.raw("/api/Order/searchOpen", body))[0] == 200


async def test_shows_the_account_with_its_realised_balance(bench: Bench) -> None:
    answer = await bench.post("/api/Account/search", onlyActiveAccounts=True)
    assert answer["accounts"] == [
        {
            "id": ACCOUNT, "name": "SIM-50K-1001", "balance": 50000.0, "canTrade": True, "isVisible": True,
            "simulated": True,
        }
    ]  # fmt: skip


async def test_contract_search_is_fuzzy_and_shows_twenty_at_most(bench: Bench) -> None:
    found = (await bench.post("/api/Contract/search", searchText="ES", live=False))["contracts"]
    assert found[0]["id"] == ES
    assert "MESZ6" in [row["name"] for row in found]
    assert len((await bench.post("/api/Contract/search", searchText="", live=False))["contracts"]) == 20
    assert (await bench.post("/api/Contract/search", searchText="ES", live=True))["contracts"] == []


async def test_lists_one_active_contract_per_product_and_resolves_expired_ids(bench: Bench) -> None:
    rows = (await bench.post("/api/Contract/available", live=False))["contracts"]
    assert all(row["activeContract"] for row in rows)
    assert len({row["symbolId"] for row in rows}) == len(rows) > 45
    old = (await bench.post("/api/Contract/searchById", contractId="CON.F.US.EP.U26"))["contract"]
    assert (old["name"], old["activeContract"], old["tickSize"], old["tickValue"]) == (
        "ESU6",
        False,
        0.25,
        12.5,
    )
    for unknown in ("CON.F.US.EP.F26", "CON.F.US.XX.Z26", "ES", ""):
        assert (await bench.post("/api/Contract/searchById", contractId=unknown))["errorCode"] == 1


async def test_unknown_account_is_code_1_everywhere(bench: Bench) -> None:
    for path, more in (
        ("Order/search", {}), ("Order/searchOpen", {}), ("Order/searchById", {"orderId": 1}),
        ("Order/cancel", {"orderId": 1}), ("Order/modify", {"orderId": 1}), ("Position/searchOpen", {}),
        ("Position/closeContract", {"contractId": ES}), ("Trade/search", {}),
        ("Position/partialCloseContract", {"contractId": ES, "size": 1}),
        ("Order/place", {"contractId": ES, "type": 2, "side": 0, "size": 1}),
    ):  # fmt: skip
        assert (await bench.post(f"/api/{path}", accountId=7, **more))["errorCode"] == 1, path


async def test_close_errors_name_position_contract_and_size(bench: Bench) -> None:
    close, part = "/api/Position/closeContract", "/api/Position/partialCloseContract"
    assert (await bench.post(close, accountId=ACCOUNT, contractId=ES))["errorCode"] == 2
    assert (await bench.post(close, accountId=ACCOUNT, contractId="CON.F.US.XX.Z26"))["errorCode"] == 3
    await bench.place(size=2)
    for size in (0, 3):
        assert (await bench.post(part, accountId=ACCOUNT, contractId=ES, size=size))["errorCode"] == 5
    assert (await bench.post(part, accountId=ACCOUNT, contractId=ES, size=1))["success"]
    assert [row["size"] for row in await bench.positions()] == [1]


async def test_reads_show_a_bracket_as_documented(bench: Bench) -> None:
    placed = await bench.place(
        type=4, stopPrice=9000, stopLossBracket=LONG_STOP, takeProfitBracket=LONG_TARGET
    )
    entry = placed["orderId"]
    search = {"accountId": ACCOUNT, "startTimestamp": "2026-11-18T00:00:00Z"}
    assert [o["id"] for o in (await bench.post("/api/Order/search", **search))["orders"]] == [entry]
    assert [o["id"] for o in (await bench.post("/api/Order/searchOpen", accountId=ACCOUNT))["orders"]] == [
        entry
    ]
    found = await bench.post(
        "/api/Order/v2/query", filter={"accountId": ACCOUNT, "statuses": [8]}, includeTotalCount=True
    )
    assert [o["id"] for o in found["orders"]] == [entry + 1, entry + 2]
    assert found["totalCount"] == 2
    order = (await bench.post("/api/Order/searchById", accountId=ACCOUNT, orderId=entry))["order"]
    assert (order["limitPrice"], order["filledPrice"], order["customTag"]) == (None, None, None)


async def test_trades_come_newest_first_with_fees_per_row(bench: Bench) -> None:
    await bench.place(contractId=MES, size=2)
    await bench.place(contractId=MES, size=3, side=1)
    rows = (await bench.post("/api/Trade/search", accountId=ACCOUNT, startTimestamp="2026-11-18"))["trades"]
    assert [(r["size"], r["side"], r["fees"], r["commissions"]) for r in rows] == [
        (1, 1, 0.36, 0.25), (2, 1, 0.72, 0.5), (2, 0, 0.72, 0.5),
    ]  # fmt: skip
    assert [r["profitAndLoss"] is None for r in rows] == [True, False, True]


async def test_bars_come_newest_first_and_are_cut_silently(bench: Bench) -> None:
    async def bars(**changes: object) -> list[dict[str, object]]:
        found: list[dict[str, object]] = (await bench.bars(**changes))["bars"]
        return found

    everything = await bars()
    stamps = [str(bar["t"]) for bar in everything]
    assert stamps == sorted(stamps, reverse=True)
    assert stamps[0] == "2026-11-18T14:59:00+00:00"
    assert stamps[-1] == "2026-11-17T23:00:00+00:00"
    assert await bars(limit=10) == everything[:10]
    assert await bars(live=True) == []
    older = await bars(limit=10, endTime=str(everything[10]["t"]))
    assert older == everything[10:20]
    bench.clock.advance(90 * NS)
    assert [b["t"] for b in (await bars(includePartialBar=True))[:2]] == [
        "2026-11-18T15:01:00+00:00", "2026-11-18T15:00:00+00:00",
    ]  # fmt: skip
    assert (await bars())[0]["t"] == "2026-11-18T15:00:00+00:00"


async def test_longer_bars_are_made_of_shorter_ones(bench: Bench) -> None:
    async def bars(unit: int, number: int, limit: int) -> list[dict[str, float]]:
        span = {"startTime": "2026-11-15T23:00:00Z", "endTime": "2026-11-18T14:59:59Z"}
        shape = {"unit": unit, "unitNumber": number, "limit": limit, "includePartialBar": True}
        found: list[dict[str, float]] = (await bench.bars(**span, **shape))["bars"]
        return found

    minutes = await bars(2, 1, 60)
    hour, five, seconds = (await bars(3, 1, 1))[0], await bars(2, 5, 12), await bars(1, 1, 60)
    last = [bar for bar in seconds if bar["t"] >= minutes[0]["t"]]
    for big, parts in ((hour, minutes), (five[0], minutes[:5]), (minutes[0], last)):
        assert big["o"] == parts[-1]["o"]
        assert big["c"] == parts[0]["c"]
        assert big["h"] == max(part["h"] for part in parts)
        assert big["l"] == min(part["l"] for part in parts)
        assert big["v"] == sum(part["v"] for part in parts)
    days = await bars(4, 1, 5)
    assert [day["t"] for day in days][:2] == ["2026-11-17T23:00:00+00:00", "2026-11-16T23:00:00+00:00"]
    week = (await bars(5, 1, 1))[0]
    assert week["v"] == sum(day["v"] for day in days[:3])


@pytest.mark.parametrize(
    ("change", "code"),
    [
        ({"contractId": "CON.F.US.XX.Z26"}, 1), ({"unit": 9}, 2), ({"unitNumber": 0}, 3), ({"limit": 0}, 4),
        ({"limit": 20001}, 4),
    ],
)  # fmt: skip
async def test_bars_refuse_what_they_cannot_answer(
    bench: Bench, change: dict[str, object], code: int
) -> None:
    assert (await bench.bars(**change))["errorCode"] == code


async def test_serves_ten_trading_days_before_the_start(bench: Bench) -> None:
    span = {"startTime": "2026-10-20T00:00:00Z", "endTime": "2026-11-18T14:00:00Z"}
    answer = await bench.bars(unit=4, limit=12, **span)
    assert len(answer["bars"]) == 12


async def test_latency_delays_a_reply_and_changes_nothing_else(bench_at: Make) -> None:
    slow = await bench_at(latency_ms=0)
    slow.simulator.server._latency_ns = 109_000_000
    asking = asyncio.ensure_future(slow.raw("/api/Order/searchOpen", {"accountId": ACCOUNT}))
    due = slow.clock.mono_ns() + 109_000_000
    async with asyncio.timeout(PATIENCE):
        while not any(at == due for at, _, _ in slow.clock._heap):
            await asyncio.sleep(0)
    slow.clock.advance(109_000_000 - 1)
    await asyncio.sleep(0)
    assert not asking.done()
    slow.clock.advance(1)
    assert (await asking)[0] == 200


async def test_every_reply_passes_the_fault_seam(bench: Bench) -> None:
    class Bad(NoFaults):
        """Accepts orders but says otherwise, and is overloaded for everything about positions."""

        def request(self, path: str) -> Reply | None:
            return Reply(503, b"later", "text/plain") if "position" in path else None

        def reply(self, path: str, reply: Reply) -> Reply:
            return replace(reply, abort=True) if path.endswith("place") else reply

    bench.simulator.server._faults = Bad()
    assert await bench.raw("/api/Position/searchOpen", {"accountId": ACCOUNT}) == (503, "later")
    with pytest.raises(aiohttp.ServerDisconnectedError):
        await bench.place(customTag="accepted")
    assert [order["customTag"] for order in await bench.orders()] == ["accepted"]


async def test_moves_time_forward_only_and_counts_each_change(bench: Bench) -> None:
    async with bench.http.get("/sim/clock") as reply:
        before = await reply.json()
    async with bench.http.post("/sim/clock", json={"rate": 10, "utc_ns": before["utc_ns"] + 5 * NS}) as reply:
        after = await reply.json()
    assert after == {"utc_ns": before["utc_ns"] + 5 * NS, "rate": 10, "epoch": before["epoch"] + 1}
    bench.clock.advance(NS)
    async with bench.http.get("/sim/clock") as reply:
        assert (await reply.json())["utc_ns"] == after["utc_ns"] + 10 * NS
    for bad in ({"utc_ns": 1}, {"rate": 0}, {"rate": 10**9}, {"rate": "x"}):
        async with bench.http.post("/sim/clock", json=bad) as reply:
            assert reply.status == 400


async def test_pushes_every_change_of_time(bench: Bench) -> None:
    async with bench.http.get("/sim/clock/events") as stream:
        first = json.loads((await stream.content.readuntil(b"\n\n"))[6:])
        await bench.http.post("/sim/clock", json={"rate": 7})
        second = json.loads((await stream.content.readuntil(b"\n\n"))[6:])
    assert (second["rate"], second["epoch"]) == (7, first["epoch"] + 1)


async def test_an_order_that_arrived_is_placed_even_if_its_sender_vanished(bench: Bench) -> None:
    body = json.dumps(market_order(customTag="last words")).encode()
    head = f"POST /api/Order/place HTTP/1.1\r\nHost: x\r\nAuthorization: Bearer {bench.token}\r\n"
    _, writer = await asyncio.open_connection("127.0.0.1", int(bench.url.rpartition(":")[2]))
    writer.write(head.encode() + f"Content-Length: {len(body)}\r\n\r\n".encode() + body)
    writer.close()
    await writer.wait_closed()
    async with asyncio.timeout(PATIENCE):
        while not (orders := await bench.orders()):
            pass
    assert orders[0]["customTag"] == "last words"


async def test_event_streams_repeat_the_time_when_nothing_changes(bench: Bench) -> None:
    async with bench.http.get("/sim/clock/events") as stream:
        await stream.content.readuntil(b"\n\n")
        bench.clock.advance(15 * NS)
        again = json.loads((await stream.content.readuntil(b"\n\n"))[6:])
    assert again == bench.simulator.time.state()


async def test_an_expired_contract_keeps_its_bars_up_to_its_last_day(bench_at: Make) -> None:
    bench = await bench_at("10:00", day=date(2026, 9, 24))
    span = {"startTime": "2026-09-01T00:00:00Z", "endTime": "2026-09-24T00:00:00Z"}
    answer = await bench.bars(contractId="CON.F.US.EP.U26", limit=1, **span)
    assert answer["bars"][0]["t"].startswith("2026-09-18")

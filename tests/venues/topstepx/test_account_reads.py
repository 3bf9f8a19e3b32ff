"""Reads of the account through the adapter: complete or failed, never half, one at a time."""

from __future__ import annotations

import asyncio
from pathlib import Path
from typing import Any

import pytest
from aiohttp import web

from app.clock import NS, SystemClock
from app.domain.orders import OrderState
from tests.venues.topstepx.scripted import (
    ACCOUNT,
    PATIENCE,
    RecordingSink,
    ScriptedVenue,
    account_row,
    ok,
    order_row,
    position_row,
    refused,
    running,
    settings_for,
    trade_row,
)


async def test_a_complete_read_merges_all_lists(tmp_path: Path) -> None:
    venue, sink = ScriptedVenue(), RecordingSink()
    later = "2026-11-20T19:50:00+00:00"
    venue.on(
        "/api/Order/search",
        lambda _: ok(
            orders=[order_row(id=3, updateTimestamp=later, status=2, fillVolume=1), order_row(id=1)]
        ),
    )
    venue.on("/api/Order/searchOpen", lambda _: ok(orders=[order_row(id=3)]))
    venue.on("/api/Order/v2/query", lambda _: ok(orders=[order_row(id=4, status=8, stopPrice=None)]))
    venue.on("/api/Position/searchOpen", lambda _: ok(positions=[position_row(type=2, size=2)]))
    venue.on("/api/Trade/search", lambda _: ok(trades=[trade_row(), trade_row(id=501, voided=True)]))
    async with venue.serving(), running(settings_for(venue.url, tmp_path), sink) as desk:
        desk.read(1_795_000_000 * NS)
        snapshot = await sink.until("on_snapshot")
    assert [(o.venue_id, o.state) for o in snapshot.orders] == [
        (1, OrderState.WORKING),
        (3, OrderState.FILLED),
        (4, OrderState.SUSPENDED),
    ]
    assert snapshot.positions[0].net == -2 and [f.voided for f in snapshot.fills] == [False, True]
    assert snapshot.account.balance_micro == 50_000_000_000 and snapshot.fills_since_ns == 1_795_000_000 * NS
    assert snapshot.begun_mono_ns <= snapshot.ended_mono_ns
    since = [heard.body["startTimestamp"] for heard in venue.heard if "startTimestamp" in heard.body]
    assert since == ["2026-11-18T11:06:40.0000000Z"] * 2


@pytest.mark.parametrize(
    ("path", "answer", "words"),
    [
        ("/api/Position/searchOpen", ok(positions=None), "does not prove an empty one"),
        ("/api/Position/searchOpen", ok(), "does not prove an empty one"),
        ("/api/Order/search", ok(), "does not prove an empty one"),
        ("/api/Order/v2/query", refused(1, "Account not found"), "Account not found"),
        ("/api/Trade/search", ok(trades=None), "does not prove an empty one"),
        ("/api/Order/searchOpen", refused(1, "Account not found"), "Account not found"),
        ("/api/Order/search", ok(orders=[order_row(), order_row(status=42)]), "status 42"),
        ("/api/Order/search", ok(orders=[order_row(accountId=7)]), "a row of account 7"),
        ("/api/Account/search", ok(accounts=[account_row(id=7)]), "does not show this account"),
        ("/api/Position/searchOpen", "garbage", "cannot be read"),
    ],
)
async def test_a_read_that_is_not_whole_failed(tmp_path: Path, path: str, answer: Any, words: str) -> None:
    venue, sink = ScriptedVenue(), RecordingSink()
    async with venue.serving(), running(settings_for(venue.url, tmp_path), sink) as desk:
        venue.on(path, lambda _: answer)
        desk.read(0)
        assert await sink.until("on_read_failed") == ACCOUNT
        reason = next(arguments[1] for name, arguments in sink.calls if name == "on_read_failed")
        assert words in reason and sink.of("on_snapshot") == []
        venue.handlers[path] = ScriptedVenue().handlers[path]
        desk.read(0)
        await sink.until("on_snapshot")


async def test_reads_without_the_newest_endpoint_go_on(tmp_path: Path) -> None:
    venue, sink = ScriptedVenue(), RecordingSink()
    venue.on("/api/Order/v2/query", lambda _: web.Response(status=404))
    async with venue.serving(), running(settings_for(venue.url, tmp_path), sink) as desk:
        desk.read(0)
        assert (await sink.until("on_snapshot")).orders == ()


async def test_many_live_orders_are_read_page_by_page(tmp_path: Path) -> None:
    venue, sink = ScriptedVenue(), RecordingSink()

    def page(body: dict[str, Any]) -> dict[str, Any]:
        first = body["pageOffset"]
        return ok(
            orders=[order_row(id=number + 1, status=8) for number in range(first, min(first + 500, 1200))]
        )

    venue.on("/api/Order/v2/query", page)
    async with venue.serving(), running(settings_for(venue.url, tmp_path), sink) as desk:
        desk.read(0)
        assert len((await sink.until("on_snapshot")).orders) == 1200


async def test_questions_during_a_read_become_one_read_that_starts_afterwards(tmp_path: Path) -> None:
    venue, sink, gate, begun = ScriptedVenue(), RecordingSink(), asyncio.Event(), asyncio.Event()

    async def gated(_: dict[str, Any]) -> dict[str, Any]:
        begun.set()
        await gate.wait()
        return ok(positions=[])

    async with venue.serving(), running(settings_for(venue.url, tmp_path), sink) as desk:
        venue.on("/api/Position/searchOpen", gated)
        desk.read(5 * 10**17)
        async with asyncio.timeout(PATIENCE):
            await begun.wait()
        asked = SystemClock().mono_ns()
        for since in (3, 2, 4):
            desk.read(since * 10**17)
        gate.set()
        second = await sink.until("on_snapshot", 2)
        desk.read_open()
        await sink.until("on_open")
    assert len(sink.of("on_snapshot")) == 2
    assert second.fills_since_ns == 2 * 10**17 and second.begun_mono_ns >= asked


async def test_an_open_read_is_two_requests_on_the_order_connections(tmp_path: Path) -> None:
    venue, sink = ScriptedVenue(), RecordingSink()
    venue.on("/api/Order/searchOpen", lambda _: ok(orders=[order_row()]))
    async with venue.serving(), running(settings_for(venue.url, tmp_path), sink) as desk:
        before = len(venue.heard)
        desk.read_open()
        snapshot = await sink.until("on_open")
        assert (snapshot.account_id, len(snapshot.orders), snapshot.positions) == (ACCOUNT, 1, ())
        assert sorted(venue.paths()[before:]) == ["/api/Order/searchOpen", "/api/Position/searchOpen"]
        venue.on("/api/Order/searchOpen", lambda _: web.Response(status=500))
        desk.read_open()
        await sink.until("on_read_failed")
    assert all(heard.headers.get("Accept-Encoding") is None for heard in venue.heard[before:])


async def test_a_product_it_does_not_know_silences_no_read(tmp_path: Path) -> None:
    venue, sink, unknown = ScriptedVenue(), RecordingSink(), "CON.F.US.XYZ.Z26"
    rows = [order_row(), order_row(id=9, contractId=unknown, limitPrice=0.1)]
    for path in ("search", "searchOpen", "v2/query"):
        venue.on(f"/api/Order/{path}", lambda _: ok(orders=rows))
    positions = [position_row(), position_row(contractId=unknown, type=2, size=3)]
    venue.on("/api/Position/searchOpen", lambda _: ok(positions=positions))
    async with venue.serving(), running(settings_for(venue.url, tmp_path), sink) as desk:
        desk.read_open()
        desk.read(0)
        for found in (await sink.until("on_open"), await sink.until("on_snapshot")):
            assert {position.contract: position.net for position in found.positions}[unknown] == -3
            (order,) = (order for order in found.orders if order.contract == unknown)
            assert (order.venue_id, order.limit_ticks) == (9, None)
        desk.close(unknown)
        assert (await sink.until("on_reply")).ref == unknown

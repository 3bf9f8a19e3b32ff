"""The adapter against a scripted venue: start, the order path, rolls, and that no secret escapes."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from aiohttp import web

from app.clock import MS, NS, SystemClock
from app.domain.events import Outcome, Request
from app.engine.ports import Venue
from app.engine.records import Happened, VenueCalled
from app.errors import LoginRefused, PlimsollError, SettingsError, Theirs, Unreachable
from app.risk.approved import Action
from app.venues.topstepx.adapter import TopstepX
from app.venues.topstepx.limiter import Lane
from tests.venues.topstepx.scripted import (
    ACCOUNT,
    CONTRACT,
    PATIENCE,
    QUICK,
    RecordingSink,
    ScriptedVenue,
    account_row,
    approved,
    contract_row,
    entry,
    jwt,
    ok,
    refused,
    running,
    settings_for,
    working,
)

PLACE = "/api/Order/place"


def submit(desk: TopstepX, **members: Any) -> str:
    order = entry(**members)
    desk.submit(approved(order, desk.encode_place(order)))
    return order.tag


# -- start


async def test_start_finds_account_and_contracts(tmp_path: Path) -> None:
    venue, sink = ScriptedVenue(), RecordingSink()
    expired = contract_row(id="CON.F.US.EP.U26", activeContract=False, tickSize=None)
    foreign = contract_row(id="CON.F.US.XYZ.Z26", symbolId="F.US.XYZ")
    venue.on("/api/Contract/available", lambda _: ok(contracts=[expired, foreign, contract_row()]))
    async with venue.serving(), running(settings_for(venue.url, tmp_path), sink) as desk:
        assert desk.contracts == {"ES": CONTRACT}
        assert sorted(venue.user.invocations) == [
            ("SubscribeAccounts", []),
            ("SubscribeOrders", [ACCOUNT]),
            ("SubscribePositions", [ACCOUNT]),
            ("SubscribeTrades", [ACCOUNT]),
        ]
        assert venue.market.invocations == [
            ("SubscribeContractQuotes", [CONTRACT]),
            ("SubscribeContractTrades", [CONTRACT]),
        ]
        assert sink.of("on_link") == [True]


async def test_an_empty_list_of_contracts_is_searched(tmp_path: Path) -> None:
    venue = ScriptedVenue()
    venue.on("/api/Contract/available", lambda _: ok(contracts=[]))
    micro = contract_row(id="CON.F.US.MES.Z26", symbolId="F.US.MES")
    venue.on("/api/Contract/search", lambda _: ok(contracts=[micro, contract_row()]))
    async with venue.serving(), running(settings_for(venue.url, tmp_path), RecordingSink()) as desk:
        assert desk.contracts == {"ES": CONTRACT}


async def test_takes_the_first_account_shown_when_none_is_listed(tmp_path: Path) -> None:
    venue = ScriptedVenue()
    async with (
        venue.serving(),
        running(settings_for(venue.url, tmp_path, accounts=()), RecordingSink()) as desk,
    ):
        assert desk.account_id == ACCOUNT


@pytest.mark.parametrize(
    ("path", "answer", "members", "error", "words"),
    [
        (
            "",
            None,
            {"accounts": (7,)},
            SettingsError,
            r"topstepx.accounts.*7 is not an active account.*1001 \(SIM-50K-1001\)",
        ),
        (
            "/api/Account/search",
            ok(accounts=[account_row(canTrade=False)]),
            {},
            SettingsError,
            "1001.*may not trade",
        ),
        ("/api/Account/search", ok(accounts=[]), {"accounts": ()}, SettingsError, "it has none"),
        ("/api/Account/search", ok(accounts=None), {}, Theirs, "does not prove"),
        ("", None, {"symbols": ("ES", "XYZ")}, SettingsError, "topstepx.symbols.*XYZ is not a known product"),
        (
            "/api/Contract/search",
            ok(contracts=[]),
            {"symbols": ("NQ",)},
            SettingsError,
            "NQ has no active contract",
        ),
        ("/api/Contract/available", ok(contracts=[contract_row(tickSize=0.5)]), {}, Theirs, "tick"),
        (
            "/api/Contract/available",
            ok(contracts=[contract_row(), contract_row(id="CON.F.US.EP.H27")]),
            {},
            Theirs,
            "2 active",
        ),
        ("", None, {"key": "wrong-key"}, LoginRefused, "invalid credentials"),
        ("/api/Auth/loginKey", web.Response, {}, Theirs, "cannot be read"),
    ],
)
async def test_start_fails_with_the_thing_and_what_to_do(
    tmp_path: Path, path: str, answer: Any, members: dict[str, Any], error: type[PlimsollError], words: str
) -> None:
    venue = ScriptedVenue()
    if path:
        venue.on(path, lambda _: answer() if callable(answer) else answer)
    async with venue.serving():
        desk = TopstepX(settings_for(venue.url, tmp_path, **members), SystemClock(), times=QUICK)
        desk.connect(RecordingSink())  # type: ignore[arg-type]
        with pytest.raises(error, match=words):
            await desk.start()
        await desk.stop()
        assert desk._session is None


async def test_start_fails_when_nobody_listens(tmp_path: Path) -> None:
    desk = TopstepX(settings_for("http://127.0.0.1:1", tmp_path), SystemClock(), times=QUICK)
    desk.connect(RecordingSink())  # type: ignore[arg-type]
    with pytest.raises(Unreachable):
        await desk.start()


def test_it_is_a_venue_as_the_engine_knows_it(tmp_path: Path) -> None:
    venue: Venue = TopstepX(
        settings_for("http://127.0.0.1:1", tmp_path), SystemClock()
    )  # held by the type check
    assert venue.encode_place(entry()).startswith(b'{"accountId":1001,')


def test_an_account_that_is_not_listed_is_refused(tmp_path: Path) -> None:
    with pytest.raises(SettingsError, match="7 is not listed"):
        TopstepX(settings_for("http://127.0.0.1:1", tmp_path), SystemClock(), 7)


# -- the order path


async def test_places_an_order_and_tells_its_id(tmp_path: Path) -> None:
    venue, sink = ScriptedVenue(), RecordingSink()
    venue.on(PLACE, lambda _: ok(orderId=71))
    async with venue.serving(), running(settings_for(venue.url, tmp_path), sink) as desk:
        tag = submit(desk)
        assert sink.names()[-2:] == ["may_send", "on_sent"]
        reply = await sink.until("on_reply")
    assert (reply.request, reply.ref, reply.outcome, reply.venue_id) == (
        Request.PLACE,
        tag,
        Outcome.ACCEPTED,
        71,
    )
    heard = venue.heard[-1]
    assert heard.body["stopLossBracket"] == {"ticks": -10, "type": 4} and "linkedOrderId" not in heard.body
    assert heard.headers["Authorization"] == f"Bearer {jwt(serial=1)}"
    called = sink.of("on_called")[-1]
    assert (called.endpoint, called.status, called.error_code, called.attempts) == (PLACE, 200, 0, 1)


async def test_both_entries_of_a_pair_leave_in_the_same_turn(tmp_path: Path) -> None:
    venue, sink = ScriptedVenue(), RecordingSink()
    venue.on(PLACE, lambda _: ok(orderId=71))
    async with venue.serving(), running(settings_for(venue.url, tmp_path), sink) as desk:
        submit(desk, tag="a")
        submit(desk, tag="b")
        assert len(sink.of("on_sent")) == 2
        await sink.until("on_reply", 2)


async def test_a_withheld_order_is_withdrawn_and_not_a_byte_of_it_leaves(tmp_path: Path) -> None:
    venue, sink = ScriptedVenue(), RecordingSink(may=lambda _: "halted after approval")
    async with venue.serving(), running(settings_for(venue.url, tmp_path), sink) as desk:
        submit(desk)
        assert sink.of("on_reply") == [] and sink.of("on_sent") == []
        reply = await sink.until("on_reply")
        assert (reply.outcome, reply.reason) == (Outcome.WITHDRAWN, "halted after approval")
        desk.read(0)
        await sink.until("on_snapshot")
    assert PLACE not in venue.paths()


async def test_an_order_of_another_account_is_not_sent(tmp_path: Path) -> None:
    venue, sink = ScriptedVenue(), RecordingSink()
    async with venue.serving(), running(settings_for(venue.url, tmp_path), sink) as desk:
        submit(desk, account_id=7)
        desk.cancel(working(account_id=7))
        assert [r.outcome for r in (await sink.until("on_reply"), await sink.until("on_reply", 2))] == [
            Outcome.WITHDRAWN
        ] * 2
    assert PLACE not in venue.paths() and "/api/Order/cancel" not in venue.paths()


async def test_an_order_beyond_the_budget_is_withdrawn(tmp_path: Path) -> None:
    venue, sink = ScriptedVenue(), RecordingSink()
    venue.on("/api/Order/cancel", lambda _: ok())
    async with venue.serving(), running(settings_for(venue.url, tmp_path), sink) as desk:
        while desk._limiter.take(SystemClock().mono_ns()) == 0:
            pass
        submit(desk)
        reply = await sink.until("on_reply")
        assert reply.outcome is Outcome.WITHDRAWN and "rate budget" in reply.reason
        desk.cancel(working())
        assert (await sink.until("on_reply", 2)).outcome is Outcome.ACCEPTED
        while desk._limiter.take(SystemClock().mono_ns(), Lane.KILL) == 0:
            pass
        desk.close(CONTRACT)
        assert (await sink.until("on_reply", 3)).outcome is Outcome.WITHDRAWN


async def cut(_: dict[str, Any]) -> web.Response:
    raise ConnectionResetError


@pytest.mark.parametrize(
    ("answer", "outcome", "status"),
    [
        (lambda _: refused(2, "Invalid price", orderId=5), Outcome.REJECTED, 200),
        (lambda _: web.Response(status=400), Outcome.REJECTED, 400),
        (lambda _: web.Response(status=401), Outcome.REJECTED, 401),
        (lambda _: web.Response(status=429, headers={"Retry-After": "3"}), Outcome.AMBIGUOUS, 429),
        (lambda _: web.Response(status=500), Outcome.AMBIGUOUS, 500),
        (lambda _: web.Response(text="<html>"), Outcome.AMBIGUOUS, 200),
        (lambda _: refused(7, "unknown"), Outcome.AMBIGUOUS, 200),
        (None, Outcome.AMBIGUOUS, 0),
        (cut, Outcome.AMBIGUOUS, 500),
    ],
)
async def test_each_place_ends_in_one_reply_and_is_never_repeated(
    tmp_path: Path, answer: Callable[[dict[str, Any]], Any] | None, outcome: Outcome, status: int
) -> None:
    venue, sink = ScriptedVenue(), RecordingSink()
    venue.on(PLACE, answer or venue.hang)
    times = replace(QUICK, order_ns=50 * MS) if answer is None else QUICK
    async with venue.serving(), running(settings_for(venue.url, tmp_path), sink, times) as desk:
        tag = submit(desk)
        reply = await sink.until("on_reply")
        assert (reply.ref, reply.outcome) == (tag, outcome)
        desk.read_open()
        await sink.until("on_open")
    assert venue.paths().count(PLACE) == 1 and len(sink.of("on_reply")) == 1
    assert [r.status for r in sink.of("on_called") if r.endpoint == PLACE] == [status]


async def test_a_401_on_a_place_renews_the_token(tmp_path: Path) -> None:
    venue, sink = ScriptedVenue(), RecordingSink()
    venue.on(PLACE, lambda _: web.Response(status=401))
    async with venue.serving(), running(settings_for(venue.url, tmp_path), sink) as desk:
        before = desk._rest.tokens.generation
        submit(desk)
        async with asyncio.timeout(PATIENCE):
            while desk._rest.tokens.generation == before:
                await asyncio.sleep(0)
        venue.on(PLACE, lambda _: ok(orderId=1))
        submit(desk, tag="again")
        assert (await sink.until("on_reply", 2)).outcome is Outcome.ACCEPTED
    assert venue.heard[-1].headers["Authorization"] == f"Bearer {desk._rest.tokens.reveal()}"


async def test_a_modify_goes_to_its_own_endpoint(tmp_path: Path) -> None:
    venue, sink = ScriptedVenue(), RecordingSink()
    venue.on("/api/Order/modify", lambda _: ok())
    async with venue.serving(), running(settings_for(venue.url, tmp_path), sink) as desk:
        order = working()
        desk.submit(approved(order, desk.encode_modify(order, None, 26810, None), Action.MODIFY))
        reply = await sink.until("on_reply")
    assert (reply.request, reply.outcome) == (Request.MODIFY, Outcome.ACCEPTED)
    assert venue.heard[-1].body == {"accountId": ACCOUNT, "orderId": 70, "stopPrice": 6702.5}


async def test_the_same_cancel_or_close_is_under_way_once(tmp_path: Path) -> None:
    venue, sink = ScriptedVenue(), RecordingSink()
    venue.on("/api/Order/cancel", lambda _: ok())
    venue.on("/api/Position/closeContract", lambda _: refused(2, "no position"))
    async with venue.serving(), running(settings_for(venue.url, tmp_path), sink) as desk:
        for _ in range(3):
            desk.cancel(working())
            desk.close(CONTRACT)
        replies = [await sink.until("on_reply"), await sink.until("on_reply", 2)]
        assert {(r.request, r.outcome) for r in replies} == {
            (Request.CANCEL, Outcome.ACCEPTED),
            (Request.CLOSE, Outcome.REJECTED),
        }
        desk.cancel(working())
        await sink.until("on_reply", 3)
    assert (
        venue.paths().count("/api/Order/cancel") == 2
        and venue.paths().count("/api/Position/closeContract") == 1
    )


async def test_an_order_without_a_venue_id_cannot_be_cancelled_yet(tmp_path: Path) -> None:
    venue, sink = ScriptedVenue(), RecordingSink()
    async with venue.serving(), running(settings_for(venue.url, tmp_path), sink) as desk:
        desk.cancel(entry())
        assert (await sink.until("on_reply")).outcome is Outcome.WITHDRAWN


async def test_kill_traffic_passes_while_every_other_connection_hangs(tmp_path: Path) -> None:
    venue, sink = ScriptedVenue(), RecordingSink()
    for path in (PLACE, "/api/Account/search", "/api/History/retrieveBars"):
        venue.on(path, venue.hang)
    venue.on("/api/Order/cancel", lambda _: ok())
    venue.on("/api/Position/closeContract", lambda _: ok())
    async with venue.serving():
        settings = settings_for(venue.url, tmp_path, pool_limit=2)
        venue.on("/api/Account/search", lambda _: ok(accounts=[account_row()]))
        async with running(settings, sink, replace(QUICK, order_ns=60 * NS, read_ns=60 * NS)) as desk:
            venue.on("/api/Account/search", venue.hang)
            desk.read(0)
            for number in range(10):
                submit(desk, tag=f"t{number}")
            desk.cancel(working())
            desk.close(CONTRACT)
            desk.read_open()
            await sink.until("on_reply", 2)
            await sink.until("on_open")
            assert {r.request for r in sink.of("on_reply")} == {Request.CANCEL, Request.CLOSE}


# -- rolls, secrets


async def test_a_roll_is_an_alarm_and_both_contracts_are_followed(tmp_path: Path) -> None:
    venue, sink = ScriptedVenue(), RecordingSink()
    async with (
        venue.serving(),
        running(settings_for(venue.url, tmp_path), sink, replace(QUICK, roll_ns=NS // 100)) as desk,
    ):
        venue.on("/api/Contract/available", lambda _: ok(contracts=[contract_row(id="CON.F.US.EP.H27")]))
        await venue.market.until(
            lambda: ("SubscribeContractTrades", ["CON.F.US.EP.H27"]) in venue.market.invocations
        )
        assert desk.contracts == {"ES": "CON.F.US.EP.H27"}
        alarms = [record for record in sink.of("on_called") if isinstance(record, Happened)]
        assert [(alarm.level, alarm.code) for alarm in alarms] == [("alarm", "contract.rolled")]
        assert venue.market.invocations[-4:][0] == ("SubscribeContractQuotes", [CONTRACT])


async def test_no_secret_is_ever_told(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level(logging.DEBUG)
    venue, sink = ScriptedVenue(), RecordingSink()
    venue.on(PLACE, lambda _: web.Response(status=500))
    async with venue.serving(), running(settings_for(venue.url, tmp_path), sink) as desk:
        venue.market.refuse_status = 403
        await venue.market.sockets[-1].send_str('{"type":7}\x1e')
        submit(desk)
        await sink.until("on_reply")
        await sink.until("on_link", 3)
        told = (
            caplog.text
            + repr(sink.calls)
            + repr(vars(desk))
            + repr(desk._desk)
            + repr(vars(desk._desk.heads))
        )
    for secret in ("demo-key", "c2lnbmF0dXJl"):
        assert secret not in caplog.text + repr(sink.calls) and secret not in repr(desk._settings)
    assert "HTTP 403" in told


async def test_every_call_is_told_once(tmp_path: Path) -> None:
    venue, sink = ScriptedVenue(), RecordingSink()
    async with venue.serving(), running(settings_for(venue.url, tmp_path), sink) as desk:
        desk.read(0)
        await sink.until("on_snapshot")
    calls = [record.endpoint for record in sink.of("on_called") if isinstance(record, VenueCalled)]
    assert sorted(calls) == sorted(venue.paths())

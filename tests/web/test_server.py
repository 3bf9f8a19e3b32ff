"""Every route through its guards, each guard refusing once, and the stream over a real socket."""

from __future__ import annotations

import asyncio
import json
import socket
from collections.abc import AsyncIterator
from contextlib import AsyncExitStack, asynccontextmanager, suppress
from dataclasses import replace
from pathlib import Path
from typing import cast
from unittest.mock import patch

import pytest
from aiohttp import StreamReader

from app.clock import NS, SystemClock, VirtualClock
from app.engine.commands import Commands
from app.errors import Refused, SettingsError
from app.web import bodies, server
from app.web.assets import PAGE_BYTES_MAX, assets
from app.web.bodies import BODIES_MAX, BODIES_OF_ONE, BODY_LIMIT, Bodies
from app.web.front import Place
from app.web.guard import HEADERS
from app.web.login import PasswordFile
from app.web.server import Web
from tests.guards import PATIENCE
from tests.web.pictures import ACTIVE, FRESH, HALTED, FakeEngine
from tests.web.visitor import Site, open_site

PASSWORD = "a good password"


@pytest.fixture
async def site(tmp_path: Path) -> AsyncIterator[Site]:
    """Without a password."""
    async with open_site(tmp_path) as opened:
        yield opened


@pytest.fixture
async def guarded(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> AsyncIterator[Site]:
    """With a password, and a hash quick enough for tests."""
    monkeypatch.setattr("app.web.login.SCRYPT_N", 2**4)
    async with open_site(tmp_path, password=PASSWORD) as opened:
        yield opened


async def test_shows_the_state_before_any_script_runs(site: Site) -> None:
    page = (await site.ask("GET", "/")).body.decode()
    assert '<h1 class="state" id="state">Active</h1>' in page
    assert "+204.94" in page and "SIM-50K-1001" in page and "6,001.25 at the venue" in page
    assert "plimsoll passwd" in page and 'data-access="reader"' in page


async def test_keeps_the_first_visit_within_its_budget(site: Site) -> None:
    page = await site.ask("GET", "/")
    total = len(page.body) + sum(len(asset.body) for asset in assets().values())
    assert total <= PAGE_BYTES_MAX


async def test_sends_the_security_headers_with_every_answer(site: Site) -> None:
    paths = ("/", "/healthz", "/metrics", "/api/snapshot", "/static/app.js", "/nowhere", "/api/rearm")
    for path in paths:
        headers = (await site.ask("GET", path)).headers
        for name, value in HEADERS.items():
            if name != "Cache-Control" or not path.startswith("/static"):
                assert headers[name] == value, (path, name)
        assert "Access-Control-Allow-Origin" not in headers


async def test_answers_304_to_a_known_asset(site: Site) -> None:
    first = await site.ask("GET", "/static/style.css")
    again = await site.ask("GET", "/static/style.css", {"If-None-Match": first.headers["ETag"]})
    assert (first.status, again.status, again.body) == (200, 304, b"")
    assert not first.headers["ETag"].startswith("W/")


async def test_healthz_is_200_when_well_even_if_halted(tmp_path: Path) -> None:
    async with open_site(tmp_path, engine=FakeEngine(HALTED)) as site:
        answer = await site.ask("GET", "/healthz")
        assert (answer.status, answer.json["ok"], answer.json["state"]) == (200, True, "halted")
        assert answer.json["reasons"][0]["code"] == "halt"


@pytest.mark.parametrize(
    "view", [FRESH, replace(ACTIVE, journal="disk full"), replace(ACTIVE, link_up=False)]
)
async def test_healthz_is_503_when_ill(tmp_path: Path, view: object) -> None:
    async with open_site(tmp_path, engine=FakeEngine(view)) as site:  # type: ignore[arg-type]
        answer = await site.ask("GET", "/healthz")
        assert answer.status == 503 and answer.json["problems"]


async def test_anybody_reads_the_metrics_and_no_figure_of_the_account(site: Site, guarded: Site) -> None:
    for one in (site, guarded):
        answer = await one.ask("GET", "/metrics")
        assert answer.status == 200
        assert answer.headers["Content-Type"] == "text/plain; version=0.0.4; charset=utf-8"
        assert b'plimsoll_trading_state{state="active"} 1' in answer.body and b"50000" not in answer.body


async def test_stops_entries_without_a_login(site: Site, guarded: Site) -> None:
    for one in (site, guarded):
        answer = await one.post("/api/stop-entries")
        assert answer.status == 200
        assert one.engine.asked == [("halt", "page 127.0.0.1", "stop entries")]


async def test_flattens_for_the_owner_alone(guarded: Site) -> None:
    assert (await guarded.log_in(PASSWORD)).status == 200
    assert (await guarded.post("/api/flatten", {"why": "enough"})).status == 200
    assert (await guarded.post("/api/halt")).status == 200
    assert guarded.engine.asked == [
        ("flatten", "owner 127.0.0.1", "enough"),
        ("halt", "owner 127.0.0.1", "from the page"),
    ]


async def test_logout_ends_the_session(guarded: Site) -> None:
    await guarded.log_in(PASSWORD)
    assert (await guarded.post("/api/logout")).status == 200
    assert (await guarded.post("/api/flatten")).status == 401


async def test_cookie_is_opaque_and_kept_from_scripts(guarded: Site) -> None:
    first, second = await guarded.log_in(PASSWORD), await guarded.log_in(PASSWORD)
    for part in ("HttpOnly", "SameSite=Strict", "Path=/"):
        assert part in first.headers["Set-Cookie"]
    assert first.headers["Set-Cookie"] != second.headers["Set-Cookie"]


async def test_tells_why_a_rule_said_no(guarded: Site) -> None:
    await guarded.log_in(PASSWORD)
    guarded.engine.refuse = Refused("flatten.test", 1, 2)
    answer = await guarded.post("/api/flatten")
    assert (answer.status, answer.json["rule"]) == (409, "flatten.test")


@pytest.mark.parametrize("path", ["/api/flatten", "/api/halt", "/api/logout"])
async def test_refuses_changes_without_a_password_set(site: Site, path: str) -> None:
    answer = await site.post(path)
    assert (answer.status, site.engine.asked) == (401, [])
    assert "plimsoll passwd" in answer.json["error"]


@pytest.mark.parametrize("cookie", ["", "plimsoll=", "plimsoll=00", f"plimsoll={'0' * 32}"])
async def test_refuses_changes_without_a_login(guarded: Site, cookie: str) -> None:
    guarded.cookie = cookie
    for path in ("/api/flatten", "/api/halt", "/api/logout"):
        assert (await guarded.post(path)).status == 401
    assert guarded.engine.asked == []


async def test_refuses_to_be_read_without_a_login(guarded: Site) -> None:
    for path in ("/api/snapshot", "/api/live"):
        assert (await guarded.ask("GET", path)).status == 401
    page = (await guarded.ask("GET", "/")).body.decode()
    assert "SIM-50K-1001" not in page and "204.94" not in page
    assert 'id="login"' in page and 'id="stop"' in page


@pytest.mark.parametrize("method", ["GET", "POST", "PUT", "DELETE"])
@pytest.mark.parametrize("path", ["/api/rearm", "/api/accept-difference", "/api/orders/rearm"])
async def test_refuses_rearm_on_the_web(guarded: Site, method: str, path: str) -> None:
    await guarded.log_in(PASSWORD)
    answer = await guarded.ask(method, path, {"Content-Type": "application/json", "X-Plimsoll": "1"}, b"{}")
    assert answer.status in (404, 405)
    assert guarded.engine.asked == []


@pytest.mark.parametrize("method", ["GET", "HEAD", "PUT", "DELETE", "PATCH", "OPTIONS"])
async def test_refuses_changes_by_another_method(site: Site, method: str) -> None:
    assert (await site.ask(method, "/api/stop-entries")).status == 405
    assert site.engine.asked == []


@pytest.mark.parametrize(
    ("override", "status"),
    [
        ({"Content-Type": "text/plain"}, 415),
        ({"Content-Type": "application/x-www-form-urlencoded"}, 415),
        ({"Content-Type": ""}, 415),
        ({"X-Plimsoll": ""}, 403),
        ({"X-Plimsoll": "0"}, 403),
        ({"Origin": "null"}, 403),
        ({"Origin": "http://evil.example"}, 403),
        ({"Origin": "https://127.0.0.1"}, 403),
        ({"Origin": "http://127.0.0.1:1"}, 403),
        ({"Sec-Fetch-Site": "cross-site"}, 403),
        ({"Sec-Fetch-Site": "same-site"}, 403),
        ({"Host": "evil.example"}, 421),
        ({"Host": "127.0.0.1.evil.example:8080"}, 421),
        ({"Host": "192.0.2.7"}, 421),
        ({"Host": "desk.example.evil"}, 421),
        ({"Host": "[::1]"}, 421),
        ({"Host": "user@127.0.0.1"}, 421),
    ],
)
async def test_refuses_a_forged_change(site: Site, override: dict[str, str], status: int) -> None:
    answer = await site.post("/api/stop-entries", headers=override)
    assert (answer.status, site.engine.asked) == (status, [])


@pytest.mark.parametrize(
    "host", ["localhost", "LOCALHOST:8080", "desk.example", "Desk.Example.:80", "127.0.0.1"]
)
async def test_answers_to_its_own_names(site: Site, host: str) -> None:
    assert (await site.ask("GET", "/healthz", {"Host": host})).status == 200


async def test_accepts_its_own_origin(site: Site) -> None:
    headers = {"Origin": f"http://127.0.0.1:{site.port}", "Sec-Fetch-Site": "same-origin"}
    assert (await site.post("/api/stop-entries", headers=headers)).status == 200


async def test_refuses_reads_from_another_site(site: Site) -> None:
    for headers in ({"Sec-Fetch-Site": "cross-site"}, {"Origin": "http://evil.example"}):
        assert (await site.ask("GET", "/api/live", headers)).status == 403


@pytest.mark.parametrize(
    "path",
    [
        "/static/../server.py",
        "/static/%2e%2e/server.py",
        "/static//app.js",
        "/static/",
        "/static/app.js/..",
        "/.git",
    ],
)
async def test_refuses_paths_beside_the_map(site: Site, path: str) -> None:
    assert (await site.ask("GET", path)).status == 404


async def test_refuses_a_body_over_the_limit(guarded: Site) -> None:
    await guarded.log_in(PASSWORD)
    assert (await guarded.post("/api/flatten", {"why": "x" * BODY_LIMIT})).status == 413
    assert (await guarded.post("/api/flatten", {"why": "x" * (BODY_LIMIT - 100)})).status == 200
    assert len(guarded.engine.asked) == 1 and len(guarded.engine.asked[0][2]) <= 200


@asynccontextmanager
async def slow_logins(site: Site, count: int, source: str) -> AsyncIterator[list[asyncio.StreamReader]]:
    """So many logins from one address of this machine, of whose bodies a byte has come; what answers them."""
    head = "POST /api/login HTTP/1.1\r\nHost: localhost\r\nContent-Type: application/json\r\n"
    more = "X-Plimsoll: 1\r\nConnection: close\r\n"
    bodies, slow = site.web._entrance.bodies, []
    begun = asyncio.Semaphore(0)

    async def noticed(content: StreamReader, source: str) -> bytes:
        begun.release()
        return await Bodies.read(bodies, content, source)

    with patch.object(bodies, "read", noticed):
        async with asyncio.timeout(PATIENCE):
            for _ in range(count):
                place = {"host": "127.0.0.1", "port": site.port, "local_addr": (source, 0)}
                slow.append(await asyncio.open_connection(**place))
                slow[-1][1].write(f"{head}{more}Content-Length: 9\r\n\r\n{{".encode())
                await begun.acquire()
    try:
        yield [reader for reader, _ in slow]
    finally:
        async with asyncio.timeout(PATIENCE):
            for reader, writer in slow:  # to their end, so that nobody serves them any more
                writer.write(b" " * 7 + b"}")
                with suppress(ConnectionError):
                    await reader.read()
                writer.close()


@pytest.mark.parametrize("source", ["127.0.0.1", "127.0.0.2"])
async def test_slow_bodies_keep_nobody_out(guarded: Site, source: str) -> None:
    """Of another address, nor of the same: behind a router or a proxy all are one."""
    async with slow_logins(guarded, BODIES_MAX, source):
        assert (await guarded.log_in(PASSWORD)).status == 200
        assert (await guarded.post("/api/stop-entries")).status == 200


async def test_slow_bodies_of_many_addresses_keep_nobody_out(guarded: Site) -> None:
    async with AsyncExitStack() as stack:
        for number in range(2, 2 + BODIES_MAX):
            await stack.enter_async_context(slow_logins(guarded, 1, f"127.0.0.{number}"))
        assert (await guarded.log_in(PASSWORD)).status == 200


async def test_the_oldest_slow_body_of_an_address_makes_room_and_no_other(guarded: Site) -> None:
    async with (
        slow_logins(guarded, 1, "127.0.0.3") as (other,),
        slow_logins(guarded, BODIES_OF_ONE + 1, "127.0.0.2") as (first, second, *_),
        asyncio.timeout(PATIENCE),
    ):
        assert b" 408 " in await first.readline()
        assert not second._buffer and not other._buffer


class Never:
    """A body of which no byte comes."""

    async def iter_any(self) -> AsyncIterator[bytes]:
        yield await asyncio.get_running_loop().create_future()


async def test_a_body_whose_time_is_over_this_moment_makes_room_too(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(bodies, "BODY_SECONDS", 0)
    monkeypatch.setattr(bodies, "BODIES_OF_ONE", 1)
    reading, never = Bodies(), cast(StreamReader, Never())
    first = asyncio.create_task(reading.read(never, "a"))
    await asyncio.sleep(0)  # it begins
    await asyncio.sleep(0)  # its time is over, and it does not know yet
    with pytest.raises(TimeoutError):
        await reading.read(never, "a")
    with pytest.raises(TimeoutError):
        await first


async def test_refuses_a_body_that_takes_too_long(guarded: Site, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(bodies, "BODY_SECONDS", 0)
    head = "POST /api/login HTTP/1.1\r\nHost: localhost\r\nContent-Type: application/json\r\n"
    answer = await guarded.raw(f"{head}X-Plimsoll: 1\r\nContent-Length: 9\r\n\r\n".encode())
    assert answer.status == 408


@pytest.mark.parametrize("body", [b"[]", b"1", b"{", b"\xff", b"{}{}"])
async def test_refuses_a_body_that_is_no_object(guarded: Site, body: bytes) -> None:
    await guarded.log_in(PASSWORD)
    headers = {"Content-Type": "application/json", "X-Plimsoll": "1"}
    assert (await guarded.ask("POST", "/api/flatten", headers, body)).status == 400
    assert guarded.engine.asked == []


@pytest.mark.parametrize("password", ["", "wrong password", None, 7, ["a good password"], "x" * 129])
async def test_refuses_a_wrong_password(guarded: Site, password: object) -> None:
    answer = await guarded.post("/api/login", {"password": password})
    assert answer.status == 401 and "Set-Cookie" not in answer.headers


async def test_refuses_a_flood_of_logins_yet_stops_entries(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("app.web.login.SCRYPT_N", 2**4)
    async with open_site(tmp_path, password=PASSWORD, clock=VirtualClock(NS)) as guarded:
        statuses = [(await guarded.post("/api/login", {"password": "wrong"})).status for _ in range(6)]
        assert statuses == [401, 401, 401, 429, 429, 429]
        assert (await guarded.log_in(PASSWORD)).status == 429
        assert (await guarded.post("/api/stop-entries")).status == 200


async def test_refuses_an_internal_error_with_nothing_but_its_name(
    site: Site, caplog: pytest.LogCaptureFixture
) -> None:
    site.engine.refuse = RuntimeError("secret detail")
    answer = await site.post("/api/stop-entries")
    assert answer.status == 500 and b"secret" not in answer.body
    assert "secret detail" in caplog.text


@pytest.mark.parametrize(
    "data", [b"\x00\x01\r\n\r\n", b"GET / HTTP/9.9\r\n\r\n", b"GET /\xff HTTP/1.1\r\n\r\n"]
)
async def test_refuses_bytes_that_are_no_request(site: Site, data: bytes) -> None:
    assert (await site.raw(data)).status >= 400
    assert (await site.ask("GET", "/healthz")).status == 200


async def test_refuses_a_head_over_the_limit(site: Site) -> None:
    assert (await site.ask("GET", "/", {"X-Long": "x" * 9000})).status == 400
    many = {f"X-{n}": "1" for n in range(200)}
    assert (await site.ask("GET", "/", many)).status == 400


async def test_refuses_a_port_in_use(site: Site, tmp_path: Path) -> None:
    engine = FakeEngine()
    file = PasswordFile(tmp_path / "p")
    place = Place("127.0.0.1", site.port)
    second = Web(SystemClock(), Commands(engine), engine.snapshot, file, place)
    with pytest.raises(SettingsError, match=rf"web\.port; port {site.port} is in use"):
        await second.start()
    await second.stop()


@pytest.mark.parametrize("host", ["0.0.0.0", "::", "192.168.1.5", "example.org"])
async def test_refuses_the_network_until_a_password_is_set(tmp_path: Path, host: str) -> None:
    file = PasswordFile(tmp_path / "p")
    with pytest.raises(SettingsError, match="plimsoll passwd") as refused:
        server.check_place(Place(host, 0), file)
    assert refused.value.exit_code == 2
    file.path.write_text("{}")
    server.check_place(Place(host, 0), file)


async def _events(reader: asyncio.StreamReader, count: int) -> list[dict[str, dict[str, str]]]:
    found: list[dict[str, dict[str, str]]] = []
    async with asyncio.timeout(PATIENCE):
        while len(found) < count:
            line = await reader.readline()
            assert line, "the stream ended"
            if line.startswith(b"data: "):
                found.append(json.loads(line[6:]))
    return found


async def _listen(site: Site) -> tuple[asyncio.StreamReader, asyncio.StreamWriter]:
    reader, writer = await asyncio.open_connection("127.0.0.1", site.port)
    cookie = f"Cookie: {site.cookie}\r\n" if site.cookie else ""
    writer.write(f"GET /api/live HTTP/1.1\r\nHost: localhost\r\n{cookie}\r\n".encode())
    return reader, writer


async def test_stream_tells_everything_once_then_what_changed(
    site: Site, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("app.web.live.INTERVAL_NS", 0)
    monkeypatch.setattr("app.web.live.PAUSE_MAX_NS", 1_000_000)
    reader, writer = await _listen(site)
    first, quiet = await _events(reader, 2)
    assert first["c"]["t.net"] == '<b class="pos">+204.94</b>' and first["f"]["state"] == "active"
    assert quiet == {}
    site.engine.view = HALTED
    while not (told := (await _events(reader, 1))[0]):
        pass  # what was sent before
    assert set(told["s"]) == {"state"} and told["f"]["state"] == "halted"
    writer.close()


async def test_refuses_one_stream_too_many(site: Site, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(server, "STREAMS_MAX", 1)
    reader, writer = await _listen(site)
    await _events(reader, 1)
    assert (await site.ask("GET", "/api/live")).status == 503
    writer.close()


async def test_refuses_the_stream_after_logout(guarded: Site, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("app.web.live.PAUSE_MAX_NS", 1_000_000)
    await guarded.log_in(PASSWORD)
    reader, writer = await _listen(guarded)
    await _events(reader, 1)
    await guarded.post("/api/logout")
    async with asyncio.timeout(PATIENCE):
        end = await reader.readuntil(b"\r\n0\r\n\r\n")  # the stream's end, as chunks say it
    assert end.endswith(b"\r\n0\r\n\r\n")
    writer.close()


async def test_refuses_the_stream_to_http_1_0_which_has_no_chunks(site: Site) -> None:
    answer = await site.raw(b"GET /api/live HTTP/1.0\r\nHost: localhost\r\n\r\n")
    assert answer.status == 505 and "HTTP/1.1" in answer.json["error"]


async def test_a_reader_that_never_reads_leaves_the_others_their_stream(
    site: Site, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("app.web.live.INTERVAL_NS", 0)
    monkeypatch.setattr("app.web.live.PAUSE_MAX_NS", 1_000_000)
    stuck = socket.create_connection(("127.0.0.1", site.port))
    stuck.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 1)
    stuck.sendall(b"GET /api/live HTTP/1.1\r\nHost: localhost\r\n\r\n")
    reader, writer = await _listen(site)
    events = await _events(reader, 300)
    assert events[0]["f"]["state"] == "active" and site.web._live.streams == 2
    stuck.close()
    writer.close()

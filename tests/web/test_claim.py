"""The first password from the page: one code, once, ten minutes; and what a stranger on the LAN may do."""

from __future__ import annotations

import asyncio
import errno
import json
import os
import stat
from collections.abc import AsyncIterator, Iterator
from pathlib import Path

import pytest

from app.cli import main
from app.clock import NS, VirtualClock
from app.engine.commands import ALLOWED
from app.errors import SettingsError
from app.web.claim import CODE_BYTES, CODE_FILE, LIFE_NS, SetupCode
from app.web.front import Place
from app.web.login import PasswordFile
from app.web.server import check_place
from tests.web.visitor import Site, open_site

PASSWORD = "a first password"
LAN = Place("0.0.0.0", 0, ("desk.lan",))
FROM_LAN = {"Host": "desk.lan"}


@pytest.fixture(autouse=True)
def quick(monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    monkeypatch.setattr("app.web.login.SCRYPT_N", 2**4)
    yield


@pytest.fixture
def clock() -> VirtualClock:
    return VirtualClock(1_700_000_000 * NS, 50 * NS)


@pytest.fixture
def made(tmp_path: Path, clock: VirtualClock) -> tuple[SetupCode, str]:
    codes = SetupCode(tmp_path / CODE_FILE, clock)
    return codes, codes.make()


@pytest.fixture
async def site(tmp_path: Path, clock: VirtualClock, made: tuple[SetupCode, str]) -> AsyncIterator[Site]:
    async with open_site(tmp_path, clock=clock, codes=made[0], place=LAN) as opened:
        yield opened


def again(codes: SetupCode, clock: VirtualClock) -> SetupCode:
    """As the next start of the service sees it."""
    found = SetupCode(codes._path, clock)
    found.begin()
    return found


def test_a_code_is_80_bits_and_its_file_tells_nobody(tmp_path: Path, made: tuple[SetupCode, str]) -> None:
    code, file = made[1], tmp_path / CODE_FILE
    plain = code.replace("-", "")
    assert len(plain) * 5 == CODE_BYTES * 8 == 80
    assert stat.S_IMODE(file.stat().st_mode) == 0o600
    assert plain not in file.read_text()
    assert SetupCode(file, VirtualClock(0)).make() != code


def test_a_code_ends_ten_minutes_after_the_start_that_asks_for_it(
    clock: VirtualClock, made: tuple[SetupCode, str]
) -> None:
    codes, code = made
    clock.advance(30 * 24 * 3600 * NS)  # an appliance may lie in its box for a month
    assert codes.waits() and not codes.live()
    codes.begin()
    clock.advance(LIFE_NS - 1)
    assert codes.live() and codes.right(code.lower().replace("-", " "))
    clock.advance(1)
    assert not codes.live() and not codes.right(code) and not codes.waits()


def test_a_restart_gives_no_more_time(clock: VirtualClock, made: tuple[SetupCode, str]) -> None:
    made[0].begin()
    clock.advance(LIFE_NS - NS)
    second = again(made[0], clock)
    assert second.live()
    clock.advance(NS)
    assert not second.live() and not again(made[0], clock).live()
    assert json.loads(made[0]._path.read_text()) == {"over": True}


def test_a_clock_that_is_set_right_after_a_reboot_does_not_wake_it(
    clock: VirtualClock, made: tuple[SetupCode, str]
) -> None:
    made[0].begin()
    behind = VirtualClock(clock.utc_ns() - 3600 * NS, 60 * NS)  # a board without a battery
    assert not again(made[0], behind).live()
    assert not again(made[0], VirtualClock(clock.utc_ns() + 30 * NS, 80 * NS)).live()


def test_a_reboot_or_a_clock_that_was_set_ends_it(clock: VirtualClock, made: tuple[SetupCode, str]) -> None:
    made[0].begin()
    rebooted = VirtualClock(clock.utc_ns() + 30 * NS, NS)
    for other in (rebooted, VirtualClock(0, clock.mono_ns()), VirtualClock(2**62, clock.mono_ns())):
        found = SetupCode(made[0]._path, other)
        assert not found.waits()
    assert not again(made[0], rebooted).live()


@pytest.mark.parametrize(
    "text",
    ["", "{", "[]", '{"hash": 1}', '{"hash": "a", "begun": 1}', '{"hash": "a", "begun": "x"}', '{"over": 1}'],
)
def test_a_file_that_makes_no_sense_is_no_code(tmp_path: Path, clock: VirtualClock, text: str) -> None:
    (tmp_path / CODE_FILE).write_text(text)
    codes = SetupCode(tmp_path / CODE_FILE, clock)
    codes.begin()
    assert not codes.live() and not codes.waits() and not codes.unused() and not codes.right("")


async def test_sets_the_first_password_once(site: Site, made: tuple[SetupCode, str], tmp_path: Path) -> None:
    page = (await site.ask("GET", "/", FROM_LAN)).body.decode()
    assert 'data-claim="yes"' in page and 'data-access="reader"' in page
    answer = await site.post("/api/claim", {"code": made[1], "password": PASSWORD}, FROM_LAN)
    assert answer.status == 200
    site.cookie = answer.headers["Set-Cookie"].partition(";")[0]
    assert (await site.post("/api/flatten", {"why": "enough"}, FROM_LAN)).status == 200
    assert not (tmp_path / CODE_FILE).exists()
    site.cookie = ""
    replayed = await site.post("/api/claim", {"code": made[1], "password": "another password"}, FROM_LAN)
    assert (replayed.status, replayed.json["error"]) == (401, "a password is set already: log in")
    assert (await site.log_in(PASSWORD)).status == 200
    assert 'data-claim="yes"' not in (await site.ask("GET", "/", FROM_LAN)).body.decode()


async def test_two_claims_at_once_set_one_password(site: Site, made: tuple[SetupCode, str]) -> None:
    tries = [site.post("/api/claim", {"code": made[1], "password": f"password {n}"}) for n in range(2)]
    assert sorted(answer.status for answer in await asyncio.gather(*tries)) == [200, 401]


async def test_refuses_guesses_ever_more_slowly(site: Site, made: tuple[SetupCode, str]) -> None:
    guess = {"code": "AAAA-AAAA-AAAA-AAAA", "password": PASSWORD}
    assert [(await site.post("/api/claim", guess)).status for _ in range(5)] == [401, 401, 401, 429, 429]
    assert (await site.post("/api/claim", {"code": made[1], "password": PASSWORD})).status == 429
    assert (await site.post("/api/stop-entries")).status == 200


@pytest.mark.parametrize(
    ("body", "status"),
    [
        ({}, 401),
        ({"code": 7, "password": PASSWORD}, 401),
        ({"code": "", "password": PASSWORD}, 401),
        ({"code": "x" * 60_000, "password": PASSWORD}, 401),
        ({"code": "é", "password": PASSWORD}, 401),
        ({"code": "right", "password": "short"}, 409),
        ({"code": "right", "password": "x" * 129}, 409),
    ],
)
async def test_refuses_what_is_no_claim_and_spends_nothing(
    site: Site, made: tuple[SetupCode, str], body: dict[str, object], status: int
) -> None:
    if body.get("code") == "right":
        body = {**body, "code": made[1]}
    assert (await site.post("/api/claim", body)).status == status
    assert made[0].right(made[1])


async def test_a_disk_that_cannot_keep_the_password_spends_nothing(
    site: Site, made: tuple[SetupCode, str], monkeypatch: pytest.MonkeyPatch
) -> None:
    def full(*_: object) -> None:
        raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))

    with monkeypatch.context() as planted:
        planted.setattr(PasswordFile, "write", full)
        answer = await site.post("/api/claim", {"code": made[1], "password": PASSWORD})
    assert answer.status == 503 and "No space left" in answer.json["error"]
    assert (await site.post("/api/claim", {"code": made[1], "password": PASSWORD})).status == 200


async def test_a_disk_that_cannot_remember_the_start_takes_no_code(
    tmp_path: Path, made: tuple[SetupCode, str], monkeypatch: pytest.MonkeyPatch
) -> None:
    def full(*_: object) -> None:
        raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))

    monkeypatch.setattr("app.web.claim.replace_file", full)
    async with open_site(tmp_path, codes=made[0], place=LAN) as site:
        assert (await site.post("/api/claim", {"code": made[1], "password": PASSWORD})).status == 401
        assert (await site.ask("GET", "/api/snapshot")).status == 401
        assert (await site.post("/api/stop-entries")).status == 200


async def test_a_stranger_on_the_lan_reads_and_stops_and_nothing_else(site: Site) -> None:
    assert (await site.ask("GET", "/api/snapshot", FROM_LAN)).status == 200
    assert (await site.post("/api/stop-entries", None, FROM_LAN)).status == 200
    asked = len(site.engine.asked)
    for path in ("/api/flatten", "/api/halt", "/api/logout"):
        assert (await site.post(path, None, FROM_LAN)).status == 401
    for path in ("/api/rearm", "/api/command", "/api/accept-difference"):
        for method in ("POST", "GET", "PUT"):
            headers = FROM_LAN | {"Content-Type": "application/json", "X-Plimsoll": "1"}
            assert (await site.ask(method, path, headers, b'{"command": "rearm"}')).status == 404
    assert len(site.engine.asked) == asked
    assert "rearm" not in ALLOWED["page"] | ALLOWED["anyone"]


async def test_nobody_rearms_from_the_lan_with_the_password_either(
    site: Site, made: tuple[SetupCode, str]
) -> None:
    answer = await site.post("/api/claim", {"code": made[1], "password": PASSWORD}, FROM_LAN)
    site.cookie = answer.headers["Set-Cookie"].partition(";")[0]
    assert (await site.post("/api/rearm", {"why": "please"}, FROM_LAN)).status == 404
    assert site.engine.asked == []


async def test_a_code_that_ended_leaves_reading(
    site: Site, clock: VirtualClock, made: tuple[SetupCode, str]
) -> None:
    clock.advance(LIFE_NS)
    late = await site.post("/api/claim", {"code": made[1], "password": PASSWORD}, FROM_LAN)
    assert late.status == 401 and "plimsoll passwd --code" in late.json["error"]
    assert (await site.ask("GET", "/api/snapshot", FROM_LAN)).status == 200


def test_the_lan_needs_a_password_or_a_code(
    tmp_path: Path, clock: VirtualClock, made: tuple[SetupCode, str]
) -> None:
    passwords = PasswordFile(tmp_path / "password")
    check_place(LAN, passwords, made[0])
    made[0].end()
    with pytest.raises(SettingsError, match="first set a password"):
        check_place(LAN, passwords, made[0])


async def test_an_appliance_that_nobody_claimed_starts_again_after_a_power_cut(
    tmp_path: Path, clock: VirtualClock, made: tuple[SetupCode, str]
) -> None:
    """It may have traded for a month; its page stays what it was: reading and stop entries."""
    await asyncio.to_thread(made[0].begin)
    rebooted = VirtualClock(clock.utc_ns() + 30 * NS, NS)
    for _ in range(2):
        codes = SetupCode(tmp_path / CODE_FILE, rebooted)
        check_place(LAN, PasswordFile(tmp_path / "password"), codes)
        async with open_site(tmp_path, clock=rebooted, codes=codes, place=LAN) as site:
            assert (await site.ask("GET", "/api/snapshot", FROM_LAN)).status == 200
            assert 'data-claim="yes"' not in (await site.ask("GET", "/", FROM_LAN)).body.decode()
            assert (await site.post("/api/stop-entries", {}, FROM_LAN)).status == 200
            assert (await site.post("/api/flatten", {"why": "mine now"}, FROM_LAN)).status == 401
            late = await site.post("/api/claim", {"code": made[1], "password": PASSWORD}, FROM_LAN)
            assert late.status == 401 and "plimsoll passwd --code" in late.json["error"]


async def test_a_password_set_by_command_spends_the_code(
    tmp_path: Path, clock: VirtualClock, made: tuple[SetupCode, str]
) -> None:
    """Else a password file that is lost later would open the page to the LAN."""
    async with open_site(tmp_path, password=PASSWORD, clock=clock, codes=made[0], place=LAN):
        assert not made[0].unused()


def test_the_command_shows_a_code_once(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["passwd", "--code", "--data-dir", str(tmp_path)]) == 0
    said = capsys.readouterr()
    code = said.out.strip()
    assert json.loads((tmp_path / CODE_FILE).read_text()).keys() == {"hash"}
    codes = SetupCode(tmp_path / CODE_FILE, VirtualClock(0))
    codes.begin()
    assert codes.right(code) and "10 minutes" in said.err
    (tmp_path / "password").write_text("{}")
    assert main(["passwd", "--code", "--data-dir", str(tmp_path)]) == 3

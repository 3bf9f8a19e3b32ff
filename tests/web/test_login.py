"""The owner's password, its sessions, and the brake on guessing."""

from __future__ import annotations

import asyncio
import os
import stat
from pathlib import Path

import pytest

from app.clock import NS, VirtualClock
from app.errors import LoginRefused, RateLimited, Refused
from app.web import login
from app.web.login import (
    ABSOLUTE_NS,
    FORGIVE_NS,
    IDLE_NS,
    PASSWORD_MAX,
    PASSWORD_MIN,
    SESSIONS_MAX,
    SOURCES_MAX,
    WAITING_MAX,
    Brake,
    Login,
    PasswordFile,
    Sessions,
)

GOOD = "correct horse"


@pytest.fixture(autouse=True)
def quick_hash(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(login, "SCRYPT_N", 2**4)


@pytest.fixture
def file(tmp_path: Path) -> PasswordFile:
    made = PasswordFile(tmp_path / "password")
    made.write(GOOD)
    return made


def test_knows_the_password_and_no_other(file: PasswordFile) -> None:
    assert file.verify(GOOD)
    for wrong in ("", GOOD + " ", GOOD.upper(), "correct hors"):
        assert not file.verify(wrong)


def test_keeps_no_password_in_the_file_and_the_file_to_itself(file: PasswordFile) -> None:
    assert GOOD not in file.path.read_text()
    assert stat.S_IMODE(file.path.stat().st_mode) == 0o600
    assert sorted(os.listdir(file.path.parent)) == ["password"]


def test_salts_every_password_anew(file: PasswordFile) -> None:
    first = file.path.read_text()
    file.write(GOOD)
    assert file.path.read_text() != first and file.verify(GOOD)


@pytest.mark.parametrize("length", [0, PASSWORD_MIN - 1, PASSWORD_MAX + 1])
def test_refuses_a_length_out_of_bounds(file: PasswordFile, length: int) -> None:
    with pytest.raises(Refused, match=r"password\.length"):
        file.write("x" * length)
    assert file.verify(GOOD)


@pytest.mark.parametrize("length", [PASSWORD_MIN, PASSWORD_MAX])
def test_accepts_a_length_at_the_bounds(file: PasswordFile, length: int) -> None:
    file.write("é" * length)
    assert file.verify("e\u0301" * length)  # the same letters, composed otherwise


@pytest.mark.parametrize("text", ["", "{", "[]", '{"salt": 1, "hash": "00"}', '{"salt": "zz", "hash": "00"}'])
def test_refuses_every_login_on_a_damaged_file(file: PasswordFile, text: str) -> None:
    file.path.write_text(text)
    with pytest.raises(LoginRefused, match="plimsoll passwd"):
        file.verify(GOOD)
    assert file.exists()  # and the page stays locked


def test_session_ends_by_idling() -> None:
    clock = VirtualClock(NS)
    sessions = Sessions(clock)
    token = sessions.begin()
    clock.advance(IDLE_NS)
    assert sessions.use(token)
    clock.advance(IDLE_NS + 1)
    assert not sessions.use(token)


def test_session_ends_by_age_however_used() -> None:
    clock = VirtualClock(NS)
    sessions = Sessions(clock)
    token = sessions.begin()
    for _ in range(ABSOLUTE_NS // IDLE_NS):
        clock.advance(IDLE_NS)
        assert sessions.use(token)
    clock.advance(1)
    assert not sessions.use(token)


def test_sessions_are_bounded_and_the_longest_unused_goes() -> None:
    clock = VirtualClock(NS)
    sessions = Sessions(clock)
    tokens = []
    for _ in range(SESSIONS_MAX + 1):
        tokens.append(sessions.begin())
        clock.advance(1)
    assert not sessions.use(tokens[0])
    assert all(sessions.use(token) for token in tokens[1:])
    assert len(tokens[0]) == 32 and len(set(tokens)) == len(tokens)


def test_brake_waits_longer_each_time_up_to_its_limit_and_forgives() -> None:
    brake, now = Brake(free=2, longest_ns=4 * NS), NS
    waits = []
    for _ in range(6):
        brake.failed(now)
        waits.append(brake.wait_ns(now) // NS)
    assert waits == [0, 1, 2, 4, 4, 4]
    assert brake.wait_ns(now + 4 * NS) == 0
    assert brake.wait_ns(now + FORGIVE_NS + 1) == 0 and brake.failures == 0


async def test_a_new_password_ends_every_session(file: PasswordFile) -> None:
    gate = Login(VirtualClock(NS), file)
    token = await gate.enter(GOOD, "a")
    assert gate.required() and gate.sessions.use(token)
    await asyncio.to_thread(file.write, "another password")
    assert gate.required() and not gate.sessions.use(token)


async def test_refuses_to_try_before_the_brake_is_over(file: PasswordFile) -> None:
    clock = VirtualClock(NS)
    gate = Login(clock, file)
    for _ in range(3):
        with pytest.raises(LoginRefused):
            await gate.enter("wrong wrong", "a")
    with pytest.raises(RateLimited) as limited:
        await gate.enter(GOOD, "a")
    assert limited.value.retry_after_ns == NS
    assert await gate.enter(GOOD, "b")  # another address is not punished for it
    clock.advance(NS)
    assert await gate.enter(GOOD, "a")


async def test_refuses_a_thousand_tries_from_changing_addresses(file: PasswordFile) -> None:
    clock = VirtualClock(NS)
    gate = Login(clock, file)
    tried = 0
    for number in range(1000):
        try:
            await gate.enter("wrong wrong", f"10.0.0.{number}")
        except LoginRefused:
            tried += 1
        except RateLimited:
            pass
        clock.advance(10_000_000)
    assert tried < 30  # of a thousand within 10 s
    assert len(gate._sources) <= SOURCES_MAX


async def test_refuses_more_than_a_few_waiting_logins(file: PasswordFile) -> None:
    gate = Login(VirtualClock(NS), file)
    crowd = [gate.enter(GOOD, f"10.0.0.{number}") for number in range(WAITING_MAX + 2)]
    results = await asyncio.gather(*crowd, return_exceptions=True)
    assert [type(result) for result in results] == [str] * WAITING_MAX + [RateLimited] * 2

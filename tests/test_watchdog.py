"""The watchdog of a real service: fed through everything that only closes trading, starved by a hang."""

from __future__ import annotations

import asyncio
import re
import sqlite3
import threading
from pathlib import Path

import pytest

from app.clock import NS, SystemClock
from app.ops import health
from app.risk.state import Goal
from app.store import open_journal
from app.watchdog import AGAIN_NS, Pulse, keep_telling, pause_ns
from tests.engine.test_halt import in_position
from tests.engine.world import World
from tests.guards import PATIENCE


@pytest.fixture
def told(monkeypatch: pytest.MonkeyPatch) -> list[tuple[str, ...]]:
    """What systemd hears, looked for every millisecond."""
    heard: list[tuple[str, ...]] = []
    monkeypatch.setattr("app.watchdog.notify", lambda *words: heard.append(words))
    monkeypatch.setattr("app.watchdog.STATUS_NS", 1_000_000)
    monkeypatch.setattr("app.watchdog.JOURNAL_LIMIT_NS", 50_000_000)
    monkeypatch.setattr(health, "JOURNAL_LIMIT_NS", 50_000_000)
    return heard


async def until(told: list[tuple[str, ...]], fed: bool, words: str) -> None:
    """Until one of the next tellings is `fed` and says `words`, a regular expression."""
    seen = len(told)
    async with asyncio.timeout(PATIENCE):
        while not any(("WATCHDOG=1" in each) is fed and re.search(words, each[-1]) for each in told[seen:]):
            await asyncio.sleep(0.001)


async def test_a_hanging_disk_starves_it_and_an_error_does_not(
    tmp_path: Path, told: list[tuple[str, ...]]
) -> None:
    engine, clock = in_position(World().start()).engine, SystemClock()
    store = await open_journal(tmp_path, clock)
    telling = asyncio.create_task(keep_telling(engine, store, clock))
    await until(told, True, "STATUS=Active")
    hung, over = store._state._database, threading.Event()
    stuck = asyncio.create_task(hung._connection._execute(over.wait))
    await until(told, False, r"the journal has not answered for \d+ s; Active")
    over.set()
    await stuck
    await until(told, True, "STATUS=Active")
    store._state.failed = "state.db: disk I/O error"
    await until(told, True, "STATUS=")
    engine.trading.hold("clock", "the clock went backwards")
    engine.on_link(False, "gone")
    await until(told, True, "Halted because")
    engine.pursuit.goal = Goal.NONE
    await until(told, False, "the kill check failed: goal NO_ENTRIES is wanted")
    telling.cancel()
    await asyncio.wait((telling,))
    assert telling.cancelled()
    await store.close()


async def test_an_io_error_is_an_answer(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    store = await open_journal(tmp_path, SystemClock())

    asked = []

    def broken(*_: object) -> object:
        asked.append(1)
        raise sqlite3.OperationalError("disk I/O error")

    monkeypatch.setattr(store._state._database._connection, "execute_fetchall", broken)
    await store.ping()
    assert asked == [1]
    monkeypatch.undo()
    await store.close()
    await store.ping()  # a closed file answers too


async def test_asks_one_question_at_a_time_and_remembers_when(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("app.watchdog.JOURNAL_LIMIT_NS", 1_000_000)
    answer, asked = asyncio.Event(), []

    async def ask() -> None:
        asked.append(1)
        await answer.wait()

    pulse = Pulse(ask, SystemClock())
    await pulse.beat()
    first = pulse.asked_ns
    await pulse.beat()
    assert 0 < first == pulse.asked_ns and len(asked) == 1
    answer.set()
    await pulse.beat()
    assert pulse.asked_ns == 0
    await pulse.beat()
    assert len(asked) == 2 and pulse.asked_ns == 0
    pulse.close()


def test_looks_again_soon_while_it_is_not_fed() -> None:
    """A watchdog of 10 s is fed every 5: a disk that pauses for 4 s must not cost the process."""
    assert pause_ns(5 * NS, NS, fed=True) == 4 * NS and pause_ns(5 * NS, 6 * NS, fed=True) == 0
    assert pause_ns(5 * NS, 2 * NS, fed=False) == AGAIN_NS < NS
    assert pause_ns(1_000, 2 * NS, fed=False) == 1_000


def test_the_limit_is_two_seconds() -> None:
    assert health.JOURNAL_LIMIT_NS == 2 * NS

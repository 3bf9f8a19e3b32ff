"""The update lock: what counts as exposed, and who may have it."""

from __future__ import annotations

import asyncio
import fcntl
import os
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from app.clock import VirtualClock
from app.domain.orders import OrderState
from app.engine.snapshot import GoalView, ReasonView, Snapshot
from app.ops.exposure import DOUBTS, FOLDER, LIVE_STATES, LOOK_NS, UpdateLock, exposed, watch
from app.risk.state import Code
from tests.web.pictures import ACTIVE, POSITION, order

FLAT = replace(ACTIVE, state="halted", positions=(), orders=())


def reason(code: str) -> ReasonView:
    return ReasonView(code, "condition", "*", "halted", "no_entries", 0, 0, "", "by itself")


EXPOSED: dict[str, dict[str, Any]] = {
    "a position": {"positions": (POSITION,)},
    **{f"an order that is {state}": {"orders": (order(state=state),)} for state in sorted(LIVE_STATES)},
    "a halt under way": {"goal": GoalView("flat", True, "", 0)},
    "books that were not compared": {"synced": False},
    "entries that are allowed": {"state": "active"},
    **{f"a doubt: {code}": {"reasons": (reason(code),)} for code in DOUBTS},
}


@pytest.mark.parametrize("change", EXPOSED.values(), ids=EXPOSED)
def test_promise_15_is_exposed_with(change: dict[str, Any]) -> None:
    assert exposed(replace(FLAT, **change))


@pytest.mark.parametrize(
    "change",
    [
        {},
        {"state": "reducing"},
        {"panel": "open", "reasons": (reason("switch"),)},
        {"orders": tuple(order(state=state) for state in OrderState if state.terminal)},
        {"goal": GoalView("flat", False, "confirmed", 0)},
        {"link_up": False},
    ],
)
def test_flat_and_closed_may_be_stopped(change: dict[str, Any]) -> None:
    assert exposed(replace(FLAT, **change)) == ""


def test_its_names_are_those_of_orders_and_reasons() -> None:
    assert {str(state) for state in OrderState if state.live} == LIVE_STATES
    assert DOUBTS.keys() <= {str(code) for code in Code}


@pytest.fixture
def lock(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[UpdateLock]:
    monkeypatch.setenv(FOLDER, str(tmp_path))
    lock = UpdateLock.adopt()
    yield lock
    lock.close()


@pytest.fixture
def updater(lock: UpdateLock, tmp_path: Path) -> Iterator[int]:
    handle = os.open(tmp_path / "update.lock", os.O_RDONLY)
    yield handle
    os.close(handle)


def test_is_not_taken_while_the_updater_has_it(lock: UpdateLock, updater: int) -> None:
    fcntl.flock(updater, fcntl.LOCK_EX)
    assert not lock.take() and not lock.held
    fcntl.flock(updater, fcntl.LOCK_UN)
    assert lock.take() and lock.take()
    with pytest.raises(BlockingIOError):
        fcntl.flock(updater, fcntl.LOCK_EX | fcntl.LOCK_NB)
    lock.free()
    fcntl.flock(updater, fcntl.LOCK_EX | fcntl.LOCK_NB)


def test_ends_with_its_service(lock: UpdateLock, updater: int) -> None:
    lock.take()
    lock.close()
    fcntl.flock(updater, fcntl.LOCK_EX | fcntl.LOCK_NB)
    lock.close()
    assert not lock.held


def test_without_systemd_nothing_is_locked(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.delenv(FOLDER, raising=False)
    assert UpdateLock.adopt().take()
    assert UpdateLock(tmp_path / "no folder" / "file").take()


async def test_follows_the_picture(lock: UpdateLock) -> None:
    views = iter([replace(FLAT, synced=False), replace(FLAT, state="active"), FLAT, FLAT])
    clock, held = VirtualClock(0), list[bool]()

    def picture() -> Snapshot:
        held.append(lock.held)
        return next(views)

    watching = asyncio.create_task(watch(lock, picture, clock))
    for _ in range(4):
        await asyncio.sleep(0)
        clock.advance(LOOK_NS)
    watching.cancel()
    await asyncio.gather(watching, return_exceptions=True)
    assert held == [False, True, True, False]

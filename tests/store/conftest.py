"""A journal in a folder of its own, and no thread left behind."""

from __future__ import annotations

import threading
from collections.abc import AsyncIterator, Iterator
from pathlib import Path

import pytest

from app.clock import SystemClock
from app.store import Store, open_journal
from tests.guards import PATIENCE


@pytest.fixture(autouse=True)
def no_thread_left() -> Iterator[None]:
    """Every connection has a thread; a test that leaves one running left a connection open."""
    before = set(threading.enumerate())
    yield
    left = [thread for thread in threading.enumerate() if thread not in before]
    for thread in left:
        thread.join(PATIENCE)  # of a closed connection: it runs its last lines
    assert not [thread.name for thread in left if thread.is_alive()]


@pytest.fixture
async def store(tmp_path: Path) -> AsyncIterator[Store]:
    opened = await open_journal(tmp_path, SystemClock())
    yield opened
    await opened.close()

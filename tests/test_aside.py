"""A question that blocks holds neither the loop nor the end of the process."""

from __future__ import annotations

import asyncio
import subprocess
import sys
import threading

import pytest

from app.aside import aside
from tests.guards import PATIENCE, PROGRAM_PATIENCE, ROOT


async def test_gives_the_answer_or_what_was_raised() -> None:
    async with asyncio.timeout(PATIENCE):
        assert await aside("test", lambda: 7) == 7
        with pytest.raises(OSError, match="I/O error"):
            await aside("test", refuse)


def refuse() -> int:
    raise OSError(5, "I/O error")


async def test_an_answer_that_nobody_waits_for_any_more_is_dropped() -> None:
    go, done = threading.Event(), threading.Event()

    def ask() -> None:
        go.wait(PATIENCE)
        done.set()

    asking = aside("test", ask)
    asking.cancel()
    go.set()
    async with asyncio.timeout(PATIENCE):
        while not done.is_set() or any(thread.name == "test" for thread in threading.enumerate()):
            await asyncio.sleep(0.001)
    assert asking.cancelled()


def test_a_process_ends_while_a_question_hangs() -> None:
    script = """
import asyncio, threading
from app.aside import aside
async def main():
    asking = aside("hangs", threading.Event().wait)
    await asyncio.sleep(0)
    asking.cancel()
asyncio.run(main())
"""
    ended = subprocess.run(
        [sys.executable, "-c", script], cwd=ROOT, timeout=PROGRAM_PATIENCE, capture_output=True
    )
    assert (ended.returncode, ended.stderr) == (0, b"")

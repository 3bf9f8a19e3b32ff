"""The virtual board as a child process: the release's or built, started, asked through its control socket.

It runs the firmware's own C on a pty and protects nobody: for the demo and for tests.
"""

from __future__ import annotations

import asyncio
import json
import os
import shutil
import sys
from contextlib import suppress
from pathlib import Path
from typing import Any

from app.errors import Theirs, Unreachable, clean

ROOT = Path(__file__).resolve().parents[2]
BUILDER = ROOT / "board" / "build.py"
SHIPPED = (
    ROOT / "board" / "virtual-board"
)  # in a release, for a machine without compiler; a checkout has none
BUILD_S = 120.0  # compiled once, on a board's slow cores
START_S = 10.0
STOP_S = 3.0
ANSWER_S = 5.0
LINE_LIMIT = 65_536  # bytes of an answer; the state with its matrix takes some hundred


def control_of(link: Path) -> Path:
    """Where the board whose tty is at `link` takes commands."""
    return link.with_name(link.name + ".control")


async def provide(folder: Path) -> Path:
    """The program: the release's, else built. A release's files are not executable, so it is copied to
    `folder`. Raises Unreachable.
    """
    if not SHIPPED.exists():
        return await build()
    program, begun = folder / SHIPPED.name, folder / f".{SHIPPED.name}.new"
    try:
        shutil.copyfile(SHIPPED, begun)
        begun.chmod(0o755)
        begun.replace(program)  # the one of an earlier demo may still run
    except OSError as error:
        raise Unreachable("virtual board", f"{program}: {error.strerror}") from None
    return program


async def build() -> Path:
    """The program, compiled unless it is up to date. Raises Unreachable where that is not possible."""
    process = await asyncio.create_subprocess_exec(
        *(sys.executable, os.fspath(BUILDER), "virtual-board"),
        stdin=asyncio.subprocess.DEVNULL,
        stdout=asyncio.subprocess.PIPE,
        stderr=asyncio.subprocess.PIPE,
        cwd=ROOT,
    )
    try:
        async with asyncio.timeout(BUILD_S):
            said, wrong = await process.communicate()
    except TimeoutError:
        raise Unreachable("virtual board", f"not built within {BUILD_S:.0f} s") from None
    finally:
        await _end(process)
    if process.returncode:
        raise Unreachable("virtual board", wrong.decode(errors="replace").strip())
    return Path(said.decode().strip())


class VirtualBoard:
    """A running one. `link` is where its tty is found, `control` where it takes commands."""

    def __init__(self, process: asyncio.subprocess.Process, link: Path, control: Path) -> None:
        self.link, self.control = link, control
        self._process = process

    @classmethod
    async def start(cls, program: Path, folder: Path, *options: str) -> VirtualBoard:
        """Start `program` with its paths in `folder`. It ends with this process, however that ends.

        Raises Unreachable when it does not come up.
        """
        link = folder / "board"
        control = control_of(link)
        try:
            process = await asyncio.create_subprocess_exec(
                *(os.fspath(program), "--link", os.fspath(link), "--control", os.fspath(control), *options),
                stdin=asyncio.subprocess.DEVNULL,
                stdout=asyncio.subprocess.PIPE,
                start_new_session=True,  # Ctrl-C is for us: the board hears of the end over its link
            )
        except OSError as error:  # a folder from which nothing may be run
            raise Unreachable("virtual board", f"{program}: {error.strerror}") from None
        made = cls(process, link, control)
        try:
            await made._ready()
        except BaseException:
            await made.stop()
            raise
        return made

    async def _ready(self) -> None:
        assert self._process.stdout is not None
        try:
            async with asyncio.timeout(START_S):
                line = await self._process.stdout.readline()
            json.loads(line)["pty"]
        except TimeoutError:
            raise Unreachable("virtual board", f"not ready after {START_S:.0f} s") from None
        except (ValueError, KeyError):
            said = clean(line.decode(errors="replace")) or "it says why above"
            raise Unreachable("virtual board", f"did not start: {said}") from None

    @property
    def pid(self) -> int:
        return self._process.pid

    async def ask(self, command: str) -> dict[str, Any]:
        """One command to its control socket, and the answer. Raises Unreachable, Theirs."""
        return await ask(self.control, command)

    async def stop(self) -> None:
        """Idempotent."""
        if self._process.returncode is None:
            self._process.terminate()
            with suppress(TimeoutError):
                async with asyncio.timeout(STOP_S):
                    await self._process.wait()
        await _end(self._process)


async def ask(control: Path, command: str) -> dict[str, Any]:
    """One command to the board that listens at `control`, and its answer. Raises Unreachable, Theirs."""
    try:
        async with asyncio.timeout(ANSWER_S):
            reader, writer = await asyncio.open_unix_connection(control, limit=LINE_LIMIT)
            try:
                writer.write(command.encode() + b"\n")
                line = await reader.readline()
            finally:
                writer.close()
        answer: dict[str, Any] = json.loads(line)
    except (OSError, TimeoutError) as error:
        raise Unreachable("virtual board", error or "no answer") from None
    except ValueError:
        raise Theirs("virtual board", "its answer made no sense") from None
    if "error" in answer:
        raise Theirs("virtual board", f"{command}: {answer['error']}")
    return answer


async def _end(process: asyncio.subprocess.Process) -> None:
    if process.returncode is None:
        with suppress(ProcessLookupError):
            process.kill()
        await process.wait()

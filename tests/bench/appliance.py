"""The simulator and the service as processes, as an owner starts them: settings, start, what /proc says, end.

For benchmarks and long tests. Nothing of the service is imported here but the demo's own texts.
"""

from __future__ import annotations

import asyncio
import json
import os
import signal
import socket
import sys
from collections.abc import AsyncIterator, Awaitable, Callable, Sequence
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

from app.demo import ACCOUNT, KEY

ROOT = Path(__file__).resolve().parents[2]
START_S = 60.0  # until a process has said that it is ready, on a busy machine
STOP_S = 60.0  # for an orderly end, a second on an idle machine; then it is killed
ANSWER_S = 60.0
LOOK_EVERY_S = 0.005  # between two looks at a condition
PRODUCT = ("-m", "app", "simulate")
SPECIAL = ("-m", "tests.bench.venue")  # the same simulator, without its budget and as late as wanted

SETTINGS = """\
mode = "simulate"
clock = "simulator"
data_dir = "data"
account_file = "account.toml"

[topstepx]
rest_url = "{url}"
user_hub_url = "{url}/hubs/user"
market_hub_url = "{url}/hubs/market"
user_name = "demo"
api_key_file = "topstepx.key"
symbols = {symbols}

[risk]
{risk}

[strategy.overnight_range]
enabled = {enabled}

[web]
port = 0

[board]
required = false
resume = true
"""


def write_settings(
    home: Path, url: str, symbols: Sequence[str] = ("ES",), *, risk: str = "", strategy: bool = True
) -> Path:
    """The demo's files in `home`; `risk` is the text of that section. Returns the settings' path."""
    (home / "data").mkdir(parents=True, exist_ok=True)
    (home / "account.toml").write_text(ACCOUNT)
    key = home / "topstepx.key"
    key.touch(mode=0o600)
    key.write_text(KEY)
    file = home / "plimsoll.toml"
    values = {"url": url, "symbols": json.dumps(list(symbols)), "risk": risk, "enabled": json.dumps(strategy)}
    file.write_text(SETTINGS.format(**values))
    return file


def environment(**more: str) -> dict[str, str]:
    """Ours, with bytecode kept, as an installed service has it."""
    return {k: v for k, v in os.environ.items() if k != "PYTHONDONTWRITEBYTECODE"} | more


class Child:
    """A process of ours whose output goes to `log`; ended with `stop` or `kill`."""

    def __init__(self, process: asyncio.subprocess.Process, log: Path) -> None:
        self._process, self.log = process, log
        self.pid = process.pid

    @property
    def alive(self) -> bool:
        return self._process.returncode is None

    async def stop_by_itself(self) -> int:
        """Wait for its own end. Returns the exit code."""
        return await self._process.wait()

    async def stop(self) -> int:
        """SIGTERM, patience, SIGKILL. Returns the exit code."""
        if self.alive:
            self._process.terminate()
        try:
            async with asyncio.timeout(STOP_S):
                return await self._process.wait()
        except TimeoutError:
            return await self.kill()

    async def kill(self) -> int:
        """SIGKILL, now."""
        if self.alive:
            self._process.send_signal(signal.SIGKILL)
        return await self._process.wait()

    def said(self, lines: int = 30) -> str:
        """The end of its output."""
        return "\n".join(self.log.read_text(errors="replace").splitlines()[-lines:])


async def spawn(log: Path, *command: str | Path, **more: str) -> Child:
    """Start `command` in the project's folder, output appended to `log`."""
    with log.open("ab") as out:
        process = await asyncio.create_subprocess_exec(
            *map(str, command), cwd=ROOT, env=environment(**more), stdin=asyncio.subprocess.DEVNULL,
            stdout=out, stderr=out,
        )  # fmt: skip
    return Child(process, log)


async def until(condition: Callable[[], bool], what: str, within_s: float = START_S) -> None:
    """Wait until `condition` holds. Raises TimeoutError that says `what`."""
    try:
        async with asyncio.timeout(within_s):
            while not condition():
                await asyncio.sleep(LOOK_EVERY_S)
    except TimeoutError:
        raise TimeoutError(f"{what}: not within {within_s:.0f} s") from None


async def until_async(condition: Callable[[], Awaitable[bool]], what: str, within_s: float = START_S) -> None:
    """The same for a condition that has to be asked for."""
    try:
        async with asyncio.timeout(within_s):
            while not await condition():
                await asyncio.sleep(LOOK_EVERY_S)
    except TimeoutError:
        raise TimeoutError(f"{what}: not within {within_s:.0f} s") from None


@asynccontextmanager
async def simulator(
    home: Path, *options: str, script: Sequence[str] = PRODUCT, pinned: bool = False
) -> AsyncIterator[str]:
    """`plimsoll simulate` on a free port; yields its URL. `script` takes its place for a special one,
    `pinned` gives it a core of its own.
    """
    log = home / f"simulator-{os.getpid()}.log"
    log.write_bytes(b"")
    child = await spawn(log, sys.executable, *script, "--port", "0", "--json", *options)
    try:
        await until(lambda: b"\n" in log.read_bytes() or not child.alive, "the simulator")
        first = next((line for line in log.read_text().splitlines() if line.startswith("{")), "")
        if not first:
            raise RuntimeError(f"the simulator did not start:\n{child.said()}")
        if pinned:
            apart(child.pid)
        yield str(json.loads(first)["url"])
    finally:
        await child.stop()


class Notified:
    """A socket as systemd's: what the service says of itself, without anybody asking it."""

    def __init__(self, path: Path) -> None:
        self.path = path
        self._socket = socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM)
        self._socket.setblocking(False)
        path.unlink(missing_ok=True)
        self._socket.bind(os.fspath(path))

    async def ready(self) -> None:
        """Wait for READY=1. Raises TimeoutError."""
        loop = asyncio.get_running_loop()
        async with asyncio.timeout(START_S):
            while b"READY=1" not in await loop.sock_recv(self._socket, 4096):
                pass

    def close(self) -> None:
        self._socket.close()
        self.path.unlink(missing_ok=True)


@asynccontextmanager
async def service(
    file: Path, *, script: Sequence[str | Path] | None = None, **more: str
) -> AsyncIterator[Child]:
    """`plimsoll run --config FILE`, from its first instruction on; ended in order."""
    command = script or (Path(sys.executable).with_name("plimsoll"), "run")
    child = await spawn(file.with_name("service.log"), *command, "--config", file, **more)
    try:
        yield child
    finally:
        await child.stop()


async def ask(data_dir: Path, command: str, why: str = "") -> dict[str, Any]:
    """The service's answer on its command socket. Raises OSError (nobody listens), RuntimeError (a no)."""
    async with asyncio.timeout(ANSWER_S):
        reader, writer = await asyncio.open_unix_connection(data_dir / "plimsoll.sock", limit=8 * 2**20)
        try:
            writer.write(json.dumps({"command": command, "why": why}).encode() + b"\n")
            answer = json.loads(await reader.readline() or b"{}")
        finally:
            writer.close()
    if not answer.get("ok"):
        raise RuntimeError(str(answer.get("error", "no answer")))
    result: dict[str, Any] = answer["result"]
    return result


async def status(data_dir: Path) -> dict[str, Any]:
    """The engine's snapshot; empty while the service does not answer."""
    try:
        return dict((await ask(data_dir, "status"))["snapshot"])
    except (OSError, RuntimeError):
        return {}


async def synced(child: Child, data_dir: Path, within_s: float = START_S) -> dict[str, Any]:
    """The first snapshot after a complete read that agreed.

    Raises TimeoutError, or RuntimeError with the last words of a service that ended instead.
    """
    seen: dict[str, Any] = {}

    async def agrees() -> bool:
        if not child.alive:
            raise RuntimeError(f"the service ended by itself:\n{child.said()}")
        seen.update(await status(data_dir))
        return bool(seen.get("synced"))

    await until_async(agrees, "books compared with the venue", within_s)
    return seen


def apart(pid: int) -> None:
    """Keep `pid` on the last core and this process on the others. On one core a write to the peer's socket
    wakes the peer, which then runs *inside* the time measured; a real venue is another machine.
    """
    cores = sorted(os.sched_getaffinity(0))
    if len(cores) > 1:
        os.sched_setaffinity(pid, cores[-1:])
        os.sched_setaffinity(0, cores[:-1])


def cpu_ns(pid: int) -> int:
    """CPU time of every thread of `pid` so far, in nanoseconds."""
    tasks = Path(f"/proc/{pid}/task")
    return sum(int((task / "schedstat").read_text().split()[0]) for task in tasks.iterdir())


def rss_mb(pid: int) -> float:
    """Resident memory of `pid` in megabytes of 2**20 bytes."""
    lines = Path(f"/proc/{pid}/status").read_text().splitlines()
    return next(int(line.split()[1]) for line in lines if line.startswith("VmRSS")) / 1024

"""The embedded default: the appliance on its own simulator, without an account, a board or settings.

The simulator runs in a child process, as a venue would; the service runs here and talks to it over loopback
HTTP and WebSocket, with the same client, gate and journal as for real money. The board is the firmware's own
C in another child, on a pty. Only this module arms it.
"""

from __future__ import annotations

import asyncio
import ctypes
import json
import os
import signal
import socket
import sys
from collections.abc import Callable, Coroutine
from contextlib import AsyncExitStack
from functools import partial
from pathlib import Path
from typing import Any

from app import compose
from app.clock import MS, NS
from app.config import load_file
from app.errors import Refused, Unable, Unreachable, clean
from app.mcu.virtual import VirtualBoard, provide
from app.store import InstanceLock

ROOT = Path(__file__).resolve().parents[1]
LIBC = ctypes.CDLL(None)
PR_SET_PDEATHSIG = 1  # linux/prctl.h
PORTS_TRIED = 20  # from the wanted one upwards
SIMULATOR_START_S = 60.0  # until its port listens: a cold board in use takes ten, an emulated one more
SIMULATOR_STOP_S = 3.0
ARM_EVERY_NS = 100 * MS  # tries while the first complete read is under way
ARM_WITHIN_NS = 30 * NS
LINE_LIMIT = 4096  # bytes of the simulator's first line
SETTINGS = """\
# Written by plimsoll demo at each start; your own settings go elsewhere.
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
symbols = ["ES"]

[strategy.overnight_range]
enabled = true

[web]
port = {port}

[board]
required = {board}
mode = "virtual"
device = "board"
leds = false
resume = true
"""
ACCOUNT = """\
# What the simulator's 50K account is allowed.
[account.1001]
start_balance = 50000
floor = 48000
as_of = 2026-11-17
maximum_loss_limit = 2000
daily_loss_limit = "1000"
max_minis = 5
"""
KEY = "demo-key"


async def run(home: Path, port: int, *, keep: bool, say: Callable[[str], None]) -> None:
    """Start simulator and service, arm it, and go on until Ctrl-C. `home` holds settings and journal."""
    _alone(home)  # before a simulator is started in vain
    free = _free_port(port)
    if free != port:
        say(f"port {port} is in use, the page is on {free}")
    async with AsyncExitStack() as children:
        simulator = await _start_simulator()
        children.push_async_callback(_stop, simulator)
        board = await _start_board(home, say)
        if board is not None:
            children.push_async_callback(board.stop)
        url = await _ready(simulator)
        file = write_settings(home, url, free, keep=keep, board=board is not None)
        await _serve(file, simulator, say)


async def _start_board(home: Path, say: Callable[[str], None]) -> VirtualBoard | None:
    """The virtual board with its paths in `home`; None where there can be none, which is said."""
    try:
        return await VirtualBoard.start(await provide(home), home)
    except Unreachable as error:
        say(f"{error}\nNo board: a stand-in without a switch takes its place.")
        return None


def write_settings(home: Path, url: str, port: int, *, keep: bool, board: bool = False) -> Path:
    """The demo's files in `home`, the last journal gone unless `keep`. Returns the settings' path.

    `board` False puts the stand-in in the place of the virtual board. Raises Refused while another demo runs
    there.
    """
    data = _alone(home)
    if not keep:
        for old in data.iterdir():
            old.unlink()
    (home / "account.toml").write_text(ACCOUNT)
    key = home / "topstepx.key"
    key.touch(mode=0o600)
    key.write_text(KEY)
    file = home / "plimsoll.toml"
    file.write_text(SETTINGS.format(url=url, port=port, board=str(board).lower()))
    return file


def _alone(home: Path) -> Path:
    """The data folder of `home`, made when missing. Raises Refused while another demo trades there."""
    data = home / "data"
    data.mkdir(parents=True, exist_ok=True)
    try:
        InstanceLock(data).release()
    except Refused as refusal:
        if refusal.rule != "store.in_use":
            raise
        hint = "stop it, or use another folder with --home"
        raise Unable("demo.running", f"a demo is already running in {home}", hint=hint) from None
    return data


async def _serve(file: Path, simulator: asyncio.subprocess.Process, say: Callable[[str], None]) -> None:
    stop = asyncio.Event()
    jobs: list[asyncio.Task[None]] = []

    def started(service: compose.Service) -> None:
        say(f"Plimsoll is trading its simulator: {service.web.address}\nCtrl-C ends it.")
        say(f"To flatten from the page, set a password: plimsoll passwd --config {file}")
        if service.engine.snapshot().board.mode == "virtual":
            say(f"To hit its switch: plimsoll board switch open --config {file}")
        jobs.append(asyncio.create_task(_or_stop(_arm(service), stop), name="arm"))
        jobs.append(asyncio.create_task(_or_stop(_end_of(simulator), stop), name="simulator"))

    try:
        await compose.serve(load_file(file), started, stop)
    finally:
        for job in jobs:
            job.cancel()
        results = await asyncio.gather(*jobs, return_exceptions=True)
    for result in results:
        if isinstance(result, Exception):
            raise result


async def _arm(service: compose.Service) -> None:
    """Re-arm as soon as the books agree with the simulator; only ever in mode simulate."""
    mode = service.engine.snapshot().mode
    if mode != "simulate":
        raise Refused("demo.mode", mode, "simulate")
    for _ in range(ARM_WITHIN_NS // ARM_EVERY_NS):
        try:
            service.commands.execute("demo", "rearm", "demo", "the demo arms itself")
            return
        except Refused:
            await asyncio.sleep(ARM_EVERY_NS / NS)
    service.commands.execute("demo", "rearm", "demo", "the demo arms itself")


async def _or_stop(job: Coroutine[Any, Any, None], stop: asyncio.Event) -> None:
    """Run `job`; when it fails the demo is over."""
    try:
        await job
    except Exception:
        stop.set()
        raise


async def _end_of(simulator: asyncio.subprocess.Process) -> None:
    """The demo without its market makes no sense."""
    code = await simulator.wait()
    raise Unreachable("simulator", f"it ended by itself (code {code})")


def _free_port(wanted: int) -> int:
    """`wanted`, or the next port above it that nobody listens on."""
    for port in range(wanted, min(wanted + PORTS_TRIED, 65_536)):
        with socket.socket() as probe:
            probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
            try:
                probe.bind(("127.0.0.1", port))
                return port
            except OSError:
                continue
    raise Refused("web.port", wanted, f"{PORTS_TRIED} ports tried", "choose another with --port")


async def _start_simulator() -> asyncio.subprocess.Process:
    """As a child that dies with us: the kernel signals it when this process ends, however it ends."""
    return await asyncio.create_subprocess_exec(
        *(sys.executable, "-m", "app", "simulate", "--port", "0", "--json"),
        stdout=asyncio.subprocess.PIPE,
        stdin=asyncio.subprocess.DEVNULL,
        cwd=ROOT,
        start_new_session=True,  # Ctrl-C is for us; we end the child when the service has closed its books
        preexec_fn=partial(_die_with, os.getpid()),
    )


def _die_with(parent: int) -> None:
    """In the child, before it becomes Python: ask for a signal at the parent's death."""
    LIBC.prctl(PR_SET_PDEATHSIG, signal.SIGTERM)
    if os.getppid() != parent:
        os._exit(1)


async def _ready(simulator: asyncio.subprocess.Process) -> str:
    """The simulator's base URL, from its first line."""
    assert simulator.stdout is not None
    try:
        async with asyncio.timeout(SIMULATOR_START_S):
            line = await simulator.stdout.readline()
        return str(json.loads(line[:LINE_LIMIT])["url"])
    except TimeoutError:
        raise Unreachable("simulator", f"not ready after {SIMULATOR_START_S:.0f} s") from None
    except (ValueError, KeyError):
        raise Unreachable("simulator", f"it did not start: {clean(line.decode(errors='replace'))}") from None


async def _stop(simulator: asyncio.subprocess.Process) -> None:
    if simulator.returncode is not None:
        return
    simulator.terminate()
    try:
        async with asyncio.timeout(SIMULATOR_STOP_S):
            await simulator.wait()
    except TimeoutError:
        simulator.kill()
        await simulator.wait()

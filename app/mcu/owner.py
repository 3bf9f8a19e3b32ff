"""Owner mode of the UNO Q: the serial port is ours while we run, Arduino's router has it back afterwards.

`$/serial/close` makes the router let go without resetting the microcontroller. Where no router runs
(disabled, masked) there is nobody to ask. The lines are set as the router would have: BOOT0 low, so that a
reset starts the firmware, and the UART's level shifter on. All of it is done again before every opening of
the port: a router that was restarted has taken the port and changed the lines.

The service itself may not touch the chip of the lines: it asks plimsoll-board.service, by writing a file that
plimsoll-board.path watches. It does not wait for that: until the line is on, the board is silent, and who
hears nothing dials again.
"""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Awaitable, Callable, Sequence
from contextlib import suppress
from pathlib import Path

from app.errors import Later, Refused, Unreachable, clean
from app.mcu import unoq
from app.mcu.opener import Opener
from app.mcu.port import Port, open_port
from app.mcu.router import Router

COMMAND_S = 2.0  # gpioset ends at once; longer means that the chip is stuck

Run = Callable[[Sequence[str]], Awaitable[None]]
Lines = Callable[[], Awaitable[None]]  # raises Later

log = logging.getLogger("plimsoll.board")


class Owner:
    """Who takes the port and gives it back. `lines` sets the lines, or has them set."""

    def __init__(self, device: Path, baud: int, socket: Path, lines: Lines) -> None:
        self._device, self._baud, self._socket, self._lines = device, baud, socket, lines
        self._taken = False
        self._opener = Opener("board")

    async def dial(self, received: Callable[[bytes], None], lost: Callable[[str], None]) -> Port:
        """The port, open and ours. Raises Later."""
        self._taken = True
        try:
            await self._ask("$/serial/close")
        except Refused as refusal:  # it may have let go before; whether we can have the port, the port says
            log.info("the router: %s", refusal.value)
        await self._lines()
        return await open_port(self._device, self._baud, received, lost, self._opener)

    async def give_back(self) -> None:
        """Idempotent, after the port was closed. Never raises: the end of the service waits for nobody."""
        if not self._taken:
            return
        self._taken = False
        try:
            await self._opener.free()  # closed, as far as anybody can say
        except Later as error:
            log.warning("the serial port: %s", error)
        try:
            await self._ask("$/serial/open")
        except (Later, Refused) as error:
            log.warning("the serial port was not given back: %s", error)

    async def _ask(self, method: str) -> None:
        """Ask the router; where none listens there is nothing to ask. Raises Later, Refused."""
        router = Router()
        try:
            await router.open(self._socket)
        except Unreachable:
            return
        try:
            await router.call(method, str(self._device))
        finally:
            router.close()


def lines(runtime: str) -> Lines:
    """How this process sets them; `runtime` is the folder that systemd made for it, "" on a terminal."""
    folder = runtime.partition(":")[0]
    return by_unit(Path(folder) / unoq.LINES_ASKED) if folder else by_command(run)


def by_command(run: Run) -> Lines:
    """With the rights of who runs us. `run` executes a command and raises Later when it fails."""

    async def set_lines() -> None:
        await run(unoq.gpioset(unoq.BOOT0_LOW))
        await run(unoq.gpioset(unoq.UART_ON))

    return set_lines


def by_unit(request: Path) -> Lines:
    """By the unit that is started whenever `request` was written."""

    def write() -> None:
        try:
            request.write_bytes(b"")  # below /run, in memory
        except OSError as error:
            raise Unreachable(str(request), error.strerror or error) from None

    async def ask() -> None:
        write()

    return ask


async def run(command: Sequence[str]) -> None:
    """Run a command of the system. Raises Unreachable when it is missing, fails or does not end."""
    try:
        process = await asyncio.create_subprocess_exec(
            *command,
            stdin=asyncio.subprocess.DEVNULL,
            stdout=asyncio.subprocess.DEVNULL,
            stderr=asyncio.subprocess.PIPE,
        )
    except OSError as error:
        raise Unreachable(command[0], error.strerror or error) from None
    try:
        async with asyncio.timeout(COMMAND_S):
            _, said = await process.communicate()
    except TimeoutError:
        raise Unreachable(command[0], f"did not end within {COMMAND_S:.0f} s") from None
    finally:
        if process.returncode is None:
            with suppress(ProcessLookupError):
                process.kill()
            await process.wait()
    if process.returncode:
        raise Unreachable(command[0], clean(said.decode(errors="replace").strip()) or "failed")

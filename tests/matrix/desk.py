"""The host of the fault matrix, a process of its own: the service's link on a real tty, and a real engine.

`python -m tests.matrix.desk DEVICE [--armed]`: a command a line on its input, a line of JSON as answer. The
engine trades on a venue in memory, at ten on a Monday morning that goes on in real time; `--armed` begins
with a latch that was left armed, as after a kill. `resume` is off: whatever ended, a person must re-arm.
"""

from __future__ import annotations

import asyncio
import json
import os
import random
import sys
from pathlib import Path
from typing import Any

from app.clock import MS, NS, SystemClock, Timer
from app.domain.calendar import TradingCalendar
from app.domain.market import Quote
from app.engine.engine import Engine, Parts
from app.engine.records import Latch, Recovered
from app.engine.settings import EngineSettings
from app.errors import Refused
from app.mcu import messages, session
from app.mcu.link import Link
from app.mcu.native_codec import NativeCodec
from app.mcu.session import Session
from tests.engine.exchange import ACCOUNT, ES, MONDAY_10, Exchange
from tests.engine.wire import Faults, Wire
from tests.engine.world import LIMITS, RULES, MemoryJournal
from tests.matrix.line import FaultyLine
from tests.matrix.loop_meter import LoopMeter

QUOTE_NS = 250 * MS
COMMAND_LIMIT = 4096  # bytes of the input read at once; a command is a dozen


class MondayClock(SystemClock):
    """Real time that says it is Monday; `jump` moves the wall clock, which no timer may notice."""

    def __init__(self) -> None:
        self._offset_ns = MONDAY_10 - self.mono_ns()

    def utc_ns(self) -> int:
        return self.mono_ns() + self._offset_ns

    wall_ns = utc_ns

    def jump(self, seconds: int) -> None:
        self._offset_ns += seconds * NS


class CountingCodec:
    """The service's codec; counts the frames sent by type and keeps the board's last time and trips."""

    def __init__(self) -> None:
        self.sent: dict[int, int] = {}
        self.board_ms = 0
        self._codec = NativeCodec()

    def encode(self, type_: int, *rest: Any) -> bytes:
        self.sent[type_] = self.sent.get(type_, 0) + 1
        return self._codec.encode(type_, *rest)

    def decoder(self) -> CountingDecoder:
        return CountingDecoder(self, self._codec.decoder())


class CountingDecoder:
    def __init__(self, codec: CountingCodec, decoder: Any) -> None:
        self._codec, self._decoder = codec, decoder

    def feed(self, data: bytes) -> list[tuple]:
        found: list[tuple] = self._decoder.feed(data)
        for _, fields in found:
            if fields is not None and fields[0] & messages.FROM_BOARD:
                self._codec.board_ms = fields[5]
        return found


class WatchedLink(Link):
    """The service's link; keeps every session's counters and how long it was silent before a hold."""

    def __init__(self, *parts: Any) -> None:
        super().__init__(*parts)
        self.begun: list[Session] = []
        self.silence_ms = 0

    def _begin(self) -> None:
        super()._begin()
        if self._session is not None:
            self.begun.append(self._session)

    def _silent(self) -> None:
        if self._told[0] and self._session is not None:
            self.silence_ms = self._now_ms() - self._session.peer.heard_ms
        super()._silent()

    def counted(self) -> dict[str, int]:
        rows = [one.peer.counted for one in self.begun]
        return {name: sum(row[at] for row in rows) for at, name in enumerate(session.COUNTED)}


class Desk:
    """One engine with its link. `stop` it, then another may have the tty."""

    def __init__(self, device: Path, armed: bool, seed: int) -> None:
        self.clock = MondayClock()
        self.codec = CountingCodec()
        self.line = FaultyLine(device, self.clock, seed)
        self.link = WatchedLink("virtual", self.clock, self.line.dial, self.codec)
        self.exchange = Exchange(self.clock)
        self.venue = Wire(self.clock, self.exchange, random.Random(seed), Faults())
        latch = Latch(True, ()) if armed else None
        self.engine = self._engine(Recovered(latch, (), (), (), (), 0, {}))
        self.venue.sink = self.engine
        self.link.connect(self.engine)
        self._quoting: Timer | None = None

    def _engine(self, recovered: Recovered) -> Engine:
        settings = EngineSettings(ACCOUNT, clock="system", resume=False)
        calendar, journal = TradingCalendar(), MemoryJournal(self.clock)
        clock, venue, link = self.clock, self.venue, self.link
        parts = Parts(clock, calendar, journal, venue, link, settings, LIMITS, RULES, (), recovered, {})
        return Engine(parts)

    def begin(self) -> None:
        self.engine.begin({"ES": ES})
        self._quote()
        self.engine.on_link(True, "")
        self._task = asyncio.create_task(self.link.run(), name="link")

    def _quote(self) -> None:
        price = self.exchange.price
        quote = Quote(ES, price - 1, price + 1, price, self.clock.utc_ns())
        self.engine.on_quote(quote, self.clock.mono_ns())
        self._quoting = self.clock.call_later(QUOTE_NS, self._quote)

    async def stop(self) -> None:
        self._task.cancel()
        await asyncio.gather(self._task, return_exceptions=True)
        self.engine.stop()
        self.line.stop()
        if self._quoting is not None:
            self._quoting.cancel()

    def told(self) -> dict[str, Any]:
        """What this side believes, and what it did."""
        engine, view = self.engine, self.link.view()
        return {
            "state": engine.snapshot().state,
            "armed": engine.trading.armed,
            "reasons": sorted(str(reason.code) for reason in engine.trading.reasons.all()),
            "person": any(reason.code == "switch" for reason in engine.trading.person_reasons()),
            "closed": engine.board.closed,
            "board": view.state,
            "contacts": view.contacts,
            "detail": view.detail,
            "sessions": view.sessions,
            "arms": self.codec.sent.get(messages.ARM, 0),
            "board_ms": self.codec.board_ms,
            "silence_ms": self.link.silence_ms,
            "counters": self.link.counted(),
            "target": view.target,
        }


class Server:
    """The commands of the test's process."""

    def __init__(self, device: Path, armed: bool) -> None:
        self.meter = LoopMeter()
        self.meter.install()
        self.over = asyncio.Event()
        self._device, self._armed = device, armed
        self._made = 0
        self._changing: asyncio.Task[None] | None = None
        self._input = b""

    def start(self) -> None:
        self.desk = Desk(self._device, self._armed, self._made)
        self._made += 1
        self.desk.begin()
        self.meter.forget()

    async def renew(self) -> None:
        await self.desk.stop()
        self.start()
        self.answer(self.told())

    def read(self) -> None:
        data = os.read(0, COMMAND_LIMIT)
        if not data:
            self.over.set()
        *lines, self._input = (self._input + data).split(b"\n")
        for line in lines:
            self.obey(line.decode().split())

    def obey(self, words: list[str]) -> None:
        name, values = words[0], words[1:]
        if name == "new":
            self._changing = asyncio.create_task(self.renew(), name="renew")
            return
        if name == "line":
            self.desk.line.order(values[0], values[1] if len(values) > 1 else "")
        elif name == "forget":
            self.meter.forget()
            self.desk.link.silence_ms = 0
        elif name == "jump":
            self.desk.clock.jump(int(values[0]))
        elif name == "halt":
            self.desk.engine.halt("matrix", "the end of a row")
        elif name == "rearm":
            self.answer({"refused": self.rearm()})
            return
        self.answer(self.told())

    def rearm(self) -> str:
        try:
            self.desk.engine.rearm("matrix", "a person")
        except Refused as refused:
            return str(refused)
        return ""

    def told(self) -> dict[str, Any]:
        return {**self.desk.told(), "blocked_ms": self.meter.longest_ns / MS}

    def answer(self, what: dict[str, Any]) -> None:
        sys.stdout.write(json.dumps(what) + "\n")
        sys.stdout.flush()


async def main() -> None:
    server = Server(Path(sys.argv[1]), "--armed" in sys.argv)
    server.start()
    asyncio.get_running_loop().add_reader(0, server.read)
    server.answer(server.told())
    await server.over.wait()
    await server.desk.stop()


if __name__ == "__main__":
    asyncio.run(main())

"""The board as the engine's panel: sessions over a transport, and what each event means for trading.

Everything happens in the callback that brought the bytes: an opened switch is `engine.trip` before the next
byte is looked at. A lost session is a hold and its successor a new Session over a new transport, two a second
at most. Beats leave because the engine's own timer said that the work loop turns, never from a side timer.

What a message is lives in `session`; how bytes travel in `port` and `guest`.
"""

from __future__ import annotations

import asyncio
import logging
import secrets
from collections.abc import Awaitable, Callable
from typing import Any, Protocol

from app.clock import MS, Clock, Timer, pause
from app.engine.ports import Trips
from app.engine.snapshot import BoardView, Snapshot
from app.errors import Later
from app.mcu import lights, messages, session
from app.mcu.lateness import Lateness, StampedCodec
from app.mcu.leds import Leds
from app.mcu.session import Session
from app.mcu.shipped import Shipped

RETRY_MS = 500  # from the start of one session to that of the next: two a second, as the protocol allows
OPENING_MS = 2_000  # without a greeting the transport is opened anew: the tty may be another one by now
READY_MS = 1_000  # a board whose contact is closed is ready within its debounce; later it is not in order
FAREWELL_MS = 20  # until the last frame has left the wire: it takes 2 ms
STOPPED_BY = frozenset({messages.CAUSE_HOST, messages.CAUSE_SWITCH})  # the engine knows why already
PERSONS = {
    messages.CAUSE_SWITCH: "the switch was opened",
    messages.CAUSE_FAULT: "the board found a fault in its contacts or its output",
}
FAULTS = {
    messages.FAULT_DISCREPANCY: "the channels differ",
    messages.FAULT_READBACK: "the output does not follow",
    messages.FAULT_STARVED: "a task is late",
}  # the watchdog's bit is no fault: it tells of the last reset
RESETS = ("unknown", "power", "pin", "watchdog", "software")
LOST = {
    session.SILENCE: "the board is silent",
    session.NOISE: "too many bad frames",
    session.VERSION: "the board speaks another version of the protocol",
    session.CLOSED: "the connection ended",
}

log = logging.getLogger("plimsoll.board")


class Transport(Protocol):
    """An open way to the board. Lives once; neither call waits."""

    def write(self, data: bytes) -> None: ...
    def close(self) -> None: ...


# Opens a transport that hands every read to the first function and its end, once, to the second.
# Raises Later.
Dial = Callable[[Callable[[bytes], None], Callable[[str], None]], Awaitable[Transport]]


def random32() -> int:
    return secrets.randbits(32)


class Link:
    """`ports.Panel` over a real or virtual board. `connect` the engine, then `run` while it trades."""

    def __init__(
        self,
        mode: str,
        clock: Clock,
        dial: Dial,
        codec: Any,
        leds: Leds | None = None,
        shipped: Shipped | None = None,
    ) -> None:
        self.mode = mode
        self.sessions = 0
        self._shipped = shipped or Shipped()
        self._foreign = False  # what answers there speaks another version of the protocol
        self._updating = False  # a new version is being installed; the lights say so
        self._shown: Snapshot | None = None
        self._clock, self._dial, self._leds = clock, dial, leds
        self._codec = codec
        self._engine: Trips | None = None
        self._session: Session | None = None
        self._stamps = StampedCodec(codec, Lateness())
        self._transport: Transport | None = None
        self._ended = asyncio.Event()
        self._timer: Timer | None = None
        self._busy = False  # inside `_turn`: what is asked for meanwhile leaves with it
        self._open = False  # trading, as last shown
        self._asked_to_run = False
        self._status = lights.STARTING
        self._wanted = (lights.STARTING, 0, 0)
        self._began_ms = 0
        self._all = messages.CONTACT_A  # contacts that a closed switch closes
        self._told = (False, False)  # what the engine heard last: fresh, closed
        self._waiting_ms: int | None = None  # since when the board should have been ready
        self._welcome: tuple = ()
        self._counters: tuple = ()
        self._detail = "not connected yet"

    # -- the panel

    def connect(self, engine: Trips) -> None:
        """Whom to tell. Until the first session the engine hears nothing, which is silence to it."""
        self._engine = engine

    def updating(self, going_on: bool) -> None:
        """Whether a new version is being installed: the lights say so at once."""
        changed, self._updating = going_on != self._updating, going_on
        if changed and self._shown is not None:
            self.show(self._shown)

    def show(self, snapshot: Snapshot) -> None:
        """Ask for the lights of `snapshot`, and let the board run where trading is open."""
        self._shown = snapshot
        self._open = snapshot.state == "active"
        self._status = lights.status(snapshot, updating=self._updating)
        self._wanted = (self._status, *lights.figures(snapshot))
        if self._session is not None:
            self._session.lights(*self._wanted)
            self._turn()

    def heartbeat(self, mono_ns: int) -> None:
        """The work loop turns: the beats of the next 100 ms may leave."""
        if self._leds is not None:
            self._leds.show(lights.colour(self._status, mono_ns))
        if self._session is not None:
            self._session.beat_allowed(mono_ns // MS)
            self._turn()

    def view(self) -> BoardView:
        """What is known of the board, for people."""
        welcome, beat = self._welcome, self._beat()
        return BoardView(
            mode=self.mode,
            state=messages.STATES[beat[2]] if beat else "silent",
            contacts=_contacts(beat[3], self._all) if beat else "",
            cause=messages.CAUSES[beat[7]] if beat and beat[2] in (messages.TRIPPED, messages.FAULT) else "",
            faults=tuple(words for bit, words in FAULTS.items() if beat and beat[4] & bit),
            detail="" if beat else self._detail,
            target=messages.TARGETS[welcome[2]] if welcome else "",
            firmware=welcome[1].hex() if welcome else "",
            foreign=self._foreign,
            outdated=self._outdated(),
            reset=RESETS[welcome[3]] if welcome and welcome[3] < len(RESETS) else "",
            boot_id=welcome[4] if welcome else 0,
            sessions=self.sessions,
            latency_ms=self._stamps.lateness.last_ms,
            counters=dict(zip(COUNTER_NAMES, self._counters, strict=False)),
        )

    def _outdated(self) -> bool:
        """Whether this release carries another firmware for the board. It may serve all the same: what makes
        a session is the protocol's version, which the session itself holds both sides to.
        """
        if self._foreign or not self._welcome:
            return self._foreign
        carried = self._shipped.firmware.get(messages.TARGETS[self._welcome[2]])
        return carried not in (None, self._welcome[1].hex())

    def _beat(self) -> tuple:
        live = self._session is not None and self._session.state == session.LIVE
        return self._session.beat if live and self._session is not None else ()

    # -- sessions, one after the other

    async def run(self) -> None:
        """Keep a session, for ever; raises only what is no matter of the link."""
        try:
            while True:
                began_ms = self._now_ms()
                await self._one_session()
                await self._sleep_until(began_ms + RETRY_MS)
        finally:
            await self._farewell()
            if self._leds is not None:
                self._leds.close()

    async def _one_session(self) -> None:
        self._ended.clear()
        try:
            self._transport = await self._dial(self._received, self._gone)
        except Later as error:
            self._lack(str(error))
            return
        if self._ended.is_set():  # it was gone before it was ours
            self._transport.close()
            return
        self._begin()
        await self._ended.wait()

    async def _farewell(self) -> None:
        """An orderly end: the board stops because we say so, not only because we fall silent."""
        try:
            if self._session is not None:
                self._open = False
                self._session.stop()
                self._turn()
                await self._sleep_until(self._now_ms() + FAREWELL_MS)
        finally:
            self._end()

    def _begin(self) -> None:
        now = self._began_ms = self._now_ms()
        self._stamps = StampedCodec(self._codec, Lateness())
        self._session = Session(self._stamps, random32() or 1, random32(), now, random32)
        self._session.lights(*self._wanted)
        self._asked_to_run, self._waiting_ms = False, None
        self.sessions += 1
        self._turn()

    def _end(self) -> None:
        """Idempotent."""
        if self._timer is not None:
            self._timer.cancel()
        self._session = self._timer = None
        transport, self._transport = self._transport, None
        if transport is not None:
            transport.close()
        self._ended.set()

    def _lack(self, why: str) -> None:
        """Say why there is no session, once for each reason."""
        if why != self._detail:
            self._detail = why
            log.warning("no board: %s", why)

    async def _sleep_until(self, due_ms: int) -> None:
        await pause(self._clock, (due_ms - self._now_ms()) * MS)

    # -- bytes and time

    def _received(self, data: bytes) -> None:
        self._turn(data)

    def _gone(self, why: str) -> None:
        """The transport ended by itself."""
        current = self._session
        if current is not None:
            self._handle(current, current.close(), why)
        self._ended.set()

    def _turn(self, data: bytes = b"") -> None:
        """One turn of the session: what came, what it means, what leaves, when to look again."""
        current, transport = self._session, self._transport
        if self._busy or current is None or transport is None:
            return
        self._busy = True
        try:
            now = self._stamps.arrival_ms = self._now_ms()
            self._handle(current, current.feed(data, now))
            if current.state == session.LIVE:
                self._watch(now)
                self._steer(current)
            if self._session is current:
                current.confirming = self._engine is not None and self._engine.latched()
                out, due_ms = current.poll(now)
                transport.write(out)
                self._look_at(due_ms)
        finally:
            self._busy = False

    def _look_at(self, due_ms: int) -> None:
        """Turn again at `due_ms` at the latest: silence is noticed without a byte."""
        if self._timer is not None:
            self._timer.cancel()
            self._timer = None
        if self._session is None:
            return
        if self._session.state == session.OPENING and self._now_ms() - self._began_ms >= OPENING_MS:
            self._lose("the board does not answer")
            return
        self._timer = self._clock.call_later(max(1, due_ms - self._now_ms()) * MS, self._turn)

    def _now_ms(self) -> int:
        return self._clock.mono_ns() // MS

    # -- what the board says

    def _handle(self, current: Session, events: list[tuple], why: str = "") -> None:
        for event in events:
            kind = event[0]
            if kind == session.EV_TRIP:
                self._tripped(event[2])
            elif kind == session.EV_PANEL:
                self._panel(event[1], event[2], current.beat[7])
            elif kind == session.EV_WELCOME:
                self._welcomed(event[1:])
            elif kind == session.EV_COUNTERS:
                self._counters = event[1:]
            elif kind == session.EV_LIVE:
                self._detail = ""
                log.info("the board is there: %s, firmware %s", self.mode, self._welcome[1].hex())
            elif kind == session.EV_LOST:
                self._foreign = self._foreign or event[1] == session.VERSION
                self._lose(why or LOST[event[1]])

    def _welcomed(self, welcome: tuple) -> None:
        self._welcome, self._foreign = welcome, False
        two = welcome[5] & messages.TWO_CHANNELS
        self._all = messages.CONTACT_A | messages.CONTACT_B if two else messages.CONTACT_A

    def _lose(self, why: str) -> None:
        """The session is over: at once a hold, then a new one."""
        self._lack(why)
        self._silent()
        self._end()

    def _tripped(self, cause: int) -> None:
        """The board tripped. It waits for our confirmation, which leaves when the latch is on disk."""
        if cause in PERSONS:
            self._trip(PERSONS[cause])
            log.warning("trip: %s", PERSONS[cause])
        else:
            self._silent()

    def _panel(self, state: int, contacts: int, cause: int) -> None:
        """State, contacts or faults changed; faults are for people, their consequence is in the state."""
        closed = contacts & self._all == self._all
        self._waiting_ms = None
        if state == messages.FAULT:
            self._trip(PERSONS[messages.CAUSE_FAULT])
            self._tell(True, False)
        elif not closed:
            self._trip("the switch is open")
            self._tell(True, False)
        elif state in (messages.READY, messages.RUN):
            self._tell(True, True)
        elif cause in STOPPED_BY and self._told[0]:
            self._waiting_ms = self._now_ms()
        else:
            self._silent()

    def _watch(self, now_ms: int) -> None:
        """A board that stays tripped with a closed switch is not in order, whatever it says."""
        if self._waiting_ms is not None and now_ms - self._waiting_ms >= READY_MS:
            self._waiting_ms = None
            self._silent()

    def _steer(self, current: Session) -> None:
        """Let the board run exactly while trading is open."""
        state = current.beat[2]
        if state not in (messages.READY, messages.RUN):
            self._asked_to_run = False  # the nonce is void
        elif self._open:
            self._asked_to_run = current.arm() or self._asked_to_run
        elif state == messages.RUN or self._asked_to_run:
            self._asked_to_run = False
            current.stop()

    def _trip(self, words: str) -> None:
        self._open = False
        if self._engine is not None:
            self._engine.trip(words)

    def _silent(self) -> None:
        if self._told[0]:
            self._tell(False, self._told[1])

    def _tell(self, fresh: bool, closed: bool) -> None:
        changed, self._told = self._told != (fresh, closed), (fresh, closed)
        if not (fresh and closed):
            self._open = False  # the board may be ready again before trading is shown anew
        if changed and self._engine is not None:
            self._engine.on_panel(fresh, closed)


COUNTER_NAMES = tuple(name for name, _, _ in messages.MESSAGES[messages.COUNTERS][1])


def _contacts(contacts: int, everything: int) -> str:
    """ "closed", "open", or which of two channels is open."""
    if contacts & everything == everything:
        return "closed"
    if not contacts or everything == messages.CONTACT_A:
        return "open"
    return "a open" if not contacts & messages.CONTACT_A else "b open"

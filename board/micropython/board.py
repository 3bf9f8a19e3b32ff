"""The board's side of the link and its machine of states for MicroPython: the rules of the C firmware.

Built on ``app.mcu.session.Peer``. Samples, bytes and milliseconds come in; bytes, and whether the output may
be on, come out. No pins, no port, no clock: those are ``hardware``'s. Call ``sample`` and ``read_back`` every
millisecond, ``feed`` and ``poll`` as often.
"""

from app.mcu import messages, session
from app.mcu.messages import FAULT, READY, RUN, TRIPPED
from board.micropython.kill import FRESH_MS, Contacts

BEAT_GAP_MS = 10  # least distance of beats that a change calls for: a bouncing contact floods no UART
TRIP_MS = 50  # between repetitions of a trip until its ACK
COUNTERS_MS = 1000  # between COUNTERS
LATE_MS = 200  # frames of the former session this soon after HELLO are late, not an attack
READBACK_MS = 20  # the output may take this long to follow: a relay's pull-in
_BLOCKING = messages.FAULT_DISCREPANCY | messages.FAULT_READBACK | messages.FAULT_STARVED
_U16, _U32 = 0xFFFF, 0xFFFFFFFF

# What moves the machine, and the cause of the trip that it is.
CLEAR, ARM, OPEN, SILENT, STOP, SESSION, NOISE, PROTOCOL, BROKEN, BOTH_OPEN = 0, 1, 2, 3, 4, 5, 6, 7, 8, 9
EVENTS = (
    "CLEAR",
    "ARM",
    "OPEN",
    "SILENT",
    "STOP",
    "SESSION",
    "NOISE",
    "PROTOCOL",
    "FAULT",
    "BOTH_OPEN",
)
CAUSES = {
    OPEN: messages.CAUSE_SWITCH,
    SILENT: messages.CAUSE_LINK,
    STOP: messages.CAUSE_HOST,
    SESSION: messages.CAUSE_SESSION,
    NOISE: messages.CAUSE_NOISE,
    PROTOCOL: messages.CAUSE_PROTOCOL,
    BROKEN: messages.CAUSE_FAULT,
}
TRANSITIONS = {
    (TRIPPED, CLEAR): READY,
    (TRIPPED, OPEN): TRIPPED,  # no move, but the host hears of every opening
    (TRIPPED, BROKEN): FAULT,
    (READY, ARM): RUN,
    (READY, OPEN): TRIPPED,
    (READY, SILENT): TRIPPED,
    (READY, STOP): TRIPPED,
    (READY, SESSION): TRIPPED,
    (READY, NOISE): TRIPPED,
    (READY, PROTOCOL): TRIPPED,
    (READY, BROKEN): FAULT,
    (RUN, OPEN): TRIPPED,
    (RUN, SILENT): TRIPPED,
    (RUN, STOP): TRIPPED,
    (RUN, SESSION): TRIPPED,
    (RUN, NOISE): TRIPPED,
    (RUN, PROTOCOL): TRIPPED,
    (RUN, BROKEN): FAULT,
    (FAULT, OPEN): FAULT,
    (FAULT, BOTH_OPEN): TRIPPED,  # the channels work again; a stuck output needs a reboot
}  # anything not in it changes nothing and is counted


class Board:
    """One board from boot to reset. ``identity``: hash of the firmware, cause of the reset, boot id.

    ``random32`` gives unpredictable integers of 32 bits, for challenges and nonces.
    """

    def __init__(self, codec, random32, identity: tuple, two_channels: bool, now_ms: int) -> None:
        self.identity = identity
        self.state = TRIPPED
        self.cause = messages.CAUSE_BOOT  # of the last trip, STOP included
        self.faults = messages.FAULT_WATCHDOG if identity[1] == messages.RESET_WATCHDOG else 0
        self.trip = (1, messages.CAUSE_BOOT, now_ms & _U32)  # the last one that the host must hear of
        self.acknowledged = False
        self.contacts = Contacts(two_channels)
        self.peer = session.Peer(codec, 0, messages.FROM_BOARD, session.BOARD_SILENCE_MS, now_ms, random32)
        self.request: tuple | None = None  # the host's last LIGHTS of this session
        self.overrun = 0  # bytes that the port lost
        self._codec = codec
        self._random32 = random32
        self._decoder = codec.decoder()
        self._bad_frames = session.BadFrames()
        self._boot_ms = now_ms
        self._arm_nonce = 0
        self._former = 0  # the session before this one
        self._session_ms = now_ms
        self._host_nonce: int | None = None  # to be welcomed
        self._faults_ms = now_ms
        self._output_ms = now_ms  # read back last
        self._fed_ms = now_ms
        self._differs_ms: int | None = None  # since when the output does not follow
        self._changed = False  # a beat does not wait for its turn
        self._tell_faults = False
        self._beat_ms = now_ms  # sent last
        self._told_ms = now_ms - TRIP_MS
        self._counters_ms = now_ms

    @property
    def output(self) -> bool:
        """Whether the output may be on."""
        return self.state == RUN

    def fresh(self, now_ms: int) -> bool:
        """Whether input, read-back and link all ran lately: only then may the watchdog be fed."""
        oldest = min(self.contacts.sampled_ms, self._output_ms, self._fed_ms)
        return 0 <= now_ms - oldest <= FRESH_MS

    # What the hardware says

    def sample(self, closed: int, now_ms: int) -> None:
        """Take the contacts as they are: CONTACT_* bits, set when closed."""
        before = self.contacts.closed
        if self.contacts.sample(closed, now_ms):
            self._happen(OPEN, now_ms)
        if self.contacts.closed != before:
            self._changed = True
        if self.contacts.contradict(now_ms):
            self._set_faults(self.faults | messages.FAULT_DISCREPANCY, now_ms)
        if self.faults & messages.FAULT_DISCREPANCY and self.contacts.closed == 0:
            self._set_faults(self.faults & ~messages.FAULT_DISCREPANCY, now_ms)
            if not self.faults & messages.FAULT_READBACK:
                self._happen(BOTH_OPEN, now_ms)

    def read_back(self, energised: bool, now_ms: int) -> None:
        """Take the output as it is."""
        self._output_ms = now_ms
        if energised == self.output:
            self._differs_ms = None
        elif self._differs_ms is None:
            self._differs_ms = now_ms
        elif now_ms - self._differs_ms > READBACK_MS:
            self._set_faults(self.faults | messages.FAULT_READBACK, now_ms)

    def _set_faults(self, faults: int, now_ms: int) -> None:
        begun = faults & ~self.faults
        if faults == self.faults:
            return
        self.faults = faults
        self._faults_ms = now_ms
        self._tell_faults = True
        self._changed = True
        if begun & (messages.FAULT_DISCREPANCY | messages.FAULT_READBACK):
            self._happen(BROKEN, now_ms)

    # The machine

    def _happen(self, event: int, now_ms: int) -> None:
        """Move as the table says."""
        after = TRANSITIONS.get((self.state, event))
        if after is None:
            self.peer.count(session.IGNORED)
            return
        if event in CAUSES:
            self._record(CAUSES[event], now_ms)
        if after != self.state:
            self._arm_nonce = self._random32() | 1 if after == READY else 0
            self._differs_ms = None  # the output's time to follow begins anew
        self.state = after
        self._changed = True

    def _record(self, cause: int, now_ms: int) -> None:
        """Note a trip for the host, but not its own STOP nor the bounces of an opening it did not confirm."""
        self.cause = cause
        known = cause == messages.CAUSE_SWITCH and self.trip[1] == cause and not self.acknowledged
        if cause == messages.CAUSE_HOST or known:
            return
        trip_id = self.trip[0] + 1 & _U16 or 1
        self.trip = (trip_id, cause, now_ms & _U32)
        self.acknowledged = False
        self._told_ms = now_ms - TRIP_MS

    def _clear(self, now_ms: int) -> bool:
        if not self.peer.live or not self.contacts.released() or not self.acknowledged:
            return False
        return not self.faults & _BLOCKING and not self._bad_frames.too_many(now_ms)

    def _tick(self, now_ms: int) -> None:
        if self.peer.live and self.peer.silent(now_ms):
            self.peer.live = False
            self._happen(SILENT, now_ms)
        starved = 0 if self.fresh(now_ms) else messages.FAULT_STARVED
        self._set_faults(self.faults & ~messages.FAULT_STARVED | starved, now_ms)
        if self.state == TRIPPED and self._clear(now_ms):
            self._happen(CLEAR, now_ms)

    # What the host says

    def feed(self, data: bytes, now_ms: int) -> list[tuple]:
        """Take bytes read, maybe none. The board has no events for its runner: the list is empty."""
        self._fed_ms = now_ms
        for _, fields in self._decoder.feed(data):
            verdict = self.peer.count(session.BAD) if fields is None else self._judge(fields, now_ms)
            if verdict == session.GOOD:
                self._take(fields[0], fields[6], now_ms)
            else:
                self._refuse(verdict, fields, now_ms)
        self._tick(now_ms)
        return []

    def _refuse(self, verdict: int, fields: tuple | None, now_ms: int) -> None:
        """What comes twice or comes back is dropped; what does not belong on this wire trips."""
        if verdict == session.BAD:
            self._bad_frames.add(now_ms)
            if self._bad_frames.too_many(now_ms):
                self._happen(NOISE, now_ms)
        elif fields is not None and self._foreign(verdict, fields[2], now_ms):
            if verdict == session.WRONG_VERSION and self.peer.session == 0:
                self._host_nonce = 0  # to a host of another version this board would seem dead
            self._happen(PROTOCOL, now_ms)

    def _foreign(self, verdict: int, session_id: int, now_ms: int) -> bool:
        if verdict == session.WRONG_SESSION:
            return not self._late(session_id, now_ms)
        return verdict == session.WRONG_VERSION

    def _late(self, session_id: int, now_ms: int) -> bool:
        """Whether a frame belongs to the former session, and that ended just now."""
        return session_id == self._former != 0 and now_ms - self._session_ms <= LATE_MS

    def _judge(self, fields: tuple, now_ms: int) -> int:
        """Judge a frame; a HELLO of another session opens it first."""
        type_, version, session_id, seq = fields[:4]
        other = session_id not in (0, self.peer.session) and not self._late(session_id, now_ms)
        hello = type_ == messages.HELLO and version == messages.VERSION and 0 < seq < session.SEQ_WINDOW
        if hello and other and messages.valid(type_, fields[6]):
            self._begin(session_id, now_ms)
        return self.peer.judge(fields)

    def _begin(self, session_id: int, now_ms: int) -> None:
        """Forget the session there was; what it ran is over."""
        counted = self.peer.counted
        self._former, self._session_ms = self.peer.session, now_ms
        self.peer = session.Peer(
            self._codec, session_id, messages.FROM_BOARD, session.BOARD_SILENCE_MS, now_ms, self._random32
        )
        self.peer.counted = counted  # these are the board's, since boot
        self.request = self._host_nonce = None
        self._told_ms = now_ms - TRIP_MS
        self._tell_faults = self.faults != 0
        self._changed = True
        self._happen(SESSION, now_ms)

    def _take(self, type_: int, payload: tuple, now_ms: int) -> None:
        if type_ == messages.HELLO:
            self._host_nonce = payload[0]
        elif type_ == messages.HOST_BEAT:
            self.peer.hear(payload[0], payload[1], now_ms)
        elif type_ == messages.ACK:
            self.acknowledged = self.acknowledged or payload[0] == self.trip[0]
        elif type_ == messages.ARM:
            right = payload[0] == self._arm_nonce != 0 and self._clear(now_ms)
            if right and not self.peer.silent(now_ms):
                self._happen(ARM, now_ms)
            else:
                self.peer.count(session.IGNORED)
        elif type_ == messages.STOP:
            self._happen(STOP, now_ms)
        else:
            self.request = payload

    # What goes to the host

    def poll(self, now_ms: int) -> tuple[bytes, int]:
        """Return the bytes to write now, most urgent first, and when to call again at the latest."""
        self._tick(now_ms)
        out = b""
        if self._host_nonce is not None:
            out += self._send_welcome(now_ms)
        if self.peer.session == 0:
            return out, now_ms + session.BEAT_MS
        out += self._send_trip(now_ms) + self._send_beat(now_ms)
        if self._tell_faults:
            self._tell_faults = False
            out += self.peer.frame(messages.FAULTS, (self.faults, self._faults_ms & _U32), now_ms)
        if now_ms - self._counters_ms >= COUNTERS_MS:
            out += self._send_counters(now_ms)
        return out, self._beat_ms + (BEAT_GAP_MS if self._changed else session.BEAT_MS)

    def _send_welcome(self, now_ms: int) -> bytes:
        hash_, reset_cause, boot_id = self.identity
        two = self.contacts.all & messages.CONTACT_B != 0
        known = (self._host_nonce, hash_, messages.TARGET_MICROPYTHON, reset_cause, boot_id)
        self._host_nonce = None
        return self.peer.frame(messages.WELCOME, known + (messages.TWO_CHANNELS if two else 0,), now_ms)

    def _send_trip(self, now_ms: int) -> bytes:
        if self.acknowledged or now_ms - self._told_ms < TRIP_MS:
            return b""
        self._told_ms = now_ms
        return self.peer.frame(messages.TRIP, self.trip, now_ms)

    def _send_beat(self, now_ms: int) -> bytes:
        if now_ms - self._beat_ms < (BEAT_GAP_MS if self._changed else session.BEAT_MS):
            return b""
        self._beat_ms = now_ms
        self._changed = False
        facts = (self.state, self.contacts.closed, self.faults, self._arm_nonce, self.trip[0], self.cause)
        return self.peer.frame(messages.BOARD_BEAT, self.peer.challenge(now_ms) + facts, now_ms)

    def _send_counters(self, now_ms: int) -> bytes:
        self._counters_ms = now_ms
        counted = [count & _U32 for count in self.peer.counted[: session.IGNORED]]
        uptime_s = (now_ms - self._boot_ms) // 1000 & _U32
        return self.peer.frame(messages.COUNTERS, tuple(counted) + (self.overrun & _U32, uptime_s), now_ms)

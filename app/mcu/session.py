"""One session of the board link: sequence, liveness and the host's side, on CPython and MicroPython.

``Peer`` is what both sides share: numbering frames, judging those that arrive, and the challenges by which a
side proves that it is there now. ``Session`` is the host's side; ``board/micropython`` builds the board's on
the same Peer. Nothing here reads a clock, a port or a random source: bytes and milliseconds come in, bytes
and events go out. Times are integers of a clock that only runs forward; one that runs backward counts as
silence.

What arrived is never proof by itself. A side is live while it keeps getting right answers, and an answer is
right once, for a challenge sent within the time-out: recordings, echoes and late bytes answer none.
"""

from app.mcu import messages

BEAT_MS = 50  # a beat each way, 20 a second: about 2 % of the wire
HELLO_MS = 100  # between greetings until the board answers
HOST_SILENCE_MS = 200  # without a right answer: four beats
BOARD_SILENCE_MS = 250  # the board waits a beat longer, so that the host's hold comes before the board's trip
WORK_MS = 100  # a beat leaves only if the work loop turned this lately
ARM_MS = 100  # between repeats of an arm the board did not follow yet
LIGHTS_MS = 1000  # a request for lights is repeated, since it may be lost
CHALLENGES = 8  # sent and remembered; more than can be under way within the time-out
NOISE_LIMIT = 20  # more bad frames than this
NOISE_WINDOW_MS = 1000  # within this end the session: the wire is not to be trusted
TRIPS = 8  # trip ids remembered as told; the board has one at a time
SEQ_WINDOW = 32768  # a sequence number up to half the range ahead is newer

_U16, _U32 = 0xFFFF, 0xFFFFFFFF

# How a frame is judged; each judgement is counted under its name.
GOOD, BAD, DUPLICATE, LOOPED, WRONG_SESSION, WRONG_VERSION, IGNORED = 0, 1, 2, 3, 4, 5, 6
COUNTED = ("good", "bad", "duplicate", "looped", "wrong_session", "wrong_version", "ignored")

# The host's states and what moves them. LOST is final: the owner of a lost session makes a new one.
OPENING, GREETED, LIVE, LOST = 0, 1, 2, 3
STATES = ("opening", "greeted", "live", "lost")
WELCOME, ANSWER, SILENCE, NOISE, VERSION, CLOSED = 0, 1, 2, 3, 4, 5
INPUTS = ("welcome", "answer", "silence", "noise", "version", "closed")
TRANSITIONS = {
    (OPENING, WELCOME): GREETED,
    (OPENING, NOISE): LOST,
    (OPENING, VERSION): LOST,
    (OPENING, CLOSED): LOST,
    (GREETED, ANSWER): LIVE,
    (GREETED, SILENCE): LOST,
    (GREETED, NOISE): LOST,
    (GREETED, VERSION): LOST,
    (GREETED, CLOSED): LOST,
    (LIVE, ANSWER): LIVE,
    (LIVE, SILENCE): LOST,
    (LIVE, NOISE): LOST,
    (LIVE, VERSION): LOST,
    (LIVE, CLOSED): LOST,
}  # anything not in it changes nothing and is counted as ignored

# Events: tuples that begin with one of these.
EV_WELCOME = 1  # host_nonce, firmware_hash, target, reset_cause, boot_id, interlock: the message's fields
EV_LIVE = 2  # nothing: the first right answer
EV_PANEL = 3  # state, contacts, faults: with EV_LIVE, and when they or the arm nonce changed
EV_TRIP = 4  # trip_id, cause, at_ms: once for each trip_id of a session
EV_FAULTS = 5  # faults, since_ms
EV_COUNTERS = 6  # the eight of the message
EV_LOST = 7  # why: SILENCE, NOISE, VERSION or CLOSED


class BadFrames:
    """When the latest bad frames came: whether there were too many lately."""

    def __init__(self) -> None:
        self._times: list[int] = []

    def add(self, now_ms: int) -> None:
        self._times = self._times[-NOISE_LIMIT:]
        self._times.append(now_ms)

    def too_many(self, now_ms: int) -> bool:
        """Whether more than NOISE_LIMIT came within the last NOISE_WINDOW_MS."""
        return len(self._times) > NOISE_LIMIT and now_ms - self._times[0] < NOISE_WINDOW_MS


class Peer:
    """Sequence, challenge and freshness of one side of one session.

    ``own`` is the side's direction bit (0 or FROM_BOARD), ``silence_ms`` its own time-out, ``random32`` gives
    unpredictable integers of 32 bits.
    """

    def __init__(self, codec, session: int, own: int, silence_ms: int, now_ms: int, random32) -> None:
        self.session = session
        self.live = False  # since the first right answer; silence is for the owner to ask
        self.heard_ms = now_ms  # arrival of the last right answer
        self.round_trip_ms = 0  # of the last right answer
        self.counted = [0] * len(COUNTED)
        self._codec = codec
        self._own = own
        self._silence_ms = silence_ms
        self._random32 = random32
        self.sent_seq = 0  # of the latest frame sent
        self._last_seq = 0  # accepted last; 0 = none yet
        self._challenges: list[tuple[int, int]] = []  # (challenge, when), not answered yet, oldest first
        self._answer = 0

    def frame(self, type_: int, payload: tuple, now_ms: int) -> bytes:
        """Return the session's next frame."""
        self.sent_seq = self.sent_seq + 1 & _U16
        header = (type_, messages.VERSION, self.session, self.sent_seq, self._last_seq, now_ms & _U32)
        return self._codec.encode(*header, payload)

    def judge(self, fields: tuple) -> int:
        """Return and count whether an intact frame is this session's next message, or else what it is."""
        verdict = self._verdict(fields)
        if verdict == GOOD:
            self._last_seq = fields[3]
        return self.count(verdict)

    def count(self, verdict: int) -> int:
        self.counted[verdict] += 1
        return verdict

    def _verdict(self, fields: tuple) -> int:
        type_, version, session, seq = fields[:4]
        if type_ & messages.FROM_BOARD == self._own:
            return LOOPED
        if version != messages.VERSION:
            return WRONG_VERSION
        if not messages.valid(type_, fields[-1]):
            return BAD
        if session != self.session or session == 0:
            return WRONG_SESSION
        return GOOD if 0 < (seq - self._last_seq & _U16) < SEQ_WINDOW else DUPLICATE

    def challenge(self, now_ms: int) -> tuple[int, int]:
        """Return the challenge and the answer of a beat that leaves now."""
        challenge = self._random32()
        if challenge in (
            0,
            _U32,
        ):  # 0 is none, and the other's answer would be that of a side that heard none
            challenge = 1
        self._challenges = self._challenges[1 - CHALLENGES :]
        self._challenges.append((challenge, now_ms))
        return challenge, self._answer

    def hear(self, challenge: int, answer: int, now_ms: int) -> bool:
        """Take a beat's challenge and answer; True when the answer is right, which is so once."""
        self._answer = challenge ^ _U32
        for index in range(len(self._challenges) - 1, -1, -1):
            sent, sent_ms = self._challenges[index]
            if sent == answer ^ _U32 and 0 <= now_ms - sent_ms <= self._silence_ms:
                self._challenges = self._challenges[index + 1 :]
                self.live = True
                self.heard_ms = now_ms
                self.round_trip_ms = now_ms - sent_ms
                return True
        return False

    def silent(self, now_ms: int) -> bool:
        """Whether the time-out has passed since the last right answer, or the clock ran backward."""
        return not 0 <= now_ms - self.heard_ms < self._silence_ms

    def silent_at_ms(self) -> int:
        return self.heard_ms + self._silence_ms


class Session:
    """The host's side of one session. ``session_id`` is random and not 0, ``nonce`` random.

    Call ``feed`` with what was read, or with nothing when the deadline of ``poll`` has come, then ``poll``,
    and write what it returns. ``feed`` alone makes events, ``poll`` alone makes bytes.
    """

    def __init__(self, codec, session_id: int, nonce: int, now_ms: int, random32) -> None:
        self.state = OPENING
        self.peer = Peer(codec, session_id, 0, HOST_SILENCE_MS, now_ms, random32)
        self.beat: tuple = ()  # the payload of the board's latest beat, once live
        self._decoder = codec.decoder()
        self._bad_frames = BadFrames()
        self._nonce = nonce
        self._hello_ms = now_ms  # when each is due
        self._beat_ms = now_ms
        self._stop_ms = now_ms
        self._arm_ms = now_ms
        self._lights_ms = now_ms
        self._turned_ms: int | None = None  # when the work loop turned last
        self.confirming = True  # False: trips wait for their ACK, and the board goes on telling them
        self._acks: list[int] = []  # trips to confirm
        self._trips: list[int] = []  # reported
        self._stop = False
        self._stop_seq = 0
        self._arm_nonce = 0
        self._lights: tuple | None = None

    @property
    def lost(self) -> bool:
        """Whether it ended; then it is of no more use."""
        return self.state == LOST

    # What the work loop asks for

    def beat_allowed(self, now_ms: int) -> None:
        """Note that the work loop turned: only this lets beats leave."""
        self._turned_ms = now_ms

    def arm(self) -> bool:
        """Ask the board to run, with the nonce of its latest beat; False when it is not ready for it.

        Repeated while the board stays ready with that nonce: the wire may lose it, the board takes it once.
        """
        if self.state != LIVE or self._stop or self.beat[2] != messages.READY or self.beat[5] == 0:
            return False
        if self._arm_nonce != self.beat[5]:
            self._arm_nonce = self.beat[5]
            self._arm_ms = self.peer.heard_ms  # in the past: at once
        return True

    def stop(self) -> None:
        """Ask the board to switch its output off; repeated until a later beat shows that it did."""
        self._arm_nonce = 0
        if not self._stop:
            self._stop = True
            self._stop_seq = 0
            self._stop_ms = self.peer.heard_ms

    def lights(self, status: int, net: int, pnl_usd: int) -> None:
        """Ask for lights: a status code, net contracts and whole USD, the latter two held to their widths."""
        wanted = (status, _held(net, 0x7FFF), _held(pnl_usd, 0x7FFFFFFF))
        if not messages.valid(messages.LIGHTS, wanted):
            raise ValueError("session: no such status")
        if wanted != self._lights:
            self._lights = wanted
            self._lights_ms = self.peer.heard_ms

    def close(self) -> list[tuple]:
        """The port is gone: return the events of it."""
        events: list[tuple] = []
        self._lose(CLOSED, events)
        return events

    # What comes in

    def feed(self, data: bytes, now_ms: int) -> list[tuple]:
        """Return the events of bytes read and time passed. The caller bounds its reads."""
        events: list[tuple] = []
        if self.state in (GREETED, LIVE) and self.peer.silent(now_ms):
            self._lose(SILENCE, events)
        for _, fields in self._decoder.feed(data):
            verdict = self.peer.count(BAD) if fields is None else self.peer.judge(fields)
            if verdict == GOOD:
                self._take(fields, now_ms, events)
            elif verdict == WRONG_VERSION:
                self._lose(VERSION, events)
            elif verdict == BAD:
                self._count_bad(now_ms, events)
        return events

    def _count_bad(self, now_ms: int, events: list[tuple]) -> None:
        self._bad_frames.add(now_ms)
        if self._bad_frames.too_many(now_ms):
            self._lose(NOISE, events)

    def _step(self, happened: int) -> bool:
        """Move as the table says; False, counted and without effect, where it says nothing."""
        after = TRANSITIONS.get((self.state, happened))
        if after is None:
            self.peer.count(IGNORED)
            return False
        self.state = after
        return True

    def _lose(self, why: int, events: list[tuple]) -> None:
        if self._step(why):
            events.append((EV_LOST, why))

    def _take(self, fields: tuple, now_ms: int, events: list[tuple]) -> None:
        """Act on a message. A trip is heard in every state, also in the last bytes of a session."""
        type_, ack, payload = fields[0], fields[4], fields[6]
        if type_ == messages.TRIP:
            self._take_trip(payload, events)
        elif self.state == LOST:
            self.peer.count(IGNORED)
        elif type_ == messages.WELCOME:
            self._take_welcome(payload, now_ms, events)
        elif type_ == messages.BOARD_BEAT:
            self._take_beat(ack, payload, now_ms, events)
        elif type_ == messages.FAULTS:
            events.append((EV_FAULTS,) + payload)
        else:
            events.append((EV_COUNTERS,) + payload)

    def _take_trip(self, payload: tuple, events: list[tuple]) -> None:
        trip_id = payload[0]
        if trip_id not in self._acks:
            self._acks = self._acks[1 - TRIPS :]
            self._acks.append(trip_id)
        if trip_id not in self._trips:
            self._trips = self._trips[1 - TRIPS :]
            self._trips.append(trip_id)
            events.append((EV_TRIP,) + payload)

    def _take_welcome(self, payload: tuple, now_ms: int, events: list[tuple]) -> None:
        if payload[0] != self._nonce:
            self.peer.count(IGNORED)
        elif self._step(WELCOME):
            self.peer.heard_ms = now_ms  # the first answer is due within the time-out from here
            self._beat_ms = now_ms
            events.append((EV_WELCOME,) + payload)

    def _take_beat(self, ack: int, payload: tuple, now_ms: int, events: list[tuple]) -> None:
        """Once the session is live a beat's facts count, also those of one that answers nothing new."""
        was = self.state
        if self.peer.hear(payload[0], payload[1], now_ms):
            self._step(ANSWER)
        if self.state != LIVE:
            return
        before, self.beat = self.beat, payload
        self._settle(ack)
        if was != LIVE:
            events.append((EV_LIVE,))
        if before[2:6] != payload[2:6]:
            events.append((EV_PANEL,) + payload[2:5])

    def _settle(self, ack: int) -> None:
        """Drop requests that the board's latest beat shows to be done or void."""
        state, nonce = self.beat[2], self.beat[5]
        if state != messages.READY or nonce != self._arm_nonce:
            self._arm_nonce = 0
        sent = self._stop_seq != 0 and (ack - self._stop_seq & _U16) < SEQ_WINDOW
        if sent and state != messages.RUN:
            self._stop = False

    # What goes out

    def poll(self, now_ms: int) -> tuple[bytes, int]:
        """Return the bytes to write now and when to call again at the latest.

        A lost session has no bytes and its deadline is now. More is due at once after a request or ``feed``.
        """
        if self.state == LOST:
            return b"", now_ms
        out = self._send_acks(now_ms)
        if self.state == OPENING:
            return out + self._hello(now_ms), self._hello_ms
        out += self._send_stop(now_ms) + self._send_beat(now_ms)
        out += self._send_arm(now_ms) + self._send_lights(now_ms)
        return out, self._deadline_ms(now_ms)

    def _send_acks(self, now_ms: int) -> bytes:
        if not self.confirming:
            return b""
        acks, self._acks = self._acks, []
        return b"".join([self.peer.frame(messages.ACK, (trip_id,), now_ms) for trip_id in acks])

    def _hello(self, now_ms: int) -> bytes:
        if now_ms < self._hello_ms:
            return b""
        self._hello_ms = now_ms + HELLO_MS
        return self.peer.frame(messages.HELLO, (self._nonce,), now_ms)

    def _turning(self, now_ms: int) -> bool:
        return self._turned_ms is not None and 0 <= now_ms - self._turned_ms <= WORK_MS

    def _send_beat(self, now_ms: int) -> bytes:
        if now_ms < self._beat_ms or not self._turning(now_ms):
            return b""
        self._beat_ms = _next(self._beat_ms, BEAT_MS, now_ms)
        return self.peer.frame(messages.HOST_BEAT, self.peer.challenge(now_ms), now_ms)

    def _send_stop(self, now_ms: int) -> bytes:
        if not self._stop or now_ms < self._stop_ms:
            return b""
        self._stop_ms = now_ms + BEAT_MS
        out = self.peer.frame(messages.STOP, (), now_ms)
        self._stop_seq = self._stop_seq or self.peer.sent_seq
        return out

    def _send_arm(self, now_ms: int) -> bytes:
        if self._arm_nonce == 0 or now_ms < self._arm_ms:
            return b""
        self._arm_ms = now_ms + ARM_MS
        return self.peer.frame(messages.ARM, (self._arm_nonce,), now_ms)

    def _send_lights(self, now_ms: int) -> bytes:
        if self._lights is None or now_ms < self._lights_ms:
            return b""
        self._lights_ms = now_ms + LIGHTS_MS
        return self.peer.frame(messages.LIGHTS, self._lights, now_ms)

    def _deadline_ms(self, now_ms: int) -> int:
        """A beat that waits for the work loop has no deadline: the loop's next turn asks again."""
        due = [self.peer.silent_at_ms()]
        if self._turning(max(self._beat_ms, now_ms)):
            due.append(self._beat_ms)
        if self._stop:
            due.append(self._stop_ms)
        if self._arm_nonce:
            due.append(self._arm_ms)
        if self._lights is not None:
            due.append(self._lights_ms)
        return min(due)


def _held(value: int, most: int) -> int:
    return max(-most, min(most, value))


def _next(due_ms: int, period_ms: int, now_ms: int) -> int:
    """The next time of a rhythm; one that fell behind begins anew instead of catching up."""
    return due_ms + period_ms if now_ms - due_ms < period_ms // 2 else now_ms + period_ms

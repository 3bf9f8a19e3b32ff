"""What the board must do, written a second time: absolute times, sets and lists instead of ages and tables.

``Model`` is told what the firmware is told, message by message and sample by sample, and predicts state,
cause, trip and liveness. Random numbers it cannot predict it reads from what the board sent. No C here.
"""

from __future__ import annotations

from dataclasses import dataclass, field

from tests.board.rig import (
    BOOT,
    BOTH,
    CAUSE_FAULT,
    DISCREPANCY,
    FAULT,
    HOST,
    LINK,
    NOISE,
    PROTOCOL,
    READBACK,
    READY,
    RUN,
    SESSION,
    SWITCH,
    TRIPPED,
    U32,
)

SILENCE_MS, RELEASE_MS, DISCREPANCY_MS, READBACK_MS, LATE_MS, FRESH_MS = 250, 100, 50, 20, 200, 20
NOISE_LIMIT, NOISE_WINDOW_MS, CHALLENGES = 20, 1000, 8


@dataclass
class Model:
    """One board with two channels, from boot at ``now``."""

    now: int
    state: int = TRIPPED
    cause: int = BOOT
    trip_id: int = 1
    trip_cause: int = BOOT
    acknowledged: bool = False
    faults: set[int] = field(default_factory=set)
    contacts: int = 0
    interrupted: bool = False
    sampled_at: int = 0
    closed_since: int | None = None
    differing_since: int | None = None
    deviating_since: int | None = None
    commanded: bool = False  # what the output was told when it was last read back
    session: int = 0
    former: int = 0
    session_at: int = 0
    seq: int = 0
    nonce: int = 0  # read from the board
    challenges: list[tuple[int, int]] = field(default_factory=list)  # (number, when), oldest first
    heard_at: int | None = None
    bad: list[int] = field(default_factory=list)

    @property
    def live(self) -> bool:
        return self.heard_at is not None

    @property
    def output(self) -> bool:
        return self.state == RUN

    def trip(self, cause: int) -> None:
        self.cause = cause
        bouncing = cause == SWITCH and self.trip_cause == SWITCH and not self.acknowledged
        if cause == HOST or bouncing:
            return
        self.trip_id, self.trip_cause, self.acknowledged = self.trip_id + 1, cause, False

    def fall(self, cause: int) -> None:
        """What ends READY and RUN, and means nothing else."""
        if self.state in (READY, RUN):
            self.state = TRIPPED
            self.trip(cause)

    def fail(self, fault: int) -> None:
        if fault not in self.faults:
            self.faults.add(fault)
            if self.state != FAULT:
                self.state = FAULT
                self.trip(CAUSE_FAULT)

    def pass_time(self, now: int) -> None:
        self.now = now
        if self.heard_at is not None and now - self.heard_at >= SILENCE_MS:
            self.heard_at = None
            self.fall(LINK)

    def sample(self, contacts: int) -> None:
        was_closed, self.contacts = self.contacts == BOTH, contacts
        unseen = max(0, self.now - self.sampled_at - FRESH_MS)
        self.sampled_at = self.now
        if self.closed_since is not None:
            self.closed_since += unseen
        if contacts != BOTH or self.interrupted:
            self.interrupted, self.closed_since = False, None
            if was_closed:
                self.state = FAULT if self.state == FAULT else TRIPPED
                self.trip(SWITCH)
        if contacts == BOTH and self.closed_since is None:
            self.closed_since = self.now
        if contacts in (0, BOTH):
            self.differing_since = None
        elif self.differing_since is None:
            self.differing_since = self.now
        elif self.now - self.differing_since > DISCREPANCY_MS:
            self.fail(DISCREPANCY)
        if contacts == 0 and DISCREPANCY in self.faults:
            self.faults.discard(DISCREPANCY)
            if READBACK not in self.faults:
                self.state = TRIPPED

    def read_back(self, level: bool) -> None:
        if self.output != self.commanded:
            self.commanded, self.deviating_since = self.output, None
        if level == self.commanded:
            self.deviating_since = None
        elif self.deviating_since is None:
            self.deviating_since = self.now
        elif self.now - self.deviating_since > READBACK_MS:
            self.fail(READBACK)

    def is_noisy(self) -> bool:
        return sum(self.now - at < NOISE_WINDOW_MS for at in self.bad) > NOISE_LIMIT

    def on_bad_frame(self) -> None:
        self.bad.append(self.now)
        if self.is_noisy():
            self.fall(NOISE)

    def on_wrong_version(self) -> None:
        self.fall(PROTOCOL)

    def accepts(self, session: int, seq: int) -> bool:
        """Whether a frame other than a new HELLO counts; a foreign one may trip."""
        if session != self.session or session == 0:
            late = session == self.former and session != 0 and self.now - self.session_at <= LATE_MS
            if not late:
                self.fall(PROTOCOL)
            return False
        if not 0 < (seq - self.seq) % 65536 < 32768:
            return False
        self.seq = seq
        return True

    def on_hello(self, session: int, seq: int) -> None:
        late = session == self.former and session != 0 and self.now - self.session_at <= LATE_MS
        if session == self.session or session == 0 or late:
            self.accepts(session, seq)
            return
        self.former, self.session, self.session_at, self.seq = self.session, session, self.now, seq
        self.challenges.clear()
        self.heard_at = None
        self.fall(SESSION)

    def on_beat(self, answer: int) -> None:
        for place, (number, at) in enumerate(self.challenges):
            if number ^ U32 == answer and self.now - at <= SILENCE_MS:
                del self.challenges[: place + 1]
                self.heard_at = self.now
                return

    def on_challenge(self, number: int) -> None:
        """The board sent a BEAT: the last eight remain open."""
        self.challenges = [*self.challenges, (number, self.now)][-CHALLENGES:]

    def on_ack(self, trip_id: int) -> None:
        if trip_id == self.trip_id:
            self.acknowledged = True

    def is_released(self) -> bool:
        return self.closed_since is not None and self.now - self.closed_since >= RELEASE_MS

    def on_arm(self, nonce: int) -> None:
        if self.state == READY and nonce == self.nonce and nonce != 0 and self.live and self.is_released():
            self.state = RUN

    def on_stop(self) -> None:
        self.fall(HOST)

    def tick(self) -> None:
        clear = self.is_released() and self.live and self.acknowledged and not self.faults
        if self.state == TRIPPED and clear and not self.is_noisy():
            self.state = READY

"""The line between a virtual board and its cable, with the faults a line can have. For tests and demos.

Frames of the board come in and leave as bytes, damaged as ordered; the names are the control socket's.
"""

from app.mcu import frame, messages

REPLAY_MS = 2000  # how far back a replay reaches
REPLAY_FRAMES = 128  # kept for it: 2 s hold about 45
BYTES_PER_MS = 12  # 115,200 baud: how fast a stuck line repeats its byte
COUNTS = ("corrupt", "drop", "duplicate", "swap", "truncate", "noise")


class Line:
    """``write(data)`` is the cable, ``random32`` decides where the damage is."""

    def __init__(self, write, random32) -> None:
        self.counts = {name: 0 for name in COUNTS}  # of the next frames; noise in bytes
        self.loop = False  # the host's bytes go back to it; the board hears and says nothing
        self.version = messages.VERSION  # what frames pretend
        self.stuck_byte = 0
        self.stuck_until_ms = 0
        self._write = write
        self._random32 = random32
        self._held = b""  # overtaken by the next frame
        self._sent: list[tuple] = []  # (when, bytes)

    def _spend(self, name: str) -> bool:
        if self.counts[name] == 0:
            return False
        self.counts[name] -= 1
        return True

    def receive(self, data: bytes) -> bytes:
        """Return what the board hears of the host's bytes."""
        if not self.loop:
            return data
        self._write(data)
        return b""

    def send(self, data: bytes, now_ms: int) -> None:
        """Send frames of the board."""
        for part in data.split(b"\0")[:-1]:
            self._send_one(part + b"\0", now_ms)

    def _send_one(self, one: bytes, now_ms: int) -> None:
        if self.loop or now_ms < self.stuck_until_ms or self._spend("drop"):
            return
        one = self._damaged(one)
        if not self._held and self._spend("swap"):
            self._held = one
            return
        self._put(one, now_ms)
        if self._spend("duplicate"):
            self._put(one, now_ms)

    def _damaged(self, one: bytes) -> bytes:
        if self.version != messages.VERSION:
            one = self._pretending(one)
        if self._spend("corrupt"):
            bit = self._random32() % (8 * len(one))
            flipped = bytearray(one)
            flipped[bit // 8] ^= 1 << bit % 8
            one = bytes(flipped)
        if self._spend("truncate"):  # its zero is lost too, so the next frame suffers with it
            one = one[: 1 + self._random32() % (len(one) - 1)]
        return one

    def _pretending(self, one: bytes) -> bytes:
        fields = frame.parse(one[:-1])[1]
        return frame.build(fields[0], self.version, *fields[2:])

    def _put(self, one: bytes, now_ms: int) -> None:
        self._write(one)
        self._sent = self._sent[1 - REPLAY_FRAMES :]
        self._sent.append((now_ms, one))
        if self._held:
            held, self._held = self._held, b""
            self._put(held, now_ms)

    def replay(self, now_ms: int) -> int:
        """Send again what left lately; return how many frames."""
        again = [one for sent_ms, one in self._sent if now_ms - sent_ms <= REPLAY_MS]
        self._write(b"".join(again))
        return len(again)

    def tick(self, now_ms: int) -> None:
        """A millisecond passed: go on with noise and a stuck byte."""
        count = min(self.counts["noise"], 1024)
        if count:
            self.counts["noise"] -= count
            self._write(bytes([self._random32() & 0xFF for _ in range(count)]))
        if now_ms < self.stuck_until_ms:
            self._write(bytes([self.stuck_byte]) * BYTES_PER_MS)

"""How late frames come: their board time against their arrival. Pure.

The two clocks share neither beginning nor pace, so a frame's lateness is what it took longer than the
quickest frame of late. The quickest is sought in a window, because the clocks drift apart by seconds a day.
"""

from __future__ import annotations

from typing import Any

from app.mcu.messages import FROM_BOARD

WINDOW_MS = 10_000  # within it a crystal of 100 ppm drifts by 1 ms, and 200 beats come
_HALF, _RANGE = 2**31, 2**32


class Lateness:
    """Of the frames of one session. `now_ms` is the last frame's, in milliseconds; -1 before the first."""

    def __init__(self) -> None:
        self.last_ms = -1
        self._first: int | None = None  # offset of the first frame, from which the others are counted
        self._quickest = self._before = 0  # of this window and of the one before
        self._window_ms = 0

    def note(self, board_ms: int, arrival_ms: int) -> int:
        """A frame that left at `board_ms` (32 bits, wrapping) came at `arrival_ms`. Returns its lateness."""
        if self._first is None:
            self._first, self._window_ms = arrival_ms - board_ms, arrival_ms
        offset = (arrival_ms - board_ms - self._first + _HALF) % _RANGE - _HALF
        if arrival_ms - self._window_ms >= WINDOW_MS:
            self._before, self._quickest, self._window_ms = self._quickest, offset, arrival_ms
        self._quickest = min(self._quickest, offset)
        self.last_ms = offset - min(self._quickest, self._before)
        return self.last_ms


class StampedCodec:
    """A codec of the link that also notes the lateness of each frame it decodes."""

    def __init__(self, codec: Any, lateness: Lateness) -> None:
        self.encode = codec.encode
        self._codec, self.lateness = codec, lateness
        self.arrival_ms = 0  # of the bytes that are being decoded

    def decoder(self) -> StampedDecoder:
        return StampedDecoder(self, self._codec.decoder())


class StampedDecoder:
    """Bytes in, (outcome, fields) out, as the decoder it wraps."""

    def __init__(self, codec: StampedCodec, decoder: Any) -> None:
        self._codec, self._decoder = codec, decoder

    def feed(self, data: bytes) -> list[tuple]:
        found: list[tuple] = self._decoder.feed(data)
        for _, fields in found:
            if fields is not None and fields[0] & FROM_BOARD:  # an echo carries our own time
                self._codec.lateness.note(fields[5], self._codec.arrival_ms)
        return found

"""Lateness: measured against the quickest frame of late, whatever the clocks' beginnings and paces."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from app.mcu import messages
from app.mcu.lateness import WINDOW_MS, Lateness, StampedCodec
from app.mcu.native_codec import NativeCodec


def test_knows_nothing_before_the_first_frame() -> None:
    assert Lateness().last_ms == -1


@given(st.integers(0, 2**32 - 1), st.lists(st.integers(0, 40), min_size=1, max_size=60))
def test_is_what_a_frame_took_longer_than_the_quickest(begin: int, delays: list[int]) -> None:
    lateness = Lateness()
    told = [lateness.note((begin + 50 * n) % 2**32, 7_000 + 50 * n + d) for n, d in enumerate(delays)]
    assert told == [d - min(delays[: n + 1]) for n, d in enumerate(delays)]


def test_follows_a_clock_that_drifts() -> None:
    lateness, worst = Lateness(), 0
    for n in range(20 * 3_600):  # an hour of beats, the board's clock 100 ppm slow
        worst = max(worst, lateness.note(50 * n - n * 50 // 10_000, 50 * n))
    assert worst <= 2 * WINDOW_MS // 10_000 + 1


def test_notes_the_boards_frames_and_no_echo() -> None:
    codec = StampedCodec(NativeCodec(), Lateness())
    decoder = codec.decoder()
    codec.arrival_ms = 1_000
    echo = codec.encode(messages.STOP, 1, 1, 1, 0, 5, ())
    beat = codec.encode(messages.COUNTERS, 1, 1, 1, 0, 100, (0,) * 8)
    assert [fields is not None for _, fields in decoder.feed(echo)] == [True]
    assert codec.lateness.last_ms == -1
    decoder.feed(beat)
    codec.arrival_ms = 1_057
    decoder.feed(codec.encode(messages.COUNTERS, 1, 1, 2, 0, 150, (0,) * 8))
    assert codec.lateness.last_ms == 7

"""The meter sees a callback that waits and one that computes, and forgives what the machine took."""

from __future__ import annotations

import select
import threading
import time

from tests.matrix.loop_meter import LoopMeter

BLOCKED_S = 0.02
MS = 1_000_000


def test_sees_a_callback_that_waits() -> None:
    meter = LoopMeter()
    meter.measure(select.select, [], [], [], BLOCKED_S)
    assert meter.longest_ns >= 15 * MS


def busy() -> None:
    until = time.thread_time() + BLOCKED_S
    while time.thread_time() < until:
        pass


def test_sees_a_callback_that_computes_although_others_take_the_processor() -> None:
    others = [threading.Thread(target=busy) for _ in range(4)]
    meter = LoopMeter()
    for one in others:
        one.start()
    meter.measure(busy)
    for one in others:
        one.join()
    assert meter.longest_ns >= 20 * MS


def test_keeps_the_longest_until_told_to_forget() -> None:
    meter = LoopMeter()
    meter.measure(busy)
    meter.measure(lambda: None)
    assert meter.longest_ns >= 20 * MS
    meter.forget()
    assert meter.longest_ns == 0

"""The MicroPython board's pins, UART and watchdog, against stand-ins of ``machine``."""

from __future__ import annotations

import asyncio
import importlib
import sys
import time
from collections.abc import Iterator
from types import ModuleType, SimpleNamespace
from typing import Any, ClassVar

import pytest

from app.mcu import messages
from board.micropython import firmware, kill, main, settings
from board.micropython.board import Board
from tests.guards import PATIENCE

HIGH, LOW = 1, 0


class Pin:
    """A pin of the stand-in: ``levels`` are what the test set or the firmware wrote, by number."""

    IN, OUT, PULL_UP, IRQ_RISING = "in", "out", "pull-up", "rising"
    levels: ClassVar[dict[int, int]] = {}
    handlers: ClassVar[dict[int, Any]] = {}
    written: ClassVar[list[tuple[int, int]]] = []
    hard = True

    def __init__(
        self, number: int, mode: str = "", pull: str | None = None, value: int | None = None
    ) -> None:
        self.number = number
        if value is not None:
            self.value(value)

    def value(self, level: int | None = None) -> int:
        if level is not None:
            self.levels[self.number] = level
            self.written.append((self.number, level))
        return self.levels.get(self.number, HIGH)

    def irq(self, handler: Any, trigger: str, **options: bool) -> None:
        if options and not self.hard:
            raise TypeError("no such argument")
        self.handlers[self.number] = handler


class Uart:
    """Takes at most ``room`` bytes a call."""

    room = 1000

    def __init__(self, number: int, baud: int, **options: Any) -> None:
        self.made_with = (number, baud, options)
        self.incoming: bytes | None = None
        self.sent = b""

    def read(self, most: int) -> bytes | None:
        data, self.incoming = self.incoming, None
        return data

    def write(self, data: bytes) -> int | None:
        self.sent += data[: self.room]
        return min(self.room, len(data)) or None


class Watchdog:
    fed = 0
    made: ClassVar[list[int]] = []

    def __init__(self, timeout: int) -> None:
        self.made.append(timeout)

    def feed(self) -> None:
        Watchdog.fed += 1


class Ticks:
    """MicroPython's wrapping tick counter."""

    def __init__(self) -> None:
        self.now = 2**30 - 5

    def ticks_ms(self) -> int:
        return self.now % 2**30

    def ticks_diff(self, later: int, earlier: int) -> int:
        return (later - earlier + 2**29) % 2**30 - 2**29


@pytest.fixture
def ticks(monkeypatch: pytest.MonkeyPatch) -> Ticks:
    ticks = Ticks()
    monkeypatch.setattr(time, "ticks_ms", ticks.ticks_ms, raising=False)
    monkeypatch.setattr(time, "ticks_diff", ticks.ticks_diff, raising=False)
    return ticks


@pytest.fixture
def hardware(monkeypatch: pytest.MonkeyPatch, ticks: Ticks) -> Iterator[ModuleType]:
    Pin.levels = {settings.CONTACT_A: LOW, settings.CONTACT_B: LOW, settings.READ_BACK: LOW}
    Pin.handlers, Pin.written, Pin.hard = {}, [], True
    Uart.room, Watchdog.fed, Watchdog.made = 1000, 0, []
    machine = SimpleNamespace(
        Pin=Pin,
        UART=Uart,
        WDT=Watchdog,
        PWRON_RESET=1,
        WDT_RESET=3,
        reset_cause=lambda: 3,
        disable_irq=lambda: 7,
        enable_irq=lambda state: None,
    )
    monkeypatch.setitem(sys.modules, "machine", machine)
    yield importlib.import_module("board.micropython.hardware")
    del sys.modules["board.micropython.hardware"]


def test_turns_the_output_off_before_anything_else(hardware: ModuleType) -> None:
    hardware.Target()
    assert Pin.written[0] == (settings.OUTPUT, LOW)


@pytest.mark.parametrize(
    ("a", "b", "closed"), [(LOW, LOW, 3), (HIGH, LOW, messages.CONTACT_B), (LOW, HIGH, 1), (HIGH, HIGH, 0)]
)
def test_reads_a_low_contact_as_closed(hardware: ModuleType, a: int, b: int, closed: int) -> None:
    target = hardware.Target()
    Pin.levels[settings.CONTACT_A], Pin.levels[settings.CONTACT_B] = a, b
    assert target.contacts() == closed


@pytest.mark.parametrize("hard", [True, False])
def test_an_interrupt_turns_the_output_off_and_is_seen_once(hardware: ModuleType, hard: bool) -> None:
    Pin.hard = hard
    target = hardware.Target()
    target.output(True)
    assert Pin.levels[settings.OUTPUT] == HIGH
    Pin.handlers[settings.CONTACT_B](None)
    assert Pin.levels[settings.OUTPUT] == LOW
    target.output(True)  # decided before the interrupt
    assert Pin.levels[settings.OUTPUT] == LOW
    assert target.contacts() == messages.CONTACT_A
    assert target.contacts() == 3


def test_a_contact_that_bounces_ends_no_discrepancy(hardware: ModuleType) -> None:
    """A is shorted to ground: only both channels open together would prove that it opens again."""
    target = hardware.Target()
    board = Board(messages.Cbor2Codec(), lambda: 5, (bytes(8), 1, 77), target.two_channels, 0)
    Pin.levels[settings.CONTACT_B] = HIGH
    for now_ms in range(kill.DISCREPANCY_MS + 3):
        board.sample(target.contacts(), now_ms)
    assert board.faults & messages.FAULT_DISCREPANCY
    Pin.levels[settings.CONTACT_B] = LOW
    Pin.handlers[settings.CONTACT_B](None)
    for now_ms in range(100, 103):
        board.sample(target.contacts(), now_ms)
    assert board.state == messages.FAULT and board.faults & messages.FAULT_DISCREPANCY


def test_a_board_with_one_channel_has_one(hardware: ModuleType, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(settings, "CONTACT_B", None)
    target = hardware.Target()
    assert not target.two_channels
    assert target.contacts() == messages.CONTACT_A
    assert list(Pin.handlers) == [settings.CONTACT_A]


def test_trusts_the_output_pin_without_a_read_back(
    hardware: ModuleType, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(settings, "READ_BACK", None)
    target = hardware.Target()
    target.output(True)
    assert target.read_back()


def test_keeps_counting_where_the_ticks_wrap(hardware: ModuleType, ticks: Ticks) -> None:
    target = hardware.Target()
    seen = []
    for _ in range(4):
        ticks.now += 3
        seen.append(target.now_ms())
    assert seen == [3, 6, 9, 12]


def test_sends_later_what_the_uart_does_not_take_and_loses_the_oldest(hardware: ModuleType) -> None:
    target = hardware.Target()
    Uart.room = 4
    target.write(b"abcdefgh")
    target.write(b"")
    assert target._uart.sent == b"abcdefgh"
    Uart.room = 0
    for _ in range(100):
        target.write(b"x" * 100)
    assert len(target._unsent) <= 512


def test_reads_nothing_as_nothing(hardware: ModuleType) -> None:
    target = hardware.Target()
    assert target.read() == b""
    target._uart.incoming = b"\x01"
    assert target.read() == b"\x01"


def test_lights_red_green_and_blue(hardware: ModuleType, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(settings, "HOST_LED", (21, None, 22))
    target = hardware.Target()
    target.show(6, 1)
    assert [Pin.levels[pin] for pin in (*settings.BOARD_LED, 21, 22)] == [HIGH, HIGH, LOW, LOW, HIGH]
    monkeypatch.setattr(settings, "LED_ON", 0)
    target.show(6, 1)
    assert [Pin.levels[pin] for pin in (*settings.BOARD_LED, 21, 22)] == [LOW, LOW, HIGH, HIGH, LOW]


def test_tells_why_it_was_reset(hardware: ModuleType) -> None:
    target = hardware.Target()
    assert target.reset_cause() == messages.RESET_WATCHDOG
    sys.modules["machine"].reset_cause = lambda: 99  # type: ignore[attr-defined]
    assert target.reset_cause() == messages.RESET_UNKNOWN


def test_feeds_the_watchdog_only_while_all_is_fresh(hardware: ModuleType, ticks: Ticks) -> None:
    target = hardware.Target()
    board = Board(messages.Cbor2Codec(), lambda: 5, (bytes(8), 1, 1), True, target.now_ms())
    for _ in range(10):
        ticks.now += 1
        board.feed(b"", target.now_ms())
        firmware.turn(board, target, target.now_ms())
    assert (Watchdog.made, Watchdog.fed) == ([settings.WATCHDOG_MS], 9)
    for _ in range(50):  # the link's task hangs
        ticks.now += 1
        firmware.turn(board, target, target.now_ms())
    assert Watchdog.fed == 9 + kill.FRESH_MS


async def test_runs_and_leaves_the_output_off_whatever_ends_it(
    hardware: ModuleType, monkeypatch: pytest.MonkeyPatch, ticks: Ticks
) -> None:
    made: list[Any] = []
    kind = hardware.Target

    class Target(kind):  # type: ignore[misc,valid-type]
        def __init__(self) -> None:
            super().__init__()
            made.append(self)

        def now_ms(self) -> int:
            ticks.now += 1
            return super().now_ms()

        def write(self, data: bytes) -> None:
            raise OSError("the port is gone")

    monkeypatch.setattr(hardware, "Target", Target)
    monkeypatch.setattr(firmware, "fingerprint", lambda root: bytes(8))
    hello = messages.Cbor2Codec().encode(messages.HELLO, 1, 7, 1, 0, 0, (5,))
    async with asyncio.timeout(PATIENCE):
        with pytest.raises(OSError, match="gone"):
            running = asyncio.create_task(main.serve_board())
            while not made:
                await asyncio.sleep(0)
            made[0]._uart.incoming = hello
            await running
    assert Pin.written[-1] == (settings.OUTPUT, LOW)

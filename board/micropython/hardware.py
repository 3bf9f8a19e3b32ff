"""The target: pins, UART and watchdog of a microcontroller, by ``machine`` and the settings. No rules."""

import os
import time

import machine

from app.mcu import messages
from board.micropython import settings

_RX_BYTES, _TX_BYTES = 1024, 512  # buffers of the UART: 89 ms and 44 ms of the line
_PULL = machine.Pin.PULL_UP


def random32() -> int:
    return int.from_bytes(os.urandom(4), "big")


def _led(pins: tuple) -> list:
    return [
        None if pin is None else machine.Pin(pin, machine.Pin.OUT, value=1 - settings.LED_ON) for pin in pins
    ]


class Target:
    """The board's hardware. The output is off before anything else happens."""

    def __init__(self) -> None:
        self._output = machine.Pin(settings.OUTPUT, machine.Pin.OUT, value=0)
        self._opened = 0  # bits of the contacts that opened since the last look, set by their interrupts
        self._contacts = [(messages.CONTACT_A, machine.Pin(settings.CONTACT_A, machine.Pin.IN, _PULL))]
        if settings.CONTACT_B is not None:
            self._contacts.append(
                (messages.CONTACT_B, machine.Pin(settings.CONTACT_B, machine.Pin.IN, _PULL))
            )
        for bit, pin in self._contacts:
            self._interrupt(bit, pin)
        self._read_back = self._output
        if settings.READ_BACK is not None:
            self._read_back = machine.Pin(settings.READ_BACK, machine.Pin.IN)
        self._leds = _led(settings.BOARD_LED) + _led(settings.HOST_LED)
        self._uart = machine.UART(settings.UART, settings.BAUD, **self._uart_options())
        self._unsent = b""
        self._ticks = time.ticks_ms()
        self._now_ms = 0
        self._watchdog = None

    def _uart_options(self) -> dict:
        options = {"timeout": 0, "rxbuf": _RX_BYTES, "txbuf": _TX_BYTES}
        if settings.UART_PINS is not None:
            options["tx"] = machine.Pin(settings.UART_PINS[0])
            options["rx"] = machine.Pin(settings.UART_PINS[1])
        return options

    def _interrupt(self, bit: int, pin) -> None:
        """A hard interrupt where the port has them: it does not wait for the interpreter."""

        def on_open(_pin) -> None:
            self._output.value(0)
            self._opened |= bit

        try:
            pin.irq(on_open, machine.Pin.IRQ_RISING, hard=True)
        except TypeError:
            pin.irq(on_open, machine.Pin.IRQ_RISING)

    @property
    def two_channels(self) -> bool:
        return len(self._contacts) == 2

    def contacts(self) -> int:
        """The closed contacts; one that was open in between is not, and says nothing of the other."""
        closed = 0
        for bit, pin in self._contacts:
            if pin.value() == 0:
                closed |= bit
        before = machine.disable_irq()
        opened, self._opened = self._opened, 0
        machine.enable_irq(before)
        return closed & ~opened

    def read_back(self) -> bool:
        return self._read_back.value() == 1

    def output(self, on: bool) -> None:
        """Set the output; interrupts are off, so that an older decision is not written after theirs."""
        before = machine.disable_irq()
        self._output.value(1 if on and not self._opened else 0)
        machine.enable_irq(before)

    def show(self, board: int, host: int) -> None:
        colours = board << 3 | host
        for index in range(6):
            led = self._leds[index]
            if led is not None:
                lit = colours >> 5 - index & 1
                led.value(settings.LED_ON if lit else 1 - settings.LED_ON)

    def now_ms(self) -> int:
        """Milliseconds since the start, without the wrap of ``ticks_ms``."""
        ticks = time.ticks_ms()
        self._now_ms += time.ticks_diff(ticks, self._ticks)
        self._ticks = ticks
        return self._now_ms

    def feed_watchdog(self) -> None:
        """The first feeding starts it: what never ran well is not reset for ever."""
        if self._watchdog is None and settings.WATCHDOG_MS is not None:
            self._watchdog = machine.WDT(timeout=settings.WATCHDOG_MS)
        elif self._watchdog is not None:
            self._watchdog.feed()

    def reset_cause(self) -> int:
        causes = (
            ("PWRON_RESET", messages.RESET_POWER),
            ("HARD_RESET", messages.RESET_PIN),
            ("WDT_RESET", messages.RESET_WATCHDOG),
            ("SOFT_RESET", messages.RESET_SOFTWARE),
        )
        now = machine.reset_cause()
        for name, cause in causes:
            if getattr(machine, name, None) == now:
                return cause
        return messages.RESET_UNKNOWN

    def read(self) -> bytes:
        return self._uart.read(_RX_BYTES) or b""

    def write(self, data: bytes) -> None:
        """Hand over what the UART takes; the rest waits, and what does not fit the buffer is lost."""
        self._unsent = (self._unsent + data)[-_TX_BYTES:]
        self._unsent = self._unsent[self._uart.write(self._unsent) or 0 :]

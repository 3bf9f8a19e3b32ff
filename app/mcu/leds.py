"""The RGB LED of the Linux side, by sysfs. Writing never blocks and never fails the caller.

The kernel takes a brightness at once and sets a slow LED later from its own queue, so a write costs
microseconds. The second LED belongs to the system (panic, Wi-Fi, Bluetooth) and is left alone.
"""

from __future__ import annotations

import logging
import os
from contextlib import suppress
from pathlib import Path

from app.mcu.lights import Colour

LEDS = Path("/sys/class/leds")
NAMES = ("red:user", "green:user", "blue:user")  # LED1 of the UNO Q, in the order of a Colour

log = logging.getLogger("plimsoll.board")


class Leds:
    """One RGB LED. Does nothing where the machine has none; an error is logged once."""

    def __init__(self, folder: Path = LEDS) -> None:
        self._files: list[int] = []
        self._shown: Colour | None = None
        self._told = False
        try:
            for name in NAMES:
                file = folder / name / "brightness"
                self._files.append(os.open(file, os.O_WRONLY | os.O_NONBLOCK | os.O_CLOEXEC))
        except OSError as error:
            self.close()
            if not isinstance(error, FileNotFoundError):
                self._tell(error)

    @property
    def there(self) -> bool:
        return bool(self._files)

    def show(self, colour: Colour) -> None:
        """Set the LED where it differs from what it shows."""
        if colour == self._shown:
            return
        self._shown = colour
        for file, level in zip(self._files, colour, strict=False):
            try:
                os.pwrite(file, b"%d\n" % level, 0)
            except OSError as error:
                self._shown = None  # tried again with the next picture
                self._tell(error)

    def close(self) -> None:
        """Idempotent. A service that ended is not green: the LED goes dark."""
        for file in self._files:
            with suppress(OSError):
                os.pwrite(file, b"0\n", 0)
            os.close(file)
        self._files = []

    def _tell(self, error: OSError) -> None:
        if not self._told:
            self._told = True
            log.warning("the LEDs cannot be set: %s", error)

"""The UNO Q as Linux sees its microcontroller: how the machine is known, and the lines that hold it.

Lines keep their level after gpioset ended. They are never read: that would turn them into inputs. Their
meaning is that of one board, so nothing is driven on a machine that is not one.
"""

from __future__ import annotations

from pathlib import Path

from app.errors import SettingsError

DEVICE_TREE = Path("/sys/firmware/devicetree/base/compatible")  # the unit's /proc holds processes alone
COMPATIBLE = "arduino,imola"
NAME_LIMIT = 200  # bytes read of the device tree's property
CHIP = "/dev/gpiochip1"
BOOT0_LOW = "37=0"  # at a reset with BOOT0 high the microcontroller starts its ROM instead of the firmware
UART_ON = "70=1"  # the level shifter between the UART and Linux; low: the port is silent
LINES_ASKED = "lines"  # in the service's folder below /run: plimsoll-board.path watches it
RESET = ("38=0", "38=1")  # NRST, one after the other


def gpioset(line: str) -> tuple[str, ...]:
    """The command that sets `line` and ends."""
    return ("gpioset", "-c", CHIP, "-t0", line)


def machine(device_tree: Path = DEVICE_TREE) -> str:
    """The machine's own name, the first of its device tree; "" where there is none."""
    try:
        with device_tree.open("rb") as file:
            return file.read(NAME_LIMIT).split(b"\0")[0].decode(errors="replace")
    except OSError:
        return ""


def require(mode: str, device_tree: Path = DEVICE_TREE) -> None:
    """Raises SettingsError where this is no UNO Q."""
    found = machine(device_tree)
    if found != COMPATIBLE:
        here = f"this machine is {found!r}" if found else "this machine has no device tree"
        raise SettingsError(
            "board.mode",
            f'"{mode}" is for the Arduino UNO Q ({COMPATIBLE}), {here}; use "serial" with a device, '
            "or board.required = false to trade without a switch",
        )

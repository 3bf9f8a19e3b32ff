"""The programs that build firmware and write it to the UNO Q: how each is called, nothing about when.

arduino-cli with the core `arduino:zephyr` compiles and uploads; its uploader remoteocd writes an image that
exists already; gpioset drives the lines through which Linux holds the microcontroller.
"""

from __future__ import annotations

import json
import os
import pwd
import shutil
import subprocess
import tempfile
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from app.errors import Later, Refused, Theirs, clean
from app.mcu import images

FQBN = "arduino:zephyr:unoq:wait_linux_boot=no"  # the kill input waits for no Linux
CORE = "arduino:zephyr"
VARIANT = "arduino_uno_q_stm32u585xx"
COMPATIBLE = (
    "arduino,imola"  # the board's name in its device tree: on another the same lines mean other things
)
DEVICE_TREE = Path("/proc/device-tree/compatible")
CHIP = "/dev/gpiochip1"
BOOT0_LOW = "37=0"  # at a reset with BOOT0 high the microcontroller starts its ROM instead of the firmware
UART_ON = "70=1"  # the level shifter between the UART and Linux
COMPILE_SECONDS = 1_200.0  # two of the board's cores need minutes for a core compiled for the first time
WRITE_SECONDS = 300.0  # bit-banged SWD: a full image takes about one minute
LINE_SECONDS = 10.0  # a GPIO line, a question to arduino-cli
OUTPUT_LIMIT = 1_048_576  # bytes read of what a program says
TAIL = 180  # characters of it in an error: its last words say what went wrong
RESTORE_STOCK = "arduino-cli burn-bootloader -b arduino:zephyr:unoq -P jlink"


def call(arguments: Sequence[str | os.PathLike[str]], seconds: float) -> str:
    """Run a program and return what it said. Raises Later when it is missing, fails or takes too long."""
    name = Path(arguments[0]).name
    with tempfile.TemporaryFile() as output:  # a talkative program fills a file, not the memory
        try:
            done = subprocess.run(
                arguments, stdin=subprocess.DEVNULL, stdout=output, stderr=subprocess.STDOUT, timeout=seconds,
                env=_environment(), check=False,
            )  # fmt: skip
        except FileNotFoundError:
            raise Later(name, "is not installed") from None
        except OSError as error:
            raise Later(name, error.strerror or error) from None
        except subprocess.TimeoutExpired:
            raise Later(name, f"did not finish within {seconds:.0f} s") from None
        output.seek(0)
        said = output.read(OUTPUT_LIMIT).decode(errors="replace")
    if done.returncode:
        raise Later(name, f"failed ({done.returncode}): {clean(' '.join(said.split())[-TAIL:])}")
    return said


def _environment() -> dict[str, str]:
    """adb leaves a TMPDIR that remoteocd cannot use, and a service may have no HOME."""
    home = os.environ.get("HOME") or pwd.getpwuid(os.getuid()).pw_dir
    return {**os.environ, "TMPDIR": "/tmp", "HOME": home}


class UnoQ:
    """The UNO Q this runs on. Raises Refused on another machine."""

    def __init__(self, device_tree: Path = DEVICE_TREE) -> None:
        try:
            found = device_tree.read_bytes()[:TAIL].split(b"\0")[0].decode(errors="replace")
        except OSError:
            found = "no device tree"
        if found != COMPATIBLE:
            hint = "firmware is written on the UNO Q itself"
            raise Refused("board.machine", found, COMPATIBLE, hint)
        self._core = ""

    def core(self) -> str:
        """The version of the installed core."""
        if not self._core:
            said = call(["arduino-cli", "core", "list", "--json"], LINE_SECONDS)
            self._core = _installed(said)
        return self._core

    def compile(self, sketch: Path, firmware_hash: str, protocol_version: int, into: Path) -> images.Image:
        """Build the sketch folder; returns its image and artefact in `into`."""
        call(["arduino-cli", "compile", "-b", FQBN, "--output-dir", into, sketch], COMPILE_SECONDS)
        made = into / f"{sketch.name}.ino.elf-zsk.bin"
        if not made.is_file():
            raise Theirs("arduino-cli", f"left no {made.name}")
        return images.describe(made, firmware_hash, protocol_version, self.core(), FQBN)

    def upload_build(self, image: images.Image) -> None:
        """Write what `compile` just made."""
        call(["arduino-cli", "upload", "-b", FQBN, "--input-dir", image.file.parent], WRITE_SECONDS)
        self._line(UART_ON)

    def upload_image(self, image: images.Image) -> None:
        """Write an image that exists already, without a compiler."""
        data = Path(call(["arduino-cli", "config", "get", "directories.data"], LINE_SECONDS).strip())
        packages = data / "packages" / "arduino"
        script = packages / "hardware" / "zephyr" / self.core() / "variants" / VARIANT / "flash_sketch.cfg"
        call([_remoteocd(packages), "upload", "-f", script, image.file], WRITE_SECONDS)
        self._line(UART_ON)

    def prepare(self) -> None:
        """Let the microcontroller start its flash, not its ROM, at the reset that ends the writing."""
        self._line(BOOT0_LOW)

    def _line(self, setting: str) -> None:
        call(["gpioset", "-c", CHIP, "-t0", setting], LINE_SECONDS)


def _installed(said: str) -> str:
    """The core's version out of `arduino-cli core list --json`, in the form of either generation of it."""
    try:
        answer: Any = json.loads(said)
        platforms = answer["platforms"] if isinstance(answer, dict) else answer
        for one in platforms or ():
            version = one.get("installed_version") or one.get("installed")
            if one.get("id") == CORE and version:
                return str(version)
    except (ValueError, KeyError, TypeError, AttributeError):
        raise Theirs("arduino-cli", "its list of cores made no sense") from None
    raise Refused("board.core", f"{CORE} is not installed", hint=f"arduino-cli core install {CORE}")


def _remoteocd(packages: Path) -> str | Path:
    """The uploader on the path, else the newest that came with the core."""
    found = sorted((packages / "tools" / "remoteocd").glob("*/remoteocd"), key=_version)
    return shutil.which("remoteocd") or (found[-1] if found else "remoteocd")


def _version(file: Path) -> list[int]:
    return [int(part) if part.isdigit() else 0 for part in file.parent.name.split(".")]

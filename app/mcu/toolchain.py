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
from typing import IO, Any

from app.errors import Later, Refused, Theirs, clean
from app.mcu import images, unoq

FQBN = "arduino:zephyr:unoq:wait_linux_boot=no"  # the kill input waits for no Linux
CORE = "arduino:zephyr"
VARIANT = "arduino_uno_q_stm32u585xx"
COMPILE_SECONDS = 1_200.0  # two of the board's cores need minutes for a core compiled for the first time
WRITE_SECONDS = 300.0  # bit-banged SWD: a full image takes about one minute
LINE_SECONDS = 10.0  # a GPIO line, a question to arduino-cli
OUTPUT_LIMIT = 1_048_576  # bytes read of what a program says, the last ones
TAIL = 180  # characters of it in an error: its last words say what went wrong
RESTORE_STOCK = "arduino-cli burn-bootloader -b arduino:zephyr:unoq -P jlink"


def call(arguments: Sequence[str | os.PathLike[str]], seconds: float) -> str:
    """Run a program and return its output. Raises Later when it is missing, fails or takes too long."""
    name = Path(arguments[0]).name
    # A talkative program fills files, not the memory.
    with tempfile.TemporaryFile() as output, tempfile.TemporaryFile() as errors:
        try:
            done = subprocess.run(
                arguments, stdin=subprocess.DEVNULL, stdout=output, stderr=errors, timeout=seconds,
                env=_environment(), check=False,
            )  # fmt: skip
        except FileNotFoundError:
            raise Later(name, "is not installed") from None
        except OSError as error:
            raise Later(name, error.strerror or error) from None
        except subprocess.TimeoutExpired:
            raise Later(name, f"did not finish within {seconds:.0f} s") from None
        said, wrong = _last(output), _last(errors)
    if done.returncode:
        words = " ".join(f"{said} {wrong}".split())
        raise Later(name, f"failed ({done.returncode}): {clean(words[-TAIL:])}")
    return said


def _last(file: IO[bytes]) -> str:
    size = file.seek(0, os.SEEK_END)
    file.seek(max(0, size - OUTPUT_LIMIT))
    return file.read(OUTPUT_LIMIT).decode(errors="replace")


def _environment() -> dict[str, str]:
    """adb leaves a TMPDIR that remoteocd cannot use, and a service may have no HOME."""
    home = os.environ.get("HOME") or pwd.getpwuid(os.getuid()).pw_dir
    return {**os.environ, "TMPDIR": "/tmp", "HOME": home}


class UnoQ:
    """The UNO Q this runs on. Raises Refused on another machine."""

    def __init__(self, device_tree: Path | None = None) -> None:
        found = unoq.machine(device_tree or unoq.DEVICE_TREE) or "no device tree"
        if found != unoq.COMPATIBLE:
            raise Refused("board.machine", found, unoq.COMPATIBLE, "firmware is written on the UNO Q itself")
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
        self._line(unoq.UART_ON)

    def upload_image(self, image: images.Image) -> None:
        """Write an image that exists already, without a compiler."""
        data = Path(call(["arduino-cli", "config", "get", "directories.data"], LINE_SECONDS).strip())
        packages = data / "packages" / "arduino"
        script = packages / "hardware" / "zephyr" / self.core() / "variants" / VARIANT / "flash_sketch.cfg"
        call([_remoteocd(packages), "upload", "-f", script, image.file], WRITE_SECONDS)
        self._line(unoq.UART_ON)

    def prepare(self) -> None:
        """Let the microcontroller start its flash, not its ROM, at the reset that ends the writing."""
        self._line(unoq.BOOT0_LOW)

    def _line(self, setting: str) -> None:
        call(unoq.gpioset(setting), LINE_SECONDS)


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

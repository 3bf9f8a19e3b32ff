"""A UNO Q for the tests of flashing: programs that record how they were called, and the appliance around.

The programs are found on PATH like the real ones. They append to one journal, in which the appliance's own
steps stand too, so a test reads the order of everything. A program fails when a file named
`fail-PROGRAM-WORD` lies in the journal's folder; what it was told to write becomes the board's content, whose
first 16 characters are its hash.
"""

from __future__ import annotations

import os
from dataclasses import dataclass
from pathlib import Path

import pytest

from app.errors import PlimsollError, Refused, Unreachable
from app.mcu import images, toolchain

CORE = "1.0.0"
OLD, NEW, OTHER = "00000000000000aa", "11111111111111bb", "22222222222222cc"

PROGRAM = """#!/bin/sh
name=$(basename "$0")
echo "$name $*" >>"{home}/journal"
fails() { if [ -e "{home}/fail-$name-$1" ]; then echo "the $1 went wrong"; exit 1; fi; }
case "$name $*" in
"arduino-cli core list --json") fails core; cat "{home}/cores" ;;
"arduino-cli config get directories.data") fails config; echo "{home}/data" ;;
"arduino-cli compile"*) fails compile; mkdir -p "$5"; cp "{home}/built" "$5/unoq.ino.elf-zsk.bin" ;;
"arduino-cli upload"*) fails upload; cp "$5"/*.bin "{home}/flashed" ;;
"remoteocd upload"*) fails upload; cp "$4" "{home}/flashed" ;;
"gpioset -c /dev/gpiochip1 -t0 37=0") fails boot ;;
"gpioset -c /dev/gpiochip1 -t0 70=1") fails uart ;;
*) echo "not a call that the facts know"; exit 2 ;;
esac
"""


@dataclass
class Greeting:
    """A WELCOME's two facts."""

    firmware_hash: str
    protocol_version: int = 1


class Appliance:
    """The service whose board is flashed: writes its steps into the journal, greets as what was flashed."""

    def __init__(self, home: Path, running: bool = True) -> None:
        self.home = home
        self.running = running
        self.failing: set[str] = set()
        self.deaf: set[str] = set()  # hashes whose firmware never answers
        self.versions: dict[str, int] = {}
        self.foreign: set[str] = set()  # hashes whose firmware answers in a version that nobody here reads

    def latch(self) -> None:
        self._step("latch")

    def release(self) -> bool:
        self._step("release")
        return self.running

    def resume(self) -> None:
        self._step("resume")

    def greet(self) -> Greeting:
        self._step("greet")
        found = (self.home / "flashed").read_text()[:16]
        if found in self.deaf:
            raise Unreachable("board", "no greeting")
        if found in self.foreign:
            raise Refused("board.protocol", "another version", 1)
        return Greeting(found, self.versions.get(found, 1))

    def _step(self, name: str) -> None:
        with (self.home / "journal").open("a") as journal:
            journal.write(f"{name}\n")
        if name in self.failing:
            raise Unreachable("service", f"{name} failed")


class Bench:
    """The journal's folder, the programs on PATH, a shelf of images."""

    def __init__(self, home: Path, monkeypatch: pytest.MonkeyPatch) -> None:
        self.home = home
        self.said: list[str] = []
        programs = home / "programs"
        programs.mkdir()
        for name in ("arduino-cli", "remoteocd", "gpioset"):
            (programs / name).write_text(PROGRAM.replace("{home}", str(home)))
            (programs / name).chmod(0o755)
        monkeypatch.setenv("PATH", f"{programs}{os.pathsep}/usr/bin{os.pathsep}/bin")
        (home / "compatible").write_bytes(b"arduino,imola\0qcom,qrb2210\0")
        self.cores(f'{{"platforms":[{{"id":"arduino:zephyr","installed_version":"{CORE}"}}]}}')
        (home / "built").write_text(NEW)
        (home / "flashed").write_text(OLD)
        self.appliance = Appliance(home)
        self.shelf = images.Shelf(home / "shelf")

    def cores(self, text: str) -> None:
        (self.home / "cores").write_text(text)

    def unoq(self) -> toolchain.UnoQ:
        return toolchain.UnoQ(self.home / "compatible")

    def image(
        self, firmware_hash: str, core: str = CORE, version: int = 1, again: bool = False
    ) -> images.Image:
        folder = self.home / f"image-{firmware_hash}-{core}"
        folder.mkdir(exist_ok=again)
        (folder / images.IMAGE).write_text(firmware_hash)
        return images.describe(folder / images.IMAGE, firmware_hash, version, core, toolchain.FQBN)

    def make(self) -> images.Image:
        sketch, build = self.home / "unoq", self.home / "build"
        sketch.mkdir(exist_ok=True)
        build.mkdir(exist_ok=True)
        return self.unoq().compile(sketch, NEW, 1, build)

    def fail(self, program: str, word: str) -> None:
        (self.home / f"fail-{program}-{word}").touch()

    def journal(self) -> list[str]:
        """The steps in order, each by its first words; questions to arduino-cli left out."""
        file = self.home / "journal"
        lines = file.read_text().splitlines() if file.exists() else []
        return [_short(line) for line in lines if " core list" not in line and " config get" not in line]

    def flashed(self) -> str:
        return (self.home / "flashed").read_text()

    def heard(self, words: str) -> bool:
        return any(words in line for line in self.said)


def _short(line: str) -> str:
    words = line.split()
    return line if len(words) == 1 else f"{words[0]} {words[-1] if words[0] == 'gpioset' else words[1]}"


def failure(error: BaseException) -> str:
    """The owner's line of an expected error."""
    assert isinstance(error, PlimsollError)
    return str(error)

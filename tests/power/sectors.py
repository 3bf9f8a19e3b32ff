"""A disk that drops, tears and reorders what was not flushed: each call of a ledger is recorded once, and the
files are then made as they may lie on such a disk after any of the calls.

What was written before a file's last flush is there. Of what came after, each sector of 512 bytes is there or
not, by chance: that is more than the block device of a cut image does, and as bad as a disk may be that keeps
its word about flushes. The start of the journal is not covered, only what it does when it is open.
"""

from __future__ import annotations

import re
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from random import Random
from typing import NamedTuple

from tests.guards import ROOT
from tests.power.disk import strace

SECTOR = 512
CALLS = "pwrite64,fdatasync,fsync,ftruncate,write"
FILES = ("state.db", "state.db-wal", "market.db", "market.db-wal")
PATIENCE_S = 200  # a second of an idle machine
# 12 write(1<pipe:[7]>, "\x41", 1) = 1, and on two lines when another thread's call came in between
LINE = re.compile(r'(\w+)\((\d+)<([^>]*)>(?:, "([^"]*)", (\d+))?(?:, (\d+))?\) += (\d+)$')
BROKEN, RESUMED = re.compile(r"(.*) <unfinished \.\.\.>$"), re.compile(r"<\.\.\. \w+ resumed>(.*)")


class Call(NamedTuple):
    """One call that succeeded; `name` is the file's, "" for the ledger's words."""

    kind: str
    name: str
    data: bytes = b""
    offset: int = 0


def recorded(folder: Path, *options: str) -> list[Call]:
    """The calls of a short ledger in `folder`."""
    log, data = folder / "log", folder / "data"
    data.mkdir()
    command = strace(["-y", "-xx", "-s", "70000", "-e", f"trace={CALLS}"], log)
    ledger = (sys.executable, "-m", "tests.power.ledger", str(data), *options)
    subprocess.run([*command, *ledger], cwd=ROOT, check=True, capture_output=True, timeout=PATIENCE_S)
    return list(_calls(log.read_text().splitlines()))


def _calls(lines: list[str]) -> Iterator[Call]:
    begun: dict[str, str] = {}
    for line in lines:
        thread, _, text = line.partition(" ")
        text = text.strip()
        if broken := BROKEN.match(text):
            begun[thread] = broken[1]
            continue
        if resumed := RESUMED.match(text):
            text = begun.pop(thread) + resumed[1]
        if found := LINE.match(text):
            kind, handle, path, data, _, last, _ = found.groups()
            name = bytes.fromhex(path.replace(r"\x", "")).decode() if path.startswith(r"\x") else path
            content = bytes.fromhex((data or "").replace(r"\x", ""))
            if kind == "write" and handle == "1":
                yield Call("say", "", content)
            elif Path(name).name in FILES:
                yield Call(kind, Path(name).name, content, int(last or 0))


class Platter:
    """The files as the disk has them for certain, and what it may have besides."""

    def __init__(self) -> None:
        self._certain: dict[str, bytearray] = {name: bytearray() for name in FILES}
        self._perhaps: dict[str, list[Call]] = {name: [] for name in FILES}
        self._flushes = True

    def lies(self) -> None:
        """From now on it acknowledges a flush and does nothing."""
        self._flushes = False

    def take(self, call: Call) -> None:
        if call.kind in ("fdatasync", "fsync"):
            if self._flushes:
                for waiting in self._perhaps[call.name]:
                    _apply(self._certain[call.name], waiting)
                self._perhaps[call.name].clear()
        elif call.kind == "ftruncate":
            self._perhaps[call.name].append(call)
        else:
            for begin in range(0, len(call.data), SECTOR):
                part = call.data[begin : begin + SECTOR]
                self._perhaps[call.name].append(Call("pwrite64", call.name, part, call.offset + begin))

    def fall(self, folder: Path, rng: Random) -> None:
        """Write the files into `folder` as they may lie there when the power goes now."""
        for name, content in self._certain.items():
            there = bytearray(content)
            share = rng.choice((0.0, 0.5, 0.9, 1.0))
            for waiting in self._perhaps[name]:
                if rng.random() < share:
                    _apply(there, waiting)
            (folder / name).write_bytes(there)


def _apply(content: bytearray, call: Call) -> None:
    if call.kind == "ftruncate":
        del content[call.offset :]
        return
    end = call.offset + len(call.data)
    if len(content) < end:
        content.extend(bytes(end - len(content)))
    content[call.offset : end] = call.data

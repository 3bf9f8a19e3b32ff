"""Runs the QEMU board as a process: `python board/qemu/run.py --link PATH --control PATH [--seed N]`.

Command line, first words and control socket are the virtual board's, so that one test speaks to either.
Prints a line of JSON when the board is up: the pty of its link, to which --link is made a symbolic link, and
its control socket. Ends with QEMU, on SIGTERM, or with its parent.
"""

from __future__ import annotations

import argparse
import ctypes
import json
import os
import random
import re
import signal
import socket
import subprocess
import sys
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]
sys.path.insert(0, str(ROOT))

from board.qemu.cable import Bench, Cable, Guest  # noqa: E402

FIRMWARE = ROOT / "board" / "build" / "qemu.elf"
MACHINE = ("qemu-system-arm", "-M", "mps2-an505", "-cpu", "cortex-m33")
# One instruction is 32 ns: guest time is counted in instructions, not in what this machine manages, and waits
# for real time. Where this machine is too slow it falls behind.
TIME = ("-icount", "shift=5,align=on")
QUIET = ("-display", "none", "-monitor", "none")
PTY = re.compile(rb"redirected to (/dev/pts/\d+)")
SAYS_LIMIT = 4_096  # bytes of QEMU's first words
CLIENTS = 8  # of the control socket, waiting
PR_SET_PDEATHSIG = 1


def _die_with_parent() -> None:
    ctypes.CDLL(None).prctl(PR_SET_PDEATHSIG, signal.SIGTERM)


def _listening(path: Path) -> socket.socket:
    path.unlink(missing_ok=True)
    listener = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
    listener.bind(os.fspath(path))
    listener.listen(CLIENTS)
    return listener


def start(firmware: Path, control: Path) -> tuple[subprocess.Popen[bytes], str]:
    """QEMU and the pty of its link. The control port listens before QEMU runs: nobody polls for it."""
    with _listening(control) as listener:
        port = f"socket,id=control,fd={listener.fileno()},server=on,wait=off"
        serial = ("-serial", "pty", "-chardev", port, "-serial", "chardev:control")
        qemu = subprocess.Popen(
            [*MACHINE, *TIME, *QUIET, *serial, "-kernel", firmware],
            pass_fds=(listener.fileno(),),
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            preexec_fn=_die_with_parent,
        )
    assert qemu.stdout is not None
    said = b""
    while not (found := PTY.search(said)):
        line = qemu.stdout.readline(SAYS_LIMIT)
        said += line
        if not line or len(said) > SAYS_LIMIT:
            qemu.kill()
            raise SystemExit(f"QEMU did not start: {said.decode(errors='replace')}")
    return qemu, found[1].decode()


def entropy(seed: int | None) -> str:
    """What the board's machine has no source of."""
    source = random.SystemRandom() if seed is None else random.Random(seed)
    return f"entropy {source.getrandbits(128):032x}"


def parsed() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description="The firmware on a Cortex-M33 in QEMU.")
    parser.add_argument("--link", type=Path, required=True, help="symbolic link to make to the link's pty")
    parser.add_argument("--control", type=Path, required=True, help="unix socket that takes commands")
    parser.add_argument("--firmware", type=Path, default=FIRMWARE)
    parser.add_argument("--seed", type=int, help="of the board's entropy; random without it")
    return parser.parse_args()


def main() -> int:
    arguments = parsed()
    if not arguments.firmware.exists():
        raise SystemExit(f"{arguments.firmware} is not there: ./build.sh firmware")
    _die_with_parent()
    raw = arguments.control.with_name(arguments.control.name + ".guest")
    qemu, pty = start(arguments.firmware, raw)
    signal.signal(signal.SIGTERM, lambda *_: qemu.terminate())
    try:
        guest = Guest(raw)
        if guest.ask(entropy(arguments.seed)) != {"ok": True}:
            raise SystemExit("the board did not take its entropy")
        cable = Cable(pty, arguments.link, arguments.seed)
        with _listening(arguments.control) as listener:
            bench = Bench(cable, guest, listener)
            sys.stdout.write(json.dumps({"pty": cable.name, "control": str(arguments.control)}) + "\n")
            sys.stdout.flush()
            while qemu.poll() is None:
                bench.turn()
        return 0
    finally:
        qemu.kill()
        for path in (arguments.link, arguments.control, raw):
            path.unlink(missing_ok=True)


if __name__ == "__main__":
    raise SystemExit(main())

"""Runs the QEMU board as a process: `python board/qemu/run.py --link PATH --control PATH [--seed N]`.

Prints one line of JSON when the board is up, as the virtual board does: the pty of its link, to which --link
is made a symbolic link, and the unix socket of its control port. Ends with QEMU, on SIGTERM, or its parent.
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

FIRMWARE = Path(__file__).resolve().parents[1] / "build" / "qemu.elf"
MACHINE = ("qemu-system-arm", "-M", "mps2-an505", "-cpu", "cortex-m33")
# One instruction is 32 ns: guest time is counted in instructions, not in what this machine manages, and waits
# for real time. Where this machine is too slow it falls behind.
TIME = ("-icount", "shift=5,align=on")
QUIET = ("-display", "none", "-monitor", "none")
PTY = re.compile(rb"redirected to (/dev/pts/\d+)")
SAYS_LIMIT = 4_096  # bytes of QEMU's first words
ANSWER_SECONDS = 20.0  # until the board took its entropy: an idle machine needs 0.1 s
PR_SET_PDEATHSIG = 1


def _die_with_parent() -> None:
    ctypes.CDLL(None).prctl(PR_SET_PDEATHSIG, signal.SIGTERM)


def start(firmware: Path, control: Path) -> tuple[subprocess.Popen[bytes], str]:
    """QEMU and the pty of its link. The control port listens before QEMU runs: nobody polls for it."""
    with socket.socket(socket.AF_UNIX, socket.SOCK_STREAM) as listener:
        control.unlink(missing_ok=True)
        listener.bind(os.fspath(control))
        listener.listen(1)
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


def seed(control: Path, number: int | None) -> None:
    """Give the board the entropy that its machine lacks."""
    bits = (
        random.Random(number).getrandbits(128)
        if number is not None
        else random.SystemRandom().getrandbits(128)
    )
    with socket.socket(socket.AF_UNIX, socket.SOCK_STREAM) as port:
        port.settimeout(ANSWER_SECONDS)
        port.connect(os.fspath(control))
        port.sendall(f"entropy {bits:032x}\n".encode())
        answer = port.makefile("rb").readline(SAYS_LIMIT)
    if b"ok" not in answer:
        raise SystemExit(f"the board did not take its entropy: {answer!r}")


def main() -> int:
    parser = argparse.ArgumentParser(description="The firmware on a Cortex-M33 in QEMU.")
    parser.add_argument("--link", type=Path, required=True, help="symbolic link to make to the link's pty")
    parser.add_argument("--control", type=Path, required=True, help="unix socket of the control port")
    parser.add_argument("--firmware", type=Path, default=FIRMWARE)
    parser.add_argument("--seed", type=int, help="of the board's entropy; random without it")
    arguments = parser.parse_args()
    if not arguments.firmware.exists():
        raise SystemExit(f"{arguments.firmware} is not there: ./build.sh firmware")
    _die_with_parent()
    qemu, pty = start(arguments.firmware, arguments.control)
    signal.signal(signal.SIGTERM, lambda *_: qemu.terminate())
    try:
        seed(arguments.control, arguments.seed)
        arguments.link.unlink(missing_ok=True)
        arguments.link.symlink_to(pty)
        sys.stdout.write(json.dumps({"pty": pty, "control": str(arguments.control)}) + "\n")
        sys.stdout.flush()
        return qemu.wait()
    finally:
        qemu.kill()
        arguments.link.unlink(missing_ok=True)
        arguments.control.unlink(missing_ok=True)


if __name__ == "__main__":
    raise SystemExit(main())

"""What a login borrows is given back; without the option it is seen to stay."""

from __future__ import annotations

import platform
import subprocess
import sys

import pytest

from tests.guards import ROOT

HASHES = """
import sys
from threading import Thread
from app.ops import memory
from app.web import login

def resident() -> int:
    with open("/proc/self/statm") as file:
        return int(file.read().split()[1]) * 4096

login.SCRYPT_P = 1  # of the same size, in a fifth of the time
if sys.argv[1] == "returned":
    memory.return_large_buffers()
before = resident()
for _ in range(3):
    thread = Thread(target=login._hash, args=("a good password", b"0" * 16))
    thread.start()
    thread.join()
print(resident() - before)
"""


@pytest.mark.skipif(platform.libc_ver()[0] != "glibc", reason="another C library")
@pytest.mark.parametrize("kept", [False, True])
def test_returns_what_a_login_borrowed(kept: bool) -> None:
    command = [sys.executable, "-c", HASHES, "kept" if kept else "returned"]
    done = subprocess.run(command, capture_output=True, text=True, check=True, cwd=ROOT)
    assert (int(done.stdout) > 8 * 2**20) is kept

"""The C library's memory: a large buffer goes back to the kernel as soon as it is free. No other tuning."""

from __future__ import annotations

import ctypes

M_MMAP_THRESHOLD = -3  # malloc.h
LARGE = 2**20  # bytes; only the password hash takes as much, 16 MiB at each login


def return_large_buffers() -> None:
    """Give every buffer of LARGE bytes its own mapping.

    By itself glibc raises that threshold with the first one it frees, and from then on keeps 16 MiB for each
    thread that hashed a password. Does nothing where the C library knows no such option.
    """
    mallopt = getattr(ctypes.CDLL(None), "mallopt", None)
    if mallopt is not None:
        mallopt(M_MMAP_THRESHOLD, LARGE)

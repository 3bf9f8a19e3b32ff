"""Planted offences for the fuzzer's own test: a disagreement, a read past a block's end, ordinary twins."""

from __future__ import annotations

import ctypes
import importlib
import os

LIBC = ctypes.CDLL(None)
LIBC.malloc.restype = ctypes.c_void_p
OFFENCE = os.environ.get("PLIMSOLL_FUZZ_OFFENCE", "")


def check(_data: bytes) -> None:
    """Offend as told; without an offence hold that the twins in use are the sanitized ones."""
    if OFFENCE == "disagreement":
        raise AssertionError("planted")
    if OFFENCE == "overrun":
        ctypes.string_at(LIBC.malloc(16), 64)
    for name in ("frames", "orders", "wire"):
        file = importlib.import_module(f"native.{name}_c").__file__ or ""
        with open(file, "rb") as built:
            assert b"__asan_report_load1" in built.read(), f"{file} is not sanitized"

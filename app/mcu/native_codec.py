"""The link's codec in the service: ``native.wire`` in the form that ``session`` asks for.

Not for MicroPython, which uses the cbor2 codec of ``messages``; both make the same bytes of the same values.
"""

from __future__ import annotations

from typing import Any

from native import wire


class NativeCodec:
    """Frames by ``native.wire``; the decoders' outcomes are its codes, 0 for a frame."""

    @staticmethod
    def encode(*frame: Any) -> bytes:
        """As ``native.wire.encode``, of the twin that runs."""
        return wire.encode(*frame)

    def decoder(self) -> NativeDecoder:
        return NativeDecoder()


class NativeDecoder:
    """Bytes in, (outcome, fields) out; ``fields`` are None unless the outcome is 0."""

    __slots__ = ("wire",)

    def __init__(self) -> None:
        self.wire = wire.Decoder()

    def feed(self, data: bytes) -> list[tuple]:
        """Return what ``data`` completes, in its order."""
        return [(one, None) if isinstance(one, int) else (0, one.fields()) for one in self.wire.feed(data)]

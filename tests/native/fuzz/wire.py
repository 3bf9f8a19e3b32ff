"""Fuzz target `wire`: bytes as the board's line, values as a payload; the twins agree, one encoding."""

from __future__ import annotations

import importlib
from collections.abc import Callable
from types import ModuleType
from typing import Any

from native import wire_py
from tests.native.bad_input import WIRE
from tests.native.fuzz.values import Values
from tests.native.test_wire import GOLDEN

wire_c = importlib.import_module("native.wire_c")

MAX_INPUT = 600
SEEDS = WIRE | {f"golden-{number}": bytes.fromhex(frame) for number, frame in enumerate(GOLDEN.values())}


def check(data: bytes) -> None:
    """Raise AssertionError when the twins differ, or a good frame is not the only encoding of its fields."""
    stories = [_story(twin, data) for twin in (wire_py, wire_c)]
    assert stories[0] == stories[1]
    _agree("cbor_decode", data)
    values = Values(data)
    fields = [values.integer() for _ in range(6)]
    _agree("encode", *fields, tuple(values.value() for _ in range(data[-1] % 9 if data else 0)))


def _story(twin: ModuleType, data: bytes) -> list[Any]:
    """What a decoder finds, in pieces of a length that the input sets, and what it counted."""
    decoder, story, size = twin.Decoder(), [], 1 + sum(data[:4]) % 64
    for at in range(0, len(data), size):
        for found in decoder.feed(data[at : at + size]):
            story.append(found if isinstance(found, int) else found.fields())
            if not isinstance(found, int):
                wire = twin.encode(*found.fields())
                assert wire in data, "a frame with a second encoding"
    return [*story, decoder.counts()]


def _agree(name: str, *arguments: Any) -> None:
    answers = [_answer(getattr(twin, name), *arguments) for twin in (wire_py, wire_c)]
    assert answers[0] == answers[1]


def _answer(call: Callable[..., Any], *arguments: Any) -> Any:
    try:
        return repr(call(*arguments))
    except (ValueError, TypeError, OverflowError) as error:
        return type(error), str(error)

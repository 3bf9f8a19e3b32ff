"""Every codec agrees with the golden vectors, and the vectors are what their script makes."""

from __future__ import annotations

from typing import Any

import pytest

from app.mcu import messages
from app.mcu.native_codec import NativeCodec
from tests.mcu import make_vectors, vectors

PATH = str(make_vectors.FILE)


@pytest.mark.parametrize("codec", [messages.Cbor2Codec(), NativeCodec()], ids=["cbor2", "native"])
def test_agrees_with_every_vector(codec: Any) -> None:
    right, wrong = vectors.failures(codec, messages, PATH)
    assert wrong == []
    assert right > 200


def test_keeps_the_file_as_the_script_makes_it() -> None:
    made = make_vectors.HEADER + "\n".join(["", *make_vectors.vectors(), ""])
    assert make_vectors.FILE.read_text() == made


def test_covers_every_message_and_outcome() -> None:
    parsed = list(vectors.lines(PATH))
    assert {int(parts[2]) for parts in parsed if parts[0] == "good"} == set(messages.MESSAGES)
    seen = {name for parts in parsed if parts[0] == "bad" for name in parts[2].split(",")}
    assert seen == {*messages.OUTCOMES, "none", "message"}

"""Log lines stay single and bounded."""

from __future__ import annotations

import logging
from collections.abc import Iterator

import pytest

from app.ops import logs


@pytest.fixture(autouse=True)
def own_handlers() -> Iterator[None]:
    root = logging.getLogger()
    kept, level = root.handlers[:], root.level
    yield
    for handler in root.handlers[:]:
        root.removeHandler(handler)
    root.setLevel(level)
    for handler in kept:
        root.addHandler(handler)


def test_keeps_a_message_on_one_line_and_bounded(capsys: pytest.CaptureFixture[str]) -> None:
    logs.set_up()
    logging.getLogger("x").info("first\nERROR forged\r%s", "y" * 5000)
    said = capsys.readouterr().err
    assert said.count("\n") == 1 and said.startswith("INFO x: first\\nERROR forged\\r")
    assert len(said) <= logs.LINE_LIMIT + 1


def test_keeps_the_traceback_of_an_internal_error(capsys: pytest.CaptureFixture[str]) -> None:
    logs.set_up(stamped=True)
    try:
        raise ValueError("boom")
    except ValueError:
        logging.getLogger("x").exception("failed")
    said = capsys.readouterr().err
    assert "ERROR x: failed\nTraceback" in said and said.endswith("ValueError: boom\n")

"""What is measured of the disk reaches picture, list of events and log, each trouble once while it stands."""

from __future__ import annotations

import logging
from types import SimpleNamespace

import pytest

from app.compose import _tell_storage
from app.engine.snapshot import StorageView

WELL = StorageView(free_bytes=7)
ILL = WELL.troubled("storage_wear", "90 % spent")


class List:
    """The owner's list of events."""

    def __init__(self) -> None:
        self.lines: list[tuple[str, str, str]] = []

    def add(self, level: str, code: str, text: str) -> None:
        self.lines.append((level, code, text))


def test_tells_a_trouble_once_while_it_stands(caplog: pytest.LogCaptureFixture) -> None:
    engine = SimpleNamespace(storage=StorageView(), log=List())
    with caplog.at_level(logging.WARNING, "plimsoll"):
        for disk in (WELL, ILL, ILL, WELL, ILL.troubled("storage_free", "full")):
            _tell_storage(engine, disk)  # type: ignore[arg-type]
            assert engine.storage is disk
    assert sorted(code for _, code, _ in engine.log.lines) == ["storage_free", "storage_wear", "storage_wear"]
    assert {level for level, _, _ in engine.log.lines} == {"warning"}
    assert "storage_wear: 90 % spent" in caplog.messages and len(caplog.messages) == 3

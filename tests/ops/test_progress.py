"""The updater's word reaches the status line; a file that makes no sense is silence."""

from __future__ import annotations

import asyncio
from pathlib import Path

import pytest

from app.clock import VirtualClock
from app.ops.progress import FILE_LIMIT, FOLDER, LOOK_NS, STATUS_FILE, WORDS_LIMIT, doing, watch


@pytest.fixture
def file(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setenv(FOLDER, str(tmp_path))
    return tmp_path / STATUS_FILE


def test_tells_what_the_updater_does(file: Path) -> None:
    assert doing() == ""
    file.write_text('{"doing": "downloading 0.2.0"}')
    assert doing() == "downloading 0.2.0"


@pytest.mark.parametrize("text", ["", "{", "[]", '{"doing": 7}', "{}", '{"doing": "' + "x" * FILE_LIMIT])
def test_is_silent_about_what_makes_no_sense(file: Path, text: str) -> None:
    file.write_text(text)
    assert doing() == ""


def test_keeps_it_to_one_short_line(file: Path) -> None:
    file.write_text('{"doing": "a\\nREADY=1' + "x" * 200 + '"}')
    assert "\n" not in doing() and len(doing()) == WORDS_LIMIT


def test_is_silent_where_systemd_made_no_folder(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv(FOLDER, raising=False)
    assert doing() == ""


async def test_watches_for_an_update_to_begin_and_to_end(file: Path) -> None:
    clock, heard = VirtualClock(0), list[bool]()
    watching = asyncio.create_task(watch(heard.append, clock))
    for text in ('{"doing": "switching"}', '{"doing": ""}'):
        await asyncio.sleep(0)
        file.write_text(text)
        clock.advance(LOOK_NS)
        await asyncio.sleep(0)
    watching.cancel()
    await asyncio.gather(watching, return_exceptions=True)
    assert heard == [False, True, False]

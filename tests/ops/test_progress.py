"""The updater's word reaches page, lights and status line; a file that makes no sense is silence."""

from __future__ import annotations

import asyncio
import json
from pathlib import Path

import pytest

from app.clock import VirtualClock
from app.engine.snapshot import UpdateView
from app.ops.progress import (
    FILE_LIMIT,
    FOLDER,
    LOOK_NS,
    LOOKED_FILE,
    NEWS_NS,
    STATUS_FILE,
    WORDS_LIMIT,
    look,
    watch,
)

NOW_NS = 1_800_000_000_000_000_000


@pytest.fixture
def file(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setenv(FOLDER, str(tmp_path))
    (tmp_path / LOOKED_FILE).parent.mkdir()
    return tmp_path / STATUS_FILE


def test_tells_what_the_updater_does(file: Path) -> None:
    assert look(NOW_NS) == UpdateView()
    file.write_text('{"doing": "switching to 0.2.0"}')
    assert look(NOW_NS) == UpdateView(doing="switching to 0.2.0")


def test_tells_what_the_look_for_a_release_does_and_what_is_in_its_way(file: Path) -> None:
    looked = file.parent / LOOKED_FILE
    looked.write_text('{"doing": "downloading 0.2.0", "words": "downloading 0.2.0"}')
    assert look(NOW_NS) == UpdateView(doing="downloading 0.2.0")
    looked.write_text('{"doing": "", "words": "0.1.0 is the newest", "rule": ""}')
    assert look(NOW_NS) == UpdateView()
    looked.write_text('{"doing": "", "words": "update info stale", "rule": "update.stale"}')
    assert look(NOW_NS) == UpdateView(looked="update info stale")


def test_a_release_that_failed_is_told_for_a_day(file: Path) -> None:
    told = {"doing": "", "words": "0.3.0 failed; 0.2.0 runs again", "light": "failed", "at_ns": NOW_NS}
    file.write_text(json.dumps(told))
    assert look(NOW_NS + NEWS_NS - 1).failed == "0.3.0 failed; 0.2.0 runs again"
    assert look(NOW_NS + NEWS_NS).failed == ""
    assert look(0).failed  # a clock that is not set yet
    file.write_text(json.dumps({**told, "light": "", "words": "0.4.0 runs and is kept"}))
    assert look(NOW_NS) == UpdateView()


def test_a_release_that_waits_is_told_once_it_is_overdue_and_for_as_long_as_it_is_tried(file: Path) -> None:
    waits = {"words": "the update waits: the service is exposed", "outcome": "waits", "at_ns": NOW_NS}
    file.write_text(json.dumps(waits))
    assert look(NOW_NS) == UpdateView()
    file.write_text(json.dumps({**waits, "overdue": True}))
    assert look(NOW_NS) == UpdateView(waits="the update waits: the service is exposed")
    assert look(NOW_NS + NEWS_NS) == UpdateView()


@pytest.mark.parametrize("text", ["", "{", "[]", '{"doing": 7}', "{}", '{"doing": "' + "x" * FILE_LIMIT])
def test_is_silent_about_what_makes_no_sense(file: Path, text: str) -> None:
    file.write_text(text)
    (file.parent / LOOKED_FILE).write_text(text)
    assert look(NOW_NS) == UpdateView()


def test_keeps_it_to_one_short_line(file: Path) -> None:
    file.write_text('{"doing": "a\\nREADY=1' + "x" * 200 + '"}')
    assert "\n" not in look(NOW_NS).doing and len(look(NOW_NS).doing) == WORDS_LIMIT


def test_is_silent_where_nobody_named_a_folder(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv(FOLDER, raising=False)
    assert look(NOW_NS) == UpdateView()


async def test_watches_for_an_update_to_begin_and_to_end(file: Path) -> None:
    clock, heard = VirtualClock(0), list[str]()
    watching = asyncio.create_task(watch(lambda view: heard.append(view.doing), clock))
    for text in ('{"doing": "switching"}', '{"doing": ""}'):
        await asyncio.sleep(0)
        file.write_text(text)
        clock.advance(LOOK_NS)
        await asyncio.sleep(0)
    watching.cancel()
    await asyncio.gather(watching, return_exceptions=True)
    assert heard == ["", "switching", ""]

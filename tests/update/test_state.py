"""What is remembered survives a power cut, and what cannot be believed is not guessed at."""

from __future__ import annotations

import json
import os
import tempfile
from dataclasses import asdict, replace
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from app import durable
from app.update import state
from app.update.state import BAD_KEPT, WINDOW_S, Ota

FULL = Ota("0.2.0-aa", "0.1.0-bb", "0.3.0-cc", 1, True, "0.2.0", ("0.1.5-dd",), "HEALTH", 100, "boot", 5)


def test_keeps_what_it_is_given(tmp_path: Path) -> None:
    for ota in (FULL, Ota()):
        state.save(tmp_path, ota)
        assert state.load(tmp_path, "linked") == (ota, "")


def test_a_first_start_takes_what_is_linked_for_good(tmp_path: Path) -> None:
    assert state.load(tmp_path, "0.2.0-aa") == (Ota(good="0.2.0-aa", floor="0.2.0"), "")
    assert state.load(tmp_path, "") == (Ota(), "")


@pytest.mark.parametrize(
    "change",
    [
        {"format": 2},
        {"trial": "../up"},
        {"good": 5},
        {"tries": -1},
        {"tries": True},
        {"back": 1},
        {"bad": ["a/b"]},
        {"bad": [3]},
        {"bad": 3},
        {"floor": "x"},
        {"good": None},
        {"good": ["a"]},
    ],
)
def test_a_file_that_is_not_ours_is_said_aloud(tmp_path: Path, change: dict[str, Any]) -> None:
    document = {"format": 1, **asdict(FULL), **change}
    (tmp_path / "ota.json").write_text(json.dumps(document))
    ota, problem = state.load(tmp_path, "0.2.0-aa")
    assert ota == Ota(good="0.2.0-aa", floor="0.2.0")
    assert "unusable" in problem and "0.2.0-aa" in problem


def test_promise_9_an_updater_that_came_back_knows_what_failed_under_a_later_one(tmp_path: Path) -> None:
    """Else it would install the release that failed again, at every look."""
    document = {"format": 1, **asdict(FULL), "of_a_later_version": {"x": 1}}
    del document["window_s"]
    (tmp_path / "ota.json").write_text(json.dumps(document))
    assert state.load(tmp_path, "") == (replace(FULL, window_s=0), "")


@given(
    st.binary(max_size=300) | st.sampled_from([b"[" * 5_000, b"null", b"{}", b'{"format": 1}', b"9" * 5_000])
)
def test_rubbish_is_never_an_error(data: bytes) -> None:
    with tempfile.TemporaryDirectory() as folder:
        (Path(folder) / "ota.json").write_bytes(data)
        ota, problem = state.load(Path(folder), "")
        assert ota == Ota() and problem


def test_a_file_without_end_or_of_another_kind_is_not_read(tmp_path: Path) -> None:
    (tmp_path / "ota.json").symlink_to("/dev/zero")
    assert "unusable" in state.load(tmp_path, "")[1]
    (tmp_path / "ota.json").unlink()
    os.mkfifo(tmp_path / "ota.json")
    assert "unusable" in state.load(tmp_path, "")[1]


@pytest.mark.parametrize("call", ["open", "fsync", "replace"])
def test_promise_12_a_full_disk_leaves_the_old_content(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, call: str
) -> None:
    state.save(tmp_path, FULL)

    def full(*_: object, **__: object) -> None:
        raise OSError(28, "No space left on device")

    owner = Path if call == "replace" else durable.os
    with monkeypatch.context() as patch:
        patch.setattr(owner, call, full)
        with pytest.raises(OSError, match="No space"):
            state.save(tmp_path, Ota())
    assert state.load(tmp_path, "") == (FULL, "")
    assert [path.name for path in tmp_path.iterdir()] == ["ota.json"]


def test_remembers_the_newest_failures_once_each() -> None:
    ota = Ota()
    for number in range(BAD_KEPT + 5):
        ota = ota.failed(f"0.{number}-x").failed(f"0.{number}-x")
    assert len(ota.bad) == BAD_KEPT and ota.bad[-1] == f"0.{BAD_KEPT + 4}-x"


def test_promise_10_the_window_counts_uptime_not_the_wall_clock() -> None:
    ota = Ota(window_s=WINDOW_S, boot="one", mark_s=100)
    ota = ota.charged("one", 3_700)
    assert ota.window_s == WINDOW_S - 3_600
    ota = ota.charged("two", 60)
    assert ota.window_s == WINDOW_S - 3_660
    assert ota.charged("two", 60 + WINDOW_S).window_s == 0
    assert ota.charged("two", 0).window_s == ota.window_s  # a clock that went back takes nothing

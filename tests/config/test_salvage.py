"""What safe mode still reads of a broken settings file, and that it never fails at it."""

from __future__ import annotations

from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from app.config import Web
from app.config.salvage import STATE_FOLDER, salvage


@pytest.fixture
def file(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.delenv(STATE_FOLDER, raising=False)
    return tmp_path / "plimsoll.toml"


def test_keeps_what_is_right_and_forgets_what_is_wrong(file: Path) -> None:
    file.write_text(
        'data_dir = "data"\n[web]\nhost = "0.0.0.0"\nport = "x"\nallowed_hosts = ["a.b"]\nred = 1\n'
    )
    web, data = salvage(file)
    assert web == Web(host="0.0.0.0", allowed_hosts=("a.b",)) and data == file.parent / "data"


@pytest.mark.parametrize("text", ["[web", "web = 3\ndata_dir = 7", "\0", "[web]\nport = -1", "data_dir = ''"])
def test_falls_back_to_what_holds_without_a_file(file: Path, text: str) -> None:
    file.write_text(text)
    assert salvage(file) == salvage(file.with_name("none.toml")) == (Web(), Path("/var/lib/plimsoll"))


def test_takes_the_folder_that_systemd_made(file: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv(STATE_FOLDER, "/var/lib/other:/var/lib/more")
    assert salvage(file)[1] == Path("/var/lib/other")


@given(st.binary(max_size=60))
def test_never_fails(tmp_path_factory: pytest.TempPathFactory, data: bytes) -> None:
    file = tmp_path_factory.mktemp("salvage") / "plimsoll.toml"
    file.write_bytes(b"[web]\n" + data)
    web, _ = salvage(file)
    assert 0 <= web.port <= 65_535

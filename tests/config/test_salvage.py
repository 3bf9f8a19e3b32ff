"""What safe mode still reads of a broken settings file, and that it never fails at it."""

from __future__ import annotations

from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from app.config import Notify, Web
from app.config.salvage import STATE_FOLDER, Salvaged, salvage


@pytest.fixture
def file(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.delenv(STATE_FOLDER, raising=False)
    return tmp_path / "plimsoll.toml"


def test_keeps_what_is_right_and_forgets_what_is_wrong(file: Path) -> None:
    file.write_text(
        'data_dir = "data"\n[web]\nhost = "0.0.0.0"\nport = "x"\nallowed_hosts = ["a.b"]\nred = 1\n'
    )
    found = salvage(file)
    assert found.web == Web(host="0.0.0.0", allowed_hosts=("a.b",))
    assert found.data_dir == file.parent / "data" and found.notify == Notify()


def test_keeps_whom_to_tell(file: Path) -> None:
    file.write_text('[notify]\nurl = "https://ntfy.example/desk"\ntoken_file = "token"\n[colours]\n')
    assert salvage(file).notify == Notify(url="https://ntfy.example/desk", token_file=file.parent / "token")
    for wrong in ("7", '"http://ntfy.example/desk"', '"https://"', '"https://me:word@ntfy.example/"'):
        file.write_text(f"[notify]\nurl = {wrong}\ntoken_file = 8\n")
        assert salvage(file).notify == Notify()


@pytest.mark.parametrize("text", ["[web", "web = 3\ndata_dir = 7", "\0", "[web]\nport = -1", "data_dir = ''"])
def test_falls_back_to_what_holds_without_a_file(file: Path, text: str) -> None:
    file.write_text(text)
    nothing = Salvaged(Web(), Notify(), Path("/var/lib/plimsoll"))
    assert salvage(file) == salvage(file.with_name("none.toml")) == nothing


def test_takes_the_folder_that_systemd_made(file: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv(STATE_FOLDER, "/var/lib/other:/var/lib/more")
    assert salvage(file).data_dir == Path("/var/lib/other")


@given(st.binary(max_size=60))
def test_never_fails(tmp_path_factory: pytest.TempPathFactory, data: bytes) -> None:
    file = tmp_path_factory.mktemp("salvage") / "plimsoll.toml"
    file.write_bytes(b"[web]\n" + data)
    assert 0 <= salvage(file).web.port <= 65_535

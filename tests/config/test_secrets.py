"""Secrets: read only when nobody else can, and never shown."""

from __future__ import annotations

import os
import pickle
from pathlib import Path

import pytest

from app.config import Secret, Settings, read_secret, secrets
from app.config.secrets import SECRET_LIMIT
from app.errors import SettingsError

KEY = "topstepx.api_key_file"


def write(folder: Path, data: bytes, mode: int = 0o600) -> Path:
    path = folder / "key"
    path.write_bytes(data)
    path.chmod(mode)
    return path


@pytest.mark.parametrize("mode", [0o600, 0o400])
def test_reads_one_stripped_line(tmp_path: Path, mode: int) -> None:
    assert read_secret(KEY, write(tmp_path, b"  hunter2\n", mode)).reveal() == "hunter2"


def test_shows_itself_in_no_text() -> None:
    secret = Secret("hunter2")
    for text in (str(secret), repr(secret), f"{secret}", f"{[secret]}", "%s" % secret, "%r" % secret):  # noqa: UP031
        assert "hunter2" not in text
    with pytest.raises(TypeError):
        pickle.dumps(secret)
    assert secret and not Secret("")


@pytest.mark.parametrize("mode", [0o640, 0o604, 0o660, 0o601])
def test_refuses_a_file_others_may_touch_and_says_what_to_do(tmp_path: Path, mode: int) -> None:
    path = write(tmp_path, b"hunter2", mode)
    with pytest.raises(
        SettingsError, match=f"is open to others .mode {mode:o}.; run: chmod 600 {path}"
    ) as error:
        read_secret(KEY, path)
    assert error.value.key == KEY
    assert "hunter2" not in str(error.value)


@pytest.mark.parametrize(
    ("data", "message"),
    [
        (b"", "must hold one line of text"),
        (b" \n", "must hold one line of text"),
        (b"one\ntwo", "must hold one line of text"),
        (b"\xff\xfe", "is not text"),
        (b"x" * (SECRET_LIMIT + 1), f"is longer than {SECRET_LIMIT} bytes"),
    ],
)
def test_refuses_what_is_no_secret(tmp_path: Path, data: bytes, message: str) -> None:
    with pytest.raises(SettingsError, match=message):
        read_secret(KEY, write(tmp_path, data))


def test_accepts_the_longest_secret(tmp_path: Path) -> None:
    assert len(read_secret(KEY, write(tmp_path, b"x" * SECRET_LIMIT)).reveal()) == SECRET_LIMIT


def test_refuses_a_missing_file_a_folder_and_a_pipe_without_waiting(tmp_path: Path) -> None:
    with pytest.raises(SettingsError, match="cannot be read: No such file"):
        read_secret(KEY, tmp_path / "missing")
    with pytest.raises(SettingsError, match="is not a plain file"):
        read_secret(KEY, tmp_path)
    os.mkfifo(tmp_path / "pipe", 0o600)
    with pytest.raises(SettingsError, match="is not a plain file"):
        read_secret(KEY, tmp_path / "pipe")


@pytest.fixture
def passed(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """The folder where systemd puts credentials."""
    folder = tmp_path / "passed"
    folder.mkdir()
    monkeypatch.setenv(secrets.CREDENTIALS_VARIABLE, str(folder))
    return folder


@pytest.mark.parametrize("mode", [0o400, 0o440])
def test_reads_systemds_copy_of_a_credential(passed: Path, mode: int) -> None:
    """0440 is how a file for one more user looks where its file system has access lists."""
    (passed / "topstepx.key").write_bytes(b"hunter2\n")
    (passed / "topstepx.key").chmod(mode)
    assert read_secret(KEY, Settings().topstepx.api_key_file).reveal() == "hunter2"


def test_says_that_a_credential_was_not_there_to_be_passed(passed: Path) -> None:
    (passed / "topstepx.key").write_bytes(secrets.NOT_THERE)
    (passed / "topstepx.key").chmod(0o400)
    with pytest.raises(SettingsError, match=r"credentials/topstepx\.key is missing: put it there"):
        read_secret(KEY, Settings().topstepx.api_key_file)


def test_refuses_a_copy_that_anybody_may_read(passed: Path) -> None:
    (passed / "topstepx.key").write_bytes(b"hunter2\n")
    (passed / "topstepx.key").chmod(0o444)
    with pytest.raises(SettingsError, match="is open to others"):
        read_secret(KEY, Settings().topstepx.api_key_file)


def test_takes_no_copy_for_a_file_that_the_owner_keeps_elsewhere(passed: Path, tmp_path: Path) -> None:
    (passed / "key").write_bytes(b"other\n")
    assert secrets.credential(tmp_path / "key") == tmp_path / "key"
    assert secrets.credential(secrets.CREDENTIALS / "absent") == secrets.CREDENTIALS / "absent"
    assert secrets.credential(secrets.CREDENTIALS / "key") == passed / "key"


def test_takes_no_copy_where_systemd_passed_none(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv(secrets.CREDENTIALS_VARIABLE, raising=False)
    assert secrets.credential(secrets.CREDENTIALS / "topstepx.key") == secrets.CREDENTIALS / "topstepx.key"

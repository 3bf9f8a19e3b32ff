"""`plimsoll backup` and `plimsoll restore` as the owner types them."""

from __future__ import annotations

import asyncio
import json
from pathlib import Path
from types import SimpleNamespace

import pytest

from app.cli import main
from app.clock import SystemClock
from app.ops.backups import troubles
from app.store import open_journal, sealing
from app.store.lock import InstanceLock
from tests.store.records import durable, fill


@pytest.fixture
def data(tmp_path: Path) -> Path:
    folder = tmp_path / "data"
    folder.mkdir()

    async def write() -> None:
        store = await open_journal(folder, SystemClock())
        assert await durable(store, fill(1)) is None
        await store.close()

    asyncio.run(write())
    return folder


def said(capsys: pytest.CaptureFixture[str]) -> str:
    return capsys.readouterr().out


def test_backs_up_lists_and_restores(data: Path, capsys: pytest.CaptureFixture[str]) -> None:
    where = ["--data-dir", str(data)]
    assert main(["backup", "--list", *where]) == 0
    assert said(capsys).startswith("No backup in ")
    assert main(["backup", "--json", *where]) == 0
    made = json.loads(said(capsys))
    assert made["backups"] == [made["made"]]
    source = str(Path(made["folder"]) / made["made"])
    assert main(["backup", "--list", *where]) == 0
    assert said(capsys) == f"{source}\n"
    assert main(["restore", source, *where]) == 0
    assert "halted until you re-arm" in said(capsys)
    assert main(["status", "--json", *where]) == 0
    status = json.loads(said(capsys))
    assert not status["armed"] and [reason["code"] for reason in status["reasons"]] == ["halt"]


def test_leaves_why_it_failed_for_the_service_until_one_is_made(
    data: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    where = ["--data-dir", str(data)]
    (data / "backups").mkdir()
    assert main(["backup", "--passphrase-file", str(tmp_path / "none"), *where]) == 2
    (words,) = dict(troubles(data, SystemClock().wall_ns())).values()
    assert "failed: setting --passphrase-file" in words and "No such file" in words
    assert main(["backup", "--to", str(tmp_path / "stick"), *where]) == 0  # not the daily one
    assert main(["backup", "--list", *where]) == 0
    assert dict(troubles(data, SystemClock().wall_ns()))
    assert main(["backup", *where]) == 0
    assert not dict(troubles(data, SystemClock().wall_ns()))
    assert len(list((data / "backups").iterdir())) == 1


def test_that_nothing_was_traded_yet_is_no_failure_of_backups(tmp_path: Path) -> None:
    (tmp_path / "backups").mkdir()
    assert main(["backup", "--data-dir", str(tmp_path)]) == 1
    assert not dict(troubles(tmp_path, SystemClock().wall_ns()))


def test_whoever_sits_at_a_terminal_is_told_there(data: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (data / "backups").mkdir()
    monkeypatch.setattr("sys.stdin", SimpleNamespace(isatty=lambda: True))
    typed = iter(["a good passphrase", "another one"])
    monkeypatch.setattr("getpass.getpass", lambda _: next(typed))
    assert main(["backup", "--encrypt", "--data-dir", str(data)]) == 3
    assert not dict(troubles(data, SystemClock().wall_ns()))


def test_fails_in_words(data: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    where = ["--data-dir", str(data)]
    assert main(["backup", "--data-dir", str(tmp_path)]) == 1
    assert main(["restore", str(tmp_path / "none"), *where]) == 1
    assert main(["backup", *where]) == 0
    (made,) = (data / "backups").iterdir()
    lock = InstanceLock(data)
    try:
        assert main(["restore", str(made), *where]) == 1
    finally:
        lock.release()
    errors = capsys.readouterr().err.splitlines()
    assert [line.split(":")[1].strip() for line in errors] == [
        "store.missing",
        "backup.missing",
        "store.in_use",
    ]


PASSPHRASE = "correct horse battery staple"


@pytest.fixture
def secret(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A file with the passphrase, and keys that cost a test little."""
    monkeypatch.setattr(sealing, "SCRYPT_N", 2)
    file = tmp_path / "passphrase"
    file.touch(mode=0o600)
    file.write_text(PASSPHRASE + "\n")
    return file


def only_backup(data: Path) -> str:
    (made,) = (data / "backups").iterdir()
    return str(made)


def test_seals_with_a_file_and_opens_with_it(
    data: Path, secret: Path, capfd: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    where = ["--data-dir", str(data)]
    assert main(["backup", "--passphrase-file", str(secret), *where]) == 0
    assert ", sealed; 1 kept" in capfd.readouterr().out
    monkeypatch.setattr("app.cli.backups.sys.stdin", Pipe())
    assert main(["restore", only_backup(data), *where]) == 1
    assert "nobody to ask" in capfd.readouterr().err
    assert main(["restore", only_backup(data), "--passphrase-file", str(secret), *where]) == 0
    said = capfd.readouterr()
    assert "halted until you re-arm" in said.out and PASSPHRASE not in said.out + said.err


def test_the_settings_name_the_passphrase_of_every_backup(
    data: Path, secret: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    file = tmp_path / "plimsoll.toml"
    file.write_text('data_dir = "data"\n[backup]\npassphrase_file = "passphrase"\n')
    where = ["--config", str(file)]
    secret.chmod(0o644)
    assert main(["backup", *where]) == 2, "an open passphrase makes no backup, and above all no plain one"
    assert not (data / "backups").exists()
    secret.chmod(0o600)
    assert main(["backup", *where]) == 0
    assert {path.suffix for path in Path(only_backup(data)).iterdir()} == {".sealed"}
    assert main(["restore", only_backup(data), *where]) == 0
    assert PASSPHRASE not in "".join(capsys.readouterr())


def test_asks_a_person_twice_for_a_new_passphrase_and_once_for_a_known_one(
    data: Path, secret: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    where, typed = ["--data-dir", str(data)], list[str]()
    monkeypatch.setattr("app.cli.backups.sys.stdin", Terminal())
    monkeypatch.setattr("app.cli.backups.getpass.getpass", lambda _prompt: typed.pop(0))
    typed[:] = [PASSPHRASE, PASSPHRASE + "!"]
    assert main(["backup", "--encrypt", *where]) == 3
    assert "the two differ" in capsys.readouterr().err
    typed[:] = [PASSPHRASE, PASSPHRASE]
    assert main(["backup", "--encrypt", *where]) == 0
    typed[:] = ["another horse entirely"]
    assert main(["restore", only_backup(data), *where]) == 1
    assert "another passphrase" in capsys.readouterr().err
    typed[:] = [PASSPHRASE]
    assert main(["restore", only_backup(data), *where]) == 0
    assert PASSPHRASE not in "".join(capsys.readouterr())


class Terminal:
    """Standard input of a person."""

    def isatty(self) -> bool:
        return True


class Pipe:
    """Standard input of a timer."""

    def isatty(self) -> bool:
        return False

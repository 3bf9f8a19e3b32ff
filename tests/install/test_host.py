"""The door to the machine: real commands, their failures in words, and an image that executes nothing."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from app.errors import Theirs, Unreachable
from app.install import host
from app.install.host import Host, Image


def test_returns_what_a_command_printed() -> None:
    assert Host().run("printf", "%s", "a b") == "a b"


def test_fails_with_what_the_command_said() -> None:
    with pytest.raises(Theirs, match="sh -c: no such user"):
        Host().run("sh", "-c", "echo no such user >&2; exit 6")
    with pytest.raises(Unreachable, match="No such file"):
        Host().run("plimsoll-no-such-command")


def test_ends_a_command_that_does_not_end(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(host, "COMMAND_S", 0.05)
    with pytest.raises(Unreachable, match="did not end"):
        Host().run("sleep", "60")


def test_asks_without_failing() -> None:
    asked = Host()
    assert asked.says("true") and not asked.says("false") and not asked.says("plimsoll-no-such-command")


def test_gives_a_file_to_its_owner_once(tmp_path: Path) -> None:
    mine = (os.getuid(), os.getgid())
    assert not Host().own(tmp_path, mine, "me:me")
    if os.getuid() == 0:
        assert Host().own(tmp_path, (12345, 12345), "x:x") and not Host().own(tmp_path, (12345, 12345), "x:x")


def test_an_image_executes_nothing_and_keeps_what_is_left(tmp_path: Path) -> None:
    image = Image()
    assert image.run("touch", str(tmp_path / "x")) == "" and not image.says("true")
    assert not image.own(tmp_path, (12345, 12345), "x:x") and not image.own(tmp_path, (12345, 12345), "x:x")
    assert image.left == [f"touch {tmp_path / 'x'}", f"chown x:x {tmp_path}"]
    assert not (tmp_path / "x").exists() and tmp_path.stat().st_uid == os.getuid()

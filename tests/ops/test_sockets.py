"""Sockets that systemd passes: taken when they are meant for us, refused when they are not what we serve."""

from __future__ import annotations

import os
import socket
import subprocess
import sys
from collections.abc import Callable, Iterator

import pytest

from app.errors import SettingsError
from app.ops import sockets

Pass = Callable[..., None]


@pytest.fixture
def listener() -> Iterator[socket.socket]:
    with socket.create_server(("127.0.0.1", 0)) as made:
        yield made


@pytest.fixture
def passed(monkeypatch: pytest.MonkeyPatch) -> Pass:
    """The environment as systemd makes it; the first descriptor is `first`."""

    def announce(first: int, count: str = "1", pid: str = "", names: str | None = "page") -> None:
        monkeypatch.setattr(sockets, "FIRST", first)
        monkeypatch.setenv("LISTEN_PID", pid or str(os.getpid()))
        monkeypatch.setenv("LISTEN_FDS", count)
        if names is None:
            monkeypatch.delenv("LISTEN_FDNAMES", raising=False)
        else:
            monkeypatch.setenv("LISTEN_FDNAMES", names)

    return announce


def test_takes_none_where_systemd_passed_none(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("LISTEN_PID", raising=False)
    assert sockets.adopt() == []


def test_takes_none_that_were_meant_for_another_process(listener: socket.socket, passed: Pass) -> None:
    passed(listener.fileno(), pid="1")
    assert sockets.adopt() == []


@pytest.mark.parametrize("names", ["page", "plimsoll.socket", "unknown", "", None])
def test_takes_copies_that_can_be_closed(listener: socket.socket, passed: Pass, names: str | None) -> None:
    passed(listener.fileno(), names=names)
    for _ in range(2):
        (copy,) = sockets.adopt()
        assert copy.getsockname() == listener.getsockname() and copy.fileno() != listener.fileno()
        assert not copy.get_inheritable() and not listener.get_inheritable()
        copy.close()


def test_takes_several(passed: Pass) -> None:
    script = (
        "import os, socket\n"
        "from app.ops import sockets\n"
        "kept = [socket.create_server(('127.0.0.1', 0)) for _ in range(3)]\n"
        "for n, each in enumerate(kept): os.dup2(each.fileno(), 30 + n)\n"
        "os.environ.update(LISTEN_PID=str(os.getpid()), LISTEN_FDS='3', LISTEN_FDNAMES='page:page:page')\n"
        "sockets.FIRST = 30\n"
        "found = sockets.adopt()\n"
        "assert [s.getsockname() for s in found] == [s.getsockname() for s in kept]\n"
    )
    assert subprocess.run([sys.executable, "-c", script], check=False).returncode == 0


@pytest.mark.parametrize(
    ("named", "words"),
    [
        ({"names": "metrics"}, "named metrics; only page"),
        ({"count": "9"}, "passes 9 sockets, at most 8"),
        ({"count": ""}, "no number of sockets"),
        ({"count": "-1"}, "passes -1 sockets"),
        ({"count": "٣"}, "at most 8"),
    ],
)
def test_refuses_what_it_does_not_know(
    listener: socket.socket, passed: Pass, named: dict[str, str], words: str
) -> None:
    passed(listener.fileno(), **named)
    with pytest.raises(SettingsError, match=words) as refused:
        sockets.adopt()
    assert "plimsoll.socket" in str(refused.value)


def test_refuses_descriptors_that_are_no_listening_tcp_socket(passed: Pass) -> None:
    for family, kind in (
        (socket.AF_INET, socket.SOCK_STREAM),  # bound to nothing
        (socket.AF_INET, socket.SOCK_DGRAM),
        (socket.AF_UNIX, socket.SOCK_STREAM),
    ):
        with socket.socket(family, kind) as wrong:
            passed(wrong.fileno())
            with pytest.raises(SettingsError, match="no listening TCP socket"):
                sockets.adopt()
    with open(os.devnull) as file:
        passed(file.fileno())
        with pytest.raises(SettingsError, match="is no socket"):
            sockets.adopt()
    passed(900)
    with pytest.raises(SettingsError, match="is no socket"):
        sockets.adopt()

"""One deadline over a whole message: the name's lookup, the connection, TLS and the answer."""

from __future__ import annotations

import socket
import threading
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field
from threading import Event, Thread
from types import SimpleNamespace

import pytest

from app.errors import Unreachable
from app.ops import notifier
from app.ops.alerts import Alert
from app.ops.notifier import Target, post
from tests.guards import PATIENCE

ALERT = Alert("halted", "Plimsoll: trading is halted", "the switch was opened", 5)


@pytest.fixture
def reached(monkeypatch: pytest.MonkeyPatch) -> Iterator[Event]:
    """The deadline of a message is over when this is set, and by nothing else; no thread of one stays."""
    over, made = Event(), list[Thread]()

    class Sending(Thread):
        def __init__(self, **how: object) -> None:
            super().__init__(**how)  # type: ignore[arg-type]
            made.append(self)

        def join(self, timeout: float | None = None) -> None:
            assert timeout != notifier.DEADLINE_S or over.wait(PATIENCE)
            super().join(0 if timeout == notifier.DEADLINE_S else timeout)

    monkeypatch.setattr(notifier, "TIMEOUT_S", PATIENCE)
    monkeypatch.setattr(notifier, "DEADLINE_S", 2 * PATIENCE)  # told apart from the joins of this test
    monkeypatch.setattr(notifier, "threading", SimpleNamespace(Thread=Sending))
    yield over
    for each in made:
        each.join(PATIENCE)
        assert not each.is_alive()


@dataclass
class Server:
    """Answers its first caller at once with `says`, then only listens."""

    says: bytes
    heard: Event
    got: list[bytes] = field(default_factory=list)
    port: int = 0

    def serve(self, listener: socket.socket) -> None:
        with suppress(OSError):
            link, _ = listener.accept()
            with link:
                link.settimeout(PATIENCE)
                link.sendall(self.says)
                while data := link.recv(65_536):
                    self.got.append(data)
                    self.heard.set()


@contextmanager
def serving(says: bytes, heard: Event) -> Iterator[Server]:
    listener, server = socket.create_server(("127.0.0.1", 0)), Server(says, heard)
    server.port = listener.getsockname()[1]
    thread = Thread(target=server.serve, args=(listener,), daemon=True)
    thread.start()
    try:
        yield server
    finally:
        with suppress(OSError):
            listener.shutdown(socket.SHUT_RDWR)
        listener.close()
        thread.join(PATIENCE)
        assert not thread.is_alive()


def test_a_name_that_is_looked_up_for_ever_ends_it_and_nothing_is_sent_later(
    monkeypatch: pytest.MonkeyPatch, reached: Event
) -> None:
    found, real, before = Event(), socket.getaddrinfo, set(threading.enumerate())

    def slow(*where: object, **how: object) -> object:
        reached.set()
        assert found.wait(PATIENCE)
        return real(*where, **how)  # type: ignore[arg-type]

    monkeypatch.setattr(socket, "getaddrinfo", slow)
    with serving(b"", Event()) as server:
        with pytest.raises(Unreachable, match="notify: not done within"):
            post(Target(f"http://127.0.0.1:{server.port}/"), ALERT)
        found.set()  # the name comes when nobody waits for it any more
        for each in set(threading.enumerate()) - before:
            if each.name == notifier.REQUEST:
                each.join(PATIENCE)
    assert server.got == []


@pytest.mark.parametrize(
    ("scheme", "says", "first"),
    [("https", b"", b"\x16\x03"), ("http", b"", b"POST"), ("http", b"HTTP/1.1 200 OK\r\nX: ", b"POST")],
)
def test_a_handshake_or_an_answer_that_does_not_end_is_ended(
    scheme: str, says: bytes, first: bytes, reached: Event
) -> None:
    with (
        serving(says, reached) as server,
        pytest.raises(Unreachable, match="not done within"),
    ):
        post(Target(f"{scheme}://127.0.0.1:{server.port}/"), ALERT)
    assert server.got[0].startswith(first)


def test_an_answer_is_one_once_its_status_came() -> None:
    with serving(b"HTTP/1.1 200 OK\r\nContent-Length: 9\r\n\r\n", Event()) as server:
        post(Target(f"http://127.0.0.1:{server.port}/"), ALERT)
    assert server.got

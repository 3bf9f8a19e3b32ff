"""The page on sockets that somebody else holds: it outlives the service, and no browser is turned away."""

from __future__ import annotations

import signal
import socket
import threading
from contextlib import closing
from pathlib import Path

from tests import service
from tests.activation import Systemd, answer, ask, connect, started
from tests.guards import PATIENCE

url, file, systemd = service.url, service.file, service.systemd


class Visitors:
    """Somebody who asks for the page all the time; `refused` and `broken` count what went wrong."""

    def __init__(self, port: int) -> None:
        self._port, self._over = port, threading.Event()
        self.answered = self.refused = self.broken = 0
        self._thread = threading.Thread(target=self._visit)

    def begin(self) -> None:
        self._thread.start()

    def close(self) -> None:
        """They ask no more. Idempotent, also before they began."""
        self._over.set()
        if self._thread.ident is not None:
            self._thread.join(PATIENCE)

    def _visit(self) -> None:
        while not self._over.wait(0.002):
            try:
                ask(self._port)
                self.answered += 1
            except ConnectionRefusedError:
                self.refused += 1
            except OSError:
                self.broken += 1  # it was being answered when the service was killed


def test_no_browser_is_turned_away_by_a_restart(file: Path, systemd: Systemd) -> None:
    run = ("run", "--config", str(file))
    with (
        socket.create_server(("127.0.0.1", 0)) as held,
        socket.create_server(("127.0.0.1", 0)) as second,
        closing(Visitors(held.getsockname()[1])) as visitors,
    ):
        port = held.getsockname()[1]
        with started(run, systemd, [held, second]) as process:
            systemd.until("READY=1")
            visitors.begin()
            assert ask(second.getsockname()[1])[0] in (200, 503)
            process.kill()
            process.wait(PATIENCE)
        with connect(port) as waiting, started(run, systemd, [held]) as process:
            assert answer(waiting)[0] in (200, 503), "who came in between is served afterwards"
            systemd.until("READY=1")
            process.send_signal(signal.SIGTERM)
            assert process.wait(PATIENCE) == 0
        with started(run, systemd, [held]):
            systemd.until("READY=1")
            ask(port)
            visitors.close()
    assert visitors.refused == 0 and visitors.answered > 0
    assert visitors.broken <= 2, "at most the request that each end cut"


def test_refuses_a_lan_socket_without_a_password(file: Path) -> None:
    with (
        socket.create_server(("0.0.0.0", 0)) as lan,
        started(("run", "--config", str(file)), None, [lan]) as process,
    ):
        _, said = process.communicate(timeout=PATIENCE)
    assert process.returncode == 2
    assert b"0.0.0.0 is open to your network: first set a password" in said

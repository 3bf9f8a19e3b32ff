"""Sends alerts to `notify.url`: one HTTPS POST each, as ntfy and most webhooks understand it.

Off the trading path: a queue of its own, a thread for the blocking request, which holds neither the loop nor
the end of the process, and whatever happens here is logged and tried again later. A message that is a day old
is no news and is dropped.
"""

from __future__ import annotations

import asyncio
import http.client
import logging
import socket
import ssl
import threading
from collections import deque
from collections.abc import Callable
from contextlib import suppress
from dataclasses import dataclass, field
from email.header import Header
from functools import partial
from urllib.parse import SplitResult, urlsplit

from app.aside import aside
from app.clock import NS, Clock, pause
from app.config import Notify, Secret, read_secret
from app.engine.snapshot import Snapshot
from app.errors import Refused, Unreachable, clean
from app.ops.alerts import Alert, Alerts

LOOK_NS = 1 * NS  # between two looks: every condition is counted in seconds
QUEUE_LIMIT = 50  # alerts that wait; a box that has more to say has said it
TIMEOUT_S = 10.0  # of each step of a request; a phone's push service answers within one
DEADLINE_S = 60.0  # of all of it, from the name's lookup to the answer: a byte now and then is no better
REQUEST = "notify request"  # the thread's name
FIRST_PAUSE_NS = 5 * NS
LONGEST_PAUSE_NS = 600 * NS
NEWS_NS = 24 * 3_600 * NS  # an older alert is not sent any more
TEXT_LIMIT = 2_000  # bytes of one body; ntfy makes an attachment of more than 4,096
REPLY_LIMIT = 300  # bytes of an answer that are read: only for the log

log = logging.getLogger("plimsoll.notify")


@dataclass(frozen=True, slots=True)
class Target:
    """Where alerts go. `token` is sent as a bearer token when there is one."""

    url: str
    token: Secret | None = None

    @classmethod
    def of(cls, settings: Notify) -> Target | None:
        """As the settings say, None = nobody is told. Raises SettingsError for a token others can read."""
        if not settings.url:
            return None
        file = settings.token_file
        return cls(settings.url, read_secret("notify.token_file", file) if file.exists() else None)


def post(target: Target, alert: Alert) -> None:
    """Send one alert, blocking for DEADLINE_S at most. Raises Unreachable (try again) or Refused (this will
    not work).
    """
    sending = _Sending(target, alert)
    thread = threading.Thread(target=sending.run, name=REQUEST, daemon=True)
    thread.start()
    thread.join(DEADLINE_S)
    if thread.is_alive():
        sending.give_up()
        raise Unreachable("notify", f"not done within {DEADLINE_S:g} s")
    sending.judge()


class _Sending:
    """One request on a thread of its own, since looking a name up can be ended by nobody: then the thread is
    left to the system's own patience, and sends nothing any more.
    """

    def __init__(self, target: Target, alert: Alert) -> None:
        self._target, self._alert = target, alert
        self._connection: http.client.HTTPConnection | None = None
        self._given_up = False
        self._error: Exception | None = None
        self._status, self._said = 0, ""

    def run(self) -> None:
        """Send it and keep what came of it."""
        try:
            self._send(urlsplit(self._target.url))
        except Exception as error:
            self._error = error
        finally:
            if self._connection is not None:
                self._connection.close()

    def _send(self, parts: SplitResult) -> None:
        connection = self._connection = _connection(parts)
        _connect(connection)
        if self._given_up:
            return
        words = self._alert.text.encode()[:TEXT_LIMIT]
        connection.request("POST", _place(parts), words, _headers(self._target, self._alert))
        answer = connection.getresponse()
        self._status = answer.status
        if not 200 <= answer.status < 300:
            self._said = clean(answer.read(REPLY_LIMIT).decode("utf-8", "replace"))

    def give_up(self) -> None:
        """End the connection, from another thread: whatever reads or writes it fails at once, and what is not
        connected yet will send nothing.
        """
        self._given_up = True
        link = self._connection and self._connection.sock
        if link:
            with suppress(OSError):
                socket.socket.shutdown(link, socket.SHUT_RDWR)  # TLS is not asked

    def judge(self) -> None:
        """What came of it, once `run` has returned. Raises what `post` raises."""
        try:
            if self._error is not None:
                raise self._error
        except ssl.SSLCertVerificationError as error:
            hint = "the server is not who it says"
            raise Refused("notify.certificate", error.verify_message, hint=hint) from None
        except (OSError, http.client.HTTPException) as error:
            raise Unreachable("notify", error) from None
        except ValueError:  # whose words may hold the token
            hint = "one line of plain characters in notify.token_file"
            raise Refused("notify.token", "cannot be sent", hint=hint) from None
        if self._status in (408, 425, 429) or self._status >= 500:
            raise Unreachable("notify", f"HTTP {self._status} {self._said}")
        if not 200 <= self._status < 300:
            raise Refused("notify.answer", f"HTTP {self._status} {self._said}", hint="check notify.url")


def _place(parts: SplitResult) -> str:
    """What is asked for, the query included: many webhooks name their room in it."""
    return (parts.path or "/") + (f"?{parts.query}" if parts.query else "")


def _connection(parts: SplitResult) -> http.client.HTTPConnection:
    kind = http.client.HTTPSConnection if parts.scheme == "https" else http.client.HTTPConnection
    return kind(parts.hostname or "", parts.port, timeout=TIMEOUT_S)


def _connect(connection: http.client.HTTPConnection) -> None:
    """With the handshake apart from the making of the socket, so that whoever gives up can end it."""
    http.client.HTTPConnection.connect(connection)
    if isinstance(connection, http.client.HTTPSConnection):
        secured = ssl.create_default_context().wrap_socket(
            connection.sock, server_hostname=connection.host, do_handshake_on_connect=False
        )
        connection.sock = secured
        secured.do_handshake()


def _headers(target: Target, alert: Alert) -> dict[str, str]:
    title = clean(alert.title)
    headers = {
        "Title": title if title.isascii() else Header(title, "utf-8", maxlinelen=TEXT_LIMIT).encode(),
        "Priority": str(alert.priority),
        "Tags": alert.code,
        "Content-Type": "text/plain; charset=utf-8",
    }
    if target.token is not None:
        headers["Authorization"] = f"Bearer {target.token.reveal()}"
    return headers


@dataclass(slots=True)
class Notifier:
    """The queue and the one task that empties it."""

    target: Target
    clock: Clock
    _queue: deque[tuple[int, Alert]] = field(default_factory=lambda: deque(maxlen=QUEUE_LIMIT))
    _wake: asyncio.Event = field(default_factory=asyncio.Event)

    def put(self, alert: Alert) -> None:
        """Send it as soon as possible; returns at once. When the queue is full the oldest goes."""
        self._queue.append((self.clock.mono_ns(), alert))
        self._wake.set()

    async def watch(self, picture: Callable[[], tuple[Snapshot, str]]) -> None:
        """Look every second at the engine's picture and its state in words; put what is due. Never ends."""
        alerts = Alerts()
        while True:
            for alert in alerts.look(*picture(), self.clock.mono_ns()):
                self.put(alert)
            await pause(self.clock, LOOK_NS)

    async def run(self) -> None:
        """Send what waits, also since an earlier run that failed, oldest first, until cancelled."""
        while True:
            while self._queue:
                await self._send(*self._queue.popleft())
            self._wake.clear()
            await self._wake.wait()

    async def _send(self, put_ns: int, alert: Alert) -> None:
        pause_ns = FIRST_PAUSE_NS
        while self.clock.mono_ns() - put_ns < NEWS_NS:
            try:
                await aside("notify", partial(post, self.target, alert))
                return
            except Unreachable as error:
                log.warning("%s not sent, again in %d s: %s", alert.code, pause_ns // NS, error)
            except Refused as error:
                log.error("%s not sent: %s", alert.code, error)
                return
            await pause(self.clock, pause_ns)
            pause_ns = min(LONGEST_PAUSE_NS, pause_ns * 2)

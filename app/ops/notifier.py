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
DEADLINE_S = (
    60.0  # of a whole request: a server that sends a byte now and then is no better than a silent one
)
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
    """Send one alert, blocking. Raises Unreachable (try again) or Refused (this will not work)."""
    parts = urlsplit(target.url)
    connection = _connection(parts)
    overdue: threading.Timer | None = None
    try:
        connection.connect()
        overdue = threading.Timer(DEADLINE_S, _hang_up, (connection.sock,))  # the answer may take it over
        overdue.daemon = True
        overdue.start()
        connection.request("POST", _place(parts), alert.text.encode()[:TEXT_LIMIT], _headers(target, alert))
        answer = connection.getresponse()
        said = answer.read(REPLY_LIMIT).decode("utf-8", "replace")
    except ssl.SSLCertVerificationError as error:
        raise Refused(
            "notify.certificate", error.verify_message, hint="the server is not who it says"
        ) from None
    except (OSError, http.client.HTTPException) as error:
        raise Unreachable("notify", error) from None
    except ValueError:  # whose words may hold the token
        hint = "one line of plain characters in notify.token_file"
        raise Refused("notify.token", "cannot be sent", hint=hint) from None
    finally:
        if overdue is not None:
            overdue.cancel()
        connection.close()
    if answer.status in (408, 425, 429) or answer.status >= 500:
        raise Unreachable("notify", f"HTTP {answer.status} {clean(said)}")
    if not 200 <= answer.status < 300:
        raise Refused("notify.answer", f"HTTP {answer.status} {clean(said)}", hint="check notify.url")


def _place(parts: SplitResult) -> str:
    """What is asked for, the query included: many webhooks name their room in it."""
    return (parts.path or "/") + (f"?{parts.query}" if parts.query else "")


def _connection(parts: SplitResult) -> http.client.HTTPConnection:
    host = parts.hostname or ""
    if parts.scheme == "https":
        context = ssl.create_default_context()
        return http.client.HTTPSConnection(host, parts.port, timeout=TIMEOUT_S, context=context)
    return http.client.HTTPConnection(host, parts.port, timeout=TIMEOUT_S)


def _hang_up(link: socket.socket) -> None:
    """End a request from another thread: whatever reads or writes it fails at once. TLS is not asked."""
    with suppress(OSError):
        socket.socket.shutdown(link, socket.SHUT_RDWR)


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
        """Send what waits, oldest first, until cancelled."""
        while True:
            await self._wake.wait()
            self._wake.clear()
            while self._queue:
                await self._send(*self._queue.popleft())

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

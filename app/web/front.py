"""The HTTP server in front of a table of routes: listening, the guards every request passes, the headers and
error forms every answer has. What a route does, and who may call it, is its owner's business.

A low-level server without an application framework: a dozen routes need no router, and each answer passes
through one place that adds the security headers.
"""

from __future__ import annotations

import asyncio
import errno
import logging
import socket
from collections.abc import Awaitable, Callable, Collection, Mapping, Sequence
from dataclasses import dataclass
from ipaddress import IPv6Address, ip_address
from typing import Any, NamedTuple

import msgspec
from aiohttp import web

from app import listeners
from app.clock import NS, Clock
from app.errors import LoginRefused, PlimsollError, RateLimited, Refused, SettingsError, clean
from app.web import guard
from app.web.assets import assets
from app.web.doors import Doors

LINE_LIMIT = 4096  # bytes of the request line, and of one header
HEADERS_LIMIT = 64  # header lines
STOP_SECONDS = 1  # for requests in flight when the service ends
BACKLOG = 64  # connections the kernel may queue
ANYWHERE = frozenset({"0.0.0.0", "::", "localhost"})  # where this machine itself asks 127.0.0.1

log = logging.getLogger("plimsoll.web")


class Route(NamedTuple):
    """`needs` is what the caller must be: nobody, a reader (logged in where a password is set), the owner."""

    handle: Callable[[web.BaseRequest], Awaitable[web.StreamResponse]]
    needs: str


Routes = Mapping[tuple[str, str], Route]  # by method and path


@dataclass(frozen=True, slots=True)
class Place:
    """Where to listen: on the sockets that systemd passed, else on `host` and `port`; and the names to answer
    to.
    """

    host: str
    port: int
    allowed_hosts: Collection[str] = ()
    sockets: Sequence[socket.socket] = ()

    def addresses(self) -> list[str]:
        """Every address that is listened on."""
        return [str(each.getsockname()[0]) for each in self.sockets] or [self.host]

    def close(self) -> None:
        """Give the sockets back; idempotent, also after a `Front` that used them has stopped."""
        for each in self.sockets:
            each.close()

    def is_private(self) -> bool:
        """Whether only this machine can reach all of them."""
        return all(map(is_loopback, self.addresses()))


class Front:
    """Listens from `start` to `stop`. `admit` refuses who is not what a route needs."""

    def __init__(
        self,
        clock: Clock,
        place: Place,
        routes: Routes,
        admit: Callable[[str, web.BaseRequest], guard.Refusal | None],
    ) -> None:
        self._clock, self._place, self._routes, self._admit = clock, place, routes, admit
        own_name = f"{socket.gethostname().lower()}.local"
        self._names = {"localhost", own_name, *(host.lower() for host in place.allowed_hosts)}
        self._port = place.port
        self._http: web.Server | None = None
        self._doors: Doors | None = None
        self._listeners: list[asyncio.Server] = []

    @property
    def address(self) -> str:
        """Where a browser on this machine finds the page."""
        host = self._place.addresses()[0]
        host = "127.0.0.1" if host in ANYWHERE else host
        return f"http://{f'[{host}]' if ':' in host else host}:{self._port}/"

    async def start(self) -> None:
        """Listen. Raises SettingsError for a port in use."""
        self._http = web.Server(
            self._answer,
            access_log=None,
            keepalive_timeout=60.0,
            max_line_size=LINE_LIMIT,
            max_field_size=LINE_LIMIT,
            max_headers=HEADERS_LIMIT,
            lingering_time=1.0,
        )
        self._doors = Doors(self._clock, self._http)
        try:
            await self._listen(self._doors)
        except OSError as error:
            await self.stop()
            raise _cannot_listen(error, self._place.host, self._place.port) from error
        self._port = self._listeners[0].sockets[0].getsockname()[1]

    async def _listen(self, doors: Doors) -> None:
        loop = asyncio.get_running_loop()
        for passed in self._place.sockets:
            self._listeners.append(await loop.create_server(doors, sock=passed, backlog=BACKLOG))
        if not self._listeners:
            where = (self._place.host, self._place.port)
            self._listeners.append(await loop.create_server(doors, *where, backlog=BACKLOG))

    async def stop(self) -> None:
        """End every connection. Idempotent."""
        await listeners.close(self._listeners)
        self._listeners.clear()
        if self._http is not None:
            await self._http.shutdown(STOP_SECONDS)
        if self._doors is not None:
            self._doors.close()
        await asyncio.sleep(0)  # a transport that was told to close does so on the loop's next pass

    # The one place every request passes.

    async def _answer(self, request: web.BaseRequest) -> web.StreamResponse:
        assert self._doors is not None
        transport = request.transport
        self._doors.serving(transport)
        try:
            response = await self._guarded(request)
        except PlimsollError as error:
            response = _failure(error)
        except (web.HTTPException, ConnectionError, TimeoutError) as error:
            response = reply(getattr(error, "status", 408), {"error": "the request was not understood"})
        except Exception:
            log.exception("page: %s %s failed", clean(request.method, 8), clean(request.path, 60))
            response = reply(500, {"error": "an internal error; the log has it"})
        finally:
            self._doors.served(transport)
        if not response.prepared:
            response.headers.update({k: v for k, v in guard.HEADERS.items() if k not in response.headers})
        return response

    async def _guarded(self, request: web.BaseRequest) -> web.StreamResponse:
        host = request.headers.get("Host", "")
        own = request.transport.get_extra_info("sockname")[0] if request.transport else ""
        refusal = guard.host_refusal(host, own, self._names)
        route = self._routes.get((request.method, request.path))
        if refusal is None and route is None:
            refusal = self._no_route(request.path)
        if refusal is None and request.method == "POST":
            refusal = guard.change_refusal(request.headers, host)
        elif refusal is None and request.path.startswith("/api/"):
            refusal = guard.site_refusal(request.headers, host)
        if refusal is None and route is not None:
            refusal = self._admit(route.needs, request)
        if refusal is not None or route is None:
            return reply(refusal.status if refusal else 404, {"error": refusal.text if refusal else ""})
        return await route.handle(request)

    def _no_route(self, path: str) -> guard.Refusal:
        if any(known == path for _, known in self._routes):
            return guard.Refusal(405, "not with this method")
        return guard.Refusal(404, "there is nothing here")


async def send_asset(request: web.BaseRequest) -> web.StreamResponse:
    """A file of the page, 304 when the browser has it. The path is a key of the map, or there is no route."""
    asset = assets()[request.path]
    headers = {"ETag": asset.etag, "Cache-Control": "no-cache", "Content-Type": asset.content_type}
    if request.headers.get("If-None-Match") == asset.etag:
        return web.Response(status=304, headers=headers)
    return web.Response(body=asset.body, headers=headers)


def is_loopback(host: str) -> bool:
    """Whether only this machine can reach `host`."""
    try:
        address = ip_address(host.partition("%")[0])
    except ValueError:
        return host == "localhost"
    mapped = address.ipv4_mapped if isinstance(address, IPv6Address) else None
    return (mapped or address).is_loopback


def _cannot_listen(error: OSError, host: str, port: int) -> Refused:
    if error.errno == errno.EADDRINUSE:
        return SettingsError(
            "web.port", f"port {port} is in use: stop the other program or choose another port"
        )
    if error.errno == errno.EACCES:
        return SettingsError("web.port", f"port {port} needs privileges: choose one above 1023")
    return SettingsError("web.host", f"cannot listen on {host}: {error.strerror}")


def _failure(error: PlimsollError) -> web.Response:
    """The HTTP form of our errors: 401 login, 429 rate, 413 size, 400 form, 409 a rule, 503 later."""
    if isinstance(error, LoginRefused):
        return reply(401, {"error": error.hint})
    if isinstance(error, RateLimited):
        seconds = str(-(-error.retry_after_ns // NS))
        return reply(429, {"error": f"too many tries, wait {seconds} s"}, {"Retry-After": seconds})
    if isinstance(error, Refused):
        status = {"body.size": 413, "body.json": 400}.get(error.rule, 409)
        return reply(status, {"error": str(error), "rule": error.rule})
    return reply(503, {"error": str(error)})


def reply(status: int, value: Any, headers: Mapping[str, str] | None = None) -> web.Response:
    """`value` as JSON."""
    body = msgspec.json.encode(value)
    return web.Response(status=status, body=body, content_type="application/json", headers=headers)

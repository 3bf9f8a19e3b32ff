"""The HTTP server: one table of routes, the guards in front of it, bounded bodies and times. No trading
logic.

A low-level server without an application framework: nine routes need no router, and each answer passes
through one place that adds the security headers.
"""

from __future__ import annotations

import asyncio
import errno
import logging
import socket
from collections.abc import Awaitable, Callable, Collection, Mapping
from ipaddress import ip_address
from typing import Any, NamedTuple

import msgspec
from aiohttp import HttpVersion11, StreamReader, web

from app.clock import NS, Clock
from app.engine.commands import Commands
from app.engine.snapshot import Snapshot
from app.errors import Later, LoginRefused, PlimsollError, RateLimited, Refused, SettingsError, clean
from app.web import guard, page
from app.web.assets import assets, template
from app.web.doors import Doors
from app.web.health import verdict
from app.web.live import STREAMS_MAX, Live
from app.web.login import ABSOLUTE_NS, Login, PasswordFile

BODY_LIMIT = 64 * 1024  # bytes of a request's body; the largest we know is a password
BODY_SECONDS = 10  # to send it
BODIES_MAX = 16  # read at a time: slow ones must not take the places of those who want to stop entries
LINE_LIMIT = 4096  # bytes of the request line, and of one header
HEADERS_LIMIT = 64  # header lines
STOP_SECONDS = 1  # for requests in flight when the service ends
BACKLOG = 64  # connections the kernel may queue
COOKIE = "plimsoll"

log = logging.getLogger("plimsoll.web")


class Route(NamedTuple):
    """`needs` is what the caller must be: nobody, a reader (logged in where a password is set), the owner."""

    handle: Callable[[web.BaseRequest], Awaitable[web.StreamResponse]]
    needs: str


class Web:
    """The page's server. `start` listens, `stop` ends everything; both belong to the loop that made it."""

    def __init__(
        self,
        clock: Clock,
        commands: Commands,
        snapshot: Callable[[], Snapshot],
        passwords: PasswordFile,
        host: str,
        port: int,
        allowed_hosts: Collection[str] = (),
    ) -> None:
        self._commands, self._snapshot, self._passwords = commands, snapshot, passwords
        self._host, self._port, self._clock = host, port, clock
        own_name = f"{socket.gethostname().lower()}.local"
        self._names = {"localhost", own_name, *(host.lower() for host in allowed_hosts)}
        self._login = Login(clock, passwords)
        self._live = Live(clock, snapshot)
        self._bodies = 0
        self._http: web.Server | None = None
        self._doors: Doors | None = None
        self._listener: asyncio.Server | None = None
        self._routes = self._table()

    def _table(self) -> Mapping[tuple[str, str], Route]:
        gets = {
            "/": Route(self._page, "nobody"),
            "/healthz": Route(self._healthz, "nobody"),
            "/api/snapshot": Route(self._read_snapshot, "reader"),
            "/api/live": Route(self._stream, "reader"),
            **{path: Route(self._asset, "nobody") for path in assets()},
        }
        posts = {
            "/api/stop-entries": Route(self._stop_entries, "nobody"),
            "/api/halt": Route(self._halt, "owner"),
            "/api/flatten": Route(self._flatten, "owner"),
            "/api/login": Route(self._log_in, "nobody"),
            "/api/logout": Route(self._log_out, "owner"),
        }
        heads = {("HEAD", path): route for path, route in gets.items() if path != "/api/live"}
        return (
            heads
            | {("GET", path): route for path, route in gets.items()}
            | {("POST", path): route for path, route in posts.items()}
        )

    @property
    def address(self) -> str:
        """Where a browser on this machine finds the page."""
        host = "127.0.0.1" if self._host in ("0.0.0.0", "::", "localhost") else self._host
        return f"http://{f'[{host}]' if ':' in host else host}:{self._port}/"

    async def start(self) -> None:
        """Listen. Raises SettingsError for a port in use, or an address that needs a password first."""
        check_address(self._host, self._passwords)
        loop = asyncio.get_running_loop()
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
            self._listener = await loop.create_server(self._doors, self._host, self._port, backlog=BACKLOG)
        except OSError as error:
            self._doors.close()
            raise _cannot_listen(error, self._host, self._port) from error
        self._port = self._listener.sockets[0].getsockname()[1]
        self._live.start()

    async def stop(self) -> None:
        """End every stream and connection. Idempotent."""
        self._live.stop()
        listener, self._listener = self._listener, None
        if listener is not None:
            listener.close()
        if self._http is not None:
            await self._http.shutdown(STOP_SECONDS)
        if self._doors is not None:
            self._doors.close()

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
            response = _json(getattr(error, "status", 408), {"error": "the request was not understood"})
        except Exception:
            log.exception("page: %s %s failed", clean(request.method, 8), clean(request.path, 60))
            response = _json(500, {"error": "an internal error; the log has it"})
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
            refusal = self._login_refusal(route.needs, request)
        if refusal is not None or route is None:
            return _json(refusal.status if refusal else 404, {"error": refusal.text if refusal else ""})
        return await route.handle(request)

    def _no_route(self, path: str) -> guard.Refusal:
        if any(known == path for _, known in self._routes):
            return guard.Refusal(405, "not with this method")
        return guard.Refusal(404, "there is nothing here")

    def _login_refusal(self, needs: str, request: web.BaseRequest) -> guard.Refusal | None:
        if needs == "nobody" or (needs == "reader" and self._open_to_read()) or self._logged_in(request):
            return None
        if not self._login.required():
            return guard.Refusal(401, "no password is set, run: plimsoll passwd")
        return guard.Refusal(401, "log in first")

    def _open_to_read(self) -> bool:
        """Without a password only this machine can be listening, and it may look."""
        return not self._login.required() and is_loopback(self._host)

    def _logged_in(self, request: web.BaseRequest) -> bool:
        return self._login.required() and self._login.sessions.use(request.cookies.get(COOKIE, ""))

    # Reading.

    async def _page(self, request: web.BaseRequest) -> web.StreamResponse:
        inside = self._logged_in(request)
        if inside or self._open_to_read():
            parts = self._live.parts()
            html = page.fill(template("page.html"), page.Parts(parts.slots, parts.cells, dict(parts.flags)))
        else:
            html = page.fill(template("locked.html"), page.render_locked(self._snapshot()))
        theme = "light" if request.cookies.get("theme") == "light" else "dark"
        access = "owner" if inside else "reader"
        html = html.replace("<html", f'<html data-theme="{theme}" data-access="{access}"', 1)
        return web.Response(text=html, content_type="text/html", charset="utf-8")

    async def _healthz(self, _request: web.BaseRequest) -> web.StreamResponse:
        health = verdict(self._snapshot())
        return _json(200 if health["ok"] else 503, health)

    async def _read_snapshot(self, _request: web.BaseRequest) -> web.StreamResponse:
        return _json(200, self._snapshot())

    async def _asset(self, request: web.BaseRequest) -> web.StreamResponse:
        asset = assets()[request.path]
        headers = {"ETag": asset.etag, "Cache-Control": "no-cache", "Content-Type": asset.content_type}
        if request.headers.get("If-None-Match") == asset.etag:
            return web.Response(status=304, headers=headers)
        return web.Response(body=asset.body, headers=headers)

    async def _stream(self, request: web.BaseRequest) -> web.StreamResponse:
        if self._live.streams >= STREAMS_MAX:
            return _json(503, {"error": f"at most {STREAMS_MAX} pages at a time"})
        if request.version < HttpVersion11:
            return _json(505, {"error": "the stream comes in chunks, which need HTTP/1.1"})
        response = web.StreamResponse(headers={**guard.HEADERS, "Content-Type": "text/event-stream"})
        await response.prepare(request)
        allowed = self._open_to_read if not self._login.required() else lambda: self._logged_in(request)
        if request.transport is not None:
            await self._live.follow(request.transport, allowed)
        return response

    # Changing.

    async def _stop_entries(self, request: web.BaseRequest) -> web.StreamResponse:
        by = f"page {self._source(request)}"
        return _json(200, self._commands.execute("anyone", "halt", by, "stop entries"))

    async def _halt(self, request: web.BaseRequest) -> web.StreamResponse:
        return await self._command(request, "halt")

    async def _flatten(self, request: web.BaseRequest) -> web.StreamResponse:
        return await self._command(request, "flatten")

    async def _command(self, request: web.BaseRequest, command: str) -> web.StreamResponse:
        why = (await self._body(request)).get("why", "")
        by = f"owner {self._source(request)}"
        return _json(200, self._commands.execute("page", command, by, clean(why) or "from the page"))

    async def _log_in(self, request: web.BaseRequest) -> web.StreamResponse:
        password, source = (await self._body(request)).get("password"), self._source(request)
        try:
            token = await self._login.enter(password, source)
        except (LoginRefused, RateLimited) as error:
            log.warning("login from %s: %s", source, error)
            raise
        log.info("login from %s", source)
        response = _json(200, {"done": "login"})
        self._set_cookie(response, token, ABSOLUTE_NS // NS)
        return response

    async def _log_out(self, request: web.BaseRequest) -> web.StreamResponse:
        self._login.sessions.end(request.cookies.get(COOKIE, ""))
        response = _json(200, {"done": "logout"})
        self._set_cookie(response, "", 0)
        return response

    async def _body(self, request: web.BaseRequest) -> dict[str, Any]:
        if self._bodies >= BODIES_MAX:
            raise Later("page", "too many changes at a time")
        self._bodies += 1
        try:
            return _object(await _read(request.content))
        finally:
            self._bodies -= 1

    @staticmethod
    def _set_cookie(response: web.Response, token: str, seconds: int) -> None:
        response.set_cookie(COOKIE, token, max_age=seconds, httponly=True, samesite="Strict", path="/")

    @staticmethod
    def _source(request: web.BaseRequest) -> str:
        return clean(request.remote or "?", 45)


def is_loopback(host: str) -> bool:
    """Whether only this machine can reach `host`."""
    try:
        return ip_address(host).is_loopback
    except ValueError:
        return host == "localhost"


def check_address(host: str, passwords: PasswordFile) -> None:
    """Raises SettingsError when `host` is open to the network and no password protects it."""
    if not is_loopback(host) and not passwords.exists():
        raise SettingsError(
            "web.host", f"{host} is open to your network: first set a password with plimsoll passwd"
        )


def _cannot_listen(error: OSError, host: str, port: int) -> Refused:
    if error.errno == errno.EADDRINUSE:
        return SettingsError(
            "web.port", f"port {port} is in use: stop the other program or choose another port"
        )
    if error.errno == errno.EACCES:
        return SettingsError("web.port", f"port {port} needs privileges: choose one above 1023")
    return SettingsError("web.host", f"cannot listen on {host}: {error.strerror}")


async def _read(content: StreamReader) -> bytes:
    """The whole body. Raises Refused when it is too large, TimeoutError when it is too slow."""
    data = bytearray()
    async with asyncio.timeout(BODY_SECONDS):
        async for chunk in content.iter_any():
            data += chunk
            if len(data) > BODY_LIMIT:
                raise Refused("body.size", f"over {BODY_LIMIT}", f"{BODY_LIMIT} bytes")
    return bytes(data)


def _object(data: bytes) -> dict[str, Any]:
    """The JSON object of a change, {} for an empty body. Raises Refused for anything else."""
    try:
        value = msgspec.json.decode(data) if data else {}
    except msgspec.DecodeError:
        value = None
    if not isinstance(value, dict):
        raise Refused("body.json", hint="a JSON object was expected")
    return value


def _failure(error: PlimsollError) -> web.Response:
    """The HTTP form of our errors: 401 login, 429 rate, 413 size, 400 form, 409 a rule, 503 later."""
    if isinstance(error, LoginRefused):
        return _json(401, {"error": error.hint})
    if isinstance(error, RateLimited):
        seconds = str(-(-error.retry_after_ns // NS))
        return _json(429, {"error": f"too many tries, wait {seconds} s"}, {"Retry-After": seconds})
    if isinstance(error, Refused):
        status = {"body.size": 413, "body.json": 400}.get(error.rule, 409)
        return _json(status, {"error": str(error), "rule": error.rule})
    return _json(503, {"error": str(error)})


def _json(status: int, value: Any, headers: Mapping[str, str] | None = None) -> web.Response:
    body = msgspec.json.encode(value)
    return web.Response(status=status, body=body, content_type="application/json", headers=headers)

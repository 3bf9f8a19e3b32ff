"""The page: its routes, what each shows or does, and who may call it. No trading logic.

What every request passes before it comes here, and the form of every answer, is `front`'s.
"""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Callable

from aiohttp import HttpVersion11, web

from app.clock import Clock
from app.engine.commands import Commands
from app.engine.snapshot import Snapshot
from app.errors import SettingsError, clean
from app.web import guard, metrics, page
from app.web.assets import assets, template
from app.web.claim import SetupCode
from app.web.entrance import Entrance, source
from app.web.front import Front, Place, Route, Routes, is_loopback, reply, send_asset
from app.web.health import verdict
from app.web.live import STREAMS_MAX, Live
from app.web.login import Login, PasswordFile

log = logging.getLogger("plimsoll.web")


class Web:
    """The page's server. `start` listens, `stop` ends everything; both belong to the loop that made it."""

    def __init__(
        self,
        clock: Clock,
        commands: Commands,
        snapshot: Callable[[], Snapshot],
        passwords: PasswordFile,
        place: Place,
        codes: SetupCode | None = None,
    ) -> None:
        self._commands, self._snapshot, self._passwords = commands, snapshot, passwords
        self._place, self._codes = place, codes
        self._login = Login(clock, passwords, codes)
        self._entrance = Entrance(self._login)
        self._live = Live(clock, snapshot)
        self._front = Front(clock, place, self._table(), self._admit)
        self._unclaimed = False  # no password was set at the start, though a code to set one was

    def _table(self) -> Routes:
        gets = {
            "/": Route(self._page, "nobody"),
            "/healthz": Route(self._healthz, "nobody"),
            "/metrics": Route(self._metrics, "nobody"),
            "/api/snapshot": Route(self._read_snapshot, "reader"),
            "/api/live": Route(self._stream, "reader"),
            **{path: Route(send_asset, "nobody") for path in assets()},
        }
        posts = {
            "/api/stop-entries": Route(self._stop_entries, "nobody"),
            "/api/halt": Route(self._halt, "owner"),
            "/api/flatten": Route(self._flatten, "owner"),
            "/api/login": Route(self._entrance.log_in, "nobody"),
            "/api/claim": Route(self._entrance.claim, "nobody"),
            "/api/logout": Route(self._entrance.log_out, "owner"),
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
        return self._front.address

    async def start(self) -> None:
        """Listen. Raises SettingsError for a port in use, or an address that needs a password first."""
        check_place(self._place, self._passwords, self._codes)
        await self._begin_code()
        await self._front.start()
        self._live.start()

    async def _begin_code(self) -> None:
        """From now on the one-time code runs. Where the disk cannot remember that, there is none."""
        if self._codes is None:
            return
        if self._login.required():
            await asyncio.to_thread(self._codes.end)
            return
        try:
            await asyncio.to_thread(self._codes.begin)
        except OSError as error:
            log.error("the one-time code is not taken: %s", clean(error))
            return
        self._unclaimed = await asyncio.to_thread(self._codes.unused)

    async def stop(self) -> None:
        """End every stream and connection. Idempotent."""
        self._live.stop()
        await self._front.stop()

    def _admit(self, needs: str, request: web.BaseRequest) -> guard.Refusal | None:
        if needs == "nobody" or (needs == "reader" and self._open_to_read()) or self._logged_in(request):
            return None
        if not self._login.required():
            return guard.Refusal(401, "no password is set, run: plimsoll passwd")
        return guard.Refusal(401, "log in first")

    def _open_to_read(self) -> bool:
        """Until a password is set, whoever reaches the page may look: only this machine can be listening,
        or the owner has yet to set the first one.
        """
        return not self._login.required() and (self._place.is_private() or self._unclaimed)

    def _logged_in(self, request: web.BaseRequest) -> bool:
        return self._entrance.inside(request)

    def _takes_code(self) -> bool:
        return self._codes is not None and self._codes.live() and not self._login.required()

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
        claim = ' data-claim="yes"' if self._takes_code() else ""
        html = html.replace("<html", f'<html data-theme="{theme}" data-access="{access}"{claim}', 1)
        return web.Response(text=html, content_type="text/html", charset="utf-8")

    async def _healthz(self, _request: web.BaseRequest) -> web.StreamResponse:
        health = verdict(self._snapshot())
        return reply(200 if health["ok"] else 503, health)

    async def _metrics(self, _request: web.BaseRequest) -> web.StreamResponse:
        told = metrics.text(self._snapshot()).encode()
        return web.Response(body=told, headers={"Content-Type": metrics.CONTENT_TYPE})

    async def _read_snapshot(self, _request: web.BaseRequest) -> web.StreamResponse:
        return reply(200, self._snapshot())

    async def _stream(self, request: web.BaseRequest) -> web.StreamResponse:
        if self._live.streams >= STREAMS_MAX:
            return reply(503, {"error": f"at most {STREAMS_MAX} pages at a time"})
        if request.version < HttpVersion11:
            return reply(505, {"error": "the stream comes in chunks, which need HTTP/1.1"})
        response = web.StreamResponse(headers={**guard.HEADERS, "Content-Type": "text/event-stream"})
        await response.prepare(request)
        allowed = self._open_to_read if not self._login.required() else lambda: self._logged_in(request)
        if request.transport is not None:
            await self._live.follow(request.transport, allowed)
        return response

    # Changing.

    async def _stop_entries(self, request: web.BaseRequest) -> web.StreamResponse:
        by = f"page {source(request)}"
        return reply(200, self._commands.execute("anyone", "halt", by, "stop entries"))

    async def _halt(self, request: web.BaseRequest) -> web.StreamResponse:
        return await self._command(request, "halt")

    async def _flatten(self, request: web.BaseRequest) -> web.StreamResponse:
        return await self._command(request, "flatten")

    async def _command(self, request: web.BaseRequest, command: str) -> web.StreamResponse:
        why = (await self._entrance.body(request)).get("why", "")
        by = f"owner {source(request)}"
        return reply(200, self._commands.execute("page", command, by, clean(why) or "from the page"))


def check_place(place: Place, passwords: PasswordFile, codes: SetupCode | None = None) -> None:
    """Raises SettingsError when an address of `place` is open to the network and nothing protects it: neither
    a password nor a code made to set the first one; when that is over, nobody may change anything from there
    but stop entries, and the desk trades on.
    """
    for host in place.addresses():
        if not is_loopback(host) and not passwords.exists() and not (codes and codes.unused()):
            raise SettingsError(
                "web.host", f"{host} is open to your network: first set a password with plimsoll passwd"
            )

"""The page of a service that does not trade: why, what to do about it, and what the journal last knew.

It reads, and changes nothing. No engine and no venue stands behind it, so there is nothing it could start.
What the account holds is for who has logged in; while no password is set, for this machine's own users.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from html import escape

from aiohttp import web

from app.clock import Clock
from app.web import guard
from app.web.assets import assets, template
from app.web.entrance import Entrance
from app.web.front import Front, Place, Route, Routes, reply, send_asset
from app.web.login import Login, PasswordFile
from app.web.page import Parts, fill

CLOSED = ("/api/stop-entries", "/api/halt", "/api/flatten", "/api/claim")
REFRESH = '<meta http-equiv="refresh" content="10">'  # but never while somebody may be typing
FORM = """<form id="login"><label for="password">Password</label>
<input id="password" type="password" autocomplete="current-password" maxlength="128" required>
<button type="submit">Log in</button> <small id="login-note" role="status"></small></form>"""


@dataclass(frozen=True, slots=True)
class Trouble:
    """Why nothing is traded, and what the owner can do. `title` says which of the two modes it is."""

    reason: str
    advice: str
    title: str = "Safe mode"


@dataclass(frozen=True, slots=True)
class Known:
    """What the journal last knew, as lines for a person; `told` says as of when, or why nothing is known."""

    told: str
    lines: tuple[str, ...] = ()


LOCKED = Known("Log in to see positions and standing orders.")
NOT_HERE = Known(
    "No password is set, so positions are not shown here. On the appliance itself: plimsoll status"
)


class SafePage:
    """Listens from `start` to `stop`. Everybody may read the trouble, whoever is inside what was `known`."""

    def __init__(
        self,
        clock: Clock,
        place: Place,
        trouble: Trouble,
        passwords: PasswordFile,
        known: Callable[[], Known],
    ) -> None:
        self._trouble, self._known, self._place = trouble, known, place
        self._login = Login(clock, passwords)
        self._entrance = Entrance(self._login)
        self._front = Front(clock, place, self._table(), self._admit)

    def _table(self) -> Routes:
        gets = {
            "/": Route(self._page, "nobody"),
            "/healthz": Route(self._healthz, "nobody"),
            "/metrics": Route(self._refuse, "nobody"),
            "/api/snapshot": Route(self._refuse, "nobody"),
            "/api/live": Route(self._refuse, "nobody"),
            **{path: Route(send_asset, "nobody") for path in assets()},
        }
        posts = {("POST", path): Route(self._refuse, "nobody") for path in CLOSED}
        posts[("POST", "/api/login")] = Route(self._log_in, "nobody")
        posts[("POST", "/api/logout")] = Route(self._entrance.log_out, "owner")
        return {(method, path): route for path, route in gets.items() for method in ("GET", "HEAD")} | posts

    def _admit(self, needs: str, request: web.BaseRequest) -> guard.Refusal | None:
        if needs == "nobody" or self._entrance.inside(request):
            return None
        return guard.Refusal(401, "log in first")

    @property
    def address(self) -> str:
        """Where a browser on this machine finds the page."""
        return self._front.address

    async def start(self) -> None:
        """Listen. Raises SettingsError for a port in use."""
        await self._front.start()

    async def stop(self) -> None:
        """Idempotent."""
        await self._front.stop()

    def _told(self, request: web.BaseRequest) -> Known:
        """What is known, for whom it may be told."""
        if self._login.required():
            return self._known() if self._entrance.inside(request) else LOCKED
        return self._known() if self._place.is_private() else NOT_HERE

    async def _log_in(self, request: web.BaseRequest) -> web.StreamResponse:
        return await (self._entrance.log_in if self._login.required() else self._refuse)(request)

    async def _page(self, request: web.BaseRequest) -> web.StreamResponse:
        told = self._trouble
        known = self._told(request)
        slots = {"title": told.title, "reason": told.reason, "advice": told.advice, "known": known.told}
        parts = Parts(slots={name: escape(text) for name, text in slots.items()})
        parts.slots["lines"] = "".join(f"<li>{escape(line)}</li>" for line in known.lines)
        parts.slots["login"] = FORM if known is LOCKED else ""
        html = fill(template("safe.html"), parts)
        if known is LOCKED:
            html = html.replace(REFRESH, "")
        return web.Response(text=html, content_type="text/html", charset="utf-8")

    async def _healthz(self, _request: web.BaseRequest) -> web.StreamResponse:
        told = self._trouble
        problem = f"{told.title.lower()}: {told.reason}"
        return reply(503, {"ok": False, "state": "safe", "problems": [problem], "advice": told.advice})

    async def _refuse(self, _request: web.BaseRequest) -> web.StreamResponse:
        told = self._trouble
        return reply(503, {"error": f"nothing is traded: {told.title.lower()}, {told.reason}"})

"""The page of a service that does not trade: why, and what to do about it. It reads, and changes nothing.

No engine, no venue and no journal stands behind it, so there is nothing that it could start.
"""

from __future__ import annotations

from dataclasses import dataclass
from html import escape

from aiohttp import web

from app.clock import Clock
from app.web import guard
from app.web.assets import assets, template
from app.web.front import Front, Place, Route, Routes, reply, send_asset
from app.web.page import Parts, fill

CLOSED = ("/api/stop-entries", "/api/halt", "/api/flatten", "/api/login", "/api/claim", "/api/logout")


@dataclass(frozen=True, slots=True)
class Trouble:
    """Why nothing is traded, and what the owner can do. `title` says which of the two modes it is."""

    reason: str
    advice: str
    title: str = "Safe mode"


class SafePage:
    """Listens from `start` to `stop`. Everybody may read it: it holds no figure of the account."""

    def __init__(self, clock: Clock, place: Place, trouble: Trouble) -> None:
        self._trouble = trouble
        self._front = Front(clock, place, self._table(), _admit)

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
        return {(method, path): route for path, route in gets.items() for method in ("GET", "HEAD")} | posts

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

    async def _page(self, _request: web.BaseRequest) -> web.StreamResponse:
        told = self._trouble
        slots = {"title": told.title, "reason": told.reason, "advice": told.advice}
        parts = Parts(slots={name: escape(text) for name, text in slots.items()})
        html = fill(template("safe.html"), parts)
        return web.Response(text=html, content_type="text/html", charset="utf-8")

    async def _healthz(self, _request: web.BaseRequest) -> web.StreamResponse:
        told = self._trouble
        problem = f"{told.title.lower()}: {told.reason}"
        return reply(503, {"ok": False, "state": "safe", "problems": [problem], "advice": told.advice})

    async def _refuse(self, _request: web.BaseRequest) -> web.StreamResponse:
        told = self._trouble
        return reply(503, {"error": f"nothing is traded: {told.title.lower()}, {told.reason}"})


def _admit(_needs: str, _request: web.BaseRequest) -> guard.Refusal | None:
    return None

"""The page of a service that does not trade: why, what to do about it, and what the journal last knew.

It reads, and changes nothing. No engine and no venue stands behind it, so there is nothing it could start.
What the account holds is shown to this machine's own users alone, while no password is set.
"""

from __future__ import annotations

from collections.abc import Callable
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


@dataclass(frozen=True, slots=True)
class Known:
    """What the journal last knew, as lines for a person; `told` says as of when, or why nothing is known."""

    told: str
    lines: tuple[str, ...] = ()


NOT_HERE = Known("Positions are not shown here. On the appliance itself: plimsoll status")


class SafePage:
    """Listens from `start` to `stop`. Everybody may read the trouble; `known` is shown if `shown` says so."""

    def __init__(
        self,
        clock: Clock,
        place: Place,
        trouble: Trouble,
        known: Callable[[], Known] = lambda: NOT_HERE,
        shown: Callable[[], bool] = lambda: False,
    ) -> None:
        self._trouble, self._known = trouble, known
        self._shown = lambda: place.is_private() and shown()
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
        known = self._known() if self._shown() else NOT_HERE
        slots = {"title": told.title, "reason": told.reason, "advice": told.advice, "known": known.told}
        parts = Parts(slots={name: escape(text) for name, text in slots.items()})
        parts.slots["lines"] = "".join(f"<li>{escape(line)}</li>" for line in known.lines)
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

"""Log in and out over HTTP: the body of a change, the session's cookie, one line of log for each try.

For the page and for the page of safe mode alike. Passwords and sessions themselves are `login`'s.
"""

from __future__ import annotations

import logging
from typing import Any

import msgspec
from aiohttp import web

from app.clock import NS
from app.errors import LoginRefused, RateLimited, Refused, clean
from app.web.bodies import Bodies
from app.web.front import reply
from app.web.login import ABSOLUTE_NS, Login

COOKIE = "plimsoll"

log = logging.getLogger("plimsoll.web")


class Entrance:
    """The doorkeeper of one page."""

    def __init__(self, login: Login) -> None:
        self._login = login
        self.bodies = Bodies()

    def inside(self, request: web.BaseRequest) -> bool:
        """Whether `request` comes from a browser that has logged in."""
        return self._login.required() and self._login.sessions.use(request.cookies.get(COOKIE, ""))

    async def body(self, request: web.BaseRequest) -> dict[str, Any]:
        """The JSON object of a change. Raises Refused, TimeoutError."""
        return _object(await self.bodies.read(request.content, source(request)))

    async def log_in(self, request: web.BaseRequest) -> web.StreamResponse:
        """A session for the password. Raises LoginRefused, RateLimited and what `body` raises."""
        password, by = (await self.body(request)).get("password"), source(request)
        try:
            token = await self._login.enter(password, by)
        except (LoginRefused, RateLimited) as error:
            log.warning("login from %s: %s", by, error)
            raise
        log.info("login from %s", by)
        return _welcome(token)

    async def claim(self, request: web.BaseRequest) -> web.StreamResponse:
        """The first password, for who has the one-time code. Raises as `log_in`."""
        body, by = await self.body(request), source(request)
        try:
            token = await self._login.claim(body.get("code"), body.get("password"), by)
        except (LoginRefused, RateLimited) as error:
            log.warning("first password from %s: %s", by, error)
            raise
        log.warning("the first password was set from %s", by)
        return _welcome(token)

    async def log_out(self, request: web.BaseRequest) -> web.StreamResponse:
        self._login.sessions.end(request.cookies.get(COOKIE, ""))
        response = reply(200, {"done": "logout"})
        _set_cookie(response, "", 0)
        return response


def source(request: web.BaseRequest) -> str:
    """Who asks, for audit and log."""
    return clean(request.remote or "?", 45)


def _welcome(token: str) -> web.StreamResponse:
    response = reply(200, {"done": "login"})
    _set_cookie(response, token, ABSOLUTE_NS // NS)
    return response


def _set_cookie(response: web.Response, token: str, seconds: int) -> None:
    response.set_cookie(COOKIE, token, max_age=seconds, httponly=True, samesite="Strict", path="/")


def _object(data: bytes) -> dict[str, Any]:
    """The JSON object of a change, {} for an empty body. Raises Refused for anything else."""
    try:
        value = msgspec.json.decode(data) if data else {}
    except msgspec.DecodeError:
        value = None
    if not isinstance(value, dict):
        raise Refused("body.json", hint="a JSON object was expected")
    return value

"""A raw HTTP client for the page's tests: sends exactly the head it is told to, good manners or not."""

from __future__ import annotations

import asyncio
import json
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from app.clock import Clock, SystemClock
from app.engine.commands import Commands
from app.web.claim import SetupCode
from app.web.front import Place
from app.web.login import PasswordFile
from app.web.server import Web
from tests.guards import PATIENCE
from tests.web.pictures import FakeEngine

GOOD = {"Content-Type": "application/json", "X-Plimsoll": "1"}


@dataclass
class Answer:
    status: int
    headers: dict[str, str]
    body: bytes

    @property
    def json(self) -> Any:
        return json.loads(self.body)


@dataclass
class Site:
    """A running page over a fake engine."""

    web: Web
    engine: FakeEngine
    port: int
    cookie: str = ""

    async def ask(
        self, method: str, path: str, headers: dict[str, str] | None = None, body: bytes = b""
    ) -> Answer:
        """One request on a connection of its own."""
        sent = {"Host": f"127.0.0.1:{self.port}", "Content-Length": str(len(body)), "Connection": "close"}
        sent |= {"Cookie": self.cookie} if self.cookie else {}
        sent |= headers or {}
        head = f"{method} {path} HTTP/1.1\r\n" + "".join(f"{k}: {v}\r\n" for k, v in sent.items() if v)
        return await self.raw(head.encode() + b"\r\n" + body)

    async def post(self, path: str, value: Any = None, headers: dict[str, str] | None = None) -> Answer:
        """A change as the page sends it; `headers` overrides single ones ("" leaves one out)."""
        return await self.ask("POST", path, GOOD | (headers or {}), json.dumps(value or {}).encode())

    async def raw(self, data: bytes) -> Answer:
        async with asyncio.timeout(PATIENCE):
            reader, writer = await asyncio.open_connection("127.0.0.1", self.port)
            try:
                writer.write(data)
                head = (await reader.readuntil(b"\r\n\r\n")).decode().split("\r\n")
                headers = dict(line.split(": ", 1) for line in head[1:] if line)
                return Answer(int(head[0].split()[1]), headers, await reader.read())
            finally:
                writer.close()

    async def log_in(self, password: str = "a good password") -> Answer:
        answer = await self.post("/api/login", {"password": password})
        self.cookie = answer.headers.get("Set-Cookie", "").partition(";")[0]
        return answer


@asynccontextmanager
async def open_site(
    folder: Path,
    *,
    engine: FakeEngine | None = None,
    clock: Clock | None = None,
    password: str = "",
    codes: SetupCode | None = None,
    place: Place | None = None,
) -> AsyncIterator[Site]:
    file = PasswordFile(folder / "password")
    if password:
        await asyncio.to_thread(file.write, password)
    engine = engine or FakeEngine()
    place = place or Place("127.0.0.1", 0, ("desk.example",))
    web = Web(clock or SystemClock(), Commands(engine), engine.snapshot, file, place, codes)
    await web.start()
    try:
        yield Site(web, engine, int(web.address.rstrip("/").rpartition(":")[2]))
    finally:
        await web.stop()

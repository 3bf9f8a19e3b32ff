"""Chromium driven over its DevTools protocol: what the page's tests need, without a browser library."""

from __future__ import annotations

import asyncio
import base64
import contextlib
import json
import shutil
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import aiohttp

from tests.guards import PATIENCE

POLL_SECONDS = 0.05
NO_DOCUMENT = -32_000  # the error of what is asked while the old document goes and the new one comes
MESSAGE_LIMIT = 32 * 2**20  # bytes: a full screenshot
FLAGS = (
    "--headless=new", "--no-sandbox", "--disable-gpu", "--no-first-run", "--disable-extensions",
    "--disable-sync",
    "--hide-scrollbars", "--disable-dev-shm-usage",
    "--disable-background-networking", "--disable-component-update",
    "--remote-debugging-port=0",
)  # fmt: skip


def chromium() -> str | None:
    """The browser's path, None where none is installed."""
    return next(filter(None, map(shutil.which, ("chromium", "chromium-browser", "google-chrome"))), None)


class NoDocument(Exception):
    """Asked between two documents."""


class Tab:
    """One page. `requests` collects every URL it asked for."""

    def __init__(self, socket: aiohttp.ClientWebSocketResponse) -> None:
        self._socket, self._count = socket, 0
        self._answers: dict[int, asyncio.Future[dict[str, Any]]] = {}
        self.requests: list[str] = []
        self.errors: list[str] = []

    async def listen(self) -> None:
        """Take messages until the browser closes."""
        async for message in self._socket:
            told = json.loads(message.data)
            if "id" in told:
                answer = self._answers.pop(told["id"])
                if not answer.done():  # given up
                    answer.set_result(told)
            elif told["method"] == "Network.requestWillBeSent":
                self.requests.append(told["params"]["request"]["url"])
            elif told["method"] == "Runtime.exceptionThrown":
                self.errors.append(told["params"]["exceptionDetails"].get("text", ""))
            elif told["method"] == "Log.entryAdded" and told["params"]["entry"]["level"] == "error":
                self.errors.append(told["params"]["entry"]["text"])

    async def call(self, method: str, **params: Any) -> dict[str, Any]:
        self._count += 1
        answer = self._answers[self._count] = asyncio.get_running_loop().create_future()
        await self._socket.send_json({"id": self._count, "method": method, "params": params})
        async with asyncio.timeout(PATIENCE):
            told = await answer
        if told.get("error", {}).get("code") == NO_DOCUMENT:
            raise NoDocument(told)
        assert "error" not in told, told
        return dict(told["result"])

    async def open(self, url: str) -> None:
        """Go there; the document that was there answers until the new one comes, and is marked."""
        await self.until("window.left = true")
        await self.call("Page.navigate", url=url)
        await self.until("!window.left && document.readyState === 'complete'")

    async def size(self, width: int, height: int, *, mobile: bool = False) -> None:
        await self.call(
            "Emulation.setDeviceMetricsOverride",
            width=width,
            height=height,
            deviceScaleFactor=1,
            mobile=mobile,
        )

    async def value(self, script: str) -> Any:
        """The value of a JavaScript expression."""
        told = await self.call("Runtime.evaluate", expression=script, returnByValue=True, awaitPromise=True)
        assert "exceptionDetails" not in told, told
        return told["result"].get("value")

    async def until(self, script: str, seconds: float = PATIENCE) -> None:
        """Wait until the expression is true; between two documents there may be nothing to ask."""
        asked = f"(() => {{ try {{ return Boolean({script}) }} catch {{ return false }} }})()"
        async with asyncio.timeout(seconds):
            while not await self._true(asked):
                await asyncio.sleep(POLL_SECONDS)

    async def _true(self, asked: str) -> bool:
        try:
            return bool(await self.value(asked))
        except NoDocument:
            return False

    async def press(self, selector: str) -> None:
        """Mouse down in the middle of an element."""
        await self._mouse(selector, "mousePressed")

    async def release(self, selector: str) -> None:
        await self._mouse(selector, "mouseReleased")

    async def tap(self, selector: str) -> None:
        """Down and up with nothing between them, however slow this machine is."""
        await self._mouse(selector, "mousePressed", "mouseReleased")

    async def _mouse(self, selector: str, *kinds: str) -> None:
        middle = "(r => [r.x + r.width / 2, r.y + r.height / 2])"
        x, y = await self.value(f"{middle}(document.querySelector({selector!r}).getBoundingClientRect())")
        where = {"x": x, "y": y, "button": "left", "clickCount": 1}
        async with asyncio.TaskGroup() as sent:
            for kind in kinds:
                sent.create_task(self.call("Input.dispatchMouseEvent", type=kind, **where))

    async def screenshot(self, path: Path, *, whole: bool = False) -> None:
        told = await self.call("Page.captureScreenshot", format="png", captureBeyondViewport=whole)
        path.write_bytes(base64.b64decode(told["data"]))


@asynccontextmanager
async def browser(profile: Path) -> AsyncIterator[Tab]:
    """A fresh browser with one tab; ended and awaited at exit. `profile` is an empty folder."""
    program = chromium()
    assert program is not None
    process = await asyncio.create_subprocess_exec(
        program, *FLAGS, f"--user-data-dir={profile}", "about:blank",
        stdout=asyncio.subprocess.DEVNULL, stderr=asyncio.subprocess.DEVNULL,
    )  # fmt: skip
    try:
        port = await _port(profile)
        async with aiohttp.ClientSession() as session:
            url = await _page(session, port)
            async with session.ws_connect(url, max_msg_size=MESSAGE_LIMIT) as socket:
                tab = Tab(socket)
                listening = asyncio.create_task(tab.listen(), name="devtools")
                for domain in ("Page", "Network", "Runtime", "Log"):
                    await tab.call(f"{domain}.enable")
                try:
                    yield tab
                finally:
                    listening.cancel()
                    await asyncio.gather(listening, return_exceptions=True)
    finally:
        with contextlib.suppress(ProcessLookupError):
            process.terminate()
        await process.wait()


async def _port(profile: Path) -> int:
    """The port Chromium chose, from the first line of the file it writes when it listens."""
    file = profile / "DevToolsActivePort"
    async with asyncio.timeout(PATIENCE):
        while not file.exists() or "\n" not in file.read_text():
            await asyncio.sleep(POLL_SECONDS)
    return int(file.read_text().splitlines()[0])


async def _page(session: aiohttp.ClientSession, port: int) -> str:
    """Where the first page is driven; it may be made after the port listens."""
    async with asyncio.timeout(PATIENCE):
        while True:
            async with session.get(f"http://127.0.0.1:{port}/json") as answer:
                for page in await answer.json():
                    if page["type"] == "page":
                        return str(page["webSocketDebuggerUrl"])
            await asyncio.sleep(POLL_SECONDS)

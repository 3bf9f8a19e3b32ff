"""Arduino's router, small: MessagePack-RPC on a unix socket, as its README describes it.

Requests get ids of the router's own, methods belong to the connection that registered them, a message over
256 bytes is dropped. It keeps a list of what it was asked.
"""

from __future__ import annotations

import asyncio
import os
from pathlib import Path
from typing import Any

import msgspec

MESSAGE_LIMIT = 256
NO_METHOD, EXISTS = 0x02, 0x05


class SmallRouter:
    def __init__(self, path: Path, serial: str = "/dev/ttyHS1") -> None:
        self.path, self.serial = path, serial
        self.asked: list[tuple[str, list[Any]]] = []
        self.serial_open = True
        self.refuse = ""  # a method that is answered with an error
        self.deaf = False  # takes everything, answers nothing
        self.cut = 0  # answers come in pieces of so many bytes
        self._methods: dict[str, asyncio.StreamWriter] = {}
        self._forwarded: dict[int, tuple[asyncio.StreamWriter, int]] = {}
        self._number = 0
        self._server: asyncio.Server | None = None
        self._writers: set[asyncio.StreamWriter] = set()
        self._tasks: set[asyncio.Task[None]] = set()

    async def start(self) -> None:
        self._server = await asyncio.start_unix_server(self._accept, os.fspath(self.path))

    async def stop(self) -> None:
        if self._server is not None:
            self._server.close()
        self.hang_up()
        await asyncio.gather(*self._tasks, return_exceptions=True)
        self.path.unlink(missing_ok=True)

    def hang_up(self) -> None:
        for writer in list(self._writers):
            writer.close()

    def raw(self, data: bytes) -> None:
        """Bytes to everybody who is connected."""
        for writer in self._writers:
            writer.write(data)

    def _accept(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        task = asyncio.create_task(self._serve(reader, writer))
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)

    async def _serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self._writers.add(writer)
        held = b""
        try:
            while data := await reader.read(65_536):
                held = self._take(held + data, writer)
        except ConnectionError:
            pass
        finally:
            self._writers.discard(writer)
            self._methods = {name: owner for name, owner in self._methods.items() if owner is not writer}
            writer.close()

    def _take(self, held: bytes, writer: asyncio.StreamWriter) -> bytes:
        """Every message of ours is an array whose end only decoding tells: try longer and longer ones."""
        size = 1
        while size <= len(held):
            try:
                message = msgspec.msgpack.decode(held[:size])
            except msgspec.DecodeError:
                size += 1
                continue
            if size <= MESSAGE_LIMIT:
                self._message(message, writer)
            held, size = held[size:], 1
        return held

    def _message(self, message: list[Any], writer: asyncio.StreamWriter) -> None:
        if self.deaf:
            return
        if message[0] == 0:
            self._request(message, writer)
        elif message[0] == 1:
            asker, number = self._forwarded.pop(message[1])
            self._send(asker, [1, number, *message[2:]])
        elif message[1] in self._methods:
            self._send(self._methods[message[1]], message)

    def _request(self, message: list[Any], writer: asyncio.StreamWriter) -> None:
        _, number, method, params = message
        if method in self._methods:
            self._number += 1
            self._forwarded[self._number] = (writer, number)
            self._send(self._methods[method], [0, self._number, method, params])
            return
        self.asked.append((method, params))
        error = self._built_in(method, params, writer)
        self._send(writer, [1, number, error, None if error else True])

    def _built_in(self, method: str, params: list[Any], writer: asyncio.StreamWriter) -> list[Any] | None:
        if method == self.refuse:
            return [0xFF, "refused by the test"]
        if method == "$/register":
            if params[0] in self._methods:
                return [EXISTS, f"route already exists: {params[0]}"]
            self._methods[params[0]] = writer
        elif method in ("$/serial/close", "$/serial/open"):
            if params != [self.serial]:
                return [0xFE, "no such port"]
            self.serial_open = method.endswith("open")
        else:
            return [NO_METHOD, f"method {method} not available"]
        return None

    def _send(self, writer: asyncio.StreamWriter, message: list[Any]) -> None:
        data = msgspec.msgpack.encode(message)
        size = self.cut or len(data)
        for at in range(0, len(data), size):
            writer.write(data[at : at + size])

"""The command port: a unix socket for this machine's own users. One line of JSON in, one line out.

Who may connect is the file system's business (0660, group plimsoll); who did is told by the kernel, never by
the client. Commands themselves live in `engine.commands`.
"""

from __future__ import annotations

import asyncio
import grp
import logging
import os
import socket
import struct
from contextlib import suppress
from pathlib import Path
from typing import Any, Protocol

import msgspec

from app import listeners
from app.engine.ports import Reader
from app.errors import PlimsollError, Refused, SettingsError

SOCKET_FILE = "plimsoll.sock"
PATH_LIMIT = 107  # bytes of a unix socket's path on Linux
LINE_LIMIT = 4096  # bytes of a request: a command and a reason
REQUEST_SECONDS = 5  # to send it; the client is a program on this machine
CONNECTIONS_MAX = 16  # at a time: one person and a few scripts
TRADES_MAX = 500  # executions of one answer
GROUP = "plimsoll"

log = logging.getLogger("plimsoll.commands")


class Executes(Protocol):
    """Who carries commands out: `engine.commands`, or safe mode, which refuses most."""

    def execute(self, channel: str, command: str, by: str, why: str = "") -> dict[str, Any]: ...


class CommandPort:
    """Listens from `start` to `stop`. The caller holds the folder's lock, so an old socket is nobody's.

    Without a `reader` every command is for `commands`.
    """

    def __init__(self, data_dir: Path, commands: Executes, reader: Reader | None = None) -> None:
        self._path = data_dir / SOCKET_FILE
        self._commands, self._reader = commands, reader
        self._server: asyncio.Server | None = None
        self._serving: dict[asyncio.Task[None], asyncio.StreamWriter] = {}

    async def start(self) -> None:
        """Raises SettingsError when the folder cannot hold a socket."""
        if len(os.fsencode(self._path)) > PATH_LIMIT:
            raise SettingsError(
                "data_dir", f"its path is over {PATH_LIMIT - len(SOCKET_FILE) - 1} bytes: use a shorter path"
            )
        listener = _bind(self._path)
        self._server = await asyncio.start_unix_server(self._accept, sock=listener, limit=LINE_LIMIT)

    async def stop(self) -> None:
        """Idempotent. The socket file goes first, so that nobody knocks at a closed door."""
        server, self._server = self._server, None
        if server is None:
            return
        self._path.unlink(missing_ok=True)
        await listeners.close([server])
        serving = dict(self._serving)
        for task, writer in serving.items():
            task.cancel()
            writer.close()  # here too: a task that is cancelled before it began closes nothing
        await asyncio.gather(*serving, return_exceptions=True)

    def _accept(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        """A plain function: a coroutine here would become a task that nobody owns."""
        if len(self._serving) >= CONNECTIONS_MAX:
            writer.close()
            return
        task = asyncio.create_task(self._serve(reader, writer), name="command")
        self._serving[task] = writer
        task.add_done_callback(self._serving.pop)

    async def _serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        try:
            answer = await self._answer(reader, _caller(writer))
            writer.write(msgspec.json.encode(answer) + b"\n")
            async with asyncio.timeout(REQUEST_SECONDS):
                await writer.drain()
        except (ConnectionError, TimeoutError):
            pass  # the caller went away; what it asked for was done and audited
        finally:
            writer.close()

    async def _answer(self, reader: asyncio.StreamReader, by: str) -> dict[str, Any]:
        try:
            async with asyncio.timeout(REQUEST_SECONDS):
                line = await reader.readline()
            return {"ok": True, "result": await self._execute(_request(line), by)}
        except PlimsollError as error:
            rule = error.rule if isinstance(error, Refused) else ""
            return {"ok": False, "error": str(error), "rule": rule, "exit": error.exit_code}
        except (ValueError, TimeoutError):
            return {"ok": False, "error": "the request was not one line of JSON", "rule": "", "exit": 2}
        except Exception:
            log.exception("commands: failed")
            return {"ok": False, "error": "an internal error; the log has it", "rule": "", "exit": 1}

    async def _execute(self, request: dict[str, Any], by: str) -> dict[str, Any]:
        command = request.get("command")
        if command == "trades" and self._reader is not None:
            return {"trades": await self._reader.trades(TRADES_MAX)}
        return self._commands.execute("cli", str(command), by, str(request.get("why", "")))


def _bind(path: Path) -> socket.socket:
    """A socket that was never open to others: the mode is narrowed before the name appears."""
    listener = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
    mask = os.umask(0o117)
    try:
        path.unlink(missing_ok=True)
        listener.bind(os.fspath(path))
        _give_to_group(path)
    except OSError as error:
        listener.close()
        raise SettingsError("data_dir", f"{path} cannot be made: {error.strerror}") from error
    finally:
        os.umask(mask)
    return listener


def _give_to_group(path: Path) -> None:
    """To the group plimsoll where there is one and we may; else only our own user can connect."""
    with suppress(KeyError, PermissionError):
        os.chown(path, -1, grp.getgrnam(GROUP).gr_gid)


def _caller(writer: asyncio.StreamWriter) -> str:
    """ "uid 1000", as the kernel says."""
    peer: socket.socket = writer.get_extra_info("socket")
    size = struct.calcsize("3i")
    _pid, uid, _gid = struct.unpack("3i", peer.getsockopt(socket.SOL_SOCKET, socket.SO_PEERCRED, size))
    return f"uid {uid}"


def _request(line: bytes) -> dict[str, Any]:
    value = msgspec.json.decode(line)
    if not isinstance(value, dict):
        raise ValueError("not an object")
    return value

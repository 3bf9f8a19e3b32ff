"""Commands to a running service over its socket, and what remains possible without one."""

from __future__ import annotations

import json
import os
import socket
import sys
from argparse import Namespace
from pathlib import Path
from threading import Event
from typing import Any

from app.cli import places
from app.errors import Refused, Theirs, Unreachable

SOCKET_FILE = (
    "plimsoll.sock"  # as `app.web.command_port` names it; not imported, for speed (a test holds them equal)
)
PATH_LIMIT = 107  # bytes of a unix socket's path on Linux; from the same place
ANSWER_LIMIT = 8 * 2**20  # bytes: 500 executions are some 200 kB
ANSWER_SECONDS = 10.0  # the service answers at once or not at all
REARM_POLLS, REARM_POLL_SECONDS = 30, 0.1  # 3 s: one commit, even on a flash card that is busy
NOT_WITHOUT = {
    "flatten": "no service runs, so nobody asks the venue: close positions there by hand, then start it",
    "rearm": "no service runs: only a running one can check that books and venue agree; start it first",
    "accept-difference": "no service runs: only a running one knows the difference; start it first",
}


def read(arguments: Namespace) -> int:
    """status, orders, positions, trades: from the service, else from the journal's file."""
    folder = places.data_dir(arguments)
    answer = ask(folder, arguments.command)
    if answer is None:
        from app.cli import offline

        answer = offline.read(folder, arguments.command)
    if arguments.command == "trades":
        from app.cli import history

        answer["trades"] = [history.trade(row) for row in answer["trades"]]
    _print(arguments, answer)
    return 0


def change(arguments: Namespace) -> int:
    """halt, flatten, rearm, accept-difference. Without a service only the halt: it writes the latch."""
    folder, why = places.data_dir(arguments), arguments.why or " ".join(arguments.reason)
    answer = ask(folder, arguments.command, why)
    if answer is not None and arguments.command == "rearm":
        answer = rearmed(folder, answer)
    if answer is None:
        if arguments.command != "halt":
            raise Refused("service.missing", hint=NOT_WITHOUT[arguments.command])
        from app.cli import offline

        answer = offline.halt(folder, why)
    _print(arguments, answer)
    return 0


def clear_exception(arguments: Namespace) -> int:
    """native clear: the module runs as the settings say from the next start on."""
    folder, reason = places.data_dir(arguments), " ".join(arguments.reason)
    answer = ask(folder, arguments.command, f"{arguments.module} {reason}")
    if answer is None:
        from app.cli import offline

        answer = offline.clear_exception(folder, arguments.module, reason)
    _print(arguments, answer)
    return 0


def ask(folder: Path, command: str, why: str = "") -> dict[str, Any] | None:
    """The service's answer, None when no service listens. Raises what the service refused."""
    if len(os.fsencode(folder / SOCKET_FILE)) > PATH_LIMIT:
        return None  # an image's, mounted deep: no service can listen there
    with socket.socket(socket.AF_UNIX, socket.SOCK_STREAM) as link:
        link.settimeout(ANSWER_SECONDS)
        try:
            link.connect(os.fspath(folder / SOCKET_FILE))
        except (FileNotFoundError, ConnectionRefusedError):
            return None
        except PermissionError:
            hint = "you may not talk to the service: use sudo"
            raise Refused("service.permission", hint=hint) from None
        except OSError as error:
            raise Unreachable("service", error.strerror or error) from None
        return _opened(_exchange(link, {"command": command, "why": why}))


def rearmed(folder: Path, answer: dict[str, Any]) -> dict[str, Any]:
    """A re-arm counts once it is on disk, some milliseconds after its answer: what it came to.

    `rearmed` is False when it was still under way after REARM_POLLS looks.
    """
    for _ in range(REARM_POLLS):
        view = (ask(folder, "status") or {}).get("snapshot")
        if view is None:
            break
        told = {key: view[key] for key in ("state", "reasons", "goal", "journal")}
        if view["armed"] and not any(_waits(reason) for reason in view["reasons"]):
            return {**answer, **told, "rearmed": True}
        Event().wait(REARM_POLL_SECONDS)
    return {**answer, "rearmed": False}


def _waits(reason: dict[str, Any]) -> bool:
    """Whether `reason` is one that a re-arm closes: by a person, or a condition that is over."""
    return reason["kind"] == "person" or reason["ends"].startswith("over")


def _exchange(link: socket.socket, request: dict[str, Any]) -> bytes:
    try:
        link.sendall(json.dumps(request).encode() + b"\n")
        with link.makefile("rb") as stream:
            return stream.readline(ANSWER_LIMIT)
    except OSError as error:
        raise Unreachable("service", f"no answer ({error}); ask plimsoll status what became of it") from None


def _opened(line: bytes) -> dict[str, Any]:
    try:
        answer = json.loads(line)
        if answer["ok"]:
            return {"service": True, **answer["result"]}
        text, code = str(answer["error"]), int(answer["exit"])
    except (ValueError, KeyError, TypeError):
        raise Theirs("service", "its answer made no sense") from None
    refused = Refused(text)
    refused.exit_code = code
    raise refused


def _print(arguments: Namespace, answer: dict[str, Any]) -> None:
    if arguments.json:
        json.dump(answer, sys.stdout, indent=2)
        print()
    else:
        from app.cli import show

        print(show.lines(arguments.command, answer))

"""`plimsoll board`: what the service knows of the board, a test of the switch by hand, arming through it.

Everything but the virtual switch goes through the running service: it alone holds the link.
"""

from __future__ import annotations

import asyncio
import json
import sys
from argparse import Namespace
from collections.abc import Callable, Mapping
from pathlib import Path
from threading import Event
from typing import Any

from app.cli import client, places
from app.engine.snapshot import BoardView
from app.errors import Refused, Unreachable
from app.web import words

NO_SERVICE = "no service runs, so nobody listens to the board; start it first"
LOOK_SECONDS = 0.1  # between two looks at the service
HAND_LOOKS = 600  # 60 s for a hand to reach the switch
RUN_LOOKS = 50  # 5 s: contact debounced, nonce told, armed, and a session in between
SETTLE_LOOKS = 50  # 5 s until a halt is told

View = Mapping[str, Any]


def status(arguments: Namespace) -> int:
    """The board as the service knows it."""
    view = _view(places.data_dir(arguments))
    _print(arguments, _told(view), "\n".join(_lines(view)))
    return 0


def arm(arguments: Namespace) -> int:
    """Re-arm, then wait for the output. Raises Refused by a rule, Unreachable when it stays off."""
    folder = places.data_dir(arguments)
    answer = client.ask(folder, "rearm", " ".join(arguments.reason))
    if answer is None:
        raise Refused("service.missing", hint=NO_SERVICE)
    client.rearmed(folder, answer)
    view = _until(folder, lambda now: now["board"]["state"] == "run", RUN_LOOKS)
    if view is None:
        now = _view(folder)
        raise Unreachable("board", f"its output stays off: {_switch(now)}; trading is {now['state']}")
    _print(arguments, {"done": "arm", **_told(view)}, f"arm: armed; {_switch(view)}")
    return 0


def test(arguments: Namespace) -> int:
    """A person opens the switch and closes it again: every step must be seen by board and service."""
    folder = places.data_dir(arguments)
    _must_be_closed(_view(folder))
    _say("This halts trading and does what board.on_trip says. Open the switch now.")
    opened = _until(folder, lambda view: view["panel"] == "open", HAND_LOOKS)
    if opened is None:
        raise Unreachable("board", "nobody opened the switch, or it was not seen")
    halted = _until(folder, lambda view: _halted_by_switch(view) and _all_open(view), SETTLE_LOOKS)
    if halted is None:
        raise Unreachable("board", _not_whole(_view(folder)))
    _say(f"Seen: {_switch(halted)}; trading is halted. Close the switch again.")
    closed = _until(folder, lambda view: view["panel"] == "closed", HAND_LOOKS)
    if closed is None:
        now = _switch(_view(folder))
        raise Unreachable("board", f"nobody closed the switch, or it was not seen: {now}")
    if not _halted_by_switch(closed):
        raise Unreachable("board", "closing the switch ended the halt: do not trade")
    text = "The switch works: it halts, and closing it does not re-arm. To trade again: plimsoll board arm"
    _print(arguments, {"done": "test", **_told(closed)}, text)
    return 0


def switch(arguments: Namespace) -> int:
    """Move the switch of the virtual board that the settings name."""
    from app.config import load_file
    from app.mcu import virtual

    file = places.config_file(arguments)
    if not file.exists() and not arguments.config:
        file = places.demo_home() / "plimsoll.toml"
    board = load_file(file).board
    if board.mode != "virtual" or not board.required:
        raise Refused("board.mode", board.mode, "virtual", "a real switch is moved by hand")
    asyncio.run(virtual.ask(virtual.control_of(board.device), f"contact both {arguments.to}"))
    _print(arguments, {"done": "switch", "to": arguments.to}, f"switch: {arguments.to}")
    return 0


def _must_be_closed(view: View) -> None:
    if view["board"]["mode"] == "stand-in":
        raise Refused("board.mode", "stand-in", "", "there is no switch to test: board.required is false")
    if view["panel"] != "closed":
        raise Refused("board.switch", view["panel"], "closed", f"now {_switch(view)}")


def _halted_by_switch(view: View) -> bool:
    return view["state"] == "halted" and any(reason["code"] == "switch" for reason in view["reasons"])


def _all_open(view: View) -> bool:
    return bool(view["board"]["contacts"] == "open")


def _not_whole(view: View) -> str:
    """What an opening of the switch did not do."""
    if not _halted_by_switch(view):
        return "the switch is open and trading was not halted by it: do not trade"
    return f"a contact stayed closed: {_switch(view)}: do not trade"


def _view(folder: Path) -> dict[str, Any]:
    answer = client.ask(folder, "status")
    if answer is None:
        raise Refused("service.missing", hint=NO_SERVICE)
    view: dict[str, Any] = answer["snapshot"]
    return view


def _until(folder: Path, holds: Callable[[View], bool], looks: int) -> dict[str, Any] | None:
    """The first picture in which `holds`, None when none of so many looks saw one."""
    for _ in range(looks):
        view = _view(folder)
        if holds(view):
            return view
        Event().wait(LOOK_SECONDS)
    return None


def _told(view: View) -> dict[str, Any]:
    return {name: view[name] for name in ("board", "panel", "state", "armed")}


def _switch(view: View) -> str:
    return words.switch(view["panel"], BoardView(**view["board"]))


def _lines(view: View) -> list[str]:
    board, armed = view["board"], "armed" if view["armed"] else "not armed"
    lines = [f"switch   {_switch(view)}", f"trading  {view['state']}, {armed}"]
    if board["firmware"]:
        late = _latency(board["latency_ms"])
        lines.append(f"firmware {board['firmware']} on {board['target']}, began after {board['reset']}")
        lines.append(f"link     {board['mode']}, session {board['sessions']}, {late}")
    counted = ", ".join(f"{name} {count}" for name, count in board["counters"].items())
    return [*lines, f"frames   {counted}"] if counted else lines


def _latency(latency_ms: int) -> str:
    return f"last frame {latency_ms} ms late" if latency_ms >= 0 else "no frame yet"


def _say(text: str) -> None:
    print(text, file=sys.stderr, flush=True)


def _print(arguments: Namespace, answer: Mapping[str, Any], text: str) -> None:
    print(json.dumps(answer, indent=2) if arguments.json else text)

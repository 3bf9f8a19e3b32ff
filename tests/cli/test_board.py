"""`plimsoll board`: what it shows, the test by hand step by step, arming, and the virtual switch."""

from __future__ import annotations

import asyncio
import json
from collections.abc import AsyncIterator, Callable, Iterator
from contextlib import asynccontextmanager
from dataclasses import replace
from functools import partial
from pathlib import Path

import pytest

from app import demo
from app.cli import board, client, main
from app.engine.commands import Commands
from app.engine.snapshot import BoardView, ReasonView, Snapshot
from app.mcu.virtual import control_of
from app.web import words
from app.web.command_port import CommandPort
from tests.cli.background import in_background
from tests.web.pictures import ACTIVE, NOW, FakeEngine
from tests.web.test_command_port import FakeReader

RUN = BoardView(
    mode="owner", state="run", contacts="closed", target="unoq", firmware="00ff", reset="power",
    sessions=2, latency_ms=1, counters={"good": 7, "bad": 0},
)  # fmt: skip
TRIPPED = replace(RUN, state="tripped", contacts="open", cause="switch")
READY = replace(RUN, state="ready")
BY_SWITCH = ReasonView("switch", "person", "*", "halted", "flat", NOW, 0, "opened", "a person re-arms")
TRADING = replace(ACTIVE, board=RUN)
OPENED = replace(ACTIVE, board=TRIPPED, panel="open", state="halted", armed=False, reasons=(BY_SWITCH,))
CLOSED = replace(OPENED, board=READY, panel="closed")
SHORTED = replace(
    OPENED, board=replace(RUN, state="fault", contacts="a open", faults=("the channels differ",))
)


class Scripted(FakeEngine):
    """Shows one picture after the other, the last for ever."""

    def __init__(self) -> None:
        super().__init__(TRADING)
        self.script: list[Snapshot] = []

    def snapshot(self) -> Snapshot:
        if self.script:
            self.view = self.script.pop(0)
        return self.view


@pytest.fixture
def engine() -> Scripted:
    return Scripted()


@pytest.fixture(autouse=True)
def quick(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(board, "LOOK_SECONDS", 0.001)
    monkeypatch.setattr(board, "HAND_LOOKS", 20)
    monkeypatch.setattr(client, "REARM_POLL_SECONDS", 0.001)


@pytest.fixture
def call(tmp_path: Path, engine: Scripted) -> Iterator[Callable[..., int]]:
    """Runs `plimsoll board ...` against a service that listens."""
    with in_background(partial(_listening, tmp_path, engine)):
        yield lambda *words: main(["board", *words, "--data-dir", str(tmp_path)])


@asynccontextmanager
async def _listening(folder: Path, engine: FakeEngine) -> AsyncIterator[None]:
    port = CommandPort(folder, Commands(engine), FakeReader())
    await port.start()
    yield
    await port.stop()


Call = Callable[..., int]
Caught = pytest.CaptureFixture[str]


def test_shows_switch_firmware_and_frames(call: Call, capsys: Caught) -> None:
    assert call("status") == 0
    assert capsys.readouterr().out.splitlines() == [
        "switch   closed, output on",
        "trading  active, armed",
        "firmware 00ff on unoq, began after power",
        "link     owner, session 2, last frame 1 ms late",
        "frames   good 7, bad 0",
    ]
    assert call("status", "--json") == 0
    assert json.loads(capsys.readouterr().out)["board"]["state"] == "run"


@pytest.mark.parametrize("what", [["status"], ["test"], ["arm"]])
def test_needs_a_running_service(tmp_path: Path, what: list[str], capsys: Caught) -> None:
    assert main(["board", *what, "--data-dir", str(tmp_path)]) == 3
    assert "no service runs, so nobody listens to the board" in capsys.readouterr().err


def test_passes_when_the_switch_halts_and_closing_it_does_not_re_arm(
    call: Call, engine: Scripted, capsys: Caught
) -> None:
    engine.script = [TRADING, TRADING, OPENED, OPENED, OPENED, CLOSED]
    assert call("test") == 0
    told = capsys.readouterr()
    assert "Open the switch now" in told.err and "open, tripped by switch" in told.err
    assert "The switch works" in told.out


@pytest.mark.parametrize(
    ("script", "code", "words"),
    [
        ([TRADING], 1, "nobody opened the switch"),
        ([TRADING, replace(TRADING, panel="open")], 1, "trading was not halted by it: do not trade"),
        ([TRADING, SHORTED], 1, "a contact stayed closed: open, fault (the channels differ): do not trade"),
        ([TRADING, OPENED], 1, "nobody closed the switch, or it was not seen: open, tripped by switch"),
        ([TRADING, OPENED, OPENED, TRADING], 1, "closing the switch ended the halt: do not trade"),
        ([OPENED], 3, "open"),
        ([replace(TRADING, panel="silent", board=BoardView(detail="no such device"))], 3, "no such device"),
        ([replace(TRADING, board=BoardView(mode="stand-in"))], 3, "there is no switch to test"),
    ],
)
def test_fails_the_test_at_the_step_that_failed(
    call: Call, engine: Scripted, capsys: Caught, script: list[Snapshot], code: int, words: str
) -> None:
    engine.script = list(script)
    assert call("test") == code
    assert words in capsys.readouterr().err


def test_arms_and_waits_for_the_output(call: Call, engine: Scripted, capsys: Caught) -> None:
    engine.view = CLOSED
    engine.script = [CLOSED, replace(TRADING, board=READY), replace(TRADING, board=READY), TRADING]
    assert call("arm", "after", "lunch") == 0
    assert [(what, why) for what, _, why in engine.asked] == [("rearm", "after lunch")]
    assert capsys.readouterr().out == "arm: armed; closed, output on\n"


def test_says_when_the_output_stays_off(
    call: Call, engine: Scripted, capsys: Caught, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(board, "RUN_LOOKS", 3)
    engine.view = replace(TRADING, board=READY)
    assert call("arm") == 1
    assert "its output stays off: closed, ready, output off; trading is active" in capsys.readouterr().err


@pytest.mark.parametrize(
    ("panel", "view", "said"),
    [
        ("closed", BoardView(mode="stand-in"), "none: a stand-in in software, closed"),
        ("closed", replace(RUN, mode="virtual"), "closed, output on, virtual board"),
        ("open", TRIPPED, "open, tripped by switch"),
        ("silent", BoardView(mode="serial", detail="hung up"), "silent (hung up)"),
        (
            "open",
            replace(RUN, state="fault", faults=("the channels differ",)),
            "open, fault (the channels differ)",
        ),
        ("closed", READY, "closed, ready, output off"),
        ("closed", replace(RUN, outdated=True), "closed, output on; firmware out of date"),
        (
            "silent",
            BoardView(detail="another version", foreign=True, outdated=True),
            "silent (another version); firmware out of date",
        ),
    ],
)
def test_has_words_for_switch_and_board(panel: str, view: BoardView, said: str) -> None:
    assert words.switch(panel, view) == said


@pytest.fixture
def home(tmp_path: Path) -> Path:
    """The demo's folder with its settings."""
    demo.write_settings(tmp_path, "http://127.0.0.1:9", 0, keep=False, board=True)
    return tmp_path


def test_moves_the_switch_of_the_virtual_board(home: Path, capsys: Caught) -> None:
    asked: list[bytes] = []

    @asynccontextmanager
    async def listening() -> AsyncIterator[None]:
        async def answer(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
            asked.append(await reader.readline())
            writer.write(b'{"ok":true}\n')
            writer.close()

        async with await asyncio.start_unix_server(answer, control_of(home / "board")):
            yield

    with in_background(listening):
        assert main(["board", "switch", "open", "--config", str(home / "plimsoll.toml")]) == 0
    assert asked == [b"contact both open\n"] and capsys.readouterr().out == "switch: open\n"


def test_says_that_no_virtual_board_runs(home: Path, capsys: Caught) -> None:
    assert main(["board", "switch", "open", "--config", str(home / "plimsoll.toml")]) == 1
    assert "virtual board" in capsys.readouterr().err


@pytest.mark.parametrize(
    ("old", "new"), [('mode = "virtual"', 'mode = "serial"'), ("required = true", "required = false")]
)
def test_moves_no_real_switch(home: Path, capsys: Caught, old: str, new: str) -> None:
    file = home / "plimsoll.toml"
    file.write_text(file.read_text().replace(old, new))
    assert main(["board", "switch", "open", "--config", str(file)]) == 3
    assert "a real switch is moved by hand" in capsys.readouterr().err

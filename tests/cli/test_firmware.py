"""`plimsoll board flash` from the command to the greeting: programs that record, a board that answers."""

from __future__ import annotations

import asyncio
import shutil
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from app.cli import client, firmware, main, offline
from app.cli.firmware import SERVICE, SOCKET, Appliance
from app.config.settings import Board
from app.errors import Later, Refused
from app.mcu import images, unoq
from tests.guards import PATIENCE, ROOT
from tests.mcu.flashing import Bench, Greeting
from tests.mcu.virtual import started

BOARD = ROOT / "board"
SYSTEMCTL = """#!/bin/sh
echo "systemctl $*" >>"{home}/journal"
rm -f "{home}/running"
"""


def said(*words: str | Path) -> str:
    return subprocess.run([sys.executable, *words], capture_output=True, text=True, check=True).stdout.strip()


@pytest.fixture(scope="module")
def firmwares(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Path]:
    """The virtual board under two names: as the hash of the UNO Q's sources says, and under its own."""
    if shutil.which("cc") is None:
        pytest.skip("cc is not installed (apt install gcc)")
    raw = bytes.fromhex(said(BOARD / "build.py", "hash", "unoq"))
    made = tmp_path_factory.mktemp("firmware") / "unoq"
    define = f"-DP_FIRMWARE_HASH={','.join(map(str, raw))}"
    sources = [*(BOARD / "firmware").glob("*.c"), *(BOARD / "linux").glob("*.c")]
    subprocess.run(["cc", "-std=c11", "-O1", define, *sources, "-o", made], check=True)
    return {"unoq": made, "linux": Path(said(BOARD / "build.py", "virtual-board"))}


@pytest.fixture
def bench(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Bench:
    """A UNO Q by its device tree, with the programs on PATH and settings that name its board."""
    made = Bench(tmp_path, monkeypatch)
    monkeypatch.setattr(unoq, "DEVICE_TREE", tmp_path / "compatible")
    systemctl = tmp_path / "programs" / "systemctl"
    systemctl.write_text(SYSTEMCTL.replace("{home}", str(tmp_path)))
    systemctl.chmod(0o755)
    (tmp_path / "data").mkdir()
    settings = f'data_dir = "data"\n[board]\nmode = "serial"\ndevice = "{tmp_path}/link"\n'
    (tmp_path / "plimsoll.toml").write_text(settings)
    return made


@pytest.fixture
def board(bench: Bench, firmwares: dict[str, Path], request: pytest.FixtureRequest) -> Iterator[None]:
    """A board that answers; `indirect` names which firmware."""
    with started([str(firmwares[request.param])], bench.home):
        yield


def flash(bench: Bench, *words: str) -> int:
    return main(["board", "flash", "--config", str(bench.home / "plimsoll.toml"), *words])


@pytest.mark.parametrize("board", ["unoq"], indirect=True)
def test_builds_writes_and_keeps_what_greets_with_its_hash(
    bench: Bench, board: None, capsys: pytest.CaptureFixture[str]
) -> None:
    assert flash(bench) == 0
    wanted = said(BOARD / "build.py", "hash", "unoq")
    out = capsys.readouterr().out
    assert f"flash: the board greets as {wanted}, protocol 1\n" in out
    assert "halted: only a person re-arms" in out
    steps = ["arduino-cli compile", "gpioset 37=0", "arduino-cli upload", "gpioset 70=1"]
    assert bench.journal() == steps
    kept = images.Shelf(bench.home / "data" / "firmware").current()
    assert (kept.artefact.firmware_hash, kept.artefact.core) == (wanted, "1.0.0")
    assert offline.read(bench.home / "data", "status")["armed"] is False


@pytest.mark.parametrize("board", ["linux"], indirect=True)
def test_refuses_what_greets_with_another_hash(
    bench: Bench, board: None, capsys: pytest.CaptureFixture[str]
) -> None:
    assert flash(bench) == 3
    told = capsys.readouterr()
    assert "plimsoll: board.firmware" in told.err
    assert "no earlier image is kept" in told.out
    assert images.Shelf(bench.home / "data" / "firmware").current() is None


@pytest.mark.parametrize("board", ["unoq"], indirect=True)
def test_writes_an_image_that_exists_without_a_compiler(bench: Bench, board: None) -> None:
    image = bench.image(said(BOARD / "build.py", "hash", "unoq"))
    assert flash(bench, "--image", str(image.file)) == 0
    assert bench.journal() == ["gpioset 37=0", "remoteocd upload", "gpioset 70=1"]


def test_refuses_to_go_back_to_nothing(bench: Bench, capsys: pytest.CaptureFixture[str]) -> None:
    assert flash(bench, "--back") == 3
    assert "no earlier image is kept" in capsys.readouterr().err
    assert bench.journal() == []


def test_refuses_a_machine_that_is_no_uno_q(bench: Bench, capsys: pytest.CaptureFixture[str]) -> None:
    (bench.home / "compatible").write_bytes(b"raspberrypi,5-model-b\0")
    assert flash(bench) == 3
    assert "raspberrypi,5-model-b; limit arduino,imola" in capsys.readouterr().err
    assert bench.journal() == []


def test_image_and_back_are_one_or_the_other(bench: Bench) -> None:
    with pytest.raises(SystemExit) as stop:
        flash(bench, "--back", "--image", "firmware.bin")
    assert stop.value.code == 2


@pytest.fixture
def service(bench: Bench, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A running service as far as the command socket shows: until systemctl ends it."""
    running = bench.home / "running"
    running.touch()

    def ask(folder: Path, command: str, why: str = "") -> dict[str, str] | None:
        with (bench.home / "journal").open("a") as journal:
            journal.write(f"{command}\n")
        return {"done": command} if running.exists() else None

    monkeypatch.setattr(client, "ask", ask)
    return running


def test_halts_through_the_service_then_stops_it_and_writes_the_latch_itself(
    bench: Bench, service: Path
) -> None:
    appliance = Appliance(bench.home / "data", Board())
    appliance.latch()
    assert appliance.release() is True
    appliance.resume()
    assert bench.journal() == ["halt", "status", "systemctl stop", "systemctl start"]
    assert f"systemctl stop {SOCKET} {SERVICE}\n" in (bench.home / "journal").read_text()
    assert offline.read(bench.home / "data", "status")["armed"] is False


def test_refuses_while_a_service_that_is_not_systemds_holds_the_folder(bench: Bench, service: Path) -> None:
    from app.store import InstanceLock

    folder = bench.home / "data"
    lock = InstanceLock(folder)
    try:
        with pytest.raises(Refused):
            Appliance(folder, Board()).release()
    finally:
        lock.release()


def test_a_service_that_cannot_be_stopped_is_said(bench: Bench, service: Path) -> None:
    (bench.home / "programs" / "systemctl").write_text("#!/bin/sh\necho access denied >&2; exit 4\n")
    with pytest.raises(Later, match="access denied"):
        Appliance(bench.home / "data", Board()).release()


def test_no_service_is_nothing_to_stop(bench: Bench) -> None:
    assert Appliance(bench.home / "data", Board()).release() is False
    assert bench.journal() == []


@pytest.mark.parametrize(
    ("mode", "sketch"), [("owner", "unoq"), ("guest", "unoq-guest"), ("serial", "unoq"), ("virtual", "unoq")]
)
def test_builds_the_sketch_that_speaks_as_the_board_s_mode_does(
    bench: Bench, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str], mode: str, sketch: str
) -> None:
    async def greeted(self: Appliance) -> Greeting:
        return Greeting(said(BOARD / "build.py", "hash", sketch))

    monkeypatch.setattr(Appliance, "_greet", greeted)
    (bench.home / "plimsoll.toml").write_text(f'data_dir = "data"\n[board]\nmode = "{mode}"\n')
    assert flash(bench) == 0
    wanted = said(BOARD / "build.py", "hash", sketch)
    assert f"flash: compiling {sketch} {wanted} with core 1.0.0\n" in capsys.readouterr().out
    assert images.Shelf(bench.home / "data" / "firmware").current().artefact.firmware_hash == wanted


def test_a_sketch_that_cannot_be_made_leaves_the_board_alone(
    bench: Bench, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    odd = bench.home / "odd.py"
    odd.write_text("print('[]')\n")
    monkeypatch.setattr(firmware, "SKETCHER", odd)
    assert flash(bench) == 1
    told = capsys.readouterr()
    assert "made no sense" in told.err
    assert "nothing was written" in told.out
    assert bench.journal() == []


async def test_greets_a_board_over_its_port(firmwares: dict[str, Path], tmp_path: Path) -> None:
    from contextlib import AsyncExitStack

    from app.clock import SystemClock
    from app.errors import Unreachable
    from app.mcu import boards
    from app.mcu.greeting import greet
    from app.mcu.native_codec import NativeCodec

    settings = Board(mode="serial", device=tmp_path / "link")
    async with asyncio.timeout(PATIENCE), AsyncExitStack() as stack:
        way = boards.dial(settings, stack)
        with started([str(firmwares["linux"])], tmp_path) as board:
            told = await greet(way, NativeCodec(), SystemClock())
            assert told.target == "linux"
            board.do("unplug")
            with pytest.raises(Unreachable):
                await greet(way, NativeCodec(), SystemClock(), 300)
    assert told.firmware_hash == said(BOARD / "build.py", "hash", "linux")


def test_what_puts_the_sketch_together_reads_no_user_s_packages(
    bench: Bench, monkeypatch: pytest.MonkeyPatch
) -> None:
    asked: list[list[str]] = []

    def call(words: list[str | Path], seconds: float) -> str:
        asked.append([str(word) for word in words])
        raise Later("sketch", "enough")

    monkeypatch.setattr(firmware.toolchain, "call", call)
    with pytest.raises(Later):
        firmware.built(bench.unoq(), bench.home, Board())
    assert asked[0][1] == "-sEB"

"""Owner mode: the port is taken from the router and given back, the lines are set, in this order."""

from __future__ import annotations

import os
import sys
import tty
from collections.abc import AsyncIterator, Iterator, Sequence
from pathlib import Path

import pytest

from app.errors import Later, SettingsError, Unreachable
from app.mcu import owner as module
from app.mcu import unoq
from app.mcu.owner import Owner, by_command, lines, run
from tests.mcu.router import SmallRouter

BAUD = 115_200
LINES = ["gpioset -c /dev/gpiochip1 -t0 37=0", "gpioset -c /dev/gpiochip1 -t0 70=1"]


@pytest.fixture
def device() -> Iterator[Path]:
    far, near = os.openpty()
    tty.setraw(near)
    yield Path(os.ttyname(near))
    os.close(near)
    os.close(far)


@pytest.fixture
async def small(tmp_path: Path, device: Path) -> AsyncIterator[SmallRouter]:
    made = SmallRouter(tmp_path / "router.sock", os.fspath(device))
    await made.start()
    yield made
    await made.stop()


class Recorded:
    """What was run, and whether the router still had the port then."""

    def __init__(self, small: SmallRouter | None = None) -> None:
        self.small, self.fails = small, ""
        self.ran: list[str] = []

    async def run(self, command: Sequence[str]) -> None:
        assert self.small is None or not self.small.serial_open, "the port is released first"
        self.ran.append(" ".join(command))
        if self.fails and self.fails in self.ran[-1]:
            raise Unreachable("gpioset", "no such chip")


def owner(device: Path, socket: Path, recorded: Recorded) -> Owner:
    return Owner(device, BAUD, socket, by_command(recorded.run))


async def test_takes_the_port_and_gives_it_back(small: SmallRouter, device: Path) -> None:
    recorded = Recorded(small)
    own = owner(device, small.path, recorded)
    port = await own.dial(print, print)
    assert recorded.ran == LINES and not small.serial_open
    port.close()
    await own.give_back()
    await own.give_back()
    assert small.serial_open
    assert small.asked == [("$/serial/close", [str(device)]), ("$/serial/open", [str(device)])]


async def test_takes_it_again_from_a_router_that_was_restarted(small: SmallRouter, device: Path) -> None:
    recorded = Recorded(small)
    own = owner(device, small.path, recorded)
    (await own.dial(print, print)).close()
    small.serial_open = True
    (await own.dial(print, print)).close()
    assert not small.serial_open and recorded.ran == LINES * 2


async def test_needs_no_router(device: Path, tmp_path: Path) -> None:
    recorded = Recorded()
    own = owner(device, tmp_path / "nothing", recorded)
    port = await own.dial(print, print)
    assert port.open and recorded.ran == LINES
    port.close()
    await own.give_back()


async def test_opens_the_port_when_the_router_had_let_go_before(small: SmallRouter, device: Path) -> None:
    small.refuse = "$/serial/close"
    own = owner(device, small.path, Recorded())
    (await own.dial(print, print)).close()
    small.refuse = "$/serial/open"
    await own.give_back()
    assert [method for method, _ in small.asked] == ["$/serial/close", "$/serial/open"]


@pytest.mark.parametrize("line", ["37=0", "70=1"])
async def test_opens_nothing_when_a_line_cannot_be_set(small: SmallRouter, device: Path, line: str) -> None:
    recorded = Recorded(small)
    recorded.fails = line
    own = owner(device, small.path, recorded)
    with pytest.raises(Later, match="no such chip"):
        await own.dial(print, print)
    await own.give_back()
    assert small.serial_open, "what was taken is given back all the same"


async def test_gives_nothing_back_that_it_never_had(small: SmallRouter, device: Path) -> None:
    await owner(device, small.path, Recorded()).give_back()
    assert small.asked == []


async def test_does_not_wait_for_a_router_that_is_deaf(
    small: SmallRouter, device: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("app.mcu.router.CALL_S", 0.01)
    small.deaf = True
    with pytest.raises(Later, match="no answer"):
        await owner(device, small.path, Recorded()).dial(print, print)


async def test_under_systemd_the_lines_are_asked_for_by_a_file(tmp_path: Path) -> None:
    await lines(f"{tmp_path}:/run/more")()
    assert [path.name for path in tmp_path.iterdir()] == [unoq.LINES_ASKED]
    with pytest.raises(Unreachable, match="No such file"):
        await lines(str(tmp_path / "gone"))()


async def test_runs_a_command_and_says_how_it_failed(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    await run([sys.executable, "-c", "pass"])
    with pytest.raises(Unreachable, match="chip is gone"):
        await run([sys.executable, "-c", "import sys; sys.exit('chip is gone')"])
    with pytest.raises(Unreachable, match="No such file"):
        await run([str(tmp_path / "gpioset")])
    monkeypatch.setattr(module, "COMMAND_S", 0.05)
    with pytest.raises(Unreachable, match="did not end"):
        await run([sys.executable, "-c", "import time; time.sleep(60)"])


@pytest.mark.parametrize(
    ("content", "name"),
    [(b"arduino,imola\0qcom,qrb2210\0", "arduino,imola"), (b"qcom,qrb2210\0", "qcom,qrb2210"), (b"", "")],
)
def test_knows_the_machine_by_the_first_name_of_its_device_tree(
    tmp_path: Path, content: bytes, name: str
) -> None:
    tree = tmp_path / "compatible"
    tree.write_bytes(content)
    assert unoq.machine(tree) == name
    if name == unoq.COMPATIBLE:
        unoq.require("owner", tree)
        return
    with pytest.raises(SettingsError, match=r"board\.mode.*arduino,imola"):
        unoq.require("owner", tree)


def test_drives_no_line_of_a_machine_without_a_device_tree(tmp_path: Path) -> None:
    assert unoq.machine(tmp_path / "nothing") == ""
    with pytest.raises(SettingsError, match="no device tree"):
        unoq.require("guest", tmp_path / "nothing")

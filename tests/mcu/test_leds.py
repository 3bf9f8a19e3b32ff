"""The Linux side's LED: set through sysfs, never blocking, silent where there is none, an error said once."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from app.mcu.leds import NAMES, Leds
from app.mcu.lights import AMBER, GREEN


@pytest.fixture
def sysfs(tmp_path: Path) -> Path:
    for name in NAMES:
        (tmp_path / name).mkdir()
        (tmp_path / name / "brightness").write_text("1\n")
    return tmp_path


def shown(sysfs: Path) -> str:
    return "".join((sysfs / name / "brightness").read_text()[0] for name in NAMES)


def test_sets_each_colour_and_goes_dark_at_the_end(sysfs: Path) -> None:
    leds = Leds(sysfs)
    leds.show(GREEN)
    assert shown(sysfs) == "010"
    leds.show(AMBER)
    assert shown(sysfs) == "110"
    leds.close()
    leds.close()
    assert shown(sysfs) == "000"


def test_writes_only_what_changed(sysfs: Path) -> None:
    leds = Leds(sysfs)
    leds.show(GREEN)
    (sysfs / NAMES[0] / "brightness").write_text("untouched")
    leds.show(GREEN)
    assert (sysfs / NAMES[0] / "brightness").read_text() == "untouched"
    leds.close()


def test_does_nothing_on_a_machine_without_leds(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    leds = Leds(tmp_path)
    leds.show(GREEN)
    leds.close()
    assert not leds.there and not caplog.records


def test_says_once_that_it_may_not(sysfs: Path, caplog: pytest.LogCaptureFixture) -> None:
    leds = Leds(sysfs)
    for file in leds._files:
        os.dup2(os.open(os.devnull, os.O_RDONLY), file)  # the driver went away under us
    for _ in range(3):
        leds.show(GREEN)
    leds.close()
    assert [record.message for record in caplog.records] == [
        "the LEDs cannot be set: [Errno 9] Bad file descriptor"
    ]


def test_never_waits_for_a_file_that_takes_nothing(sysfs: Path, caplog: pytest.LogCaptureFixture) -> None:
    for name in NAMES:
        (sysfs / name / "brightness").unlink()
        os.mkfifo(sysfs / name / "brightness")
    leds = Leds(sysfs)
    leds.show(GREEN)
    assert not leds.there and len(caplog.records) == 1

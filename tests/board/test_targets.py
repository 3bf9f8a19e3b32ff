"""The firmware's build: what it skips it names, the core stays within its sizes, and one over them fails."""

from __future__ import annotations

import json
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

from app.mcu import messages
from board import build as building
from board import sizes, targets
from board.micropython import firmware
from tests.guards import ROOT

BOARD = ROOT / "board"
LISTING = """firmware  :
section             size   addr
.text               1000      0
.rodata.str1.1        24      0
.data                 16      0
.bss                 300      0
.ARM.attributes       52      0
.debug_info        37172      0
"""
GRAPH = """graph: { title: "a.c"
node: { title: "outer" label: "outer\\na.c:1:1\\n24 bytes (static)" }
node: { title: "a.c:inner" label: "inner\\na.c:9:1\\n40 bytes (static)" }
node: { title: "memcpy" label: "memcpy\\nstring.h:31:9" shape : ellipse }
edge: { sourcename: "outer" targetname: "a.c:inner" label: "a.c:2:3" }
edge: { sourcename: "a.c:inner" targetname: "memcpy" label: "a.c:10:3" }
}
"""


def run(*words: str | Path, path: str | None = None, at: Path = BOARD) -> subprocess.CompletedProcess[str]:
    environment = {"PATH": path} if path is not None else None
    return subprocess.run(
        [sys.executable, at / "targets.py", *words],
        capture_output=True,
        text=True,
        env=environment,
        check=False,
    )


def test_counts_flash_and_variables_out_of_a_listing() -> None:
    assert sizes.sections(LISTING) == (1040, 316)


def test_finds_the_deepest_chain_over_several_files() -> None:
    other = 'node: { title: "top" label: "top\\nb.c:1:1\\n8 bytes (static)" }\n'
    other += 'edge: { sourcename: "top" targetname: "outer" label: "b.c:2:3" }\n'
    assert sizes.deepest([GRAPH, other]) == (72, ("top", "outer", "inner", "memcpy"))
    assert sizes.deepest([]) == (0, ())


def test_refuses_recursion_whose_stack_has_no_bound() -> None:
    back = 'edge: { sourcename: "a.c:inner" targetname: "outer" label: "a.c:11:3" }\n'
    with pytest.raises(ValueError, match="recursion: "):
        sizes.deepest([GRAPH, back])


@pytest.mark.parametrize(
    ("flash", "variables", "stack", "problems"),
    [
        (16_384, 3_000, 1_096, 0),
        (16_385, 0, 0, 1),
        (0, 3_000, 1_097, 1),
        (16_385, 4_097, 0, 2),
    ],
)
def test_holds_flash_and_ram_to_their_limits(flash: int, variables: int, stack: int, problems: int) -> None:
    assert len(sizes.Sizes(flash, variables, stack, ("main",)).problems()) == problems


def test_names_what_it_skips_and_why() -> None:
    done = run("qemu", "size", "check", "unoq", "unoq-guest", path="")
    assert done.returncode == 0
    lines = dict(line.split(": skipped, ") for line in done.stdout.splitlines())
    assert lines["qemu"].startswith("arm-none-eabi-gcc is not installed (apt install")
    assert lines["check"].startswith("cppcheck is not installed")
    assert lines["unoq"] == lines["unoq-guest"]
    assert lines["unoq"].startswith("arduino-cli is not installed")


def test_refuses_a_target_that_it_does_not_know() -> None:
    done = run("esp32")
    assert (done.returncode, done.stdout) == (2, "")
    assert "usage: " in done.stderr


@pytest.mark.parametrize("name", ["unoq", "unoq-guest"])
def test_the_sketch_says_its_hash_and_version(tmp_path: Path, name: str) -> None:
    told = json.loads(run("sketch", tmp_path, name).stdout)
    hashed = subprocess.run(
        [sys.executable, ROOT / "board" / "build.py", "hash", name],
        capture_output=True,
        text=True,
        check=True,
    )
    assert told["firmware_hash"] == hashed.stdout.strip()
    assert told["protocol_version"] == 1
    raw = ",".join(f"0x{byte:02x}" for byte in bytes.fromhex(told["firmware_hash"]))
    assert raw in (Path(told["sketch"]) / "src" / "unoq" / "firmware_hash.h").read_text()


def test_refuses_a_sketch_that_it_does_not_know(tmp_path: Path) -> None:
    done = run("sketch", tmp_path, "uno-r4")
    assert (done.returncode, done.stdout) == (1, "")
    assert "there are unoq, unoq-guest" in done.stderr
    assert not list(tmp_path.iterdir())


@pytest.mark.parametrize(
    ("changed", "alike"), [("line_uart.c", "unoq-guest"), ("line_router.c", "unoq")], ids=["uart", "router"]
)
def test_a_line_s_file_counts_in_its_own_sketch_s_hash_alone(planted: Path, changed: str, alike: str) -> None:
    def hashes() -> dict[str, str]:
        told = {
            name: run("sketch", planted / "made" / name, name, at=planted) for name in ("unoq", "unoq-guest")
        }
        return {name: json.loads(done.stdout)["firmware_hash"] for name, done in told.items()}

    before = hashes()
    with (planted / "unoq" / changed).open("a") as file:
        file.write("/* changed */\n")
    after = hashes()
    assert {name for name in before if before[name] == after[name]} == {alike}


@pytest.fixture
def planted(tmp_path: Path) -> Path:
    """A copy of board/ to plant offences in."""
    shutil.copytree(ROOT / "board", tmp_path / "board", ignore=shutil.ignore_patterns("build", "__pycache__"))
    return tmp_path / "board"


def needs(name: str) -> None:
    if shutil.which(name) is None:
        pytest.skip(
            f"{name} is not installed (apt install gcc-arm-none-eabi libnewlib-arm-none-eabi cppcheck)"
        )


def build(board: Path, target: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [sys.executable, board / "targets.py", target], capture_output=True, text=True, check=False
    )


@pytest.mark.long
def test_reports_the_size_of_the_core_within_its_limits() -> None:
    needs("arm-none-eabi-gcc")
    done = run("size")
    assert done.returncode == 0, done.stderr
    assert "core: flash " in done.stdout and " of 16384 bytes, RAM " in done.stdout


@pytest.mark.long
@pytest.mark.parametrize(
    ("source", "problem"),
    [
        ("extern unsigned char big[5000];\nunsigned char big[5000];\n", "the core's RAM"),
        (
            "extern const unsigned char big[16384];\nconst unsigned char big[16384] = {1};\n",
            "the core's flash",
        ),
        (
            "unsigned char deep(unsigned at);\nunsigned char deep(unsigned at)\n{\n"
            "    volatile unsigned char big[5000];\n    big[at] = 1;\n    return big[at];\n}\n",
            "the core's RAM",
        ),
        ("int half(long long a);\nint half(long long a)\n{\n    return a / 2;\n}\n", "-Werror"),
    ],
    ids=["variables", "constants", "stack", "a warning"],
)
def test_fails_when_the_core_outgrows_a_limit(planted: Path, source: str, problem: str) -> None:
    needs("arm-none-eabi-gcc")
    (planted / "firmware" / "planted.c").write_text(source)
    done = build(planted, "size")
    assert done.returncode == 1
    assert problem in done.stderr


@pytest.mark.long
def test_fails_on_a_complaint_of_cppcheck(planted: Path) -> None:
    needs("cppcheck")
    assert build(planted, "check").returncode == 0
    offence = "int planted(void);\nint planted(void)\n{\n    int list[2] = {0, 0};\n    return list[2];\n}\n"
    (planted / "firmware" / "planted.c").write_text(offence)
    done = build(planted, "check")
    assert done.returncode == 1
    assert "arrayIndexOutOfBounds" in done.stdout + done.stderr


def test_tells_for_each_target_that_a_release_carries_what_it_greets_with() -> None:
    told = json.loads(run("manifest").stdout)
    assert told["protocol_version"] == targets.protocol_version()
    assert set(told["firmware"]) == set(messages.TARGETS) - {"", "qemu"}
    assert told["firmware"]["unoq_guest"] == building.firmware_hash("unoq-guest").hex()
    assert told["firmware"]["micropython"] == firmware.fingerprint(f"{ROOT}/").hex()

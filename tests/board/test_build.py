"""Building the firmware: once, again when a source changed, with words when it cannot; and static checks."""

from __future__ import annotations

import os
import re
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

from board import build as builder
from board.build import BuildError, NoCompilerError, build, firmware_hash, hash_literal
from tests.guards import ROOT

BOARD = ROOT / "board"
CPPCHECK = (
    "--std=c11",
    "--enable=warning,style,performance,portability",
    "--inconclusive",
    "--error-exitcode=1",
)
FUZZ_RUNS = 2000  # inputs beside the corpus: a few seconds; ./build.sh fuzz takes its time


def has_compiler() -> bool:
    return any(map(shutil.which, ("cc", "gcc", "clang")))


needs_compiler = pytest.mark.skipif(not has_compiler(), reason="no C compiler")


def tool(name: str, package: str) -> str:
    """A program, or a skip that says how to get it (with CI set a skip fails the suite)."""
    found = shutil.which(name)
    if found is None:
        pytest.skip(f"{name} is not installed: apt install {package}")
    return found


@pytest.fixture
def place(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A small firmware in a place of its own, which the builder is pointed at; its target is ``small``."""
    board = tmp_path / "board"
    for folder in ("firmware", "linux", "qemu"):
        (board / folder).mkdir(parents=True)
    (board / "protocol.h").write_text("#define P_ANSWER 42 /* as good as any */\n")
    (board / "firmware" / "small.h").write_text('#include "../protocol.h"\nint answer(void);\n')
    (board / "firmware" / "small.c").write_text(
        '#include "small.h"\nint answer(void)\n{\n    return P_ANSWER;\n}\n'
    )
    (board / "linux" / "main.c").write_text(
        '#include "../firmware/small.h"\nint main(void)\n{\n    return answer();\n}\n'
    )
    monkeypatch.setattr(builder, "HERE", board)
    monkeypatch.setattr(builder, "BUILT", board / "build")
    monkeypatch.setitem(builder.TARGETS, "small", builder.Target("small", ("board/firmware", "board/linux")))
    return board


def answer(program: Path) -> int:
    return subprocess.run([program]).returncode


@needs_compiler
def test_builds_once(place: Path) -> None:
    path = build("small")
    assert answer(path) == 42
    inode = path.stat().st_ino
    assert build("small") == path
    assert path.stat().st_ino == inode


@needs_compiler
@pytest.mark.parametrize("file", ["protocol.h", "firmware/small.c", "firmware/small.h", "linux/main.c"])
def test_builds_again_when_a_source_changed(place: Path, file: str) -> None:
    inode = build("small").stat().st_ino
    (place / file).write_text((place / file).read_text().replace("42", "43") + "\n")
    path = build("small")
    assert path.stat().st_ino != inode
    assert answer(path) == (43 if file == "protocol.h" else 42)


@needs_compiler
def test_builds_again_when_the_program_or_its_stamp_is_gone(place: Path) -> None:
    path = build("small")
    path.unlink()
    assert answer(build("small")) == 42
    path.with_name("small.stamp").unlink()
    assert answer(build("small")) == 42


@needs_compiler
def test_a_source_that_does_not_compile_is_an_error_and_leaves_the_old_build(place: Path) -> None:
    path = build("small")
    (place / "linux" / "main.c").write_text("int main(void) { return missing; }\n")
    with pytest.raises(BuildError, match="missing"):
        build("small")
    assert answer(path) == 42
    assert sorted(file.name for file in path.parent.iterdir()) == ["lock", "small", "small.stamp"]


@needs_compiler
def test_a_warning_is_an_error(place: Path) -> None:
    source = place / "firmware" / "small.c"
    source.write_text(source.read_text() + "char narrow(int wide);\nchar narrow(int wide) { return wide; }\n")
    with pytest.raises(BuildError, match=r"-Werror=conversion"):
        build("small")


def test_says_what_to_install_without_a_compiler(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PATH", "")
    monkeypatch.delenv("CC", raising=False)
    with pytest.raises(NoCompilerError, match=r"virtual-board needs a C compiler .*apt install gcc"):
        build("virtual-board")
    with pytest.raises(NoCompilerError, match="apt install clang"):
        build("fuzz-decoder")


def test_names_its_targets_when_asked_for_another() -> None:
    with pytest.raises(BuildError, match="no target toaster; there are virtual-board, library"):
        build("toaster")


def program(*arguments: str) -> subprocess.CompletedProcess[str]:
    command = [sys.executable, str(BOARD / "build.py"), *arguments]
    return subprocess.run(command, capture_output=True, text=True, cwd="/")


@needs_compiler
def test_prints_the_path_as_a_program() -> None:
    done = program("virtual-board")
    assert (done.returncode, done.stderr) == (0, "")
    assert os.access(done.stdout.strip(), os.X_OK)


def test_prints_the_hash_as_a_program() -> None:
    assert program("hash", "linux").stdout == firmware_hash("linux").hex() + "\n"


@pytest.mark.parametrize(
    ("arguments", "code", "words"),
    [
        ((), 2, "usage:"),
        (("toaster",), 1, "no target toaster"),
        (("hash", "toaster"), 1, "no target toaster"),
    ],
)
def test_fails_with_words_as_a_program(arguments: tuple[str, ...], code: int, words: str) -> None:
    done = program(*arguments)
    assert (done.returncode, done.stdout) == (code, "")
    assert words in done.stderr
    assert "Traceback" not in done.stderr


def test_the_hash_tells_targets_and_changes_apart(place: Path) -> None:
    linux, qemu = firmware_hash("linux"), firmware_hash("qemu")
    assert len({linux, qemu}) == 2
    assert bytes(int(byte, 16) for byte in hash_literal("linux").split(",")) == linux
    (place / "linux" / "note.txt").write_text("no source")
    assert firmware_hash("linux") == linux
    (place / "linux" / "main.c").write_text("")
    assert (firmware_hash("linux") == linux, firmware_hash("qemu") == qemu) == (False, True)
    (place / "firmware" / "small.c").write_text("")
    assert firmware_hash("qemu") != qemu


def definitions() -> list[tuple[str, str, str]]:
    lines = re.findall(r"^#define .*$", (BOARD / "protocol.h").read_text(), re.MULTILINE)
    found = [
        re.fullmatch(r"#define (P_[A-Z0-9_]+) (0x[0-9A-F]+|[0-9]+) /\* (.+) \*/", line) for line in lines
    ]
    assert all(found), [line for line, match in zip(lines, found, strict=True) if match is None]
    return [(match[1], match[2], match[3]) for match in found if match]


def test_every_number_of_the_protocol_is_a_literal_with_its_reason() -> None:
    found = definitions()
    assert len({name for name, _, _ in found}) == len(found) > 80


def test_no_time_out_is_above_half_a_second() -> None:
    for name, value, _ in definitions():
        if name.endswith("_MS") and name not in ("P_COUNTERS_MS", "P_NOISE_WINDOW_MS"):
            assert int(value, 0) <= 500, name


def test_the_firmware_asks_for_no_heap_no_printing_and_no_clock() -> None:
    allowed = {"stdbool.h", "stddef.h", "stdint.h", "string.h"}
    for path in (BOARD / "firmware").glob("*.[ch]"):
        text = path.read_text()
        assert set(re.findall(r"#include <(.+)>", text)) <= allowed, path.name
        assert not re.search(r"\b(malloc|calloc|free|printf|alloca|setjmp)\s*\(", text), path.name


def test_every_source_begins_with_what_it_is() -> None:
    for path in [
        *BOARD.glob("firmware/*.[ch]"),
        *BOARD.glob("linux/*.h"),
        *(ROOT / "tests/board").glob("*.c"),
    ]:
        assert path.read_text().startswith("/*"), path.name


@pytest.mark.long
@pytest.mark.parametrize("folder", ["firmware", "linux"])
def test_cppcheck_finds_nothing(folder: str) -> None:
    command = [
        tool("cppcheck", "cppcheck"),
        *CPPCHECK,
        "--suppress=missingIncludeSystem",
        "-DP_FIRMWARE_HASH=1",
        "-q",
    ]
    done = subprocess.run([*command, str(BOARD / folder)], capture_output=True, text=True)
    assert (done.returncode, done.stderr) == (0, "")


@pytest.mark.long
def test_cppcheck_is_seen_to_find_something(tmp_path: Path) -> None:
    (tmp_path / "planted.c").write_text("int f(void) { int a[2] = {0}; return a[2]; }\n")
    done = subprocess.run(
        [tool("cppcheck", "cppcheck"), *CPPCHECK, "-q", str(tmp_path)], capture_output=True, text=True
    )
    assert done.returncode == 1
    assert "arrayIndexOutOfBounds" in done.stderr


@pytest.mark.long
def test_the_other_compiler_warns_of_nothing(tmp_path: Path) -> None:
    clang = tool("clang", "clang")
    for source in (BOARD / "firmware").glob("*.c"):
        command = [
            clang,
            "-std=c11",
            "-Wall",
            "-Wextra",
            "-Wconversion",
            "-Wpedantic",
            "-Werror",
            "-c",
            str(source),
        ]
        done = subprocess.run([*command, "-o", str(tmp_path / "out.o")], capture_output=True, text=True)
        assert (done.returncode, done.stderr) == (0, "")


@pytest.mark.long
def test_the_fuzz_target_holds_on_its_corpus(tmp_path: Path) -> None:
    tool("clang", "clang libclang-rt-dev")
    corpus = ROOT / "tests" / "board" / "corpus"
    finds = tmp_path / "finds"
    finds.mkdir()
    command = [build("fuzz-decoder"), f"-runs={FUZZ_RUNS}", "-seed=1", "-max_len=4096", finds, corpus]
    done = subprocess.run(command, cwd=tmp_path, capture_output=True, text=True)
    assert done.returncode == 0, done.stderr[-2000:]

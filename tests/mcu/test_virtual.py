"""The virtual board of a release: a file without rights and without libraries, copied to where it may run."""

from __future__ import annotations

import asyncio
import shutil
from pathlib import Path

import pytest

from app.errors import Unreachable
from app.mcu import virtual
from board import targets

SECONDS = 60  # a machine under full load


@pytest.fixture(scope="module")
def shipped(tmp_path_factory: pytest.TempPathFactory) -> Path:
    if shutil.which("cc") is None:
        pytest.skip("cc is not installed (apt install gcc)")
    program = tmp_path_factory.mktemp("release") / virtual.SHIPPED.name
    targets.static("cc", program)
    program.chmod(0o644)
    return program


async def test_runs_the_release_s_program_without_a_compiler(
    shipped: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(virtual, "SHIPPED", shipped)
    monkeypatch.setenv("PATH", "")
    async with asyncio.timeout(SECONDS):
        for _ in range(2):  # the second demo replaces what the first left
            board = await virtual.VirtualBoard.start(await virtual.provide(tmp_path), tmp_path)
            try:
                assert (await board.ask("state"))["cause"] == "boot"
            finally:
                await board.stop()


def test_the_same_sources_give_the_same_bytes(shipped: Path, tmp_path: Path) -> None:
    targets.static("cc", tmp_path / "again")
    assert (tmp_path / "again").read_bytes() == shipped.read_bytes()


async def test_a_folder_that_takes_no_file_is_said(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(virtual, "SHIPPED", Path(__file__))
    with pytest.raises(Unreachable, match="No such file"):
        await virtual.provide(tmp_path / "nowhere")


async def test_a_program_that_may_not_run_is_said(shipped: Path, tmp_path: Path) -> None:
    with pytest.raises(Unreachable, match="Permission denied"):
        await virtual.VirtualBoard.start(shipped, tmp_path)

"""The file that an owner installs, really built; it runs on every Python it names."""

from __future__ import annotations

import asyncio
import importlib
import json
import os
import re
import shutil
import subprocess
import sys
import sysconfig
from pathlib import Path

import aiohttp
import pytest

from app.cli import firmware
from app.mcu import messages, virtual
from app.update.artifact import MANIFEST, Manifest, differences, manifest_of, unpack
from board import targets
from tests import bundled
from tests.guards import PROGRAM_PATIENCE, ROOT

pytestmark = [
    pytest.mark.long,
    pytest.mark.skipif(os.uname().machine != "x86_64", reason="built natively for x86_64 only"),
]
MOST_BYTES = 15_000_000

sys.path.insert(0, str(ROOT / ".ci"))
bundle = importlib.import_module("bundle")  # `.ci` cannot be a package by its name


@pytest.fixture(scope="module")
def built(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return bundled.build(tmp_path_factory.mktemp("bundle"))


def there(python: str) -> str:
    try:
        bundle.interpreter(python)
    except SystemExit as missing:
        pytest.skip(str(missing))
    return python


@pytest.fixture(scope="module")
def manifest(built: Path) -> Manifest:
    return manifest_of(built)


@pytest.fixture(scope="module")
def release(built: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("releases") / "release"
    unpack(built, folder)
    return folder


def run(built: Path, python: str, home: Path, *arguments: str) -> subprocess.CompletedProcess[str]:
    """The artifact on one of the Pythons it was built with."""
    environment = {"XDG_CACHE_HOME": str(home), "HOME": str(home), "PATH": os.environ["PATH"]}
    words = [bundle.interpreter(python), "-sE", str(built), *arguments]
    return subprocess.run(
        words, env=environment, capture_output=True, text=True, timeout=PROGRAM_PATIENCE, check=False
    )


def test_is_small_and_executable(built: Path) -> None:
    assert built.stat().st_size <= MOST_BYTES
    assert os.access(built, os.X_OK) and built.read_bytes().startswith(b"#!/usr/bin/python3 -sE\n")


def test_the_same_folder_gives_the_same_bytes(built: Path, release: Path, tmp_path: Path) -> None:
    site = tmp_path / "site"
    shutil.copytree(release, site)
    listed = (site / MANIFEST).read_bytes()
    (site / MANIFEST).unlink()
    bundle._zip(site, listed, tmp_path / built.name)
    assert (tmp_path / built.name).read_bytes() == built.read_bytes()


def test_the_same_source_compiled_elsewhere_gives_the_same_modules(release: Path, tmp_path: Path) -> None:
    """The checkout's own modules were built in another folder at another time."""
    own = sorted((ROOT / "native").glob(f"*{sysconfig.get_config_var('EXT_SUFFIX')}"))
    assert own
    for module in own:
        copy = tmp_path / module.name
        subprocess.run(["strip", "--strip-unneeded", "-o", str(copy), str(module)], check=True)
        assert copy.read_bytes() == (release / "native" / module.name).read_bytes(), module.name


def test_says_which_commit_whoever_builds_and_when_the_tree_differs(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(bundle, "ROOT", tmp_path)
    assert bundle._commit() == ("unknown", 0)
    author = ("-c", "user.name=a", "-c", "user.email=a@example.org")
    for words in (("init", "-q"), (*author, "commit", "-q", "--allow-empty", "-m", "first")):
        subprocess.run(
            ["git", "-C", tmp_path, *words], check=True, env={**os.environ, "GIT_COMMITTER_DATE": "@9 +0000"}
        )
    commit, made_s = bundle._commit()
    assert re.fullmatch("[0-9a-f]{40}", commit) and made_s == 9
    if os.getuid() == 0:
        os.chown(tmp_path, 12345, 12345)
        os.chown(tmp_path / ".git", 12345, 12345)
        assert bundle._commit() == (commit, 9)
    (tmp_path / "new.py").touch()
    assert bundle._commit() == (f"{commit}.changed", 9)


@pytest.mark.parametrize("python", ["3.11", "3.13"])
def test_byte_code_does_not_depend_on_what_was_compiled_before(tmp_path: Path, python: str) -> None:
    """Python 3.13 shares constants of the second of these two when it has just compiled the first."""
    package = Path(aiohttp.__file__).parent
    made = []
    for before in ([], ["web_response.py"]):
        site = tmp_path / str(len(before))
        site.mkdir()
        for name in before:
            shutil.copy(package / name, site / "a.py")
        shutil.copy(package / "multipart.py", site / "b.py")
        bundle._byte_code([there(python)], site)
        made.append(next(site.glob("__pycache__/b.*.pyc")).read_bytes())
    assert made[0] == made[1]


def test_byte_code_of_a_source_that_is_none_ends_the_build(tmp_path: Path) -> None:
    (tmp_path / "a.py").write_text("x = (\n")
    (tmp_path / "b.py").write_text("x = 1\n")
    with pytest.raises(SystemExit, match="SyntaxError"):
        bundle._byte_code([f"{sys.version_info[0]}.{sys.version_info[1]}"], tmp_path)


def test_holds_the_compiled_modules_and_the_byte_code_of_each_python(manifest: Manifest) -> None:
    for python in manifest.pythons:
        tag = f"cpython-{python.replace('.', '')}"
        assert f"native/gate_c.{tag}-x86_64-linux-gnu.so" in manifest.files
        assert f"app/engine/__pycache__/engine.{tag}.pyc" in manifest.files
    others = [path for path in manifest.files if not path.startswith("board/")]
    assert not [path for path in others if path.startswith("tests/") or path.endswith((".pyx", ".c"))]


def test_names_all_it_is_made_of(release: Path) -> None:
    assert list(differences(release)) == []
    bill = json.loads((release / "sbom.json").read_text())
    named = {each["name"] for each in bill["components"]}
    assert {"aiohttp", "aiosqlite", "msgspec", "pyserial"} <= named
    assert all(each["licenses"][0]["license"]["name"] for each in bill["components"])


@pytest.mark.parametrize("sketch", [firmware.OWNER, firmware.GUEST])
def test_holds_the_sketch_that_the_checkout_would_make(release: Path, tmp_path: Path, sketch: str) -> None:
    def told(root: Path, folder: Path) -> dict[str, str]:
        words = [sys.executable, "-sE", root / "board" / firmware.SKETCHER.name, "sketch", folder, sketch]
        done = subprocess.run(words, capture_output=True, text=True, timeout=PROGRAM_PATIENCE, check=True)
        made: dict[str, str] = json.loads(done.stdout)
        return made

    ours, theirs = told(ROOT, tmp_path / "ours"), told(release, tmp_path / "theirs")
    assert ours["firmware_hash"] == theirs["firmware_hash"]
    names = [sorted(p.relative_to(t["sketch"]) for p in Path(t["sketch"]).rglob("*")) for t in (ours, theirs)]
    assert names[0] == names[1]
    assert firmware.SKETCHER == ROOT / "board" / "targets.py"
    assert list(differences(release)) == []


def test_says_what_its_firmware_greets_with(release: Path) -> None:
    listed = json.loads((release / "board" / targets.MANIFEST).read_text())
    assert listed == targets.manifest()
    assert set(listed["firmware"]) <= set(messages.TARGETS)


def test_holds_all_that_a_micropython_board_is_given(release: Path) -> None:
    given = re.findall(r"(?:app|board)/[\w/]+\.py", (ROOT / "board/micropython/README.md").read_text())
    assert {"app/mcu/session.py", "board/micropython/main.py"} <= set(given)
    assert [name for name in given if not (release / name).exists()] == []


async def test_its_virtual_board_runs_where_there_is_no_compiler(
    release: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(virtual, "SHIPPED", release / "board" / virtual.SHIPPED.name)
    monkeypatch.setenv("PATH", "")
    async with asyncio.timeout(PROGRAM_PATIENCE):
        board = await virtual.VirtualBoard.start(await virtual.provide(tmp_path), tmp_path)
        try:
            assert (await board.ask("state"))["state"] == "tripped"
        finally:
            await board.stop()


@pytest.mark.parametrize("python", ["3.11", "3.13"])
def test_runs_and_leaves_its_folder_as_it_was(built: Path, python: str, tmp_path: Path) -> None:
    for _ in range(2):
        done = run(built, python, tmp_path, "status", "--data-dir", str(tmp_path), "--json")
        assert done.returncode == 1 and "store.missing" in done.stderr, done.stderr
    (unpacked,) = (tmp_path / "plimsoll").iterdir()
    assert list(differences(unpacked)) == []

"""The single file: unpacked whole or not at all, whatever is wrong with it and whenever it is interrupted."""

from __future__ import annotations

import errno
import hashlib
import json
import os
import subprocess
import sys
import zipfile
from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from app.update import artifact
from app.update.artifact import (
    MANIFEST,
    Damaged,
    differences,
    manifest_of,
    parse_head,
    parse_manifest,
    unpack,
)
from tests.guards import ROOT
from tests.update import repositories

RUNNING = f"{sys.version_info[0]}.{sys.version_info[1]}"
MAIN = """\
import os, sys
from app.update.starting import begin
begin(sys.path[0])
print(sys.path[0], *sys.argv[1:], os.environ.get("PLIMSOLL_ARTIFACT", "-"))
"""
SOURCES = ("app/update/starting.py", "app/update/artifact.py", "app/durable.py")
FILES = {
    "__main__.py": MAIN.encode(),
    "app/__init__.py": b"",
    "app/update/__init__.py": b"",
    **{name: (ROOT / name).read_bytes() for name in SOURCES},
    "native/x.so": bytes(range(256)) * 40,
}


def document(inside: Mapping[str, bytes], **changes: Any) -> dict[str, Any]:
    listed = {path: [hashlib.sha256(data).hexdigest(), len(data)] for path, data in inside.items()}
    head = {"version": "1.2.3", "commit": "a1b2c3", "arch": os.uname().machine, "pythons": [RUNNING]}
    return {**head, "files": listed, **changes}


def made(path: Path, files: Mapping[str, bytes] = FILES, manifest: object = None, **changes: Any) -> Path:
    """An artifact of `files` with a manifest that fits, or the one given."""
    with zipfile.ZipFile(path, "w", zipfile.ZIP_DEFLATED) as archive:
        text = json.dumps(document(FILES, **changes) if manifest is None else manifest)
        archive.writestr(MANIFEST, text)
        for name, data in files.items():
            archive.writestr(name, data)
    return path


def left(folder: Path) -> list[str]:
    """Names in a folder, hidden ones too."""
    return sorted(path.name for path in folder.iterdir())


def test_unpacks_every_file_as_the_manifest_says(tmp_path: Path) -> None:
    file = made(tmp_path / "a")
    manifest = unpack(file, tmp_path / "release")
    assert {path: (tmp_path / "release" / path).read_bytes() for path in manifest.files} == FILES
    assert list(differences(tmp_path / "release")) == []
    assert manifest == manifest_of(file) and manifest.name.startswith("1.2.3-")
    assert left(tmp_path) == ["a", "release"]


def test_everybody_may_read_a_release_whatever_the_umask(tmp_path: Path) -> None:
    """The service's user runs from what root unpacked."""
    file, before = made(tmp_path / "a"), os.umask(0o077)
    try:
        unpack(file, tmp_path / "release")
    finally:
        os.umask(before)
    found = [tmp_path / "release", *(tmp_path / "release").rglob("*")]
    assert {path.stat().st_mode & 0o777 for path in found if path.is_dir()} == {0o755}
    assert {path.stat().st_mode & 0o777 for path in found if path.is_file()} == {0o644}


def test_takes_a_folder_of_that_name_as_done(tmp_path: Path) -> None:
    file = made(tmp_path / "a")
    unpack(file, tmp_path / "release")
    stamps = {path: path.stat().st_mtime_ns for path in (tmp_path / "release").rglob("*")}
    unpack(file, tmp_path / "release")
    assert {path: path.stat().st_mtime_ns for path in (tmp_path / "release").rglob("*")} == stamps


@pytest.mark.parametrize(
    "files",
    [
        {**FILES, "native/x.so": b"other"},
        {**FILES, "native/x.so": FILES["native/x.so"] + b"more"},
        {path: data for path, data in FILES.items() if path != "native/x.so"},
    ],
)
def test_refuses_a_file_that_differs_is_longer_or_missing(tmp_path: Path, files: dict[str, bytes]) -> None:
    with pytest.raises(Damaged, match=r"native/x\.so"):
        unpack(made(tmp_path / "a", files), tmp_path / "release")
    assert left(tmp_path) == ["a"]


def test_does_not_unpack_what_the_manifest_does_not_name(tmp_path: Path) -> None:
    unpack(made(tmp_path / "a", {**FILES, "../evil": b"x", "app/extra.py": b"x"}), tmp_path / "release")
    assert not (tmp_path / "evil").exists() and not (tmp_path / "release" / "app" / "extra.py").exists()


@pytest.mark.parametrize(
    "path", ["/etc/x", "../x", "a/../../x", "", ".", "a//b", "a/./b", "a\\b", "a\0b", "\ud800"]
)
def test_refuses_a_path_that_leaves_the_release(path: str) -> None:
    with pytest.raises(Damaged):
        parse_manifest(json.dumps(document({path: b"x"})).encode())


@pytest.mark.parametrize(
    "manifest",
    [
        [],
        {},
        {"files": []},
        document(FILES, version="1/2"),
        document(FILES, version=""),
        document(FILES, version=5),
        document(FILES, arch="x86 64"),
        document(FILES, pythons=5),
        document(FILES, files={"a": ["0", -1]}),
        document(FILES, files={"a": ["0", 10**10]}),
        document(FILES, files={"a": "x"}),
        document(FILES, files={"a": ["0", float("inf")]}),
        document(FILES, schema=float("inf")),
        document(FILES, files={"a": ["0", 0], "a/b": ["0", 0]}),
        document(FILES, files={MANIFEST: ["0", 0]}),
        document(FILES, files={str(n): ["0", 0] for n in range(artifact.FILES_LIMIT + 1)}),
    ],
)
def test_refuses_a_manifest_that_no_build_wrote(tmp_path: Path, manifest: object) -> None:
    with pytest.raises(Damaged):
        unpack(made(tmp_path / "a", manifest=manifest), tmp_path / "release")
    assert left(tmp_path) == ["a"]


@pytest.mark.parametrize(
    ("record", "changes"),
    [
        (b"PK\x01\x02", {6: 0xFF}),
        (b"PK\x01\x02", {9: 0x08, 46: 0xFF}),
        (b"PK\x05\x06", {18: 0x01}),
    ],
    ids=["a format of the future", "a name that is no text", "a place before the file"],
)
def test_refuses_a_directory_that_zipfile_itself_cannot_take(
    tmp_path: Path, record: bytes, changes: dict[int, int]
) -> None:
    raw = bytearray(made(tmp_path / "a").read_bytes())
    for offset, byte in changes.items():
        raw[raw.rindex(record) + offset] = byte
    (tmp_path / "a").write_bytes(raw)
    with pytest.raises(Damaged):
        unpack(tmp_path / "a", tmp_path / "release")
    assert left(tmp_path) == ["a"]


def test_a_member_that_claims_to_be_small_fills_no_memory(tmp_path: Path) -> None:
    lying = document(FILES, files={"big": ["0" * 64, 10]})
    with pytest.raises(Damaged, match="longer than 10 bytes"):
        unpack(made(tmp_path / "a", {"big": bytes(5_000_000)}, manifest=lying), tmp_path / "release")


@settings(max_examples=60)
@given(data=st.data())
def test_any_flipped_or_missing_byte_is_damage_or_changes_nothing(
    data: st.DataObject, tmp_path_factory: pytest.TempPathFactory
) -> None:
    folder = tmp_path_factory.mktemp("artifact")
    raw = bytearray(made(folder / "a").read_bytes())
    if data.draw(st.booleans()):
        raw = raw[: data.draw(st.integers(0, len(raw) - 1))]
    else:
        raw[data.draw(st.integers(0, len(raw) - 1))] ^= 1 << data.draw(st.integers(0, 7))
    (folder / "b").write_bytes(raw)
    try:
        unpack(folder / "b", folder / "release")
    except Damaged:
        assert left(folder) == ["a", "b"]
    else:
        assert {path: (folder / "release" / path).read_bytes() for path in FILES} == FILES


@pytest.mark.parametrize("failing", range(1, 16))
def test_a_disk_that_fails_at_any_flush_leaves_nothing_behind(
    tmp_path: Path, failing: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    file, calls, real = made(tmp_path / "a"), [0], os.fsync

    def fsync(handle: int) -> None:
        calls[0] += 1
        if calls[0] == failing:
            raise OSError(errno.ENOSPC, "No space left on device")
        real(handle)

    monkeypatch.setattr(artifact.os, "fsync", fsync)
    try:
        unpack(file, tmp_path / "release")
    except OSError:
        whole = left(tmp_path) == ["a", "release"]  # only the flush of the folder's own name was left
        assert left(tmp_path) == ["a"] or (whole and not list(differences(tmp_path / "release")))
    else:
        assert calls[0] < failing


def test_names_what_was_changed_added_or_lost_in_a_release(tmp_path: Path) -> None:
    folder = tmp_path / "release"
    unpack(made(tmp_path / "a"), folder)
    (folder / "app" / "__init__.py").write_text("x = 1")
    (folder / "native" / "y.so").write_bytes(b"")
    (folder / "native" / "x.so").unlink()
    assert list(differences(folder)) == [
        "app/__init__.py was changed",
        "native/x.so: No such file or directory",
        "native/y.so was added",
    ]


def run(file: Path, home: Path, *arguments: str) -> subprocess.CompletedProcess[str]:
    environment = {"XDG_CACHE_HOME": str(home), "PATH": os.environ["PATH"]}
    return subprocess.run(
        [sys.executable, "-sE", str(file), *arguments],
        env=environment,
        capture_output=True,
        text=True,
        check=False,
    )


def test_runs_from_the_cache_where_it_unpacked_itself_once(tmp_path: Path) -> None:
    file = made(tmp_path / "a")
    folder = tmp_path / "home" / "plimsoll" / manifest_of(file).name
    for _ in range(2):
        done = run(file, tmp_path / "home", "one", "two")
        assert (done.returncode, done.stdout) == (0, f"{folder} one two {file}\n"), done.stderr
    assert left(folder.parent) == [folder.name]


def test_a_release_in_its_folder_does_without_what_only_the_file_needs(tmp_path: Path) -> None:
    """Importing what unpacks is a fifth of a short command's time."""
    folder = tmp_path / "1.2.3"
    unpack(made(tmp_path / "a"), folder)
    (folder / "__main__.py").write_text(MAIN + "print(*sys.modules)\n")
    done = run(folder, tmp_path)
    ours = {name for name in done.stdout.split() if name.startswith("app.")}
    assert ours == {"app.update", "app.update.starting"}, done.stderr


def test_a_release_that_is_linked_runs_from_its_real_folder(tmp_path: Path) -> None:
    """Else modules imported after the link moved would come from another release."""
    folder = tmp_path / "1.2.3"
    unpack(made(tmp_path / "a"), folder)
    (tmp_path / "current").symlink_to(folder)
    done = run(tmp_path / "current" / "__main__.py", tmp_path / "home")
    assert done.stdout == f"{folder} -\n", done.stderr


@pytest.mark.parametrize("changes", [{"pythons": ["2.7"]}, {"arch": "vax"}])
def test_says_what_it_is_for_on_another_machine(tmp_path: Path, changes: dict[str, Any]) -> None:
    done = run(made(tmp_path / "a", **changes), tmp_path / "home")
    assert done.returncode == 1 and "plimsoll: this file is for Python" in done.stderr
    assert not (tmp_path / "home").exists()


def test_the_head_says_what_the_whole_says_but_for_the_files(tmp_path: Path) -> None:
    with zipfile.ZipFile(repositories.made(tmp_path / "a", "0.2.0")) as archive:
        data = archive.read(MANIFEST)
    head, whole = parse_head(data), parse_manifest(data)
    assert whole.files and head == replace(whole, files={}) and head.name == whole.name
    with pytest.raises(Damaged):
        parse_head(data[:-2])

"""Power cuts and failing disks leave the small files, the link and a whole update old or new, never a mix;
what was done is not undone. Each is shown to be able to see a program that forgets its flushes.
"""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.power.cuts import bad, cuts, lost

pytestmark = pytest.mark.long

AT_THE_END = 1_000  # a stride beyond all calls: the first of them, and the end


@pytest.mark.parametrize(
    ("kind", "call"),
    [
        *(("password", "rename"), ("code", "fsync")),  # one function writes both
        *(("ota", "fsync"), ("ota", "rename")),
        *(("link", "fsync"), ("link", "rename")),
    ],
)
def test_is_old_or_new_where_the_power_goes_at_a_call(tmp_path: Path, kind: str, call: str) -> None:
    found = cuts(tmp_path, "each", kind, call, 1, "kept")
    assert len(found) > 2 and bad(found) == []


@pytest.mark.parametrize("call", ["fsync", "unlink"])
def test_the_armed_mark_is_there_or_not_as_acknowledged(tmp_path: Path, call: str) -> None:
    found = cuts(tmp_path, "each", "mark", call, 1, "kept")
    assert len(found) > 2 and bad(found) == []


@pytest.mark.parametrize(("call", "stride"), [("fsync", 7), ("rename", 3), ("symlink", 1)])
def test_an_update_ends_old_or_new_where_the_power_goes(tmp_path: Path, call: str, stride: int) -> None:
    found = cuts(tmp_path, "each", "update", call, stride, "kept")
    assert len(found) > 2 and bad(found) == []
    assert found[-1]["acked"] == 1, "the update was never committed"


@pytest.mark.parametrize(
    ("kind", "flush"), [(kind, "none") for kind in ("code", "ota", "link", "mark", "update")]
)
def test_sees_a_program_that_never_flushes(tmp_path: Path, kind: str, flush: str) -> None:
    assert lost(cuts(tmp_path, "each", kind, "openat", AT_THE_END, flush))


@pytest.mark.parametrize("kind", ["password", "ota", "update"])
def test_sees_a_program_that_flushes_only_folders(tmp_path: Path, kind: str) -> None:
    assert lost(cuts(tmp_path, "each", kind, "openat", AT_THE_END, "folders"))


@pytest.mark.parametrize(
    ("kind", "call", "stride", "error"),
    [
        *((kind, "write", 1, "ENOSPC") for kind in ("code", "ota")),
        *((kind, "fsync", 1, "EIO") for kind in ("ota", "link", "mark")),
        ("link", "symlink", 1, "ENOSPC"),
        ("update", "write", 5, "ENOSPC"),
        ("update", "fsync", 7, "EIO"),
        ("update", "rename", 5, "EIO"),
    ],
)
def test_is_old_or_new_where_the_disk_fails(
    tmp_path: Path, kind: str, call: str, stride: int, error: str
) -> None:
    found = cuts(tmp_path, "fail", kind, call, stride, error)
    assert found and bad(found) == []

"""Power cuts and full disks while a backup is made or put back: a backup with a name is whole, and after a
restore the journal starts, halted.
"""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.power.cuts import bad, cuts, lost

pytestmark = pytest.mark.long

AT_THE_END = 1_000  # a stride beyond all calls: the first of them, and the end


@pytest.mark.parametrize(("call", "stride"), [("fsync", 1), ("rename", 1)])
def test_a_backup_with_a_name_is_whole_where_the_power_goes(tmp_path: Path, call: str, stride: int) -> None:
    found = cuts(tmp_path, "each", "backup", call, stride, "kept")
    assert len(found) > 1 and bad(found) == []
    assert found[-1]["acked"] == 1, "no backup was made"


@pytest.mark.parametrize(("call", "stride"), [("rename", 1), ("fdatasync", 2)])
def test_a_restored_journal_starts_halted_where_the_power_goes(
    tmp_path: Path, call: str, stride: int
) -> None:
    found = cuts(tmp_path, "each", "restore", call, stride, "kept")
    assert len(found) > 1 and bad(found) == []
    assert found[-1]["acked"] == 1, "nothing was restored"


@pytest.mark.parametrize("kind", ["backup", "restore"])
def test_sees_the_loss_of_a_disk_that_lies_about_its_flush(tmp_path: Path, kind: str) -> None:
    assert lost(cuts(tmp_path, "each", kind, "rename", AT_THE_END, "lied"))


@pytest.mark.parametrize("kind", ["backup", "restore"])
def test_a_full_disk_leaves_the_journal_and_whole_backups(tmp_path: Path, kind: str) -> None:
    found = cuts(tmp_path, "fail", kind, "pwrite64", 13, "ENOSPC")
    assert found and bad(found) == []

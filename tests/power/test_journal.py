"""Power cuts and failing disks lose nothing that the journal acknowledged; each method is shown to be able to
see a loss.
"""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.power.cuts import bad, cuts, lost

pytestmark = pytest.mark.long

RANDOM_CUTS, CONTROL_CUTS = 40, 5


def test_loses_nothing_at_random_moments(tmp_path: Path) -> None:
    found = cuts(tmp_path, "random", RANDOM_CUTS, "FULL")
    assert bad(found) == []
    assert len(found) == RANDOM_CUTS and found[-1]["acked"] > RANDOM_CUTS


def test_sees_the_loss_of_a_journal_that_answers_before_its_flush(tmp_path: Path) -> None:
    found = cuts(tmp_path, "random", CONTROL_CUTS, "NORMAL")
    assert lost(found), "a cut that nothing is lost by proves nothing"


# Between two flushes nothing reaches the disk, so that each flush is tried and of the many writes a part.
@pytest.mark.parametrize(
    ("call", "stride"), [("fdatasync", 1), ("fsync", 1), ("ftruncate", 1), ("unlink", 1), ("pwrite64", 31)]
)
def test_loses_nothing_where_it_dies_at_a_call(tmp_path: Path, call: str, stride: int) -> None:
    found = cuts(tmp_path, "each", "journal", call, stride, "kept")
    assert found and bad(found) == []


def test_sees_the_loss_of_a_disk_that_lies_about_its_flush(tmp_path: Path) -> None:
    found = cuts(tmp_path, "each", "journal", "pwrite64", 97, "lied")
    assert lost(found), "a cut that nothing is lost by proves nothing"


@pytest.mark.parametrize(
    ("call", "error", "stride"),
    [
        ("pwrite64", "ENOSPC", 13),
        ("pwrite64", "EIO", 29),
        ("fdatasync", "EIO", 1),
        ("fsync", "EIO", 1),
        ("ftruncate", "EIO", 1),
        ("openat", "EIO", 1),
    ],
)
def test_says_that_the_disk_failed_and_loses_nothing(
    tmp_path: Path, call: str, error: str, stride: int
) -> None:
    found = cuts(tmp_path, "fail", "journal", call, stride, error)
    assert found and bad(found) == []


def test_says_that_the_disk_is_full_and_loses_nothing(tmp_path: Path) -> None:
    found = cuts(tmp_path, "full", 0, 16, 64, 128, 200, 400, 800)
    assert bad(found) == []
    assert found[-1]["acked"], "nothing was journalled before the disk was full"

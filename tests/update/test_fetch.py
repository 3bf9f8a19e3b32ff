"""Fetching is bounded in bytes and time and goes on where it broke off; the hash decides what it got."""

from __future__ import annotations

import hashlib
import os
import threading
from collections.abc import Iterator
from pathlib import Path

import pytest

from app.clock import NS, VirtualClock
from app.errors import Theirs, Unreachable
from app.update import fetch
from app.update.fetch import Kept, Web, is_file
from tests.guards import PATIENCE
from tests.update.repositories import Site, serving

DATA = bytes(range(256)) * 4_096  # 1 MiB
DIGEST = hashlib.sha256(DATA).hexdigest()


@pytest.fixture
def site(tmp_path: Path) -> Iterator[Site]:
    (tmp_path / "site" / "targets").mkdir(parents=True)
    (tmp_path / "site" / "targets" / "release").write_bytes(DATA)
    with serving(tmp_path / "site") as site:
        yield site


@pytest.fixture
def part(tmp_path: Path) -> Path:
    return tmp_path / "release.part"


def get(site: Site, part: Path, clock: VirtualClock | None = None) -> None:
    Web(clock or VirtualClock(0)).download(f"{site.url}/targets/release", part, len(DATA))


def test_fetches_a_file(site: Site, part: Path) -> None:
    get(site, part)
    assert is_file(part, len(DATA), DIGEST) and site.sent == len(DATA)


def test_promise_13_goes_on_where_it_was_cut(site: Site, part: Path) -> None:
    site.cuts = [300_000, 300_000, 300_000]
    get(site, part)
    assert is_file(part, len(DATA), DIGEST)
    assert site.sent == len(DATA)
    assert [asked for _, asked in site.asked] == ["", "bytes=300000-", "bytes=600000-", "bytes=900000-"]


def test_promise_13_a_later_run_goes_on(site: Site, part: Path) -> None:
    site.cuts = [100_000] * fetch.ATTEMPTS
    with pytest.raises(Unreachable):
        get(site, part)
    assert part.stat().st_size == 500_000
    get(site, part)
    assert is_file(part, len(DATA), DIGEST) and site.sent == len(DATA)


def test_promise_13_begins_anew_when_the_file_changed_meanwhile(site: Site, part: Path) -> None:
    site.cuts = [300_000]
    site.tag = lambda data: f'"{len(site.asked)}"'
    get(site, part)
    assert is_file(part, len(DATA), DIGEST) and site.sent == 300_000 + len(DATA)


def test_begins_anew_where_the_server_knows_no_ranges(site: Site, part: Path) -> None:
    site.cuts, site.ranges = [300_000], False
    get(site, part)
    assert is_file(part, len(DATA), DIGEST)


def test_a_weak_tag_is_no_condition(site: Site, part: Path) -> None:
    site.tag = lambda data: 'W/"1"'
    get(site, part)
    assert not part.with_suffix(".etag").exists()


@pytest.mark.parametrize("size", [len(DATA), len(DATA) + 1])
def test_a_part_that_is_long_enough_is_not_fetched_or_begun_anew(site: Site, part: Path, size: int) -> None:
    part.write_bytes(b"\0" * size)
    get(site, part)
    assert part.stat().st_size == len(DATA) and len(site.asked) == size - len(DATA)


def test_promise_13_a_poisoned_part_is_seen_by_its_hash(site: Site, part: Path) -> None:
    part.write_bytes(b"\0" * 1_000)
    get(site, part)
    assert not is_file(part, len(DATA), DIGEST)


@pytest.mark.parametrize("status", [403, 404, 416])
def test_refuses_an_answer_without_the_file(site: Site, part: Path, status: int) -> None:
    site.status["/targets/release"] = status
    with pytest.raises(Theirs, match=str(status)):
        get(site, part)


@pytest.mark.parametrize("status", [500, 503])
def test_tries_again_while_the_server_is_ill(site: Site, part: Path, status: int) -> None:
    site.status["/targets/release"] = status
    with pytest.raises(Unreachable, match=str(status)):
        get(site, part)
    assert len(site.asked) == fetch.ATTEMPTS


def test_promise_18_stops_an_endless_file_at_its_signed_length(site: Site, part: Path) -> None:
    site.body = lambda path: (b"x" * 65_536 for _ in range(100_000))
    with pytest.raises(Theirs, match="more than was signed"):
        get(site, part)
    assert part.stat().st_size <= len(DATA)


class Hurried(VirtualClock):
    """Each look at it takes ten seconds; a server that waits for `looked` sends a byte a look."""

    def __init__(self) -> None:
        super().__init__(0)
        self.looked, self.over = threading.Semaphore(0), False

    def mono_ns(self) -> int:
        self.now_mono += 10 * NS
        self.looked.release()
        return self.now_mono

    def drip(self, _path: str) -> Iterator[bytes]:
        while self.looked.acquire(timeout=PATIENCE) and not self.over:
            yield b"x"


@pytest.fixture
def clock() -> Iterator[Hurried]:
    """Afterwards the server waits no more."""
    hurried = Hurried()
    yield hurried
    hurried.over = True
    hurried.looked.release()


def test_promise_18_ends_a_transfer_that_is_too_slow(site: Site, part: Path, clock: Hurried) -> None:
    site.body = clock.drip
    with pytest.raises(Unreachable, match="bytes in"):
        get(site, part, clock)
    assert 0 < part.stat().st_size < 10


def test_promise_18_ends_slow_metadata(site: Site, clock: Hurried) -> None:
    site.body = clock.drip
    with pytest.raises(Exception, match="bytes in"):
        Web(clock).download_bytes(f"{site.url}/metadata/timestamp.json", 100_000)


def test_kept_metadata_is_read_without_following_links_or_waiting(tmp_path: Path) -> None:
    (tmp_path / "timestamp.json").write_bytes(b"t")
    (tmp_path / "snapshot.json").symlink_to("timestamp.json")
    os.mkfifo(tmp_path / "targets.json")
    kept = Kept(tmp_path)
    assert kept.download_bytes("x/metadata/timestamp.json", 10) == b"t"
    for name in ("3.snapshot.json", "3.targets.json", "9.root.json", "..", "timestamp.json/.."):
        with pytest.raises(Exception, match=r"404|not there"):
            kept.download_bytes(f"x/metadata/{name}", 10)

"""What is authentic, newest and for now: a device against a repository that is honest, broken or hostile."""

from __future__ import annotations

import json
import shutil
import subprocess
import sys
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest
from tuf.api.metadata import Metadata

from app.clock import NS, VirtualClock
from app.errors import PlimsollError, Refused, Theirs
from app.update import keys
from app.update.fetch import Web
from app.update.release import DAYS
from app.update.trust import Trust
from tests.guards import PROGRAM_PATIENCE, ROOT
from tests.update import repositories
from tests.update.repositories import Published, Site, secret, today

repository, site = repositories.repository, repositories.site


def offers(folder: Path, repository: Published, site: Site, clock: VirtualClock | None = None) -> list[str]:
    clock = clock or today()
    trust = Trust(folder / "device", repository.root, site.url, Web(clock), clock, 0)
    return [offer.version for offer in trust.offers()]


def resign(repository: Published, name: str, role: str, **changes: object) -> None:
    """Metadata changed and signed by its own right key: what a careless or forced owner could do."""
    path = repository.metadata(name)
    metadata = Metadata.from_file(str(path))
    for key, value in changes.items():
        setattr(metadata.signed, key, value)
    ids = Metadata.from_file(str(repository.metadata("1.root.json"))).signed.roles[role].keyids
    metadata.sign(keys.one([repository.keys], role, ids, secret))
    path.write_bytes(metadata.to_bytes())


def test_reads_what_is_offered(tmp_path: Path, repository: Published, site: Site) -> None:
    assert offers(tmp_path, repository, site) == ["0.2.0"]
    repository.add("0.3.0")
    assert offers(tmp_path, repository, site) == ["0.2.0", "0.3.0"]


@pytest.mark.parametrize("name", ["timestamp.json", "2.snapshot.json", "2.targets.json"])
@pytest.mark.parametrize("where", ["signed", "signature", "truncated", "rubbish", "empty"])
def test_promise_3_rejects_metadata_with_a_byte_changed(
    tmp_path: Path, repository: Published, site: Site, name: str, where: str
) -> None:
    path = repository.metadata(name)
    data = path.read_bytes()
    document = json.loads(data)
    if where == "signed":
        document["signed"]["version"] += 1
        data = json.dumps(document).encode()
    elif where == "signature":
        signature = document["signatures"][0]["sig"]
        document["signatures"][0]["sig"] = ("1" if signature[0] == "0" else "0") + signature[1:]
        data = json.dumps(document).encode()
    else:
        data = {"truncated": data[:-40], "rubbish": b"\xff" * 200, "empty": b""}[where]
    path.write_bytes(data)
    with pytest.raises(Theirs):
        offers(tmp_path, repository, site)


def test_promise_3_rejects_another_owners_repository(
    tmp_path: Path, repository: Published, site: Site
) -> None:
    stranger = Published(tmp_path / "stranger")
    stranger.tool.init()
    root = stranger.root
    clock = today()
    with pytest.raises(Theirs):
        Trust(tmp_path / "device", root, site.url, Web(clock), clock, 0).offers()


def test_promise_4_rejects_an_older_repository(tmp_path: Path, repository: Published, site: Site) -> None:
    older = tmp_path / "older"
    shutil.copytree(repository.folder / "metadata", older)
    repository.add("0.3.0")
    assert offers(tmp_path, repository, site) == ["0.2.0", "0.3.0"]
    shutil.rmtree(repository.folder / "metadata")
    shutil.copytree(older, repository.folder / "metadata")
    with pytest.raises(Theirs, match="BadVersionNumberError"):
        offers(tmp_path, repository, site)


def test_promise_4_rejects_a_mix_of_old_and_new(tmp_path: Path, repository: Published, site: Site) -> None:
    old = repository.metadata("2.targets.json").read_bytes()
    repository.add("0.3.0")
    repository.metadata("3.targets.json").write_bytes(old)
    with pytest.raises(Theirs):
        offers(tmp_path, repository, site)


def test_promise_5_expired_metadata_is_no_update(tmp_path: Path, repository: Published, site: Site) -> None:
    assert offers(tmp_path, repository, site) == ["0.2.0"]
    yesterday = datetime.now(UTC).replace(microsecond=0) - timedelta(days=1)
    resign(repository, "timestamp.json", "timestamp", expires=yesterday, version=9)
    with pytest.raises(Refused, match="update info stale") as stale:
        offers(tmp_path, repository, site)
    assert stale.value.rule == "update.stale" and stale.value.exit_code == 1


def test_promise_6_follows_a_rotation_of_every_key(tmp_path: Path, repository: Published, site: Site) -> None:
    assert offers(tmp_path, repository, site) == ["0.2.0"]
    first = repository.root
    for role in ("root", "targets", "snapshot", "timestamp", "root"):
        repository.tool.rotate(role)
    repository.add("0.3.0")
    assert repository.root == first
    assert offers(tmp_path, repository, site) == ["0.2.0", "0.3.0"]
    assert offers(tmp_path / "fresh", repository, site) == ["0.2.0", "0.3.0"]


@pytest.mark.parametrize("role", ["targets", "snapshot", "timestamp"])
def test_promise_6_rejects_what_a_stolen_key_signs_after_its_rotation(
    tmp_path: Path, repository: Published, site: Site, role: str
) -> None:
    repository.tool.rotate(role)
    assert offers(tmp_path, repository, site) == ["0.2.0"]
    names = {"targets": "3.targets.json", "snapshot": "4.snapshot.json", "timestamp": "timestamp.json"}
    resign(
        repository,
        names[role] if repository.metadata(names[role]).exists() else newest(repository, role),
        role,
    )
    shutil.rmtree(tmp_path / "device" / "metadata")
    with pytest.raises(Theirs):
        offers(tmp_path, repository, site)


def newest(repository: Published, role: str) -> str:
    found = sorted(
        repository.folder.glob(f"metadata/*.{role}.json"), key=lambda path: int(path.name.split(".")[0])
    )
    return found[-1].name


def test_promise_6_one_stolen_root_key_changes_nothing(
    tmp_path: Path, repository: Published, site: Site
) -> None:
    metadata = Metadata.from_file(str(repository.metadata("1.root.json")))
    one = keys.one([repository.keys], "root", metadata.signed.roles["root"].keyids, secret)
    metadata.signed.version = 2
    metadata.signatures.clear()
    metadata.sign(one)
    repository.metadata("2.root.json").write_bytes(metadata.to_bytes())
    with pytest.raises(Theirs, match="UnsignedMetadataError"):
        offers(tmp_path, repository, site)


def test_promise_7_refuses_a_clock_before_what_it_knows(
    tmp_path: Path, repository: Published, site: Site
) -> None:
    clock = today()
    assert offers(tmp_path, repository, site, clock) == ["0.2.0"]
    clock.step_wall(-3_600 * NS)
    with pytest.raises(Refused) as refused:
        offers(tmp_path, repository, site, clock)
    assert refused.value.rule == "update.clock"
    clock.step_wall(3_600 * NS)
    assert offers(tmp_path, repository, site, clock) == ["0.2.0"]


def test_promise_7_the_build_is_a_floor_of_its_own(tmp_path: Path, repository: Published, site: Site) -> None:
    clock = VirtualClock(0)
    trust = Trust(tmp_path, repository.root, site.url, Web(clock), clock, built_ns=5)
    with pytest.raises(Refused, match="before"):
        trust.offers()
    assert site.asked == [] and trust.floor_ns() == 5


def test_promise_7_a_signature_raises_the_floor(tmp_path: Path, repository: Published, site: Site) -> None:
    clock = VirtualClock(NS)  # 1970: nothing is known yet that would contradict it
    assert offers(tmp_path, repository, site, clock) == ["0.2.0"]
    trust = Trust(tmp_path / "device", repository.root, site.url, Web(clock), clock, 0)
    assert trust.floor_ns() == repository.clock.wall_ns() // NS * NS
    with pytest.raises(Refused):
        trust.offers()


def test_promise_7_a_clock_far_ahead_locks_no_longer_than_the_metadata_lives(
    tmp_path: Path, repository: Published, site: Site
) -> None:
    clock = VirtualClock(2_208_988_800 * NS)  # 2040; only the floor's clock, or all would be expired
    assert offers(tmp_path, repository, site, clock) == ["0.2.0"]
    floor_ns = Trust(tmp_path / "device", b"", "", Web(clock), clock, 0).floor_ns()
    assert floor_ns == repository.clock.wall_ns() // NS * NS + DAYS["timestamp"] * 86_400 * NS


@pytest.mark.parametrize("kept", [b"", b"\xff", b"{}", b'{"floor_ns": "x"}', b"[" * 900, b"x" * 5_000])
def test_a_damaged_floor_falls_back_to_the_build(tmp_path: Path, kept: bytes) -> None:
    (tmp_path / "clock.json").write_bytes(kept)
    assert Trust(tmp_path, b"", "", Web(today()), today(), built_ns=7).floor_ns() == 7


def test_promise_18_endless_metadata_is_bounded(tmp_path: Path, repository: Published, site: Site) -> None:
    def forever(path: str) -> Iterator[bytes] | None:
        return (b"x" * 65_536 for _ in range(10_000)) if path.endswith("timestamp.json") else None

    site.body = forever
    with pytest.raises(Theirs, match="exceeding"):
        offers(tmp_path, repository, site)


def test_heals_truncated_kept_metadata(tmp_path: Path, repository: Published, site: Site) -> None:
    assert offers(tmp_path, repository, site) == ["0.2.0"]
    for path in (tmp_path / "device" / "metadata").glob("*.json"):
        path.write_bytes(path.read_bytes()[:50])
    assert offers(tmp_path, repository, site) == ["0.2.0"]


def test_passes_over_targets_that_are_no_releases(tmp_path: Path, repository: Published, site: Site) -> None:
    path = repository.metadata("2.targets.json")
    targets = Metadata.from_file(str(path)).signed
    for number, change in enumerate(
        ({"version": "x"}, {"boards": 1}, {"name": "../up"}, {"schema": None}, {"schema_oldest": ""})
    ):
        odd = Metadata.from_file(str(path)).signed.targets["plimsoll-0.2.0-linux-x86_64"]
        odd.unrecognized_fields["custom"] |= change
        odd.path = f"odd-{number}"
        targets.targets[odd.path] = odd
    resign(repository, "2.targets.json", "targets", targets=targets.targets, version=3)
    path.rename(repository.metadata("3.targets.json"))
    repository.tool.publish()
    assert offers(tmp_path, repository, site) == ["0.2.0"]


@pytest.mark.parametrize("url", ["ftp://127.0.0.1/", "file:///etc", "http://127.0.0.1:1"])
def test_says_that_it_cannot_be_reached(tmp_path: Path, repository: Published, url: str) -> None:
    clock = today()
    with pytest.raises(PlimsollError):
        Trust(tmp_path, repository.root, url, Web(clock), clock, 0).offers()


PROBE = """
import re, sys
sys.modules["cryptography"] = None
from pathlib import Path
from app.clock import SystemClock
from app.update.fetch import Web
from app.update.trust import Trust
folder, root, url = sys.argv[1:]
clock = SystemClock()
found = Trust(Path(folder), Path(root).read_bytes(), url, Web(clock), clock, 0).offers()
peak = re.search(r"VmHWM:\\s+(\\d+) kB", Path("/proc/self/status").read_text())[1]
print(len(found), peak)
"""
CHECK_KB = 30_000  # the highest it may ever hold


def test_a_check_needs_no_cryptography_and_little_memory(
    tmp_path: Path, repository: Published, site: Site
) -> None:
    root = repository.metadata("1.root.json")
    words = [sys.executable, "-I", "-c", f"import sys; sys.path.insert(0, {str(ROOT)!r})\n{PROBE}"]
    done = subprocess.run(
        [*words, str(tmp_path / "device"), str(root), site.url],
        capture_output=True,
        text=True,
        timeout=PROGRAM_PATIENCE,
    )
    assert done.returncode == 0, done.stderr
    count, kilobytes = map(int, done.stdout.split())
    assert count == 1 and kilobytes < CHECK_KB

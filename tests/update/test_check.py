"""From a repository to a verified file, and the same anew for who may switch, without network."""

from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest

from app.errors import Refused, Theirs
from app.update import check, state
from app.update.decide import Here
from app.update.state import Ota
from app.update.telling import AUDIT, Teller, told
from tests.update import repositories
from tests.update.repositories import Published, Site, here, source, today

repository, site = repositories.repository, repositories.site


class Device:
    def __init__(self, folder: Path, repository: Published, site: Site) -> None:
        self.folder, self.memory, self.own = folder / "fetch", folder / "memory", folder / "own"
        for made in (self.folder, self.memory, self.own):
            made.mkdir(parents=True)
        self.repository, self.site, self.clock = repository, site, today()
        self.here = here()

    def fetch(self) -> Path | None:
        teller = Teller(self.folder, self.clock)
        where = source(self.repository, self.site.url)
        return check.fetch(self.folder, where, self.here, self.memory, self.clock, teller)

    def adopt(self) -> Any:
        where = source(self.repository, "kept:/")
        return check.adopt(self.folder, self.own, where, self.here, Ota(), self.clock)


@pytest.fixture
def device(tmp_path: Path, repository: Published, site: Site) -> Device:
    return Device(tmp_path / "device", repository, site)


def targets(site: Site) -> list[str]:
    return [path for path, _ in site.asked if path.startswith("/targets/")]


def test_fetches_the_newest_and_only_once(device: Device, site: Site) -> None:
    device.repository.add("0.3.0")
    file = device.fetch()
    assert (
        file is not None
        and file.read_bytes() == device.repository.served("plimsoll-0.3.0-linux-x86_64").read_bytes()
    )
    assert device.fetch() == file
    assert len(targets(site)) == 1
    assert "0.3.0" in told(device.folder)["words"] and told(device.folder)["doing"] == ""


@pytest.mark.parametrize(
    ("change", "rule"),
    [
        ({"arch": "aarch64"}, "arch"),
        ({"board": "uno-q"}, "board"),
        ({"python": "3.12"}, "python"),
        ({"schema": 3}, "schema"),
        ({"schema": 0}, "schema"),
        ({"current": "0.2.1-00000000"}, "floor"),
    ],
)
def test_promise_14_refuses_before_a_byte_is_downloaded(
    device: Device, site: Site, change: dict[str, Any], rule: str
) -> None:
    device.here = replace(device.here, **change)
    assert device.fetch() is None
    assert targets(site) == []
    assert told(device.folder)["rule"] == rule
    assert f'"rule": "{rule}"' in (device.folder / AUDIT).read_text()


def test_promise_14_refuses_a_jump_over_a_needed_version(device: Device, site: Site) -> None:
    device.repository.add("0.5.0", min_from="0.2.0")
    file = device.fetch()
    assert file is not None and len(targets(site)) == 1 and "0.2.0" in targets(site)[0]


def test_promise_9_a_failed_version_is_not_downloaded_again(device: Device, site: Site) -> None:
    state.save(device.memory, Ota(bad=("0.2.0-ffffffff",)))
    assert device.fetch() is None
    assert targets(site) == [] and told(device.folder)["rule"] == "bad"


def test_promise_12_refuses_where_space_is_short_before_a_byte_is_downloaded(
    device: Device, site: Site, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(check.shutil, "disk_usage", lambda path: SimpleNamespace(free=100_000_000))
    assert device.fetch() is None
    assert targets(site) == [] and told(device.folder)["rule"] == "space"


def test_promise_13_throws_a_poisoned_part_away_and_fetches_the_whole(device: Device, site: Site) -> None:
    name = device.repository.served("plimsoll-0.2.0-linux-x86_64").name
    part = device.folder / "files" / f"{name.partition('.')[0]}.part"
    part.parent.mkdir()
    part.write_bytes(b"\0" * 1_000)
    file = device.fetch()
    assert file is not None and len(targets(site)) == 2
    assert [path.name for path in part.parent.iterdir()] == [file.name]


@pytest.mark.parametrize("where", [0, 3_000, -1])
def test_promise_3_rejects_a_release_with_a_byte_changed(device: Device, where: int) -> None:
    path = device.repository.served("plimsoll-0.2.0-linux-x86_64")
    data = bytearray(path.read_bytes())
    data[where] ^= 1
    path.write_bytes(data)
    with pytest.raises(Theirs, match="not what was signed"):
        device.fetch()
    assert list((device.folder / "files").iterdir()) == []


def test_a_truncated_release_stays_a_part(device: Device) -> None:
    path = device.repository.served("plimsoll-0.2.0-linux-x86_64")
    path.write_bytes(path.read_bytes()[:1_000])
    with pytest.raises(Theirs, match="another part"):
        device.fetch()
    assert [each.suffix for each in sorted((device.folder / "files").iterdir())] == [".etag", ".part"]


def test_space_of_unwanted_downloads_comes_back(device: Device) -> None:
    first = device.fetch()
    device.repository.add("0.3.0")
    assert device.fetch() != first and first is not None and not first.exists()


def test_promise_17_who_switches_checks_all_anew_without_network(device: Device, site: Site) -> None:
    file = device.fetch()
    asked = len(site.asked)
    offer, own = device.adopt()
    assert len(site.asked) == asked and own.parent == device.own and file is not None
    assert own.read_bytes() == file.read_bytes() and offer.version == "0.2.0"
    assert device.adopt() == (offer, own)


def test_promise_17_who_switches_believes_no_file_of_who_downloads(device: Device) -> None:
    file = device.fetch()
    assert file is not None
    file.write_bytes(file.read_bytes()[:-1] + b"\1")
    with pytest.raises(Theirs):
        device.adopt()
    assert not any(path.is_file() and path.name.startswith("0.2") for path in device.own.iterdir())
    file.unlink()
    with pytest.raises(Refused):
        device.adopt()
    file.symlink_to("/etc/hostname")
    with pytest.raises(OSError):
        device.adopt()


def test_promise_17_who_switches_believes_no_metadata_of_who_downloads(device: Device) -> None:
    device.fetch()
    path = device.folder / "trust" / "metadata" / "targets.json"
    path.write_bytes(path.read_bytes().replace(b'"0.2.0"', b'"0.9.0"'))
    with pytest.raises(Theirs):
        device.adopt()


def test_space_of_unwanted_adoptions_comes_back(device: Device) -> None:
    device.fetch()
    _, first = device.adopt()
    device.repository.add("0.3.0")
    device.fetch()
    _, second = device.adopt()
    assert second.exists() and not first.exists()


def test_nothing_to_adopt_where_the_newest_runs(device: Device) -> None:
    device.fetch()
    device.here = Here(
        "0.2.0-00000000", *(getattr(device.here, n) for n in ("arch", "board", "python", "schema"))
    )
    assert device.adopt() is None


@pytest.mark.parametrize("text", ["{", "[]", '{"at_ns": "now"}'])
def test_words_of_whoever_may_only_download_are_rubbish_or_safe(tmp_path: Path, text: str) -> None:
    (tmp_path / "status.json").write_text(text)
    assert told(tmp_path) == {}
    (tmp_path / "status.json").write_text(json.dumps({"words": "\x1b]0;mine\x07", "at_ns": 5}))
    assert told(tmp_path)["at_ns"] == 5 and told(tmp_path)["words"].isprintable()

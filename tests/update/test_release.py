"""Making keys, signing, publishing, rotating: what the owner of the releases does."""

from __future__ import annotations

import stat
from pathlib import Path

import pytest
from tuf.api.exceptions import UnsignedMetadataError
from tuf.api.metadata import Metadata

from app.errors import Refused
from app.update import keys
from app.update.release import ROLES, ROOT_KEYS, Repository
from tests.update.repositories import PASSPHRASE, Published, made, published, secret, today


@pytest.fixture
def repository(tmp_path: Path) -> Published:
    return published(tmp_path / "published")


def root(repository: Published, version: int) -> Metadata:
    return Metadata.from_file(str(repository.metadata(f"{version}.root.json")))


def test_makes_keys_that_only_their_owner_reads(repository: Published) -> None:
    files = sorted(repository.keys.iterdir())
    assert len(files) == ROOT_KEYS + len(ROLES)
    for file in files:
        assert stat.S_IMODE(file.stat().st_mode) == 0o600
        assert file.read_bytes().startswith(b"-----BEGIN ENCRYPTED PRIVATE KEY-----")


def test_the_root_needs_two_of_its_three_keys(repository: Published) -> None:
    metadata = root(repository, 1)
    assert metadata.signed.roles["root"].threshold == 2 and len(metadata.signed.roles["root"].keyids) == 3
    for keyid in list(metadata.signatures)[:2]:
        metadata.verify_delegate("root", metadata)
        del metadata.signatures[keyid]
    with pytest.raises(UnsignedMetadataError):
        metadata.verify_delegate("root", metadata)


def test_a_repository_is_made_once(repository: Published) -> None:
    with pytest.raises(Refused, match=r"release\.exists"):
        repository.tool.init()


@pytest.mark.parametrize("passphrase", [b"wrong horse battery", b"", b"\xff"])
def test_rejects_a_wrong_passphrase(repository: Published, passphrase: bytes) -> None:
    tool = Repository(repository.folder, [repository.keys], lambda name: passphrase, today())
    with pytest.raises(Refused, match="wrong passphrase"):
        tool.publish()


def test_rejects_a_passphrase_that_is_too_short(tmp_path: Path) -> None:
    with pytest.raises(Refused, match="too short"):
        keys.make(tmp_path / "keys", "root", lambda name: b"1234567")
    assert not (tmp_path / "keys").exists()


def test_rejects_a_file_that_holds_another_key(repository: Published) -> None:
    one, other = sorted(repository.keys.glob("root-*.pem"))[:2]
    one.write_bytes(other.read_bytes())
    with pytest.raises(Refused, match="another key"):
        repository.tool.rotate("root")


def test_signing_needs_only_the_key_of_its_role(repository: Published, tmp_path: Path) -> None:
    for file in repository.keys.glob("root-*"):
        file.unlink()
    repository.add("0.2.0")
    for file in repository.keys.glob("targets-*"):
        file.unlink()
    repository.tool.publish()
    with pytest.raises(Refused, match="no key of targets"):
        repository.add("0.3.0")


def test_a_rotation_needs_two_root_keys(repository: Published) -> None:
    for file in sorted(repository.keys.glob("root-*"))[:2]:
        file.rename(file.with_suffix(".away"))
    with pytest.raises(Refused, match=r"release\.threshold"):
        repository.tool.rotate("timestamp")
    assert not repository.metadata("2.root.json").exists()


def test_keys_may_lie_in_several_places(repository: Published, tmp_path: Path) -> None:
    stick = tmp_path / "stick"
    stick.mkdir()
    for file in sorted(repository.keys.glob("root-*"))[:2]:
        file.rename(stick / file.name)
    Repository(repository.folder, [repository.keys, stick], secret, today()).rotate("timestamp")
    assert root(repository, 2).signed.version == 2


def test_a_new_root_is_signed_by_the_old_keys_and_the_new(repository: Published) -> None:
    lost = root(repository, 1).signed.roles["root"].keyids[2]
    repository.tool.rotate("root", lost[:10])
    old, new = root(repository, 1), root(repository, 2)
    old.verify_delegate("root", new)
    new.verify_delegate("root", new)
    assert lost not in new.signed.roles["root"].keyids and len(new.signed.roles["root"].keyids) == 3
    with pytest.raises(Refused, match="no such key"):
        repository.tool.rotate("root", "zz")


def test_a_release_is_served_under_its_hash(repository: Published) -> None:
    name = repository.add("0.2.0")
    file = repository.served("plimsoll-0.2.0-linux-x86_64")
    targets = Metadata.from_file(str(repository.metadata("2.targets.json"))).signed.targets
    (target,) = targets.values()
    assert file.name.startswith(target.hashes["sha256"]) and target.custom["name"] == name
    assert set(target.custom) == {
        *("name", "version", "arch", "boards", "pythons", "schema", "schema_oldest", "min_from", "unpacked")
    }


def test_a_release_can_be_withdrawn(repository: Published) -> None:
    repository.add("0.2.0")
    repository.tool.withdraw("plimsoll-0.2.0-linux-x86_64")
    assert Metadata.from_file(str(repository.metadata("3.targets.json"))).signed.targets == {}
    with pytest.raises(Refused, match=r"release\.unknown"):
        repository.tool.withdraw("plimsoll-0.2.0-linux-x86_64")


def test_rejects_a_release_that_does_not_say_which_journal_it_keeps(
    repository: Published, tmp_path: Path
) -> None:
    with pytest.raises(Refused, match=r"release\.schema"):
        repository.tool.sign(made(tmp_path / "a", "0.2.0", schema=0), ("generic",))


def test_the_passphrase_is_in_no_file(repository: Published) -> None:
    repository.add("0.2.0")
    files = [path for path in repository.folder.parent.rglob("*") if path.is_file()]
    assert files and not any(PASSPHRASE in path.read_bytes() for path in files)

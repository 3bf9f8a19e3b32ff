"""The updater's view of an installed appliance: systemd's answers, the page's, and the update lock."""

from __future__ import annotations

import json
import socket
from collections.abc import Iterator, Sequence
from contextlib import suppress
from pathlib import Path
from threading import Event, Thread

import pytest

from app.clock import VirtualClock
from app.errors import Later
from app.ops.exposure import UpdateLock
from app.update import locks, machine, switch
from app.update.decide import Exposure, Probe
from app.update.machine import Page, Systemd
from tests.guards import PATIENCE
from tests.update.repositories import SCHEMA, Site, made, name_of, serving

HEALTH = {"ok": True, "problems": [], "reasons": [], "journal": "ok", "version": "0.2.0"}


class Manager:
    """Answers as systemctl does, and remembers what it was told."""

    def __init__(self) -> None:
        self.state, self.restarts, self.told = "active", "0", [""]
        self.refuses: set[str] = set()

    def call(self, words: Sequence[str], limit_s: float) -> str:
        assert words[0] == "systemctl" and limit_s > 0
        if words[1] == "show":
            return f"ActiveState={self.state}\nNRestarts={self.restarts}\n"
        self.told.append(" ".join(words[1:]))
        if words[1] in self.refuses:
            raise Later("systemctl", "refused")
        return ""


@pytest.fixture(autouse=True)
def patient(monkeypatch: pytest.MonkeyPatch) -> None:
    """No load makes the page seem silent."""
    monkeypatch.setattr(machine, "PROBE_LIMIT_S", PATIENCE)


@pytest.fixture
def site(tmp_path: Path) -> Iterator[Site]:
    (tmp_path / "site").mkdir()
    with serving(tmp_path / "site") as site:
        yield site


def service(site: Site, manager: Manager, folder: Path) -> Systemd:
    page = Page(port=int(site.url.rpartition(":")[2]))
    return Systemd(
        page, folder / "update.lock", folder / "state.db", VirtualClock(0, 5_000_000_000), manager.call
    )


def test_sees_a_service_that_is_well(site: Site, tmp_path: Path) -> None:
    (site.folder / "healthz").write_text(json.dumps(HEALTH))
    assert service(site, Manager(), tmp_path).probe() == Probe(True, "0.2.0", True)


@pytest.mark.parametrize(
    ("change", "ills"),
    [
        ({"problems": ["venue: not connected"]}, {"venue"}),
        ({"board": "silent"}, {"board"}),
        ({"board": "open", "reasons": [{"code": "link_silence"}]}, set()),  # over, waits for a re-arm
        ({"reasons": [{"code": "halt"}, 5, {}], "problems": [3]}, set()),
        ({"reasons": 5, "problems": {}, "board": 3}, set()),
    ],
)
def test_names_what_the_service_says_is_wrong(
    site: Site, tmp_path: Path, change: dict[str, object], ills: set[str]
) -> None:
    (site.folder / "healthz").write_text(json.dumps(HEALTH | change))
    assert service(site, Manager(), tmp_path).probe().ills == ills


@pytest.mark.parametrize("body", [b"", b"[]", b"\xff", b"[" * 60_000, b'{"version": 3}', b"x" * 70_000])
def test_an_answer_that_is_none_is_no_version(site: Site, tmp_path: Path, body: bytes) -> None:
    (site.folder / "healthz").write_bytes(body)
    assert service(site, Manager(), tmp_path).probe() == Probe(ready=True)


def test_does_not_ask_the_page_of_a_service_that_is_down(site: Site, tmp_path: Path) -> None:
    """The page's socket is systemd's: to ask would be to start it."""
    manager = Manager()
    manager.state, manager.restarts = "failed", "5"
    assert service(site, manager, tmp_path).probe() == Probe(failed=True, restarts=5)
    assert site.asked == []


@pytest.mark.parametrize("state", ["activating", "deactivating"])
def test_tells_what_starts_or_stops_from_what_was_given_up(site: Site, tmp_path: Path, state: str) -> None:
    manager = Manager()
    manager.state = state
    assert service(site, manager, tmp_path).probe() == Probe(moving=True)


def test_starts_and_stops_by_name(site: Site, tmp_path: Path) -> None:
    manager = Manager()
    world = service(site, manager, tmp_path)
    world.start()
    world.stop()
    assert manager.told[1:] == [
        "reset-failed plimsoll.service",
        "start --no-block plimsoll.service",
        "stop plimsoll-safe.service",
        "stop plimsoll.service",
    ]
    manager.refuses = {"reset-failed"}
    world.start()
    manager.refuses = {"stop"}
    with pytest.raises(Later):
        world.stop()


def test_promise_11_backs_up_a_journal_where_there_is_one(site: Site, tmp_path: Path) -> None:
    manager = Manager()
    world = service(site, manager, tmp_path)
    world.back_up()
    assert manager.told == [""]
    (tmp_path / "state.db").touch()
    world.back_up()
    assert manager.told[-1] == "start plimsoll-backup.service"


def asked(world: Systemd) -> Exposure:
    with world.quiet() as exposure:
        return exposure


def test_promise_15_asks_the_lock_that_the_service_holds(site: Site, tmp_path: Path) -> None:
    manager = Manager()
    world = service(site, manager, tmp_path)
    assert asked(world) is Exposure.UNKNOWN
    manager.state = "inactive"
    assert asked(world) is Exposure.CLEAR
    manager.state = "active"
    lock = UpdateLock(tmp_path / "update.lock")
    assert asked(world) is Exposure.CLEAR
    assert lock.take() and asked(world) is Exposure.EXPOSED
    lock.close()
    assert asked(world) is Exposure.CLEAR
    manager.state = "activating"
    assert asked(world) is Exposure.UNKNOWN


def test_promise_15_keeps_the_service_from_opening_anything_until_it_is_stopped(
    site: Site, tmp_path: Path
) -> None:
    lock = UpdateLock(tmp_path / "update.lock")
    with service(site, Manager(), tmp_path).quiet() as exposure:
        assert exposure is Exposure.CLEAR and not lock.take()
    assert lock.take()
    with service(site, Manager(), tmp_path).quiet() as exposure:
        assert exposure is Exposure.EXPOSED
    lock.close()


def test_promise_17_one_updater_at_a_time(tmp_path: Path) -> None:
    with locks.alone(tmp_path), pytest.raises(Exception, match="another updater"), locks.alone(tmp_path):
        pytest.fail("two at a time")
    with locks.alone(tmp_path):
        assert (tmp_path / locks.FILE).exists()


def test_knows_the_machine_it_is_on(tmp_path: Path) -> None:
    assert machine.here(tmp_path).current == "" and machine.installed(tmp_path) is None
    file = made(tmp_path / "a", "0.2.0")
    switch.add(tmp_path, file, name_of(file))
    switch.switch(tmp_path, name_of(file))
    (tmp_path / "model").write_bytes(b"Arduino UNO Q\0")
    found = machine.here(tmp_path, tmp_path / "model")
    assert (found.current, found.board, found.schema) == (name_of(file), "uno-q", SCHEMA)
    assert machine.here(tmp_path, tmp_path / "none").board == "generic"


def test_knows_how_long_this_boot_lasts(site: Site, tmp_path: Path) -> None:
    boot, age_s = service(site, Manager(), tmp_path).uptime()
    assert len(boot) == 36 and age_s == 5


@pytest.mark.parametrize(
    ("problems", "why"), [(["safe mode: no key"], "safe mode: no key"), ([], "safe mode")]
)
def test_sees_safe_mode(site: Site, tmp_path: Path, problems: list[str], why: str) -> None:
    (site.folder / "healthz").write_text(json.dumps({"ok": False, "state": "safe", "problems": problems}))
    assert service(site, Manager(), tmp_path).probe() == Probe(ready=True, safe=why)


def test_promise_18_an_answer_byte_by_byte_does_not_hold_the_judge_up(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """Each byte comes in time, the whole does not."""
    monkeypatch.setattr(machine, "PROBE_LIMIT_S", 0.3)
    body = b" " * 150 + b'{"version": "0.2.0"}'

    def trickle() -> None:
        link, _ = listening.accept()
        with link, suppress(OSError):
            link.recv(4_096)
            link.sendall(b"HTTP/1.1 200 OK\r\nContent-Length: %d\r\n\r\n" % len(body))
            for byte in body:
                link.sendall(bytes([byte]))
                Event().wait(0.02)

    with socket.create_server(("127.0.0.1", 0)) as listening:
        server = Thread(target=trickle)
        server.start()
        assert machine.healthz(Page(port=listening.getsockname()[1])) == {}
        server.join()

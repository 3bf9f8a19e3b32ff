"""Promise 15 as a schedule: whatever happens between which two steps, what is stopped has nothing open."""

from __future__ import annotations

import tempfile
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path

from hypothesis import given
from hypothesis import strategies as st

from app.clock import VirtualClock
from app.ops.exposure import UpdateLock
from app.update.decide import Exposure
from app.update.machine import Page, Systemd

ACTS = ("enter", "close", "tick", "end", "start", "ready")
schedules = st.lists(st.lists(st.sampled_from(ACTS), max_size=6), min_size=4, max_size=4)


class Service:
    """One that keeps to the rule: the lock before an order, given back by a tick that finds nothing open."""

    def __init__(self, file: Path) -> None:
        self.file, self.state, self.begun = file, "active", 1
        self.open = False
        self.lock = UpdateLock(file)

    def act(self, what: str) -> None:
        getattr(self, what)()

    def enter(self) -> None:
        if self.state == "active" and self.lock.take():
            self.open = True

    def close(self) -> None:
        """By a stop at the venue: whether the service lives or not."""
        self.open = False

    def tick(self) -> None:
        if self.state == "active":
            self.lock.follow("open" if self.open else "")

    def end(self) -> None:
        self.lock.close()
        self.state = "activating"

    def start(self) -> None:
        if self.state == "activating":
            self.lock.close()
            self.lock, self.begun = UpdateLock(self.file), self.begun + 1
            self.lock.take()
            self.state = "starting"

    def ready(self) -> None:
        if self.state == "starting":
            self.state = "active"


@contextmanager
def desk(schedule: list[list[str]]) -> Iterator[tuple[Service, Systemd]]:
    """A service to which the next part of the schedule happens whenever the updater asks systemd."""
    with tempfile.TemporaryDirectory() as folder:
        file, clock = Path(folder, "update.lock"), VirtualClock(0)
        service, parts = Service(file), iter(schedule)

        def call(words: Sequence[str], _limit_s: float) -> str:
            for what in next(parts):
                service.act(what)
            state = service.state.replace("starting", "activating")
            return f"ActiveState={state}\nNRestarts=0\nInvocationID={service.begun}\n"

        try:
            yield service, Systemd(Page(), file, file.with_name("state.db"), clock, call)
        finally:
            service.lock.close()


@given(schedules)
def test_promise_15_nothing_is_open_when_the_service_is_stopped(schedule: list[list[str]]) -> None:
    with desk(schedule) as (service, world), world.quiet() as exposure:
        if exposure is Exposure.CLEAR:
            for what in (*schedule[2], *schedule[3]):  # until it is stopped, and until the next one runs
                service.act(what)
                assert not service.open


@given(schedules)
def test_promise_15_afterwards_the_service_may_open_again(schedule: list[list[str]]) -> None:
    with desk(schedule) as (service, world):
        with world.quiet():
            pass
        for what in ("end", "start", "ready", "enter"):
            service.act(what)
        assert service.open


def test_promise_15_the_schedules_reach_both_answers() -> None:
    calm: list[list[str]] = [[], [], [], []]
    for first, second, wanted in (
        ([], [], Exposure.CLEAR),
        (["enter"], [], Exposure.EXPOSED),
        (["enter", "close", "tick"], [], Exposure.CLEAR),
        (["enter"], ["close", "tick"], Exposure.EXPOSED),
        (["enter", "end"], ["start", "ready"], Exposure.UNKNOWN),
        (["enter"], ["end", "start", "ready"], Exposure.EXPOSED),
    ):
        with desk([first, second, *calm]) as (_, world), world.quiet() as exposure:
            assert exposure is wanted or (wanted is Exposure.EXPOSED and exposure is Exposure.UNKNOWN)

"""Drives an update and its recovery. What touches the service comes in as a `World`, so that tests give it a
small one; what is decided comes from `decide`; every step is told before it begins.
"""

from __future__ import annotations

import shutil
from collections.abc import Callable
from contextlib import AbstractContextManager
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Protocol

from app.clock import NS, Clock
from app.errors import PlimsollError, Theirs, Unable, clean
from app.update import renewal, state, switch, telling
from app.update.artifact import Damaged
from app.update.decide import (
    HEALTH_LIMIT_NS,
    WORDS,
    Exposure,
    Judge,
    Offer,
    Probe,
    Step,
    Way,
    needed,
    recover,
    way_back,
)
from app.update.firmware import excused
from app.update.state import WINDOW_S, Ota
from app.update.telling import FAILED, QUIET, WORKING, Teller
from app.update.versions import parse, version_of

PROBE_EVERY_NS = NS // 4
DAY_NS = 86_400 * NS
WAIT_LIMIT_NS = 3 * DAY_NS  # then somebody must look: the venue rests for an hour a day and for a weekend
ADVICE = "look why it never rests (plimsoll status), or plimsoll update apply --now"
OPERATOR = "an operator said so"
COMMITTED, WENT_BACK, RESTED, WAITS, STRANDED = "committed", "went back", "rested", "waits", "stranded"
RUNS = "runs"


class World(Protocol):
    """The service and its machine as the updater may touch them."""

    def start(self) -> None:
        """Ask for the service's start; it need not be ready on return."""

    def stop(self) -> None:
        """The service does not run on return, whatever it takes."""

    def probe(self) -> Probe:
        """Look at it from outside, within about a second."""

    def pause(self, duration_ns: int) -> None: ...

    def quiet(self) -> AbstractContextManager[Exposure]:
        """Whether it is exposed; where it is not, it cannot become so before this is over."""

    def back_up(self) -> None:
        """A verified copy of the journal. Raises OSError or a PlimsollError when there is none."""

    def uptime(self) -> tuple[str, int]:
        """This boot's id and its age in seconds."""


@dataclass(frozen=True, slots=True)
class Places:
    """`home` holds the releases, `memory` what is remembered; both belong to root."""

    home: Path = Path("/opt/plimsoll")
    memory: Path = Path("/var/lib/plimsoll-update")


class Driver:
    """One update, recovery or way back; the caller holds the updater's lock. `on_step` hears of each step
    before it begins.
    """

    def __init__(
        self,
        places: Places,
        world: World,
        clock: Clock,
        teller: Teller,
        on_step: Callable[[Step], None] = lambda step: None,
    ) -> None:
        self._home, self._memory = places.home, places.memory
        self._world, self._clock, self.teller, self._on_step = world, clock, teller, on_step
        self._why = "it was interrupted"  # of the way back, when it was decided before us
        self._before = telling.told(places.memory)  # what the program before this one said last
        self._safe = False  # whether the trial ended in safe mode, which need not be its fault
        self.ota, self.problem = state.load(self._memory, switch.linked(self._home))
        if self.problem:
            teller.decided("state", self.problem)

    def apply(self, offer: Offer, file: Path, told: bool = False) -> str:
        """Put the release in `file` into the place of the running one; returns how it ended.

        `told`: an operator said not to wait until the service is not exposed. Raises Damaged, Unable,
        OSError before INTENT; then nothing was changed.
        """
        if self.ota.trial:
            raise Unable("update.trial", self.ota.trial, hint="plimsoll update confirm ends it")
        with self._world.quiet() as exposure:  # the first look only saves the work
            if self._waits(exposure, told):
                return WAITS
        self._begin(Step.UNPACK, offer.name)
        self._check_space(offer)
        switch.add(self._home, file, offer.name)
        self._begin(Step.BACKUP, offer.name)
        self._world.back_up()
        before = self._world.probe()
        with self._world.quiet() as exposure:  # until it is kept or taken back: on trial it opens nothing
            if self._waits(exposure, told):
                return WAITS
            self._begin(Step.INTENT, offer.name)
            intent = replace(self.ota, trial=offer.name, tries=0, back=False, step=Step.INTENT.name)
            self._save(replace(intent, good=switch.linked(self._home)))
            return self._change(before.ills)

    def _change(self, ills: frozenset[str]) -> str:
        """What may not be left half done while the machine lives: whatever fails, something runs."""
        try:
            self._begin(Step.STOP, self.ota.trial)
            self._world.stop()
            self._begin(Step.SWITCH, self.ota.trial)
            self._try()
            self._world.stop()  # whoever looked at the page meanwhile has started the old one, by its socket
            return self._start_and_judge(ills)
        except (OSError, PlimsollError) as error:
            self.teller.decided("broken off", f"{clean(error)}; {self._linked()} runs until the next try")
            self._world.start()
            raise

    def recover(self) -> Way:
        """Before the service starts: make the link lead to what shall run. Needs no network."""
        trial, good, previous = self.ota.trial, self.ota.good, self.ota.previous
        whole = switch.whole(self._home, {trial, good, previous}) if trial or not self._linked() else []
        way, why = recover(self.ota, self._linked(), whole)
        if way is Way.TRY:
            self._begin(Step.SWITCH, trial)
            self._try()
        elif way is Way.BACK:
            self._decide_back(why)
            self._link_back()
        elif way is Way.MEND:
            self.teller.decided("mend", why)
            self._link_back()
        self._charge()
        return way

    def resume(self) -> Way:
        """Before `confirm`, perhaps after `recover` in this boot: a start that was counted is not counted
        anew, or one power cut would use up both tries.
        """
        ota = self.ota
        if ota.trial and ota.tries and not ota.back and self._linked() == ota.trial:
            return Way.TRY
        return self.recover()

    def confirm(self, told: bool = False) -> str:
        """After the service was started: finish what was under way. Call `resume` first."""
        if not self.ota.trial:
            return self._rest()
        if self.ota.back:
            return self._finish_back()
        with self._world.quiet() as exposure:
            running = self._world.probe()
            if running.version != version_of(self.ota.trial):
                if self._waits(exposure, told):
                    return WAITS
                self._world.stop()
            return self._start_and_judge(frozenset(running.ills))

    def roll_back(self, told: bool = False) -> str:
        """What an operator asks for: `back`, but not while the service is exposed, unless `told`, and never
        to a release that could not open the journal.
        """
        now, before = (switch.manifest(self._home, name) for name in (self._linked(), self.ota.previous))
        if now and before and now.schema_oldest > before.schema:
            words = f"{self.ota.previous} could not open the journal any more"
            raise Unable("update.back", words, hint="a later release is the way on")
        with self._world.quiet() as exposure:
            return WAITS if self._waits(exposure, told) else self.back(OPERATOR)

    def back(self, why: str) -> str:
        """From a committed release to the one before, which was good. Raises Unable when there is none."""
        if not self.ota.trial:
            whole = switch.whole(self._home, {self.ota.previous})
            if not whole:
                raise Unable("update.back", "no earlier release is kept here")
            good = self.ota.previous
            trial = self._linked() or self.ota.good
            self.ota = replace(self.ota, trial=trial, good=good, previous="", tries=0, window_s=0)
        return self._go_back(why)

    def failed_late(self) -> str:
        """The service was given up by its supervisor: within the window after a commit that leads back."""
        self._charge()
        if not self._is_given_up():
            return RUNS  # another updater went back, or somebody started or stopped it
        if self.ota.trial:
            return self._go_back("its supervisor gave it up")
        if not self.ota.window_s or not self.ota.previous:
            return self._rest()
        return self.back("its supervisor gave it up soon after the update")

    def _is_given_up(self) -> bool:
        """Once it neither starts nor stops: a visitor has what failed started again, by the page's socket,
        and that this is tried says nothing yet.
        """
        until_ns = self._clock.mono_ns() + HEALTH_LIMIT_NS
        while (probe := self._world.probe()).moving and self._clock.mono_ns() < until_ns:
            self._world.pause(PROBE_EVERY_NS)
        return probe.failed

    def _linked(self) -> str:
        return switch.linked(self._home)

    def _waits(self, exposure: Exposure, told: bool) -> bool:
        if exposure is Exposure.CLEAR:
            return False
        words = "the service is exposed" if exposure is Exposure.EXPOSED else "the service cannot be asked"
        if told:
            self.teller.decided("told", f"{words}; an operator said not to wait")
            return False
        self.teller.decided(WAITS, words)
        now_ns = self._clock.wall_ns()
        since_ns = self._waits_since(now_ns)
        days, overdue = (now_ns - since_ns) // DAY_NS, now_ns - since_ns >= WAIT_LIMIT_NS
        said = f"has waited for {days} days: {words}; {ADVICE}" if overdue else f"waits: {words}"
        self.teller.status("", f"the update {said}", outcome=WAITS, since_ns=since_ns, overdue=overdue)
        return True

    def _waits_since(self, now_ns: int) -> int:
        """When the wait began that the program before this one was in; else now, also where nobody went on
        with it for as long as is an alarm: what waited then was withdrawn.
        """
        before = self._before if self._before.get("outcome") == WAITS else {}
        since_ns, said_ns = before.get("since_ns"), before.get("at_ns", 0)
        if not isinstance(since_ns, int) or now_ns - said_ns > WAIT_LIMIT_NS:
            return now_ns
        return since_ns if 0 < since_ns <= now_ns else now_ns

    def _check_space(self, offer: Offer) -> None:
        free = shutil.disk_usage(self._home).free
        if free < needed(offer):
            raise Unable("update.space", f"{free} bytes free", f"{needed(offer)} bytes")

    def _begin(self, step: Step, release: str) -> None:
        words = WORDS[step].format(release)
        self.teller.status(words, words, WORKING, step=int(step))
        self.teller.decided(step.name.lower(), words)
        self._on_step(step)

    def _save(self, ota: Ota) -> None:
        state.save(self._memory, ota)
        self.ota = ota

    def _remember(self, ota: Ota) -> None:
        """Where the disk takes it: the way back itself needs no more than a link."""
        try:
            self._save(ota)
        except OSError as error:
            self.teller.decided("disk", clean(error))
            self.ota = ota

    def _try(self) -> None:
        """Count the start, then link: what is started was counted."""
        self._save(replace(self.ota, tries=self.ota.tries + 1, step=Step.SWITCH.name))
        switch.switch(self._home, self.ota.trial)

    def _start_and_judge(self, ills: frozenset[str]) -> str:
        trial = self.ota.trial
        self._begin(Step.START, trial)
        self._world.start()
        self._begin(Step.HEALTH, trial)
        spoken = (renewal.protocol(self._home / switch.RELEASES / name) for name in (self.ota.good, trial))
        judge = Judge(version_of(trial), ills | excused(*spoken), self._clock.mono_ns())
        while (verdict := judge.see(seen := self._world.probe(), self._clock.mono_ns())) is None:
            self._world.pause(PROBE_EVERY_NS)
        self._safe = bool(seen.safe)
        return self._commit() if verdict else self._go_back(judge.last)

    def _commit(self) -> str:
        trial, good = self.ota.trial, self.ota.good
        self._begin(Step.COMMIT, trial)
        floor = max(self.ota.floor, version_of(trial), key=parse)
        boot, age_s = self._world.uptime()
        kept = replace(self.ota, good=trial, previous=good, trial="", tries=0, floor=floor)
        self._save(replace(kept, window_s=WINDOW_S, boot=boot, mark_s=age_s, step=Step.COMMIT.name))
        self._tidy()
        return self._end(COMMITTED, f"{trial} runs and is kept", QUIET)

    def _tidy(self) -> None:
        """After the commit nothing may undo it: what fails here is told and done at the next occasion."""
        try:
            self._begin(Step.PRUNE, self.ota.good)
            switch.prune(self._home, (self.ota.good, self.ota.previous))
            self._begin(Step.COPY, self.ota.good)
            switch.copy_updater(self._home, self.ota.good)
            switch.prune_updaters(self._home)
        except (OSError, Damaged) as error:
            self.teller.decided("untidy", clean(error))

    def _go_back(self, why: str) -> str:
        self._decide_back(why)
        self._begin(Step.BACK_STOP, self.ota.trial)
        self._world.stop()
        self._link_back()
        return self._finish_back()

    def _decide_back(self, why: str) -> None:
        self._begin(Step.BACK, self.ota.trial)
        self.teller.decided("why back", why, release=self.ota.trial)
        self._why = why
        self._remember(replace(self.ota, back=True, step=Step.BACK.name))

    def _link_back(self) -> None:
        self._begin(Step.BACK_SWITCH, self.ota.trial)
        target = way_back(self.ota, switch.whole(self._home, {self.ota.good, self.ota.previous}))
        if not target:
            self._end(STRANDED, "no whole release is left to go back to: install again", FAILED)
            raise Theirs(str(self._home), "no whole release is left to go back to: install again")
        switch.switch(self._home, target)

    def _finish_back(self) -> str:
        """The link leads back already; make sure that this is what runs, then remember the failure."""
        failed, target = self.ota.trial, self._linked()
        self._begin(Step.BACK_START, failed)
        if self._world.probe().version != version_of(target):
            self._world.stop()  # what does not answer may be the failed one, dying and rising
        self._world.start()
        at_fault = not self._safe or not self._is_safe_too(target)
        self._begin(Step.BAD, failed)
        left = self.ota.failed(failed) if at_fault else self.ota
        ended = replace(left, good=target, trial="", tries=0, back=False, window_s=0)
        self._remember(
            replace(ended, previous="" if target == ended.previous else ended.previous, step=Step.BAD.name)
        )
        light = QUIET if self._why == OPERATOR else FAILED
        now = "runs again" if at_fault else "says the same, so it is tried again"
        return self._end(WENT_BACK, f"{failed} was taken back: {self._why}; {target} {now}", light)

    def _is_safe_too(self, target: str) -> bool:
        """Whether what ran before ends in safe mode like the trial: by settings broken by hand, a venue that
        is away, a password that nobody set. Then the release has not failed.
        """
        until_ns = self._clock.mono_ns() + HEALTH_LIMIT_NS
        while self._clock.mono_ns() < until_ns:
            probe = self._world.probe()
            if probe.safe or probe.failed or probe.version == version_of(target):
                return bool(probe.safe)
            self._world.pause(PROBE_EVERY_NS)
        return False

    def _rest(self) -> str:
        self._charge()
        if switch.linked(self._home, switch.UPDATER) != self.ota.good and self.ota.good:
            self._tidy()
        switch.prune_updaters(self._home)
        return RESTED

    def _charge(self) -> None:
        """Take the uptime since the last look off the window."""
        if self.ota.window_s:
            self._remember(self.ota.charged(*self._world.uptime()))

    def _end(self, outcome: str, words: str, light: str) -> str:
        self.teller.decided(outcome, words)
        self.teller.status("", words, light, release=self._linked(), outcome=outcome)
        return outcome

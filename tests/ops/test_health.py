"""What starves the watchdog (three things) and what never does (all others), and what is said of each."""

from __future__ import annotations

from dataclasses import replace

import pytest
from hypothesis import given
from hypothesis import strategies as st

from app.clock import MS, NS
from app.engine.snapshot import ReasonView
from app.ops.health import JOURNAL_LIMIT_NS, SHOWN, Facts, judge, troubles
from tests.web.pictures import ACTIVE

WELL = Facts(mono_ns=100 * NS, asked_ns=0, kill="", doing="Active")


def reasons(*codes: str) -> tuple[ReasonView, ...]:
    return tuple(ReasonView(code, "condition", "*", "halted", "no_entries", 0, 0, "", "") for code in codes)


def test_feeds_a_service_that_answers() -> None:
    verdict = judge(WELL)
    assert verdict.feed and verdict.words == "Active"


@pytest.mark.parametrize(("waited_ns", "fed"), [(0, True), (JOURNAL_LIMIT_NS - MS, True), (2 * NS, False)])
def test_starves_when_the_journal_does_not_answer(waited_ns: int, fed: bool) -> None:
    verdict = judge(replace(WELL, asked_ns=WELL.mono_ns - waited_ns))
    assert verdict.feed is fed
    assert (verdict.words == "the journal has not answered for 2 s; Active") is not fed


def test_starves_when_the_kill_check_fails() -> None:
    verdict = judge(replace(WELL, kill="nobody goes on pursuing FLAT"))
    assert not verdict.feed
    assert verdict.words == "the kill check failed: nobody goes on pursuing FLAT; Active"


@given(st.text(max_size=50), st.lists(st.text(max_size=20), max_size=6), st.text(max_size=20))
def test_nothing_else_starves_it(doing: str, found: list[str], update: str) -> None:
    assert judge(replace(WELL, doing=doing, troubles=tuple(found), update=update)).feed


def test_says_what_the_updater_does_before_what_is_wrong() -> None:
    facts = replace(WELL, update="downloading 0.2.0", troubles=("the prices are stale",))
    assert judge(facts).words == "update: downloading 0.2.0; Active; the prices are stale"


def test_tells_each_trouble_once_and_not_the_one_of_the_sentence() -> None:
    view = replace(ACTIVE, reasons=reasons("journal", "stale_feed", "clock"), journal="full", link_up=False)
    assert troubles(view, str.upper) == ("STALE_FEED", "CLOCK", "RECONNECT")
    assert troubles(ACTIVE, str.upper) == ()
    assert troubles(replace(ACTIVE, journal="full"), str.upper, "full") == (
        "JOURNAL",
        "measurements are not written: full",
    )


def test_keeps_the_line_short() -> None:
    view = replace(ACTIVE, reasons=reasons(*(f"code_{number}" for number in range(20))))
    assert len(troubles(view, str.upper)) == SHOWN

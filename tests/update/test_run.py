"""An update from the first step to the last, and every way it may end."""

from __future__ import annotations

import errno
import json
import os
from collections.abc import Callable
from pathlib import Path
from types import SimpleNamespace

import pytest

from app.clock import NS
from app.errors import Refused, Theirs, Unable
from app.update import renewal, run, switch
from app.update.artifact import Damaged
from app.update.decide import HEALTH_LIMIT_NS, TRIES_MAX, Exposure, Step, Way
from app.update.run import COMMITTED, RESTED, RUNS, WAIT_LIMIT_NS, WAITS, WENT_BACK
from app.update.state import WINDOW_S
from app.update.telling import AUDIT, FAILED, QUIET, Teller, told
from tests.update.repositories import made
from tests.update.worlds import BEHAVIOURS, WELL, Board, offer


@pytest.fixture
def board(tmp_path: Path) -> Board:
    return Board(tmp_path, others=("0.2.0", "0.3.0")).install()


def audit(board: Board) -> list[dict[str, object]]:
    return [json.loads(line) for line in (board.places.memory / AUDIT).read_text().splitlines()]


def test_promise_8_a_good_release_is_committed(board: Board) -> None:
    steps: list[Step] = []
    assert board.apply(driver=board.driver(steps.append)) == COMMITTED
    assert steps == [step for step in Step if Step.UNPACK <= step <= Step.COPY]
    assert board.consistent() and board.linked == board.name("0.2.0")
    ota = board.ota
    assert (ota.floor, ota.previous, ota.tries, ota.bad) == ("0.2.0", board.name("0.1.0"), 0, ())
    assert ota.window_s == WINDOW_S
    assert board.world.calls == ["back up", "stop", "stop", "start"]
    assert switch.linked(board.places.home, switch.UPDATER) == board.name("0.2.0")


def test_a_visitor_who_starts_the_old_release_again_is_no_reason_to_go_back(board: Board) -> None:
    board.world.visited = True
    assert board.apply() == COMMITTED
    assert board.consistent() and board.linked == board.name("0.2.0")


def test_a_visitor_who_starts_the_bad_release_again_does_not_keep_it(board: Board) -> None:
    board.world.visited, board.world.behaviour["0.2.0"] = True, "crash loop"
    assert board.apply() == WENT_BACK
    assert board.consistent() and board.linked == board.name("0.1.0")


def test_promise_9_settings_broken_by_hand_are_not_the_releases_failure(board: Board) -> None:
    """What ran goes into safe mode as well, once it was started again: nothing is known of the release."""
    board.world.from_now_on = {"0.1.0": "safe", "0.2.0": "safe"}
    assert board.apply() == WENT_BACK
    assert board.consistent() and board.linked == board.name("0.1.0") and board.ota.bad == ()
    words = told(board.places.memory)["words"]
    assert "the settings are wrong" in words and "tried again" in words
    board.world.from_now_on = board.world.behaviour = {}
    board.world.stop()
    board.world.start()
    assert board.apply() == COMMITTED


@pytest.mark.parametrize("old", ["well", "never ready", "crash loop"])
def test_promise_9_a_release_that_alone_ends_in_safe_mode_has_failed(board: Board, old: str) -> None:
    board.world.from_now_on = {"0.1.0": old, "0.2.0": "safe"}
    assert board.apply() == WENT_BACK
    assert board.linked == board.name("0.1.0") and board.ota.bad == (board.name("0.2.0"),)


def test_promise_4_the_floor_rises_at_a_commit_and_never_falls(board: Board) -> None:
    floors: list[str] = []
    board.apply(driver=board.driver(lambda step: floors.append(board.ota.floor)))
    assert set(floors[: floors.index("0.2.0")]) == {"0.1.0"} and board.ota.floor == "0.2.0"
    assert len(floors) - floors.index("0.2.0") == 2  # PRUNE and COPY, after the commit
    board.driver().back("an operator said so")
    assert board.ota.floor == "0.2.0"


def test_promise_10_the_release_before_is_kept_and_older_ones_go(board: Board) -> None:
    board.apply("0.2.0")
    board.apply("0.3.0")
    kept = {path.name for path in (board.places.home / "releases").iterdir()}
    assert kept == {board.name("0.3.0"), board.name("0.2.0")}


@pytest.mark.parametrize("behaviour", BEHAVIOURS)
def test_promise_8_a_bad_release_is_taken_back(board: Board, behaviour: str) -> None:
    board.world.behaviour["0.2.0"] = behaviour
    assert board.apply() == WENT_BACK
    assert board.consistent() and board.linked == board.name("0.1.0")
    assert board.ota.bad == (board.name("0.2.0"),) and board.ota.floor == "0.1.0"
    assert told(board.places.memory)["light"] == FAILED
    assert switch.linked(board.places.home, switch.UPDATER) == ""


def test_promise_8_judging_ends_in_time(board: Board) -> None:
    board.world.behaviour["0.2.0"] = "never ready"
    began_ns = board.clock.now_mono
    board.apply()
    assert HEALTH_LIMIT_NS <= board.clock.now_mono - began_ns < HEALTH_LIMIT_NS + run.PROBE_EVERY_NS * 2


def test_promise_8_a_board_that_was_missing_before_may_be_missing_after(board: Board) -> None:
    board.world.behaviour |= {"0.1.0": "ill", "0.2.0": "ill"}
    assert board.apply() == COMMITTED
    board.world.behaviour |= {"0.2.0": "well", "0.3.0": "ill"}
    assert board.apply("0.3.0") == WENT_BACK


@pytest.mark.parametrize(
    ("before", "after", "ends"),
    [(1, 2, COMMITTED), (2, 1, COMMITTED), (1, 1, WENT_BACK), (0, 1, WENT_BACK), (1, 0, WENT_BACK)],
)
def test_a_board_may_fall_silent_where_the_release_speaks_another_protocol(
    tmp_path: Path, before: int, after: int, ends: str
) -> None:
    """Its firmware is renewed after the commit: judged by it, such a release could never be kept."""
    board = Board(tmp_path, protocols={"0.1.0": before, "0.2.0": after}).install()
    board.world.behaviour["0.2.0"] = "ill"
    assert board.apply() == ends


@pytest.mark.parametrize("text", ["", "[]", '{"protocol_version": "1"}', "{}"])
def test_a_list_of_firmware_that_makes_no_sense_says_nothing(tmp_path: Path, text: str) -> None:
    (tmp_path / "board").mkdir()
    (tmp_path / renewal.CARRIED).write_text(text)
    assert renewal.protocol(tmp_path) == 0


def test_promise_10_a_late_failure_within_the_window_leads_back(board: Board) -> None:
    board.apply()
    board.world.age_s += WINDOW_S - 1
    board.world.stop()
    assert board.driver().failed_late() == WENT_BACK
    assert board.consistent() and board.linked == board.name("0.1.0")
    assert board.ota.bad == (board.name("0.2.0"),) and board.ota.floor == "0.2.0"


def test_promise_12_a_late_failure_on_a_full_disk_leads_back_too(
    board: Board, monkeypatch: pytest.MonkeyPatch
) -> None:
    """And does not fail at the end, which would put the safe page into the place of what runs again."""
    board.apply()
    board.world.stop()

    def full(*_: object) -> None:
        raise OSError(errno.ENOSPC, "No space left on device")

    with monkeypatch.context() as patch:
        patch.setattr("app.update.state.save", full)
        assert board.driver().failed_late() == WENT_BACK
    assert board.linked == board.world.runs == board.name("0.1.0")


def test_promise_10_a_failure_after_the_window_is_not_the_updates(board: Board) -> None:
    board.apply()
    board.world.age_s += WINDOW_S
    board.world.stop()
    assert board.driver().failed_late() == RESTED
    assert board.linked == board.name("0.2.0")


def test_promise_10_time_without_power_does_not_end_the_window(board: Board) -> None:
    board.apply()
    board.world.boot, board.world.age_s = "another", 10
    board.clock.advance(10 * WINDOW_S * 1_000_000_000)
    board.world.stop()
    assert board.driver().failed_late() == WENT_BACK


def test_promise_10_the_window_ends_also_where_the_power_goes_every_evening(board: Board) -> None:
    """Each boot is shorter than the window; the timer's look within it counts."""
    board.apply()
    for day in range(12):
        board.world.boot, board.world.age_s = f"day {day}", 10
        board.boot()
        board.world.age_s += WINDOW_S // 10
        assert board.driver().confirm() == RESTED
    board.world.stop()
    assert board.driver().failed_late() == RESTED and board.linked == board.name("0.2.0")


def test_a_failure_without_an_update_before_it_changes_nothing(board: Board) -> None:
    board.world.stop()
    assert board.driver().failed_late() == RESTED
    board.world.start()
    assert board.consistent()


def test_a_service_that_was_started_again_meanwhile_is_left_alone(board: Board) -> None:
    board.apply()
    assert board.driver().failed_late() == RUNS
    assert board.consistent() and board.linked == board.name("0.2.0")


@pytest.mark.parametrize(
    ("becomes", "ended"), [("gave up", WENT_BACK), (WELL, RUNS), ("rising", RUNS)], ids=str
)
def test_a_service_that_a_visitor_had_started_again_is_judged_when_that_is_over(
    board: Board, monkeypatch: pytest.MonkeyPatch, becomes: str, ended: str
) -> None:
    """Its socket starts what was given up: neither the way back nor the safe page may be lost by that."""
    board.apply()
    board.world.behaviour["0.2.0"] = "rising"

    def later(duration_ns: int) -> None:
        board.clock.advance(duration_ns)
        board.world.behaviour["0.2.0"] = becomes

    monkeypatch.setattr(board.world, "pause", later)
    assert board.driver().failed_late() == ended


def test_what_an_operator_takes_back_is_no_failed_update(board: Board) -> None:
    board.apply()
    assert board.driver().roll_back() == WENT_BACK
    status = told(board.places.memory)
    assert status["light"] == QUIET and "an operator said so" in status["words"]


@pytest.mark.parametrize("exposure", [Exposure.EXPOSED, Exposure.UNKNOWN])
def test_promise_15_an_operators_way_back_waits_too(board: Board, exposure: Exposure) -> None:
    board.apply()
    board.world.exposed = exposure
    assert board.driver().roll_back() == WAITS and board.linked == board.name("0.2.0")
    assert board.driver().roll_back(told=True) == WENT_BACK
    assert "told" in [row["what"] for row in audit(board)] and board.consistent()


def test_an_operator_may_go_back_once(board: Board) -> None:
    board.apply()
    assert board.driver().back("an operator said so") == WENT_BACK
    assert board.consistent() and board.linked == board.name("0.1.0")
    with pytest.raises(Refused, match="no earlier release"):
        board.driver().back("again")


def test_promise_9_a_reboot_loop_ends_after_two_tries(board: Board) -> None:
    """Each start of the trial takes the power with it."""
    with pytest.raises(KeyboardInterrupt):
        board.apply(driver=board.driver(_power_cut_at(Step.HEALTH)))
    ways = []
    for _ in range(TRIES_MAX):
        board.world.running.unlink(missing_ok=True)
        driver = board.driver()
        ways.append(driver.recover())
    assert ways == [Way.TRY, Way.BACK]
    board.world.start()
    assert driver.confirm() == WENT_BACK
    assert board.consistent() and board.linked == board.name("0.1.0")


@pytest.mark.parametrize("step", [Step.STOP, Step.SWITCH, Step.START, Step.HEALTH, Step.COMMIT])
def test_promise_9_one_power_cut_leaves_a_good_release_its_second_try(board: Board, step: Step) -> None:
    with pytest.raises(KeyboardInterrupt):
        board.apply(driver=board.driver(_power_cut_at(step)))
    board.world.running.unlink(missing_ok=True)
    assert board.boot() == COMMITTED
    assert board.consistent() and board.linked == board.name("0.2.0")


def _power_cut_at(last: Step) -> Callable[[Step], None]:
    def cut(step: Step) -> None:
        if step is last:
            raise KeyboardInterrupt

    return cut


def test_promise_2_the_intent_is_on_disk_before_anything_changes(board: Board) -> None:
    def look(step: Step) -> None:
        if step in (Step.UNPACK, Step.BACKUP, Step.INTENT):
            assert board.ota.trial == "" and board.world.runs == board.name("0.1.0") == board.linked
        if step is Step.STOP:
            assert board.ota.trial == board.name("0.2.0") and board.world.runs == board.name("0.1.0")
        if step is Step.START:
            assert board.ota.tries == 1 and board.linked == board.name("0.2.0")

    assert board.apply(driver=board.driver(look)) == COMMITTED


@pytest.mark.parametrize("exposure", [Exposure.EXPOSED, Exposure.UNKNOWN])
def test_promise_15_never_stops_a_service_that_is_exposed(board: Board, exposure: Exposure) -> None:
    board.world.exposed = exposure
    assert board.apply() == WAITS
    assert board.consistent() and board.world.calls == []
    assert [row["what"] for row in audit(board)] == ["waits"]
    board.world.exposed = Exposure.CLEAR
    assert board.apply() == COMMITTED


def waited(board: Board, days: float) -> dict[str, object]:
    """What is said when it is tried again so long after; by a program of its own, as the timer starts it."""
    board.clock.advance(int(days * 86_400 * NS))
    assert board.apply() == WAITS
    return told(board.places.memory)


def test_a_release_that_waits_for_days_is_an_alarm(board: Board) -> None:
    """A service that hangs, or was taken over, could hold its lock for ever."""
    board.world.exposed = Exposure.EXPOSED
    assert not waited(board, 0)["overdue"]
    assert not waited(board, WAIT_LIMIT_NS / NS / 86_400 - 1)["overdue"]
    for _ in range(2):
        late = waited(board, 1)
        assert late["overdue"] is True and late["outcome"] == WAITS
        assert "has waited for" in str(late["words"]) and "the service is exposed" in str(late["words"])
    board.world.exposed = Exposure.CLEAR
    assert board.apply() == COMMITTED and "overdue" not in told(board.places.memory)


def test_a_wait_that_ended_is_not_counted_with_the_next(board: Board) -> None:
    board.world.exposed = Exposure.EXPOSED
    waited(board, 0)
    board.world.exposed = Exposure.CLEAR
    board.clock.advance(WAIT_LIMIT_NS)
    assert board.apply() == COMMITTED
    board.world.exposed = Exposure.EXPOSED
    assert board.apply("0.3.0") == WAITS and not told(board.places.memory)["overdue"]


def test_a_wait_that_nobody_went_on_with_is_not_counted(board: Board) -> None:
    """What waited was withdrawn, say; another that waits its first hour is no alarm."""
    board.world.exposed = Exposure.EXPOSED
    waited(board, 0)
    assert not waited(board, WAIT_LIMIT_NS / NS / 86_400 + 1)["overdue"]
    assert not waited(board, 1)["overdue"]


def test_one_that_is_exposed_only_at_the_last_look_is_counted_too(board: Board) -> None:
    board.world.exposed = Exposure.EXPOSED
    waited(board, 0)

    def expose() -> None:
        board.world.exposed = Exposure.EXPOSED

    board.world.exposed, board.world.on_back_up = Exposure.CLEAR, expose
    assert waited(board, WAIT_LIMIT_NS / NS / 86_400)["overdue"] is True


def test_a_clock_that_went_back_begins_the_wait_anew(board: Board) -> None:
    board.world.exposed = Exposure.EXPOSED
    Teller(board.places.memory, board.clock).status("", "", outcome=WAITS, since_ns=2**62)
    assert not waited(board, 0)["overdue"] and not waited(board, 1)["overdue"]


def test_promise_15_exposed_while_it_unpacked_waits_too(board: Board) -> None:
    def expose() -> None:
        board.world.exposed = Exposure.EXPOSED

    board.world.on_back_up = expose
    assert board.apply() == WAITS
    assert board.consistent() and board.ota.trial == ""


def test_promise_15_an_operator_may_say_so_and_it_is_written_down(board: Board) -> None:
    board.world.exposed = Exposure.EXPOSED
    assert board.apply(told=True) == COMMITTED
    assert "told" in [row["what"] for row in audit(board)]


def test_promise_15_recovery_does_not_stop_what_is_exposed(board: Board) -> None:
    with pytest.raises(KeyboardInterrupt):
        board.apply(driver=board.driver(_power_cut_at(Step.STOP)))
    board.world.exposed = Exposure.EXPOSED
    driver = board.driver()
    driver.recover()
    assert driver.confirm() == WAITS and board.world.runs == board.name("0.1.0")
    board.world.exposed = Exposure.CLEAR
    assert driver.confirm() == COMMITTED and board.consistent()


def test_promise_11_no_copy_of_the_journal_no_update(board: Board) -> None:
    def damaged() -> None:
        raise Theirs("state.db", "is damaged")

    board.world.on_back_up = damaged
    with pytest.raises(Theirs):
        board.apply()
    assert board.consistent() and board.linked == board.name("0.1.0")


def test_promise_11_an_operator_does_not_go_back_to_a_release_that_could_not_open_the_journal(
    board: Board,
) -> None:
    """The updater never makes such a step; a release installed by hand may."""
    made(board.names["0.2.0"], "0.2.0", schema=3, schema_oldest=3)
    assert board.apply() == COMMITTED
    with pytest.raises(Unable, match="could not open the journal"):
        board.driver().roll_back(told=True)
    assert board.consistent() and board.linked == board.name("0.2.0")


def test_promise_3_a_file_that_is_not_the_release_changes_nothing(board: Board) -> None:
    offered = offer(board.names["0.2.0"])
    made(board.names["0.2.0"], "0.2.0", {"app/y.py": b"other"})
    with pytest.raises(Damaged):
        board.driver().apply(offered, board.names["0.2.0"])
    assert board.consistent() and board.linked == board.name("0.1.0")


def test_promise_12_space_is_asked_for_before_unpacking(
    board: Board, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(
        run.shutil,
        "disk_usage",
        lambda path: SimpleNamespace(free=run.needed(offer(board.names["0.2.0"])) - 1),
    )
    with pytest.raises(Refused, match=r"update\.space"):
        board.apply()
    assert board.consistent()


def test_promise_12_a_full_disk_at_any_write_leaves_old_or_new(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The n-th file that is flushed finds no space, for every n until an update passes."""
    real, outcome, number = os.fsync, "", 0
    while outcome != COMMITTED:
        number += 1
        board = Board(tmp_path / str(number)).install()
        count = 0

        def full(handle: int, last: int = number) -> None:
            nonlocal count
            count += 1
            if count >= last:
                raise OSError(errno.ENOSPC, "No space left on device")
            real(handle)

        with monkeypatch.context() as patch:
            patch.setattr(os, "fsync", full)
            try:
                outcome = board.apply()
            except OSError as error:
                assert error.errno == errno.ENOSPC
        assert board.world.runs in (board.name("0.1.0"), board.name("0.2.0")), number
        board.boot()
        assert board.consistent(), number
        assert outcome != COMMITTED or board.linked == board.name("0.2.0")
    assert number > 20


def test_a_damaged_memory_is_told_and_the_machine_goes_on(board: Board) -> None:
    (board.places.memory / "ota.json").write_text("{")
    assert board.boot() == RESTED
    assert "unusable" in str(audit(board)[0]["words"])
    assert board.apply() == COMMITTED


def test_a_link_that_leads_nowhere_is_mended_from_what_is_remembered(board: Board) -> None:
    board.apply()
    (board.places.home / "current").unlink()
    assert board.boot() == RESTED
    assert board.consistent() and board.linked == board.name("0.2.0")


def test_says_so_when_nothing_whole_is_left(board: Board) -> None:
    with pytest.raises(KeyboardInterrupt):
        board.apply(driver=board.driver(_power_cut_at(Step.START)))
    for path in (board.places.home / "releases").iterdir():
        (path / "__main__.py").write_text("broken")
    with pytest.raises(Theirs, match="install again"):
        board.driver().recover()
    assert told(board.places.memory)["light"] == FAILED


def test_a_trial_has_to_end_before_the_next_begins(board: Board) -> None:
    with pytest.raises(KeyboardInterrupt):
        board.apply(driver=board.driver(_power_cut_at(Step.START)))
    with pytest.raises(Refused, match=r"update\.trial"):
        board.apply("0.3.0")


def test_promise_19_every_step_leaves_a_row_a_sentence_and_a_light(board: Board) -> None:
    seen: list[tuple[Step, str, str]] = []

    def look(step: Step) -> None:
        status = told(board.places.memory)
        seen.append((step, status["doing"], status["light"]))

    board.world.behaviour["0.2.0"] = "crash loop"
    board.apply(driver=board.driver(look))
    rows = [row["what"] for row in audit(board)]
    for step, doing, light in seen:
        assert step.name.lower() in rows and doing and light == "working"
    assert Step.BAD in [step for step, *_ in seen] and "went back" in rows
    final = told(board.places.memory)
    assert (final["doing"], final["light"]) == ("", FAILED) and "0.1.0" in final["words"]
    board.apply("0.3.0")
    assert told(board.places.memory)["light"] == QUIET

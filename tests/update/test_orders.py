"""An operator's order: done once, and nothing else is one."""

from __future__ import annotations

from pathlib import Path

import pytest

from app.clock import NS, VirtualClock
from app.update.orders import APPLY, FILE, LASTS_S, ROLLBACK, Order, leave, take

NOW = VirtualClock(5_000 * NS, 1_000 * NS)


@pytest.mark.parametrize("order", [Order(APPLY), Order(APPLY, now=True), Order(ROLLBACK)])
def test_is_taken_once(tmp_path: Path, order: Order) -> None:
    leave(tmp_path, order, NOW)
    assert (tmp_path / FILE).stat().st_mode & 0o777 == 0o600
    assert take(tmp_path, NOW) == order
    assert take(tmp_path, NOW) is None


@pytest.mark.parametrize(
    "text", ["", "{", "[]", "{}", '{"what": "format"}', '{"what": ["apply"]}', "x" * 2_000]
)
def test_what_is_none_does_nothing_and_goes(tmp_path: Path, text: str) -> None:
    (tmp_path / FILE).write_text(text)
    assert take(tmp_path, NOW) is None and not (tmp_path / FILE).exists()


def test_now_is_a_word_of_its_own(tmp_path: Path) -> None:
    (tmp_path / FILE).write_text('{"what": "apply", "now": "no", "wall_s": 5000, "mono_s": 1000}')
    assert take(tmp_path, NOW) == Order(APPLY)


@pytest.mark.parametrize(("wall_s", "mono_s"), [(0, -1), (-1, 0), (0, LASTS_S + 1), (LASTS_S + 1, 0)])
def test_promise_15_one_that_was_left_behind_stops_nothing_later(
    tmp_path: Path, wall_s: int, mono_s: int
) -> None:
    leave(tmp_path, Order(APPLY, now=True), NOW)
    later = VirtualClock((5_000 + wall_s) * NS, (1_000 + mono_s) * NS)
    assert take(tmp_path, later) is None and not (tmp_path / FILE).exists()


def test_lasts_as_long_as_a_fetch_may(tmp_path: Path) -> None:
    leave(tmp_path, Order(APPLY), NOW)
    assert take(tmp_path, VirtualClock((5_000 + LASTS_S) * NS, (1_000 + LASTS_S) * NS)) == Order(APPLY)

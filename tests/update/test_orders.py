"""An operator's order: done once, and nothing else is one."""

from __future__ import annotations

from pathlib import Path

import pytest

from app.update.orders import APPLY, FILE, ROLLBACK, Order, leave, take


@pytest.mark.parametrize("order", [Order(APPLY), Order(APPLY, now=True), Order(ROLLBACK)])
def test_is_taken_once(tmp_path: Path, order: Order) -> None:
    leave(tmp_path, order)
    assert (tmp_path / FILE).stat().st_mode & 0o777 == 0o600
    assert take(tmp_path) == order
    assert take(tmp_path) is None


@pytest.mark.parametrize(
    "text", ["", "{", "[]", "{}", '{"what": "format"}', '{"what": ["apply"]}', "x" * 2_000]
)
def test_what_is_none_does_nothing_and_goes(tmp_path: Path, text: str) -> None:
    (tmp_path / FILE).write_text(text)
    assert take(tmp_path) is None and not (tmp_path / FILE).exists()


def test_now_is_a_word_of_its_own(tmp_path: Path) -> None:
    (tmp_path / FILE).write_text('{"what": "apply", "now": "no"}')
    assert take(tmp_path) == Order(APPLY)

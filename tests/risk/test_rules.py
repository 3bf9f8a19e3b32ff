"""The maximum-loss floor: trails end-of-day balances, locks, never falls."""

from __future__ import annotations

from datetime import date, timedelta
from typing import NamedTuple

import pytest
from hypothesis import given
from hypothesis import strategies as st

from app.domain.units import micro
from app.errors import SettingsError
from app.risk.rules import AccountRules, floor_after

BEGAN = date(2026, 11, 2)


class Ended(NamedTuple):
    trade_date: date
    balance_micro: int


def combine(floor: str = "48000", start: str = "50000", locks: str = "50000") -> AccountRules:
    return AccountRules(micro(start), micro(floor), BEGAN, micro("2000"), micro(locks))


def days(*balances: str, first: int = 1) -> list[Ended]:
    return [Ended(BEGAN + timedelta(days=first + n), micro(text)) for n, text in enumerate(balances)]


def test_the_venue_s_example_of_a_50k_combine() -> None:
    balances = ("50800", "51500", "50900", "52400", "51000")
    floors = [floor_after(combine(), days(*balances[:n])) for n in range(len(balances) + 1)]
    assert floors == [micro(f) for f in ("48000", "48800", "49500", "49500", "50000", "50000")]


def test_an_express_account_starts_at_zero_and_its_floor_rises_to_zero() -> None:
    express = AccountRules(0, micro("-2000"), BEGAN, micro("2000"), 0)
    assert floor_after(express, []) == micro("-2000")
    assert floor_after(express, days("500")) == micro("-1500")
    assert floor_after(express, days("500", "-300")) == micro("-1500")
    assert floor_after(express, days("2500")) == 0
    assert floor_after(express, days("9000")) == 0


def test_after_the_first_payout_the_owner_states_floor_zero() -> None:
    paid = AccountRules(0, 0, BEGAN, micro("2000"), 0)
    assert floor_after(paid, days("300", "-100")) == 0


def test_only_days_after_the_statement_count() -> None:
    stated = combine("48000")
    assert floor_after(stated, days("52400", first=0)) == micro(
        "48000"
    )  # of as_of itself: already in the floor
    assert floor_after(stated, days("52400", first=-5)) == micro("48000")
    assert floor_after(stated, days("52400", first=1)) == micro("50000")


def test_a_floor_stated_higher_than_our_balances_holds() -> None:
    assert floor_after(combine("49500"), days("50100")) == micro("49500")


@pytest.mark.parametrize(
    "bad",
    [
        lambda: combine("50000.01"),
        lambda: AccountRules(0, -1, BEGAN, 0, 0),
        lambda: AccountRules(0, -1, BEGAN, -5, 0),
    ],
)
def test_rejects_a_statement_that_cannot_be(bad: object) -> None:
    with pytest.raises(SettingsError):
        bad()  # type: ignore[operator]


amounts = st.integers(-(10**11), 10**11)


@given(st.lists(amounts, max_size=15), st.integers(0, 10**10), amounts, st.integers(1, 10**10), st.randoms())
def test_never_falls_never_passes_its_lock_and_needs_no_order(
    balances: list[int], below: int, lock: int, most: int, rng: object
) -> None:
    rules = AccountRules(lock, lock - below, BEGAN, most, lock)
    ended = [Ended(BEGAN + timedelta(days=1 + n), b) for n, b in enumerate(balances)]
    floors = [floor_after(rules, ended[:n]) for n in range(len(ended) + 1)]
    assert floors == sorted(floors)
    assert floors[0] == rules.floor_micro
    assert floors[-1] <= lock
    assert floors[-1] == max([rules.floor_micro, *(min(lock, b - most) for b in balances)])
    shuffled = list(ended)
    rng.shuffle(shuffled)  # type: ignore[attr-defined]
    assert floor_after(rules, shuffled) == floors[-1]

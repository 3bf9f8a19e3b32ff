"""Limits: each bound from both sides, each key named in its refusal."""

from __future__ import annotations

import dataclasses
from typing import Any

import pytest

from app.errors import SettingsError
from app.risk.limits import BOUNDS, Limits
from tests.risk.views import LIMITS, limits

PERCENTS = {"alarm_percent", "reducing_percent"}


def changed(name: str, value: Any) -> Limits:
    together = {"alarm_percent": value, "reducing_percent": value} if name in PERCENTS else {name: value}
    return limits(**together)


def test_every_number_has_bounds() -> None:
    unbounded = {"max_contracts_symbol", "require_bracket"}
    assert {f.name for f in dataclasses.fields(Limits)} - unbounded == set(BOUNDS)


@pytest.mark.parametrize(("name", "bounds"), list(BOUNDS.items()))
def test_keeps_the_bounds_and_rejects_what_is_beyond(name: str, bounds: tuple[int, int]) -> None:
    low, high = bounds
    assert getattr(changed(name, low), name) == low
    assert getattr(changed(name, high), name) == high
    for beyond in (low - 1, high + 1):
        with pytest.raises(SettingsError, match=r"risk\."):
            changed(name, beyond)


@pytest.mark.parametrize("name", list(BOUNDS))
@pytest.mark.parametrize("value", ["5", 5.0, True])
def test_rejects_what_is_no_integer(name: str, value: object) -> None:
    with pytest.raises(SettingsError):
        changed(name, value)


@pytest.mark.parametrize("name", sorted(set(BOUNDS) - {"daily_loss_limit_micro"}))
def test_only_the_daily_limit_can_be_stated_as_none(name: str) -> None:
    with pytest.raises(SettingsError):
        limits(**{name: None})
    assert limits(daily_loss_limit_micro=None).daily_loss_limit_micro is None


def test_what_belongs_to_the_account_must_be_stated() -> None:
    required = {
        f.name for f in dataclasses.fields(Limits) if f.default is f.default_factory is dataclasses.MISSING
    }
    assert required == {"max_contracts_tenths", "maximum_loss_limit_micro", "daily_loss_limit_micro"}


def test_rejects_an_alarm_after_the_fact() -> None:
    with pytest.raises(SettingsError, match="alarm_percent"):
        limits(alarm_percent=91)


@pytest.mark.parametrize("most", [-1, 1_001, "5", True])
def test_rejects_a_symbol_limit_that_is_no_number_of_contracts(most: Any) -> None:
    with pytest.raises(SettingsError, match="ES"):
        limits(max_contracts_symbol={"ES": most})


def test_a_symbol_without_its_own_limit_has_the_default() -> None:
    it = limits(max_contracts_symbol={"MES": 30}, max_contracts_symbol_default=2)
    assert (it.max_contracts_of("MES"), it.max_contracts_of("ES")) == (30, 2)


def test_limits_are_frozen() -> None:
    with pytest.raises(dataclasses.FrozenInstanceError):
        LIMITS.collar_ticks = 1  # type: ignore[misc]

"""Money as integers and as text."""

from __future__ import annotations

from decimal import Decimal

import pytest
from hypothesis import given
from hypothesis import strategies as st

from app.domain.units import MICRO, cents, micro, money, muldiv

amounts = st.integers(-(10**15), 10**15)


@given(amounts)
def test_money_reads_back_exactly(amount: int) -> None:
    text = money(amount)
    assert micro(text) == amount
    assert Decimal(text) * MICRO == amount
    assert len(text.split(".")[1]) >= 2


@pytest.mark.parametrize(
    ("amount", "text"),
    [(0, "0.00"), (-12_340_000, "-12.34"), (1, "0.000001"), (-1_500_000, "-1.50"), (47_200_000, "47.20")],
)
def test_money_has_two_places_or_as_many_as_it_needs(amount: int, text: str) -> None:
    assert money(amount) == text


@pytest.mark.parametrize(
    ("amount", "text"),
    [
        (0, "0.00"),
        (-1_234_500_000, "-1,234.50"),
        (5_000, "0.00"),  # half a cent, to even
        (15_000, "0.02"),
        (-4_999, "0.00"),  # no minus sign before nothing
        (-15_000, "-0.02"),
        (1_000_000_000_000, "1,000,000.00"),
    ],
)
def test_cents_round_half_to_even_for_a_person(amount: int, text: str) -> None:
    assert cents(amount) == text


@given(amounts)
def test_cents_are_the_decimal_rounding(amount: int) -> None:
    rounded = (Decimal(amount) / MICRO).quantize(Decimal("0.01"))
    assert Decimal(cents(amount).replace(",", "")) == rounded


@pytest.mark.parametrize("text", ["", "NaN", "inf", "1,000.00", "0.0000001", "--1", "1.2.3", "٣"])
def test_rejects_text_that_is_no_exact_amount(text: str) -> None:
    with pytest.raises(ValueError, match=r".*"):
        micro(text)


def test_rejects_products_that_leave_64_bits() -> None:
    assert muldiv(7, 3, 2) == 10  # 10.5, half to even
    assert muldiv(2**40, 2**30, 2**20) == 2**50
    with pytest.raises(OverflowError):
        muldiv(2**62, 2**62, 1)

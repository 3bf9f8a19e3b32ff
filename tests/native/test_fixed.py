"""Both twins of native.fixed against exact oracles: Python's integers, Fraction and decimal.Decimal."""

from __future__ import annotations

import decimal
import importlib
import re
from collections.abc import Callable
from fractions import Fraction
from types import ModuleType
from typing import Any

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from native import fixed_py

fixed_c = importlib.import_module("native.fixed_c")

MAX = 2**63 - 1
MIN = -(2**63)
GRAMMAR = re.compile(r"[+-]?[0-9]+(\.[0-9]+)?([eE][+-]?[0-9]+)?", re.ASCII)

near_edges = st.sampled_from(
    [0, 1, -1, 2, -2, 3, 7, 10**9, 2**31, -(2**31), 2**32, 3037000500, MAX, MAX - 1, MIN, MIN + 1]
)
integers = st.integers(MIN, MAX) | near_edges | st.integers(-1000, 1000) | st.integers(-(2**33), 2**33)
digits = st.integers(0, 18)
decimal_texts = st.from_regex(r"\A[+-]?[0-9]{1,21}(\.[0-9]{1,18})?([eE][+-]?[0-9]{1,3})?\Z") | st.from_regex(
    r"\A-?(0|[1-9][0-9]{0,9})\.[0-9]{0,6}0{0,3}\Z"
)
loose_texts = st.text(st.sampled_from("0123456789+-.eE_ \n٣INFnaf"), max_size=45)


@pytest.fixture(params=[fixed_py, fixed_c], ids=["pure", "compiled"])
def fixed(request: pytest.FixtureRequest) -> ModuleType:
    return request.param


def verdict(function: Callable[..., Any], *arguments: Any) -> tuple[Any, ...]:
    """Return what a call gave: its value with its type, or its error's type and words."""
    try:
        value = function(*arguments)
    except Exception as error:
        return type(error), str(error)
    return type(value), value


def muldiv_oracle(a: int, b: int, c: int) -> int | None:
    result = round(Fraction(a * b, c))
    return result if MIN <= result <= MAX else None


def parse_oracle(text: str, digits: int) -> int | None:
    if len(text) > 40 or not GRAMMAR.fullmatch(text):
        return None
    with decimal.localcontext(prec=2000, Emax=5000, Emin=-5000):
        scaled = decimal.Decimal(text).scaleb(digits)
    whole = int(scaled) if not scaled or scaled.adjusted() < 100 else MAX + 1
    return whole if whole == scaled and MIN <= whole <= MAX else None


@given(integers, integers, integers)
@example(MIN, MIN, MIN)
@example(MIN, 1, -1)
@example(MAX, 1, -1)
@example(MAX, MAX, MAX)
@example(MIN, 1, 1)
@example(MIN, 3, 6)
@example(5, 1, 2)
@example(-5, 1, 2)
@example(7, 1, -2)
def test_muldiv_is_exact_and_rounds_half_to_even_on_both_twins(a: int, b: int, c: int) -> None:
    pure = verdict(fixed_py.muldiv, a, b, c)
    assert verdict(fixed_c.muldiv, a, b, c) == pure
    if c == 0:
        assert pure[0] is ZeroDivisionError
    elif (expected := muldiv_oracle(a, b, c)) is None:
        assert pure[0] is OverflowError
    else:
        assert pure == (int, expected)


@given(st.integers(-(2**31), 2**31), st.integers(-(2**31), 2**31).filter(bool))
def test_muldiv_rounds_every_tie_to_the_even_neighbour(half: int, c: int) -> None:
    for twin in (fixed_py, fixed_c):
        result = twin.muldiv(2 * half + 1, c, 2 * c)
        assert result % 2 == 0
        assert abs(2 * result - (2 * half + 1)) == 1


@pytest.mark.parametrize("bad", [MAX + 1, MIN - 1, 10**40])
@pytest.mark.parametrize("place", [0, 1, 2])
def test_muldiv_refuses_arguments_outside_int64(fixed: ModuleType, bad: int, place: int) -> None:
    arguments = [1, 1, 1]
    arguments[place] = bad
    with pytest.raises(OverflowError, match="outside the signed 64-bit range"):
        fixed.muldiv(*arguments)


@pytest.mark.parametrize("bad", [1.0, "1", None, decimal.Decimal(1), True])
def test_refuses_what_is_no_integer(fixed: ModuleType, bad: Any) -> None:
    for call in (
        lambda: fixed.muldiv(bad, 1, 1),
        lambda: fixed.int64(bad),
        lambda: fixed.format_decimal(bad, 2),
    ):
        with pytest.raises(TypeError, match="an integer is needed"):
            call()


@pytest.mark.parametrize("edge", [MAX, MIN, 0, -1])
def test_int64_keeps_the_edges(fixed: ModuleType, edge: int) -> None:
    assert fixed.int64(edge) == edge


@given(decimal_texts | loose_texts, digits)
@example("9223372036854775807", 0)
@example("9223372036854775808", 0)
@example("-9223372036854775808", 0)
@example("-9223372036854775809", 0)
@example("9.223372036854775807", 18)
@example("9.223372036854775808", 18)
@example("0.0000000000000000000000000000000000000", 0)
@example("1" + "0" * 38, 0)
@example("0e999", 0)
@example("100e-2", 0)
@example("1e-7", 7)
@example("1e-7", 6)
@example("1e18", 0)
@example("1e19", 0)
@example("-0", 2)
@example("1.", 2)
@example(".5", 2)
@example("1.50\n", 2)
@example("00012.3400", 2)
def test_parse_decimal_is_exact_or_refuses_on_both_twins(text: str, digits: int) -> None:
    pure = verdict(fixed_py.parse_decimal, text, digits)
    assert verdict(fixed_c.parse_decimal, text, digits) == pure
    expected = parse_oracle(text, digits)
    if expected is None:
        assert pure[0] is ValueError
    else:
        assert pure == (int, expected)


@pytest.mark.parametrize(
    "text",
    [
        "",
        " ",
        " 1",
        "1 ",
        "1_000",
        "NaN",
        "Infinity",
        "-inf",
        "0x10",
        "1e",
        "1e+",
        "--1",
        "+",
        "1,5",
        "٣",
        "1.5.2",
        "e5",
    ],
)
def test_parse_decimal_refuses_what_is_no_number(fixed: ModuleType, text: str) -> None:
    with pytest.raises(ValueError, match="not a decimal number"):
        fixed.parse_decimal(text, 6)


def test_parse_decimal_refuses_a_long_text_and_quotes_40_characters(fixed: ModuleType) -> None:
    assert fixed.parse_decimal("0" * 39 + "7", 0) == 7
    with pytest.raises(ValueError) as caught:
        fixed.parse_decimal("7" * 100_000, 0)
    assert caught.value.args[0].count("7") == 40


def test_parse_decimal_refuses_the_place_after_the_last(fixed: ModuleType) -> None:
    assert fixed.parse_decimal("0.25", 2) == fixed.parse_decimal("0.2500", 2) == 25
    with pytest.raises(ValueError, match=r"more than 2 decimal places: '0\.251'"):
        fixed.parse_decimal("0.251", 2)


@pytest.mark.parametrize("bad", [1.5, 2, None, b"1"])
def test_parse_decimal_refuses_what_is_not_text(fixed: ModuleType, bad: Any) -> None:
    with pytest.raises(TypeError, match="read from text"):
        fixed.parse_decimal(bad, 2)


@given(integers, digits, st.integers(0, 18))
def test_format_decimal_round_trips_and_keeps_its_places(value: int, digits: int, places: int) -> None:
    pure = verdict(fixed_py.format_decimal, value, digits, places)
    assert verdict(fixed_c.format_decimal, value, digits, places) == pure
    if places > digits:
        assert pure[0] is ValueError
        return
    text = pure[1]
    fraction = text.partition(".")[2]
    assert fixed_c.parse_decimal(text, digits) == value
    assert decimal.Decimal(text) == decimal.Decimal(value).scaleb(-digits, decimal.Context(prec=40))
    assert places <= len(fraction) <= digits
    assert len(fraction) == places or not fraction.endswith("0")


@pytest.mark.parametrize("bad", [-1, 19, 10**30])
def test_refuses_a_scale_that_64_bits_cannot_carry(fixed: ModuleType, bad: int) -> None:
    for call in (lambda: fixed.parse_decimal("1", bad), lambda: fixed.format_decimal(1, bad)):
        with pytest.raises(ValueError, match=r"digits must lie in 0\.\.18"):
            call()


@given(
    st.one_of(integers, st.floats(), st.none(), st.integers(), st.booleans()),
    st.one_of(digits, st.floats(), st.none()),
)
def test_twins_give_the_same_verdict_on_any_kind_of_argument(value: Any, scale: Any) -> None:
    for name, arguments in (
        ("format_decimal", (value, scale)),
        ("muldiv", (value, scale, 3)),
        ("parse_decimal", ("1.5", scale)),
    ):
        assert verdict(getattr(fixed_c, name), *arguments) == verdict(getattr(fixed_py, name), *arguments)

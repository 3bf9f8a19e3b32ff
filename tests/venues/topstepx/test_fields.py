"""Scalars of the wire: exact, bounded, and nothing but Theirs for bad bytes."""

from __future__ import annotations

from datetime import UTC, datetime

import pytest
from hypothesis import given
from hypothesis import strategies as st
from msgspec import Raw

from app.domain import instruments
from app.errors import Theirs
from app.venues.topstepx.codec.fields import instrument_of, money_micro, price_ticks, stamp_ns, stamp_text

ES = instruments.by_symbol("ES")
ZN = instruments.by_symbol("ZN")
NS = 1_000_000_000


@pytest.mark.parametrize(
    ("text", "fraction"),
    [
        ("2026-11-20T19:48:53Z", 0),
        ("2026-11-20T19:48:53.5+00:00", 500_000_000),
        ("2026-11-20T19:48:53.527+00:00", 527_000_000),
        ("2026-11-20T19:48:53.5274910+00:00", 527_491_000),
        ("2026-11-20T19:48:53.5274911Z", 527_491_100),
        ("2026-11-20T13:48:53.000001-06:00", 1_000),
    ],
)
def test_reads_stamps_of_0_to_7_fraction_digits_exactly(text: str, fraction: int) -> None:
    whole = int(datetime(2026, 11, 20, 19, 48, 53, tzinfo=UTC).timestamp()) * NS
    assert stamp_ns(text) == whole + fraction


@pytest.mark.parametrize(
    "text",
    [
        "2026-11-20T19:48:53",  # no offset: which zone?
        "2026-11-20 19:48:53Z",
        "2026-13-20T19:48:53Z",
        "2026-02-30T19:48:53Z",
        "1999-12-31T23:59:59Z",
        "2100-01-01T00:00:00Z",
        "0001-01-01T00:00:00+00:00",
        "2026-11-20T19:48:53.Z",
        "2026-11-20T19:48:53.0123456789Z",
        "2026-11-20T19:48:53+99:00",
        "٢٠٢٦-11-20T19:48:53Z",
        "",
    ],
)
def test_refuses_a_stamp_that_is_none(text: str) -> None:
    with pytest.raises(Theirs):
        stamp_ns(text)


@given(st.integers(946_684_800 * NS, 4_102_444_799 * NS))
def test_stamps_survive_the_way_out_and_back(utc_ns: int) -> None:
    assert stamp_ns(stamp_text(utc_ns)) == utc_ns // 100 * 100


@given(st.integers(-(10**9), 10**9))
def test_prices_become_whole_ticks_exactly(ticks: int) -> None:
    for instrument in (ES, ZN):
        text = instruments.ticks_to_price(instrument, ticks)
        assert price_ticks(Raw(text.encode()), instrument) == ticks


@pytest.mark.parametrize(
    "text", ["6700.1", "6700.2500000001", "NaN", "Infinity", '"6700.25"', "true", "[]", "1e400", "0x10"]
)
def test_refuses_a_price_that_is_no_tick(text: str) -> None:
    with pytest.raises(Theirs):
        price_ticks(Raw(text.encode()), ES)


def test_a_missing_price_is_not_zero() -> None:
    assert price_ticks(Raw(b""), ES) is None and price_ticks(Raw(b"null"), ES) is None
    assert price_ticks(Raw(b"0"), ES) == 0 and price_ticks(Raw(b"-0.25"), ES) == -1


@given(st.integers(-(2**53), 2**53))
def test_money_is_exact_to_the_micro(micro: int) -> None:
    sign, (whole, rest) = "-" if micro < 0 else "", divmod(abs(micro), 10**6)
    assert money_micro(Raw(f"{sign}{whole}.{rest:06}".encode()), "balance") == micro


def test_refuses_money_finer_than_a_micro() -> None:
    with pytest.raises(Theirs):
        money_micro(Raw(b"0.0000001"), "balance")


@pytest.mark.parametrize(
    "contract", ["CON.F.US.XYZ.Z26", "F.US.EP", "CON.F.US.EP.Z2", "", "CON.F.US.EP.Z26" * 100]
)
def test_refuses_contracts_it_does_not_know(contract: str) -> None:
    with pytest.raises(Theirs):
        instrument_of(contract)

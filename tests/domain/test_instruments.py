"""The product table against the venue's published figures, and exact conversions of prices."""

from __future__ import annotations

from decimal import Decimal

import pytest
from hypothesis import given
from hypothesis import strategies as st

from app.domain import instruments
from app.domain.contracts import ContractId
from app.domain.holidays import GROUPS
from app.domain.instruments import (
    TABLE,
    Instrument,
    by_contract,
    by_product,
    by_symbol,
    nano_to_ticks,
    price_to_ticks,
    ticks_to_nano,
    ticks_to_price,
)
from app.errors import Refused

ES, ZN, JY = by_symbol("ES"), by_symbol("ZN"), by_symbol("6J")

any_instrument = st.sampled_from(TABLE)
any_ticks = st.integers(-1_000_000, 1_000_000)


def test_lists_every_product_of_the_venue_once() -> None:
    assert len(TABLE) == len({i.symbol for i in TABLE}) == len({i.product for i in TABLE}) == 51


@pytest.mark.parametrize(
    ("symbol", "product", "tick_nano", "tick_value_micro", "point_value"),
    [
        ("ES", "EP", 250_000_000, 12_500_000, "50"),
        ("NQ", "ENQ", 250_000_000, 5_000_000, "20"),
        ("MES", "MES", 250_000_000, 1_250_000, "5"),
        ("MNQ", "MNQ", 250_000_000, 500_000, "2"),
        ("6J", "JY6", 500, 6_250_000, "12500000"),
        ("M6B", "M6B", 100_000, 625_000, "6250"),
        ("ZT", "TUA", 3_906_250, 7_812_500, "2000"),
        ("ZN", "TYA", 15_625_000, 15_625_000, "1000"),
        ("RB", "RBE", 100_000, 4_200_000, "42000"),
        ("MET", "GMET", 500_000_000, 50_000, "0.1"),
        ("GC", "GCE", 100_000_000, 10_000_000, "100"),
        ("CL", "CLE", 10_000_000, 10_000_000, "1000"),
        ("LE", "GLE", 25_000_000, 10_000_000, "400"),
    ],
)
def test_keeps_the_venues_tick_sizes_and_values(
    symbol: str, product: str, tick_nano: int, tick_value_micro: int, point_value: str
) -> None:
    found = by_symbol(symbol)
    assert (found.product, found.tick_nano, found.tick_value_micro) == (product, tick_nano, tick_value_micro)
    assert found.point_value_micro == Decimal(point_value) * 1_000_000


@given(any_instrument)
def test_point_value_is_exact_for_every_product(instrument: Instrument) -> None:
    assert instrument.point_value_micro * instrument.tick_nano == instrument.tick_value_micro * 10**9


@pytest.mark.parametrize(
    ("symbol", "fee"), [("ES", 3_780_000), ("MNQ", 1_220_000), ("CL", 4_020_000), ("GC", 4_240_000)]
)
def test_knows_the_published_fees(symbol: str, fee: int) -> None:
    assert by_symbol(symbol).fee_round_turn_micro == fee


def test_leaves_unpublished_fees_unknown() -> None:
    assert by_symbol("ZN").fee_round_turn_micro is None


def test_weighs_micros_a_tenth_and_silver_a_fifth() -> None:
    assert [by_symbol(s).weight_tenths for s in ("ES", "MES", "SIL", "MGC", "MBT")] == [10, 1, 2, 1, 10]


def test_groups_products_by_underlying() -> None:
    assert {i.symbol for i in instruments.family_of(ES)} == {"ES", "MES"}
    assert {i.symbol for i in instruments.family_of(by_symbol("CL"))} == {"CL", "MCL", "QM"}
    assert all(i in instruments.family_of(i) for i in TABLE)


def test_knows_the_hours_and_months_of_every_product() -> None:
    assert all(i.hours in GROUPS for i in TABLE)
    assert all(list(i.months) == sorted(set(i.months)) for i in TABLE)
    assert {i.symbol for i in TABLE if i.hours == "grains"} == {"ZC", "ZS", "ZW", "ZL", "ZM"}
    assert {i.symbol for i in TABLE if i.hours == "livestock"} == {"LE", "HE"}


@given(any_instrument)
def test_finds_an_instrument_by_each_of_its_names(instrument: Instrument) -> None:
    contract = f"CON.F.US.{instrument.product}.Z26"
    found = by_symbol(instrument.symbol), by_product(instrument.product), by_contract(contract)
    assert set(map(id, found)) == {id(instrument)}
    assert by_contract(ContractId.parse(contract)) is instrument


@pytest.mark.parametrize("text", ["", "SPX", "CON.F.US.XYZ.Z26", "CON.F.EU.EP.Z26", "EP.Z26", "es"])
def test_rejects_what_is_not_in_the_table(text: str) -> None:
    for find in (by_symbol, by_product, by_contract):
        with pytest.raises(Refused, match=r"instrument\.unknown"):
            find(text)


# -- prices --------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("instrument", "text", "ticks"),
    [
        (ES, "1676.75", 6707),
        (ES, "1700", 6800),
        (ES, "1700.250", 6801),
        (ES, "-0.25", -1),
        (ES, "0", 0),
        (ZN, "110.515625", 7073),
        (JY, "0.0067425", 13485),
        (by_symbol("ZT"), "103.00390625", 26369),
    ],
)
def test_reads_prices_exactly(instrument: Instrument, text: str, ticks: int) -> None:
    assert price_to_ticks(instrument, text) == ticks


@pytest.mark.parametrize(
    ("instrument", "ticks", "text"),
    [(ES, 6801, "1700.25"), (ES, 6800, "1700.00"), (ES, -1, "-0.25"), (by_symbol("YM"), 45_000, "45000")],
)
def test_writes_prices_with_the_instruments_places(instrument: Instrument, ticks: int, text: str) -> None:
    assert ticks_to_price(instrument, ticks) == text


@pytest.mark.parametrize(("instrument", "text"), [(ES, "1700.1"), (ES, "0.000000001"), (JY, "0.0000001")])
def test_rejects_a_price_off_the_grid(instrument: Instrument, text: str) -> None:
    with pytest.raises(Refused, match=r"price\.off_tick") as caught:
        price_to_ticks(instrument, text)
    assert instrument.symbol in caught.value.value


@pytest.mark.parametrize("text", ["", "abc", "nan", "Infinity", "1,700.25", "1700.25 ", "9" * 30, "1e400"])
def test_rejects_what_is_no_price(text: str) -> None:
    with pytest.raises(Refused, match=r"price\.malformed"):
        price_to_ticks(ES, text)


@given(any_instrument, any_ticks)
def test_price_text_survives_the_round_trip(instrument: Instrument, ticks: int) -> None:
    text = ticks_to_price(instrument, ticks)
    assert price_to_ticks(instrument, text) == ticks
    assert Decimal(text) * 10**9 == ticks_to_nano(instrument, ticks) == ticks * instrument.tick_nano
    assert len(text.partition(".")[2]) == instrument.decimals


@given(any_instrument, st.integers(-(10**13), 10**13))
def test_rounds_to_the_nearest_tick_when_not_strict(instrument: Instrument, nano: int) -> None:
    ticks = nano_to_ticks(instrument, nano, strict=False)
    off = abs(ticks * instrument.tick_nano - nano)
    assert 2 * off < instrument.tick_nano or (2 * off == instrument.tick_nano and ticks % 2 == 0)


def test_rejects_a_row_whose_point_value_is_not_exact() -> None:
    with pytest.raises(ValueError, match="point value"):
        Instrument("X", "X", 300_000_000, 1, 10, "HMUZ", "globex", "X")

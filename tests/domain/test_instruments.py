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


# The venue's list as published: product or product(ticker), tick / tick value in USD.
PUBLISHED = """
EP(ES) .25/12.50, ENQ(NQ) .25/5, MES .25/1.25, MNQ .25/.50, YM 1/5, MYM 1/.50, RTY .1/5, M2K .1/.50, NKD 5/25,
CLE(CL) .01/10, MCLE(MCL) .01/1, NQM(QM) .025/12.50, NGE(NG) .001/10, MNG .001/1, NQG(QG) .005/12.50,
RBE(RB) .0001/4.20, HOE(HO) .0001/4.20, GCE(GC) .1/10, MGC .1/1, SIE(SI) .005/25, SIL .005/5, CPE(HG)
.0005/12.50, MHG .0005/1.25, PLE(PL) .1/5, EU6(6E) .00005/6.25, EEU(E7) .0001/6.25, BP6(6B) .0001/6.25,
CA6(6C) .00005/5, DA6(6A) .00005/5, NE6(6N) .00005/5, SF6(6S) .00005/6.25, JY6(6J) .0000005/6.25, MX6(6M)
.00001/5, M6E .0001/1.25, M6A .0001/1, M6B .0001/.625, MBT 5/.50, GMET(MET) .5/.05, TUA(ZT) .00390625/7.8125,
FVA(ZF) .0078125/7.8125, TYA(ZN) .015625/15.625, TNA(TN) .015625/15.625, USA(ZB) .03125/31.25, ULA(UB)
.03125/31.25, ZCE(ZC) .25/12.50, ZSE(ZS) .25/12.50, ZWA(ZW) .25/12.50, ZLE(ZL) .01/6, ZME(ZM) .1/10, GLE(LE)
.025/10, HE .025/10
"""


def test_keeps_the_venues_ticks_and_tick_values_of_every_product() -> None:
    published = {}
    for entry in PUBLISHED.replace("\n", " ").split(","):
        name, figures = entry.split()
        product, _, ticker = name.rstrip(")").partition("(")
        tick, value = map(Decimal, figures.split("/"))
        published[ticker or product] = product, int(tick * 10**9), int(value * 10**6)
    assert published == {i.symbol: (i.product, i.tick_nano, i.tick_value_micro) for i in TABLE}


@pytest.mark.parametrize(
    ("symbol", "dollars"),
    [("ES", "50"), ("NQ", "20"), ("MES", "5"), ("MNQ", "2"), ("6J", "12500000"), ("MET", "0.1")],
)
def test_knows_the_worth_of_a_point(symbol: str, dollars: str) -> None:
    assert by_symbol(symbol).point_value_micro == Decimal(dollars) * 10**6


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


def test_weighs_micros_a_tenth_silver_micros_a_fifth_and_everything_else_in_full() -> None:
    micros = {"MES", "MNQ", "M2K", "MYM", "MCL", "MNG", "MGC", "MHG", "M6E", "M6A", "M6B"}
    assert {i.symbol for i in TABLE if i.weight_tenths == 1} == micros
    assert {i.symbol for i in TABLE if i.weight_tenths == 2} == {"SIL"}
    assert {i.weight_tenths for i in TABLE} == {1, 2, 10}


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

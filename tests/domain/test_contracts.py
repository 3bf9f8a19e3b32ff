"""Contract ids, their order, last trading days and rolls."""

from __future__ import annotations

from datetime import date, timedelta

import pytest
from hypothesis import given
from hypothesis import strategies as st

from app.domain.contracts import MONTH_CODES, ContractId, expiry, front_month, next_contract, roll_date
from app.domain.holidays import is_business_day
from app.domain.instruments import TABLE, by_product, by_symbol
from app.errors import Refused

products = st.sampled_from([instrument.product for instrument in TABLE])
contracts = st.builds(ContractId, products, st.integers(1, 12), st.integers(2000, 2098))  # 2099 has no next
dates = st.dates(date(2010, 1, 4), date(2027, 12, 31))


def contract(symbol: str, code: str) -> ContractId:
    """contract("ES", "Z26")."""
    return ContractId.parse(f"CON.F.US.{by_symbol(symbol).product}.{code}")


def test_reads_an_id_into_its_parts() -> None:
    it = ContractId.parse("CON.F.US.EP.Z26")
    assert (it.product, it.month, it.year) == ("EP", 12, 2026)
    assert (it.name, it.symbol_id, str(it)) == ("ESZ6", "F.US.EP", "CON.F.US.EP.Z26")


def test_reads_an_id_of_an_unknown_product_but_does_not_name_it() -> None:
    it = ContractId.parse("CON.F.US.NEW.F30")
    assert str(it) == "CON.F.US.NEW.F30"
    for ask in (lambda: it.name, lambda: expiry(it), lambda: next_contract(it)):
        with pytest.raises(Refused, match=r"instrument\.unknown"):
            ask()


@pytest.mark.parametrize(
    "text",
    [
        *(
            "",
            "ESZ6",
            "CON.F.US.EP",
            "CON.F.US.EP.A26",
            "CON.F.US.EP.Z2026",
            "CON.F.US.EP.Z26 ",
            "CON.F.US..Z26",
        ),
        *("con.f.us.ep.z26", "CON.F.US.EP.Z26\n", "CON.F.US.EP.Z٢٦", "CON.F.US.TOOLONGNAME.Z26"),
    ],
)
def test_rejects_a_malformed_id(text: str) -> None:
    with pytest.raises(Refused, match=r"contract\.malformed"):
        ContractId.parse(text)


@pytest.mark.parametrize(("month", "year"), [(0, 2026), (13, 2026), (1, 1999), (1, 2100)])
def test_rejects_impossible_months_and_years(month: int, year: int) -> None:
    with pytest.raises(Refused, match=r"contract\.malformed"):
        ContractId("EP", month, year)


@given(contracts)
def test_text_survives_the_round_trip(it: ContractId) -> None:
    assert ContractId.parse(str(it)) == it


@given(contracts, contracts)
def test_sorts_by_product_then_year_then_month(a: ContractId, b: ContractId) -> None:
    assert (a < b) == ((a.product, a.year, a.month) < (b.product, b.year, b.month))


def test_sorts_z25_before_h26() -> None:
    assert sorted([contract("ES", "H26"), contract("ES", "Z25")])[0].letter == "Z"


# -- last trading days ---------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("symbol", "code", "last"),
    [
        ("ES", "Z13", "2013-12-20"),
        ("MES", "H26", "2026-03-20"),
        ("ES", "M26", "2026-06-18"),  # the third Friday is Juneteenth
        ("NKD", "Z26", "2026-12-10"),
        ("6E", "Z26", "2026-12-14"),
        ("6C", "Z26", "2026-12-15"),
        ("ZN", "Z26", "2026-12-21"),
        ("ZF", "Z26", "2026-12-31"),
        ("CL", "U26", "2026-08-20"),
        ("MCL", "U26", "2026-08-19"),
        ("CL", "F27", "2026-12-21"),  # Christmas is no business day to count from
        ("NG", "Z26", "2026-11-25"),  # nor is Thanksgiving
        ("RB", "Z26", "2026-11-30"),
        ("GC", "Z13", "2013-12-27"),
        ("MHG", "Z26", "2026-11-25"),
        ("MBT", "X26", "2026-11-27"),
        ("ZC", "Z26", "2026-12-14"),
        ("LE", "Z26", "2026-12-31"),
        ("HE", "Z26", "2026-12-14"),
    ],
)
def test_ends_when_the_exchanges_rule_says(symbol: str, code: str, last: str) -> None:
    assert expiry(contract(symbol, code)) == date.fromisoformat(last)


@given(contracts)
def test_every_contract_ends_on_a_business_day_after_its_roll(it: ContractId) -> None:
    assert is_business_day(expiry(it))
    assert roll_date(it) < expiry(it) or by_product(it.product).symbol == "MHG"
    assert expiry(it) - roll_date(it) < timedelta(days=50)


# -- rolls ---------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("symbol", "on", "front"),
    [
        ("ES", "2013-10-07", "Z13"),  # the recorded weeks
        ("GC", "2013-10-07", "Z13"),
        ("MES", "2026-03-13", "H26"),  # rolls that were observed at the venue
        ("MES", "2026-03-16", "M26"),
        ("MCL", "2026-08-17", "U26"),
        ("MCL", "2026-08-18", "V26"),
        ("CL", "2026-08-18", "V26"),
        ("ES", "2026-12-14", "H27"),  # over the turn of the year
        ("CL", "2026-12-31", "G27"),
        ("SI", "2026-11-20", "Z26"),
    ],
)
def test_puts_the_right_contract_in_front(symbol: str, on: str, front: str) -> None:
    assert front_month(by_symbol(symbol).product, date.fromisoformat(on)) == contract(symbol, front)


@given(products, dates)
def test_the_front_contract_is_of_the_cycle_and_not_yet_rolled(product: str, on: date) -> None:
    front = front_month(product, on)
    assert front.letter in by_product(product).months
    assert on < roll_date(front) <= expiry(front)


@given(products, dates, dates)
def test_the_front_contract_never_goes_back(product: str, a: date, b: date) -> None:
    early, late = sorted((a, b))
    assert front_month(product, early) <= front_month(product, late)


@given(products, dates)
def test_the_next_contract_is_in_front_on_the_roll_date(product: str, on: date) -> None:
    front = front_month(product, on)
    assert front_month(product, roll_date(front)) == next_contract(front)


@given(contracts)
def test_the_next_contract_is_the_following_one_of_the_cycle(it: ContractId) -> None:
    following, months = next_contract(it), by_product(it.product).months
    between = [
        MONTH_CODES[number % 12]
        for number in range(it.year * 12 + it.month, following.year * 12 + following.month - 1)
    ]
    assert it < following and following.letter in months
    assert not set(between) & set(months)

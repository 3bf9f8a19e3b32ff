"""The owner's dated fees and caps: which entry is in force, and how a wrong one is named."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import date

import pytest

from app.domain.entries import ENTRY_LIMIT, TEXT_LIMIT
from app.domain.instruments import TABLE, by_contract, by_symbol, family_of, state_fees
from app.domain.products import Products
from app.errors import SettingsError

NG_IN_NOVEMBER = 'symbol = "NG"\nfrom = 2026-11-01\nfee = "4.10"\nmax_contracts = 3'
NG_IN_DECEMBER = 'symbol = "NG"\nfrom = 2026-12-01\nfee = "4.30"'


def products(*entries: str) -> Products:
    return Products.parse("".join(f"[[product]]\n{entry}\n" for entry in entries))


@pytest.fixture(autouse=True)
def built_in_fees() -> Iterator[None]:
    yield
    state_fees({})


def test_an_entry_is_in_force_from_its_day_on() -> None:
    stated = products(NG_IN_DECEMBER, NG_IN_NOVEMBER)
    assert stated.fees_micro(date(2026, 10, 31)) == {} == stated.caps(date(2026, 10, 31))
    assert stated.fees_micro(date(2026, 11, 1)) == {"NG": 4_100_000}
    assert stated.fees_micro(date(2026, 12, 1)) == {"NG": 4_300_000}
    assert stated.caps(date(2026, 12, 1)) == {"NG": 3}, "what the newer entry leaves out stays"


def test_no_entries_state_nothing() -> None:
    assert Products.parse("").fees_micro(date.max) == {}


def test_a_stated_fee_is_in_force_everywhere_and_ends_with_its_statement() -> None:
    assert by_symbol("NG").fee_round_turn_micro is None
    state_fees({"NG": 4_100_000})
    stated = by_symbol("NG")
    assert stated.fee_round_turn_micro == 4_100_000
    assert by_contract("CON.F.US.NGE.Z26") is stated and stated in family_of(stated)
    state_fees({})
    assert [by_symbol(each.symbol) for each in TABLE] == list(TABLE)
    assert all(by_symbol(each.symbol) is each for each in TABLE), "identity tells products apart"


@pytest.mark.parametrize(
    ("entry", "key"),
    [
        ('from = 2026-11-01\nfee = "1"', "symbol"),
        ('symbol = "XX"\nfrom = 2026-11-01\nfee = "1"', "symbol"),
        ('symbol = 5\nfrom = 2026-11-01\nfee = "1"', "symbol"),
        ('symbol = "ES"\nfee = "1"', "from"),
        ('symbol = "ES"\nfrom = "2026-11-01"\nfee = "1"', "from"),
        ('symbol = "ES"\nfrom = 2026-11-01T10:00:00\nfee = "1"', "from"),
        ('symbol = "ES"\nfrom = 2026-11-01\nfee = 1.0', "fee"),
        ('symbol = "ES"\nfrom = 2026-11-01\nfee = "-1"', "fee"),
        ('symbol = "ES"\nfrom = 2026-11-01\nfee = "101"', "fee"),
        ('symbol = "ES"\nfrom = 2026-11-01\nfee = "1e400"', "fee"),
        ('symbol = "ES"\nfrom = 2026-11-01\nfee = "NaN"', "fee"),
        ('symbol = "ES"\nfrom = 2026-11-01\nmax_contracts = -1', "max_contracts"),
        ('symbol = "ES"\nfrom = 2026-11-01\nmax_contracts = true', "max_contracts"),
        ('symbol = "ES"\nfrom = 2026-11-01\nmax_contracts = 1001', "max_contracts"),
        ('symbol = "ES"\nfrom = 2026-11-01\nfee = "1"\nreason = 5', "reason"),
        ('symbol = "ES"\nfrom = 2026-11-01\nfee = "1"\nfees = "1"', "fees"),
    ],
)
def test_names_the_wrong_key_of_an_entry(entry: str, key: str) -> None:
    with pytest.raises(SettingsError, match=rf"products\.product\[1\]\.{key}\b"):
        products(entry)


def test_refuses_an_entry_that_states_nothing_and_one_stated_twice() -> None:
    with pytest.raises(SettingsError, match="neither"):
        products('symbol = "ES"\nfrom = 2026-11-01')
    with pytest.raises(SettingsError, match=r"product\[2\].*listed twice"):
        products(NG_IN_NOVEMBER, NG_IN_NOVEMBER)


@pytest.mark.parametrize(
    "text", ["x = 1", "product = 5", "[[product", "#" * (TEXT_LIMIT + 1), "[[product]]\n" * (ENTRY_LIMIT + 1)]
)
def test_refuses_a_file_that_is_none(text: str) -> None:
    with pytest.raises(SettingsError, match="products"):
        Products.parse(text)


def test_a_fee_for_an_unknown_symbol_is_a_mistake_of_ours() -> None:
    with pytest.raises(KeyError):
        state_fees({"XX": 1})

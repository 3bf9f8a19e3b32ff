"""The contracts of the venue: which exist, which is active on a date, how they are shown and searched.
Pure.
"""

from __future__ import annotations

from collections.abc import Collection
from datetime import date
from functools import lru_cache

from app.domain.contracts import ContractId, expiry, front_month
from app.domain.instruments import Instrument, by_product, by_symbol
from app.domain.units import MICRO, NANO
from app.errors import Refused
from app.simulator.rows import Row

SEARCH_LIMIT = 20  # rows a search returns at most, silently
ID_LIMIT = 32  # characters of a contract id; what is longer is none and is not remembered
KEPT = 4_096  # answers about single contracts kept: every product over a few years of expiries

NAMES = {
    "ES": "E-mini S&P 500", "NQ": "E-mini NASDAQ-100", "MES": "Micro E-mini S&P 500",
    "MNQ": "Micro E-mini NASDAQ-100", "YM": "E-mini Dow", "MYM": "Micro E-mini Dow",
    "RTY": "E-mini Russell 2000", "M2K": "Micro E-mini Russell 2000", "NKD": "Nikkei 225 (USD)",
    "6E": "Euro FX", "E7": "E-mini Euro FX", "6B": "British Pound", "6C": "Canadian Dollar",
    "6A": "Australian Dollar", "6N": "New Zealand Dollar", "6S": "Swiss Franc", "6J": "Japanese Yen",
    "6M": "Mexican Peso", "M6E": "Micro EUR/USD", "M6A": "Micro AUD/USD", "M6B": "Micro GBP/USD",
    "ZT": "2-Year T-Note", "ZF": "5-Year T-Note", "ZN": "10-Year T-Note", "TN": "Ultra 10-Year T-Note",
    "ZB": "U.S. Treasury Bond", "UB": "Ultra T-Bond", "CL": "Crude Oil", "MCL": "Micro Crude Oil",
    "QM": "E-mini Crude Oil", "NG": "Natural Gas", "MNG": "Micro Natural Gas",
    "QG": "E-mini Natural Gas", "RB": "RBOB Gasoline", "HO": "NY Harbor ULSD", "MBT": "Micro Bitcoin",
    "MET": "Micro Ether", "GC": "Gold", "MGC": "Micro Gold", "SI": "Silver", "SIL": "Micro Silver",
    "HG": "Copper", "MHG": "Micro Copper", "PL": "Platinum", "ZC": "Corn", "ZW": "Wheat",
    "ZS": "Soybeans", "ZL": "Soybean Oil", "ZM": "Soybean Meal", "LE": "Live Cattle", "HE": "Lean Hogs",
}  # fmt: skip
MONTHS = (
    "January", "February", "March", "April", "May", "June", "July", "August", "September", "October",
    "November", "December",
)  # fmt: skip


def find(contract: str) -> ContractId | None:
    """The contract with this id; None when no product, or no month of the product's cycle, is called so."""
    return _find(contract) if len(contract) <= ID_LIMIT else None


@lru_cache(KEPT)
def _find(contract: str) -> ContractId | None:
    try:
        found = ContractId.parse(contract)
        return found if found.letter in by_product(found.product).months else None
    except Refused:
        return None


def instrument_of(contract: str) -> Instrument | None:
    found = find(contract)
    return None if found is None else by_product(found.product)


def active(symbol: str, on: date) -> str:
    """The one contract of a product that trades on a trade date."""
    return _front(by_symbol(symbol).product, on)


@lru_cache(KEPT)
def _front(product: str, on: date) -> str:
    return str(front_month(product, on))


def is_active(contract: str, on: date) -> bool:
    found = find(contract)
    return found is not None and _front(found.product, on) == contract


@lru_cache(KEPT)
def last_day(contract: str) -> date:
    return expiry(ContractId.parse(contract))


def contract_row(contract: str, on: date) -> Row:
    found = ContractId.parse(contract)
    instrument = by_product(found.product)
    return {
        "id": contract,
        "name": found.name,
        "description": f"{NAMES[instrument.symbol]}: {MONTHS[found.month - 1]} {found.year}",
        "tickSize": instrument.tick_nano / NANO,
        "tickValue": instrument.tick_value_micro / MICRO,
        "activeContract": is_active(contract, on),
        "symbolId": found.symbol_id,
    }


def search(text: str, symbols: Collection[str], on: date) -> list[Row]:
    """Fuzzy, as the venue's: anything that contains the text, the closest first."""
    wanted = text.strip().upper()
    rows = [contract_row(active(symbol, on), on) for symbol in symbols]
    ranked = sorted(((_rank(wanted, row), n, row) for n, row in enumerate(rows)), key=lambda entry: entry[:2])
    return [row for rank, _, row in ranked if rank < _NO_MATCH][:SEARCH_LIMIT]


_NO_MATCH = 4


def _rank(wanted: str, row: Row) -> int:
    """0 the product itself, 1 its name begins so, 2 the ids contain it, 3 the description does."""
    name, identity = row["name"], row["id"]
    if wanted in (name, identity, name[:-2], row["symbolId"].rsplit(".", 1)[-1]):
        return 0
    if name.startswith(wanted):
        return 1
    return (
        2
        if wanted in name or wanted in identity
        else 3
        if wanted in row["description"].upper()
        else _NO_MATCH
    )

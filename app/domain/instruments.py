"""What the venue lets us trade: tick sizes and values, weights, cycles, hours and fees of each product.

A table and exact conversions between ticks and text; no expiries (`contracts`), no limits, no account rules,
no I/O. Source: the venue's list of contracts and its fee schedule. The `product` is the code inside contract
ids ("EP"), the `symbol` the exchange's ticker ("ES"). What is not in the table is refused, never guessed.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field, replace
from datetime import date
from difflib import get_close_matches
from functools import lru_cache
from typing import NoReturn

from app.domain.holidays import GROUPS
from app.domain.units import NANO, PRICE_DIGITS, micro
from app.errors import Refused
from native import fixed

FEES_AS_OF = date(2026, 10, 1)  # the newest schedule the fees below were read from

QUARTERLY = "HMUZ"
CONTRACTS_KEPT = 256  # ids whose product is remembered: several times what one account ever holds
NEAR = 3  # tickers suggested for one that is not known
MONTHLY = "FGHJKMNQUVXZ"  # the exchange's letters of January to December


@dataclass(frozen=True, slots=True)
class Instrument:
    """One product.

    `tick_nano` is the tick in 1e-9 of a price unit, `tick_value_micro` its worth per contract in micro-USD.
    `weight_tenths` counts towards contract limits (mini 10, micro 1). `months` are the letters of its cycle,
    `hours` is its group in the calendar. `family` is the symbol of the full-size contract on the same
    underlying. `fee_round_turn_micro` is all that one contract costs in and out; None = unknown, and the
    gate refuses. `decimals` is the number of places that shows every tick.
    """

    symbol: str
    product: str
    tick_nano: int
    tick_value_micro: int
    weight_tenths: int
    months: str
    hours: str
    family: str
    fee_round_turn_micro: int | None = None
    decimals: int = field(init=False, default=0)

    def __post_init__(self) -> None:
        if self.hours not in GROUPS or (self.tick_value_micro * NANO) % self.tick_nano:
            raise ValueError(f"{self.symbol}: hours or point value make no sense")
        digits = len(f"{self.tick_nano % NANO:0{PRICE_DIGITS}}".rstrip("0"))
        object.__setattr__(self, "decimals", digits)

    @property
    def point_value_micro(self) -> int:
        """Micro-USD for one whole price unit of one contract (ES: 50_000_000). Exact for every product."""
        return self.tick_value_micro * NANO // self.tick_nano

    @property
    def symbol_id(self) -> str:
        """The venue's name of the product across expiries ("F.US.EP")."""
        return f"F.US.{self.product}"


# Round turns in USD, all in (regulator, exchange, commission). The list of June 2026 gave QM, GC, MGC and
# MNG, the schedule of October 2026 the others; no figure was published for products that are absent here.
_FEES = {
    **dict.fromkeys(("MES", "MNQ", "M2K", "MYM"), "1.22"),
    **dict.fromkeys(("ES", "NQ", "RTY", "YM"), "3.78"),
    "CL": "4.02",
    "GC": "4.24",
    "MCL": "1.52",
    "MGC": "1.74",
    "MNG": "1.74",
    "QM": "3.44",
    "SI": "4.32",
    "SIL": "2.72",
}


def _group(hours: str, months: str, rows: Iterable[str]) -> list[Instrument]:
    """Rows of "symbol product tick tick-value-USD weight-in-tenths family"."""
    return [_row(hours, months, row) for row in rows]


def _row(hours: str, months: str, row: str) -> Instrument:
    symbol, product, tick, value, weight, family = row.split()
    fee = _FEES.get(symbol)
    return Instrument(
        symbol=symbol,
        product=product,
        tick_nano=int(fixed.parse_decimal(tick, PRICE_DIGITS)),
        tick_value_micro=micro(value),
        weight_tenths=int(weight),
        months=months,
        hours=hours,
        family=family,
        fee_round_turn_micro=None if fee is None else micro(fee),
    )


_EQUITY = (
    "ES EP 0.25 12.50 10 ES",
    "NQ ENQ 0.25 5 10 NQ",
    "MES MES 0.25 1.25 1 ES",
    "MNQ MNQ 0.25 0.50 1 NQ",
    "YM YM 1 5 10 YM",
    "MYM MYM 1 0.50 1 YM",
    "RTY RTY 0.1 5 10 RTY",
    "M2K M2K 0.1 0.50 1 RTY",
    "NKD NKD 5 25 10 NKD",
)
_FX = (
    "6E EU6 0.00005 6.25 10 6E",
    "E7 EEU 0.0001 6.25 10 6E",  # half a 6E, yet counted as a mini
    "6B BP6 0.0001 6.25 10 6B",
    "6C CA6 0.00005 5 10 6C",
    "6A DA6 0.00005 5 10 6A",
    "6N NE6 0.00005 5 10 6N",
    "6S SF6 0.00005 6.25 10 6S",
    "6J JY6 0.0000005 6.25 10 6J",
    "6M MX6 0.00001 5 10 6M",
    "M6E M6E 0.0001 1.25 1 6E",
    "M6A M6A 0.0001 1 1 6A",
    "M6B M6B 0.0001 0.625 1 6B",
)
_RATES = (
    "ZT TUA 0.00390625 7.8125 10 ZT",
    "ZF FVA 0.0078125 7.8125 10 ZF",
    "ZN TYA 0.015625 15.625 10 ZN",
    "TN TNA 0.015625 15.625 10 TN",
    "ZB USA 0.03125 31.25 10 ZB",
    "UB ULA 0.03125 31.25 10 UB",
)
_ENERGY = (
    "CL CLE 0.01 10 10 CL",
    "MCL MCLE 0.01 1 1 CL",
    "QM NQM 0.025 12.50 10 CL",  # half a CL, yet counted as a mini
    "NG NGE 0.001 10 10 NG",
    "MNG MNG 0.001 1 1 NG",
    "QG NQG 0.005 12.50 10 NG",  # a quarter of an NG, yet counted as a mini
    "RB RBE 0.0001 4.20 10 RB",
    "HO HOE 0.0001 4.20 10 HO",
)
# The venue weighs these by a rule of its own that it does not publish; a full mini each is the careful
# reading.
_CRYPTO = (
    "MBT MBT 5 0.50 10 BTC",
    "MET GMET 0.5 0.05 10 ETH",
)
_GOLD = (
    "GC GCE 0.1 10 10 GC",
    "MGC MGC 0.1 1 1 GC",
)
_SILVER_COPPER = (
    "SI SIE 0.005 25 10 SI",
    "SIL SIL 0.005 5 2 SI",  # five count as one mini
    "HG CPE 0.0005 12.50 10 HG",
    "MHG MHG 0.0005 1.25 1 HG",
)
_CORN_WHEAT = (
    "ZC ZCE 0.25 12.50 10 ZC",
    "ZW ZWA 0.25 12.50 10 ZW",
)
_SOY_OIL_MEAL = (
    "ZL ZLE 0.01 6 10 ZL",
    "ZM ZME 0.1 10 10 ZM",
)

TABLE: tuple[Instrument, ...] = (
    *_group("globex", QUARTERLY, (*_EQUITY, *_FX, *_RATES)),
    *_group("globex", MONTHLY, (*_ENERGY, *_CRYPTO)),
    *_group("globex", "GJMQVZ", _GOLD),
    *_group("globex", "HKNUZ", _SILVER_COPPER),
    *_group("globex", "FJNV", ("PL PLE 0.1 5 10 PL",)),
    *_group("grains", "HKNUZ", _CORN_WHEAT),
    *_group("grains", "FHKNQUX", ("ZS ZSE 0.25 12.50 10 ZS",)),
    *_group("grains", "FHKNQUVZ", _SOY_OIL_MEAL),
    *_group("livestock", "GJMQVZ", ("LE GLE 0.025 10 10 LE",)),
    *_group("livestock", "GJKMNQVZ", ("HE HE 0.025 10 10 HE",)),
)

_BUILT_IN = {instrument.symbol: instrument for instrument in TABLE}
_BY_SYMBOL = dict(_BUILT_IN)  # what is in force: see state_fees
_BY_PRODUCT = {instrument.product: instrument for instrument in TABLE}


def _unknown(value: str) -> NoReturn:
    raise Refused("instrument.unknown", value, "known products")


def by_symbol(symbol: str) -> Instrument:
    """The instrument with an exchange ticker ("ES"). Raises Refused."""
    return _BY_SYMBOL.get(symbol) or _unknown(symbol)


def symbols_like(text: str) -> str:
    """For a message about an unknown ticker: the nearest ones, or all when none is near."""
    near = get_close_matches(text.upper(), _BY_SYMBOL, n=NEAR, cutoff=0.5)
    return f"did you mean {' or '.join(near)}?" if near else f"known are {', '.join(sorted(_BY_SYMBOL))}"


def by_product(product: str) -> Instrument:
    """The instrument with a venue product code ("EP"). Raises Refused."""
    return _BY_PRODUCT.get(product) or _unknown(product)


def by_contract(contract_id: object) -> Instrument:
    """The instrument of a contract id, as text ("CON.F.US.EP.Z26") or as a `ContractId`. Raises Refused."""
    return _of_contract(str(contract_id))


@lru_cache(maxsize=CONTRACTS_KEPT)
def _of_contract(text: str) -> Instrument:
    parts = text.split(".")
    if len(parts) != 5 or parts[:3] != ["CON", "F", "US"]:
        _unknown(text)
    return by_product(parts[3])


def family_of(instrument: Instrument) -> tuple[Instrument, ...]:
    """Every product on the same underlying, itself included: ES and MES."""
    return tuple(other for other in _BY_SYMBOL.values() if other.family == instrument.family)


def state_fees(fees_micro: Mapping[str, int]) -> None:
    """The owner's round turns by symbol, in force instead of the built-in ones; the others go back to those.

    For the whole process, and only at its start, before anything holds an instrument: the gate tells
    products apart by identity. Raises KeyError for a symbol without a row.
    """
    stated = {_BUILT_IN[symbol]: fee for symbol, fee in fees_micro.items()}
    for built_in in TABLE:
        fee = stated.get(built_in)
        instrument = built_in if fee is None else replace(built_in, fee_round_turn_micro=fee)
        _BY_SYMBOL[instrument.symbol] = _BY_PRODUCT[instrument.product] = instrument
    _of_contract.cache_clear()


def ticks_to_nano(instrument: Instrument, ticks: int) -> int:
    """A price in ticks as 1e-9 price units."""
    return ticks * instrument.tick_nano


def nano_to_ticks(instrument: Instrument, nano: int, strict: bool = True) -> int:
    """A price in 1e-9 units as ticks. Off the grid: Refused if `strict`, else the nearest (half to even)."""
    ticks, rest = divmod(nano, instrument.tick_nano)
    if rest == 0:
        return ticks
    if strict:
        price = fixed.format_decimal(nano, PRICE_DIGITS, instrument.decimals)
        tick = fixed.format_decimal(instrument.tick_nano, PRICE_DIGITS, 0)
        raise Refused("price.off_tick", f"{instrument.symbol} {price}", f"multiples of {tick}")
    return int(fixed.muldiv(nano, 1, instrument.tick_nano))


def price_to_ticks(instrument: Instrument, text: str) -> int:
    """The ticks of a decimal price text, exactly. Raises Refused (`price.off_tick`, `price.malformed`)."""
    try:
        nano = fixed.parse_decimal(text, PRICE_DIGITS)
    except (ValueError, OverflowError):
        raise Refused("price.malformed", text, "a decimal number") from None
    return nano_to_ticks(instrument, nano)


def ticks_to_price(instrument: Instrument, ticks: int) -> str:
    """Exact decimal text with the instrument's places ("1650.25", "1650.00"; six places for ZN)."""
    return str(fixed.format_decimal(ticks_to_nano(instrument, ticks), PRICE_DIGITS, instrument.decimals))

"""Accounts, orders, executions, positions, contracts and bars: the venue's shapes and their meaning.

Pure. One shape serves REST (explicit nulls) and hub (omitted members); unknown members are ignored. An enum
value that is not in a table here is never guessed: an order type becomes UNKNOWN, anything else raises
Theirs. Averages of the venue (`averagePrice`, `filledPrice`) are not declared, so they cannot be used.
"""

from __future__ import annotations

from dataclasses import dataclass

from msgspec import Raw, Struct

from app.domain.events import AccountReport, Fill, OrderReport, PositionReport
from app.domain.instruments import Instrument
from app.domain.market import Bar
from app.domain.orders import OrderState, OrderType, Side
from app.domain.units import MICRO, NANO, PRICE_DIGITS
from app.errors import Theirs
from app.venues.topstepx.codec.fields import (
    ABSENT,
    SOURCE,
    AccountId,
    Code,
    Id,
    Size,
    Text,
    instrument_of,
    known_price,
    money_micro,
    present,
    price_ticks,
    stamp_ns,
)
from native import fixed

ORDER_TYPES: dict[int, OrderType] = {
    1: OrderType.LIMIT,
    2: OrderType.MARKET,
    4: OrderType.STOP,
    5: OrderType.TRAILING_STOP,
    6: OrderType.JOIN_BID,
    7: OrderType.JOIN_ASK,
}
TYPE_CODES = {kind: code for code, kind in ORDER_TYPES.items()}
SIDES = {0: Side.BUY, 1: Side.SELL}
SIDE_CODES = {side: code for code, side in SIDES.items()}

# Facts 1.6. Pending (6) and PendingCancellation (7) may still trade, so they count as working. None (0) has
# no meaning.
ORDER_STATES: dict[int, OrderState] = {
    1: OrderState.WORKING,
    2: OrderState.FILLED,
    3: OrderState.CANCELLED,
    4: OrderState.EXPIRED,
    5: OrderState.REJECTED,
    6: OrderState.WORKING,
    7: OrderState.WORKING,
    8: OrderState.SUSPENDED,
}
LIVE_STATUSES = (1, 6, 7, 8)

LONG, SHORT, UNDEFINED = 1, 2, 0


class WireOrder(Struct, rename="camel"):
    id: Id
    account_id: AccountId
    contract_id: Text
    creation_timestamp: str
    status: Code
    type: Code
    side: Code
    size: Size
    update_timestamp: str | None = None
    limit_price: Raw = ABSENT
    stop_price: Raw = ABSENT
    fill_volume: Size | None = None
    custom_tag: Text | None = None
    parent_order_id: int | None = None
    linked_order_id: int | None = None


class WireTrade(Struct, rename="camel"):
    id: Id
    account_id: AccountId
    contract_id: str
    creation_timestamp: str
    side: Code
    size: Size
    order_id: Id
    price: Raw = ABSENT
    profit_and_loss: Raw = ABSENT
    fees: Raw = ABSENT
    commissions: Raw = ABSENT
    voided: bool | None = None


class WirePosition(Struct, rename="camel"):
    account_id: AccountId
    contract_id: Text
    size: Size
    type: Code = UNDEFINED


class WireAccount(Struct, rename="camel"):
    id: AccountId
    name: Text
    can_trade: bool
    balance: Raw = ABSENT
    simulated: bool | None = None


class WireContract(Struct, rename="camel"):
    id: str
    name: Text
    active_contract: bool
    symbol_id: Text
    tick_size: Raw = ABSENT
    tick_value: Raw = ABSENT


class WireBar(Struct):
    t: str
    v: int
    o: Raw = ABSENT
    h: Raw = ABSENT
    l: Raw = ABSENT  # noqa: E741 - the venue's name
    c: Raw = ABSENT


@dataclass(frozen=True, slots=True)
class Contract:
    """One expiry as the venue lists it. Tick in 1e-9 price units, its value in micro-USD."""

    id: str
    name: str
    symbol_id: str
    active: bool
    tick_nano: int
    tick_value_micro: int


def side_of(code: int) -> Side:
    side = SIDES.get(code)
    if side is None:
        raise Theirs(SOURCE, f"side {code} is not understood")
    return side


def _state_of(code: int) -> OrderState:
    state = ORDER_STATES.get(code)
    if state is None:
        raise Theirs(SOURCE, f"order status {code} is not understood")
    return state


def order_report(row: WireOrder) -> OrderReport:
    """Raises Theirs for an unknown status or side, an off-tick price, or an overfilled order.

    An order of a product that is not in our table has no prices here: their tick is not known, and cancelling
    it needs its id alone. To refuse it would fail the read of all others, and with it every FLAT.
    """
    limit_ticks, stop_ticks = _order_prices(row)
    filled = row.fill_volume or 0
    if not filled <= row.size or row.size == 0:
        raise Theirs(SOURCE, f"order {row.id}: {filled} filled of {row.size}")
    created = stamp_ns(row.creation_timestamp)
    return OrderReport(
        venue_id=row.id,
        account_id=row.account_id,
        contract=row.contract_id,
        state=_state_of(row.status),
        type=ORDER_TYPES.get(row.type, OrderType.UNKNOWN),
        side=side_of(row.side),
        size=row.size,
        filled=filled,
        limit_ticks=limit_ticks,
        stop_ticks=stop_ticks,
        tag=row.custom_tag or "",
        parent_id=row.parent_order_id or 0,
        linked_id=row.linked_order_id or 0,
        created_ns=created,
        updated_ns=stamp_ns(row.update_timestamp) if row.update_timestamp else created,
    )


def _order_prices(row: WireOrder) -> tuple[int | None, int | None]:
    """Limit and stop in ticks. Raises Theirs off the tick grid of a product that is known."""
    try:
        instrument = instrument_of(row.contract_id)
    except Theirs:
        return None, None
    return price_ticks(row.limit_price, instrument), price_ticks(row.stop_price, instrument)


def fill(row: WireTrade) -> Fill:
    """Fees include commissions. Raises Theirs for an execution without price, size or fees."""
    fees = money_micro(row.fees, "fees")
    commissions = money_micro(row.commissions, "commissions") or 0
    if row.size == 0 or fees is None or fees < 0 or commissions < 0:
        raise Theirs(SOURCE, f"execution {row.id} without size or fees")
    return Fill(
        id=row.id,
        order_id=row.order_id,
        account_id=row.account_id,
        contract=row.contract_id,
        side=side_of(row.side),
        size=row.size,
        price_ticks=known_price(row.price, instrument_of(row.contract_id), "execution"),
        fees_micro=fees + commissions,
        utc_ns=stamp_ns(row.creation_timestamp),
        gross_micro=money_micro(row.profit_and_loss, "profit"),
        voided=bool(row.voided),
    )


def position_report(row: WirePosition) -> PositionReport:
    """Signed size. Raises Theirs for a direction that is not understood, unless the size is 0.

    The product need not be known: closing a position needs the contract's id alone.
    """
    if row.size and row.type not in (LONG, SHORT):
        raise Theirs(SOURCE, f"position type {row.type} of size {row.size} is not understood")
    net = -row.size if row.type == SHORT else row.size
    return PositionReport(row.account_id, row.contract_id, net)


def account_report(row: WireAccount) -> AccountReport:
    """Raises Theirs without a balance."""
    balance = money_micro(row.balance, "balance")
    if balance is None:
        raise Theirs(SOURCE, f"account {row.id} without a balance")
    return AccountReport(row.id, row.name, balance, row.can_trade, bool(row.simulated))


def contract(row: WireContract) -> Contract:
    """Raises Theirs for sizes that are not decimals. The product need not be known."""
    tick, value = _scaled(row.tick_size, PRICE_DIGITS), money_micro(row.tick_value, "tickValue")
    if value is None or not 0 < tick < NANO * MICRO:
        raise Theirs(SOURCE, f"contract {row.id} without a tick")
    return Contract(row.id, row.name, row.symbol_id, row.active_contract, tick, value)


def _scaled(raw: Raw, digits: int) -> int:
    try:
        return int(fixed.parse_decimal(present(raw) or "0", digits))
    except (ValueError, OverflowError) as error:
        raise Theirs(SOURCE, error) from None


def bar(row: WireBar, instrument: Instrument) -> Bar:
    """Raises Theirs for missing or off-tick prices, a high below the rest, or a negative volume."""
    o, h, low, c = (known_price(raw, instrument, "bar") for raw in (row.o, row.h, row.l, row.c))
    if h < max(o, c, low) or low > min(o, c) or not 0 <= row.v < 2**63:
        raise Theirs(SOURCE, f"bar {row.t} does not hold together")
    return Bar(stamp_ns(row.t), o, h, low, c, row.v)

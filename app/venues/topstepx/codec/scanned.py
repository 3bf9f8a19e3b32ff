"""Hub records that `native.frames` read, as events: the same values that `signalr` makes of decoded records.

Pure. Nothing is refused here: for whatever breaks a rule the answer is None, and the caller has `signalr`
decode the record's bytes, which finds the words for what is wrong.
"""

from __future__ import annotations

from collections.abc import Callable

from app.domain.events import AccountReport, Fill, OrderReport, PositionReport
from app.domain.instruments import nano_to_ticks
from app.domain.market import MarketTrade
from app.domain.orders import OrderType
from app.errors import PlimsollError
from app.venues.topstepx.codec.entities import LONG, ORDER_STATES, ORDER_TYPES, SHORT, SIDES
from app.venues.topstepx.codec.fields import instrument_of
from app.venues.topstepx.codec.signalr import DELETED, UserEvent
from native import frames


def follow(contracts: frames.Contracts, contract: str) -> None:
    """Have the market events of `contract` scanned. One that is unknown is left to the decoder."""
    try:
        contracts.follow(contract, instrument_of(contract).tick_nano)
    except PlimsollError:
        return


def user_events(reader: frames.Reader) -> list[UserEvent] | None:
    """The events of a user record, in order; None when the decoder must judge."""
    read = _USER[reader.kind]
    events: list[UserEvent] = []
    for row in range(reader.rows):
        try:
            event = read(reader, row)
        except PlimsollError:  # an unknown product, a price off the grid
            return None
        if event is None:
            return None
        events.append(event)
    return events


def tape(reader: frames.Reader) -> list[MarketTrade]:
    """The executions of a TRADE record, in order."""
    contract = reader.contract()
    return [
        MarketTrade(contract, _known(reader, row, _T_PRICE), _known(reader, row, _T_VOLUME), stamp)
        for row in range(reader.rows)
        if (stamp := reader.number(row, _T_STAMP)) is not None
    ]


def _known(reader: frames.Reader, row: int, at: int) -> int:
    """A number that the shape requires."""
    return reader.number(row, at) or 0


def _ticks(reader: frames.Reader, row: int, at: int, contract: str) -> int | None:
    nano = reader.number(row, at)
    return None if nano is None else nano_to_ticks(instrument_of(contract), nano)


def _order(reader: frames.Reader, row: int) -> OrderReport | None:
    contract = reader.text(row, _O_CONTRACT) or ""
    state = ORDER_STATES.get(_known(reader, row, _O_STATUS))
    side = SIDES.get(_known(reader, row, _O_SIDE))
    size, filled = _known(reader, row, _O_SIZE), _known(reader, row, _O_FILLED)
    instrument_of(contract)
    if state is None or side is None or not 0 <= filled <= size or size == 0:
        return None
    created = _known(reader, row, _O_CREATED)
    updated = reader.number(row, _O_UPDATED)
    return OrderReport(
        venue_id=_known(reader, row, _O_ID),
        account_id=_known(reader, row, _O_ACCOUNT),
        contract=contract,
        state=state,
        type=ORDER_TYPES.get(_known(reader, row, _O_TYPE), OrderType.UNKNOWN),
        side=side,
        size=size,
        filled=filled,
        limit_ticks=_ticks(reader, row, _O_LIMIT, contract),
        stop_ticks=_ticks(reader, row, _O_STOP, contract),
        tag=reader.text(row, _O_TAG) or "",
        parent_id=reader.number(row, _O_PARENT) or 0,
        linked_id=reader.number(row, _O_LINKED) or 0,
        created_ns=created,
        updated_ns=created if updated is None else updated,
    )


def _fill(reader: frames.Reader, row: int) -> Fill | None:
    contract = reader.text(row, _F_CONTRACT) or ""
    side = SIDES.get(_known(reader, row, _F_SIDE))
    size, price = _known(reader, row, _F_SIZE), _ticks(reader, row, _F_PRICE, contract)
    fees, commissions = _known(reader, row, _F_FEES), reader.number(row, _F_COMMISSIONS) or 0
    if reader.action(row) == DELETED or side is None or size == 0 or price is None:
        return None
    if fees < 0 or commissions < 0:
        return None
    return Fill(
        id=_known(reader, row, _F_ID),
        order_id=_known(reader, row, _F_ORDER),
        account_id=_known(reader, row, _F_ACCOUNT),
        contract=contract,
        side=side,
        size=size,
        price_ticks=price,
        fees_micro=fees + commissions,
        utc_ns=_known(reader, row, _F_CREATED),
        gross_micro=reader.number(row, _F_GROSS),
        voided=bool(reader.number(row, _F_VOIDED)),
    )


def _position(reader: frames.Reader, row: int) -> PositionReport | None:
    contract = reader.text(row, _P_CONTRACT) or ""
    size, direction = _known(reader, row, _P_SIZE), _known(reader, row, _P_TYPE)
    instrument_of(contract)
    if size and (reader.action(row) == DELETED or direction not in (LONG, SHORT)):
        return None
    return PositionReport(_known(reader, row, _P_ACCOUNT), contract, -size if direction == SHORT else size)


def _account(reader: frames.Reader, row: int) -> AccountReport | None:
    return AccountReport(
        account_id=_known(reader, row, _A_ID),
        name=reader.text(row, _A_NAME) or "",
        balance_micro=_known(reader, row, _A_BALANCE),
        can_trade=bool(reader.number(row, _A_TRADE)),
        simulated=bool(reader.number(row, _A_SIMULATED)),
    )


_USER: dict[int, Callable[[frames.Reader, int], UserEvent | None]] = {
    frames.ORDER: _order,
    frames.FILL: _fill,
    frames.POSITION: _position,
    frames.ACCOUNT: _account,
}
USER_KINDS = frozenset(_USER)


def _slots(kind: int, names: str) -> list[int]:
    return [frames.slot(kind, name) for name in names.split()]


_T_PRICE, _T_STAMP, _T_VOLUME = _slots(frames.TRADE, "price timestamp volume")
_O_ID, _O_ACCOUNT, _O_CONTRACT, _O_CREATED, _O_UPDATED, _O_STATUS, _O_TYPE, _O_SIDE = _slots(
    frames.ORDER, "id accountId contractId creationTimestamp updateTimestamp status type side"
)
_O_SIZE, _O_LIMIT, _O_STOP, _O_FILLED, _O_TAG, _O_PARENT, _O_LINKED = _slots(
    frames.ORDER, "size limitPrice stopPrice fillVolume customTag parentOrderId linkedOrderId"
)
_F_ID, _F_ACCOUNT, _F_CONTRACT, _F_CREATED, _F_PRICE, _F_GROSS = _slots(
    frames.FILL, "id accountId contractId creationTimestamp price profitAndLoss"
)
_F_FEES, _F_COMMISSIONS, _F_SIDE, _F_SIZE, _F_VOIDED, _F_ORDER = _slots(
    frames.FILL, "fees commissions side size voided orderId"
)
_P_ACCOUNT, _P_CONTRACT, _P_TYPE, _P_SIZE = _slots(frames.POSITION, "accountId contractId type size")
_A_ID, _A_NAME, _A_BALANCE, _A_TRADE, _A_SIMULATED = _slots(
    frames.ACCOUNT, "id name balance canTrade simulated"
)

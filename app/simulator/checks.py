"""Why the venue refuses an order, in the venue's own words. Pure: "" means nothing speaks against it.

The texts were seen on the live gateway where facts section 1.6 has them; the others (account limits, size,
type, caps) follow its manner, and clients should match them by substring.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from decimal import Decimal

from app.domain.calendar import TradingCalendar
from app.domain.instruments import Instrument, by_contract
from app.domain.units import NANO, PRICE_DIGITS
from app.simulator.accounts import MINI_TENTHS, Account
from app.simulator.book import Book
from app.simulator.feed import Tick
from app.simulator.matching import beyond_market
from app.simulator.orders import Leg, Order, Ticket, Type
from native import fixed

UNAVAILABLE = "Trading is currently unavailable. The instrument is not in an active trading status."
POSITION_BRACKETS = "Brackets cannot be used with Position Brackets. You must enable Auto OCO Brackets."
TAG_IN_USE = "Invalid custom tag. The specified custom tag already in use."
OFF_TICK = " Price is not aligned to tick size."

STOP_LEG_MIN_TICKS = 4
TRAIL_LIMIT_TICKS = 1_000  # ticks: the longest trail accepted on place
LEG_LIMIT_TICKS = 100_000  # ticks: beyond any price, keeps arithmetic of prices small
SIZE_LIMIT = 10_000  # contracts: an int32 on the wire, but no account holds more
LAST_ENTRY_NS = 120 * NANO  # before the flatten time: new entries stop at 15:08

PLACEABLE = frozenset({Type.LIMIT, Type.MARKET, Type.STOP, Type.TRAILING_STOP, Type.JOIN_BID, Type.JOIN_ASK})
STOP_LEG_TYPES = frozenset({Type.STOP, Type.TRAILING_STOP})


@dataclass(frozen=True, slots=True)
class Request:
    """An order to be judged: as asked for, as drafted in ticks, and what it would meet."""

    ticket: Ticket
    draft: Order
    instrument: Instrument
    account: Account
    tick: Tick


def to_ticks(instrument: Instrument, price: Decimal | None) -> int | None:
    """The ticks of a decimal price; None when it is missing, not finite or off the grid."""
    if price is None:
        return None
    try:
        nano = fixed.parse_decimal(str(price), PRICE_DIGITS)
    except (ValueError, OverflowError):
        return None
    ticks, rest = divmod(nano, instrument.tick_nano)
    return None if rest else int(ticks)


# -- one small judgement each ----------------------------------------------------------------------


def bad_size(request: Request) -> str:
    size = request.ticket.size
    return "" if 0 < size <= SIZE_LIMIT else f"Invalid order size ({size})."


def bad_type(request: Request) -> str:
    kind = request.ticket.type
    return "" if kind in PLACEABLE else f"Invalid order type ({type_words(kind)})."


def bad_bracket(request: Request) -> str:
    ticket = request.ticket
    if ticket.stop_loss is None and ticket.take_profit is None:
        return ""
    if not request.account.auto_oco:
        return POSITION_BRACKETS
    return _bad_stop_leg(ticket.side, ticket.stop_loss) or _bad_target_leg(ticket.side, ticket.take_profit)


def _bad_stop_leg(side: int, leg: Leg | None) -> str:
    if leg is None:
        return ""
    if leg.type not in STOP_LEG_TYPES:
        return f"Invalid stop loss type ({type_words(leg.type)})."
    if leg.ticks * side >= 0 and leg.ticks:
        return _wrong_sign("stop loss", leg.ticks, side, less=side > 0)
    if not STOP_LEG_MIN_TICKS <= abs(leg.ticks) <= LEG_LIMIT_TICKS:
        at_least = f"Stop loss tick value should be at least {STOP_LEG_MIN_TICKS} ticks."
        return f"Invalid stop loss ticks ({leg.ticks}). {at_least}"
    return ""


def _bad_target_leg(side: int, leg: Leg | None) -> str:
    if leg is None:
        return ""
    if leg.type != Type.LIMIT:
        return f"Invalid take profit type ({type_words(leg.type)})."
    if leg.ticks * side <= 0 or abs(leg.ticks) > LEG_LIMIT_TICKS:
        return _wrong_sign("take profit", leg.ticks, side, less=side < 0)
    return ""


def _wrong_sign(leg: str, ticks: int, side: int, less: bool) -> str:
    when = "longing" if side > 0 else "going short"
    than = "less" if less else "greater"
    return f"Invalid {leg} ticks ({ticks}). Ticks should be {than} than zero when {when}."


def type_words(number: int) -> str:
    return Type(number).words if number in set(Type) else str(number)


def bad_prices(request: Request) -> str:
    """Each type's own price must be there, on the grid, and a stop strictly beyond the market."""
    ticket, draft, tick = request.ticket, request.draft, request.tick
    if draft.type is Type.LIMIT and draft.limit_ticks is None:
        return _bad_price("Invalid price.", ticket.limit_price)
    if draft.type is Type.STOP and draft.stop_ticks is None:
        return _bad_price("Invalid stop price.", ticket.stop_price)
    if draft.type is Type.TRAILING_STOP and (
        draft.trail_ticks is None or abs(draft.trail_ticks) > TRAIL_LIMIT_TICKS
    ):
        return _bad_price("Invalid stop price.", ticket.trail_price)
    return bad_stop(draft, tick)


def _bad_price(text: str, price: Decimal | None) -> str:
    return text if price is None else text + OFF_TICK


def bad_stop(order: Order, tick: Tick) -> str:
    if order.stop_ticks is None or beyond_market(order.side, order.stop_ticks, tick):
        return ""
    where = "above the best ask" if order.side > 0 else "below the best bid"
    return f"Invalid stop price. The stop price must be {where}."


def locked(request: Request) -> str:
    why = request.account.locked
    return f"Order rejected: account {request.account.name} is locked, {why} violated." if why else ""


# What is judged before the market is asked, and what after; the order matters to no client.
EARLY: tuple[Callable[[Request], str], ...] = (bad_type, bad_size, locked, bad_bracket, bad_prices)


# -- size against limits ---------------------------------------------------------------------------


def too_large(book: Book, request: Request, caps: Mapping[str, int]) -> str:
    """The worst case of position and working entries, in tenths of a mini, against the account's and the
    product's cap.
    """
    account, draft = request.account, request.draft
    before, after = _worst(book, account, None), _worst(book, account, draft)
    total = sum(after.values())
    if total > account.kind.minis * MINI_TENTHS and total > sum(before.values()):
        return f"Order rejected: max position size of {account.kind.minis} contracts would be exceeded."
    cap = caps.get(request.instrument.symbol)
    contracts = after[draft.contract] // request.instrument.weight_tenths
    if cap is not None and contracts > cap and after[draft.contract] > before.get(draft.contract, 0):
        symbol = request.instrument.symbol
        return f"Order rejected: max position size of {cap} {symbol} contracts would be exceeded."
    return ""


def _worst(book: Book, account: Account, extra: Order | None) -> dict[str, int]:
    """Tenths of a mini per contract if every working entry of the worse side filled; bracket legs only take
    away.
    """
    orders = [o for o in book.live_orders(account) if o.parent_id is None] + (
        [extra] if extra is not None else []
    )
    found = {}
    for contract in {*account.positions, *(order.contract for order in orders)}:
        net = account.net(contract)
        sums = {
            side: sum(o.size for o in orders if o.contract == contract and o.side == side) for side in (1, -1)
        }
        worst = max(abs(net + sums[1]), abs(net - sums[-1]))
        found[contract] = worst * by_contract(contract).weight_tenths
    return found


def is_closed(calendar: TradingCalendar, instrument: Instrument, now_ns: int) -> bool:
    """No trading at all: outside the venue's hours, or hours unknown."""
    return not calendar.covers(now_ns) or not calendar.is_open(now_ns, instrument.hours)


def past_entries(calendar: TradingCalendar, request: Request, now_ns: int) -> bool:
    """The last minutes of the day take away exposure only."""
    session = calendar.session_at(now_ns, request.instrument.hours)
    if session is None or now_ns < session.flat_by_ns - LAST_ENTRY_NS:
        return False
    net, draft = request.account.net(request.draft.contract), request.draft
    return not (net * draft.side < 0 and draft.size <= abs(net))

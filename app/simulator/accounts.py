"""Accounts as the venue keeps them: balance, netted positions in FIFO lots, executions, and the rules it
enforces itself.

Money in micro-USD, prices in ticks. No orders are decided here and no text is written.
"""

from __future__ import annotations

from collections import deque
from dataclasses import dataclass, field

from app.domain.instruments import Instrument
from app.domain.units import MICRO
from app.errors import SettingsError
from app.simulator.orders import Order

MINI_TENTHS = 10  # weight of a full-size contract in the instrument table
COMMISSION_MICRO = 250_000  # per contract and side, inside the all-in round turn of the fee table
# Round turns of products whose fee is not published: a full-size contract's, a micro's.
UNPUBLISHED_MINI_MICRO, UNPUBLISHED_MICRO_MICRO = 3_780_000, 1_220_000


@dataclass(frozen=True, slots=True)
class Kind:
    """What sort of account it is. `daily_loss_micro` None = none; `name` is the first part of the account's
    name.
    """

    name: str
    start_micro: int
    maximum_loss_micro: int
    daily_loss_micro: int | None
    minis: int
    locks_at_micro: int


def _kind(name: str, thousands: int, mll: int, dll: int | None, minis: int, xfa: bool = False) -> Kind:
    size = thousands * 1_000 * MICRO
    start = 0 if xfa else size
    return Kind(name, start, mll * MICRO, None if dll is None else dll * MICRO, minis, start)


KINDS: dict[str, Kind] = {
    "50k": _kind("SIM-50K", 50, 2_000, 1_000, 5),
    "100k": _kind("SIM-100K", 100, 3_000, 2_000, 10),
    "150k": _kind("SIM-150K", 150, 4_500, 3_000, 15),
    "50k-nodll": _kind("SIM-50K-NODLL", 50, 2_000, None, 5),
    "xfa-50k": _kind("SIM-EXPRESS-50K", 50, 2_000, None, 5, xfa=True),
    "practice": _kind("PRAC-SIM", 150, 4_500, None, 15),
}


def kind(name: str) -> Kind:
    """The kind called `name`. Raises SettingsError."""
    if name.lower() not in KINDS:
        raise SettingsError("account", f"{name} is unknown; known are {', '.join(KINDS)}")
    return KINDS[name.lower()]


@dataclass(slots=True)
class Position:
    """One contract's net position: FIFO lots of (signed size, price)."""

    id: int
    contract: str
    instrument: Instrument
    created_ns: int
    lots: deque[tuple[int, int]] = field(default_factory=deque)

    @property
    def net(self) -> int:
        return sum(size for size, _ in self.lots)

    @property
    def cost_ticks(self) -> int:
        """Sum of signed size times price; divided by `net` it is the average price."""
        return sum(size * price for size, price in self.lots)

    def unrealised_micro(self, price_ticks: int) -> int:
        return (self.net * price_ticks - self.cost_ticks) * self.instrument.tick_value_micro

    def take(self, size: int, price_ticks: int) -> int:
        """Add `size` (signed) if it has the position's direction, else close the oldest lots with it, never
        beyond flat.

        Returns the gross result in micro-USD.
        """
        gross = 0
        while size and self.lots and self.lots[0][0] * size < 0:
            lot, entry = self.lots.popleft()
            part = max(lot, -size) if lot < 0 else min(lot, -size)
            gross += part * (price_ticks - entry) * self.instrument.tick_value_micro
            size += part
            if lot != part:
                self.lots.appendleft((lot - part, entry))
        if size:
            self.lots.append((size, price_ticks))
        return gross


@dataclass(frozen=True, slots=True)
class Trade:
    """One half-turn. `gross_micro` is None when it opened; fees and commissions are for the whole row."""

    id: int
    account_id: int
    contract: str
    created_ns: int
    price_ticks: int
    gross_micro: int | None
    fees_micro: int
    commissions_micro: int
    side: int
    size: int
    order_id: int


@dataclass(slots=True)
class Account:
    """One account. `auto_oco` is the platform setting that native brackets need; no API shows it.

    `floor_micro` is the maximum loss limit of now; `day_balance_micro` the balance at 17:00 Chicago.
    `locked` names why the venue itself stopped trading; `locked_for_good` survives the next session.
    """

    id: int
    name: str
    kind: Kind
    auto_oco: bool = True
    balance_micro: int = 0
    day_balance_micro: int = 0
    floor_micro: int = 0
    locked: str = ""
    locked_for_good: bool = False
    orders: dict[int, Order] = field(default_factory=dict)
    positions: dict[str, Position] = field(default_factory=dict)
    trades: list[Trade] = field(default_factory=list)
    tags: set[str] = field(default_factory=set)  # never forgotten; the request budget bounds their growth

    def __post_init__(self) -> None:
        self.balance_micro = self.day_balance_micro = self.kind.start_micro
        self.floor_micro = self.kind.start_micro - self.kind.maximum_loss_micro

    @property
    def can_trade(self) -> bool:
        return not self.locked

    def net(self, contract: str) -> int:
        position = self.positions.get(contract)
        return position.net if position else 0

    def roll_day(self) -> None:
        """17:00 Chicago: the floor follows the settled balance, never down and not beyond where it locks."""
        trailed = self.balance_micro - self.kind.maximum_loss_micro
        self.floor_micro = max(self.floor_micro, min(trailed, self.kind.locks_at_micro))
        self.day_balance_micro = self.balance_micro
        if not self.locked_for_good:
            self.locked = ""

    def breach(self, unrealised_micro: int) -> str:
        """Which limit the account has run into, "" for none."""
        equity = self.balance_micro + unrealised_micro
        if equity <= self.floor_micro:
            return "maximum loss limit"
        limit = self.kind.daily_loss_micro
        return "daily loss limit" if limit is not None and equity - self.day_balance_micro <= -limit else ""


def side_fees_micro(instrument: Instrument) -> tuple[int, int]:
    """(fees, commission) of one contract and side."""
    round_turn = instrument.fee_round_turn_micro
    if round_turn is None:
        round_turn = (
            UNPUBLISHED_MINI_MICRO if instrument.weight_tenths >= MINI_TENTHS else UNPUBLISHED_MICRO_MICRO
        )
    return round_turn // 2 - COMMISSION_MICRO, COMMISSION_MICRO

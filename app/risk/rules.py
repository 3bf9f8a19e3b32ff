"""Account rules of the venue that no API field carries: the maximum-loss floor that trails end-of-day
balances and locks.

The owner's account file states the floor and the date it holds from; our own end-of-day balances then raise
it. An account without such a statement has no `AccountRules` at all (None), and everything that needs the
floor stays closed. Source: facts section 3.2.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from datetime import date
from typing import Protocol

from app.errors import SettingsError


class DayBalance(Protocol):
    """A settled balance: `app.engine.records.EndOfDay` is one."""

    @property
    def trade_date(self) -> date: ...
    @property
    def balance_micro(self) -> int: ...


@dataclass(frozen=True, slots=True)
class AccountRules:
    """What the owner stated about one account, in micro-USD.

    `floor_micro` held after the close of `as_of`. `locks_at_micro` is where the floor stops rising: the
    start balance of a Combine (50,000), 0 of an Express account, whose balance starts at 0 and whose floor
    starts at minus the limit. After the first payout the floor of an Express account is 0: the owner states
    floor 0 then. Raises SettingsError for a floor above its lock or a limit that is not positive.
    """

    start_balance_micro: int
    floor_micro: int
    as_of: date
    maximum_loss_micro: int
    locks_at_micro: int

    def __post_init__(self) -> None:
        if self.maximum_loss_micro <= 0:
            raise SettingsError("account.maximum_loss_limit", "must be more than 0")
        if self.floor_micro > self.locks_at_micro:
            raise SettingsError("account.floor", "is above locks_at, where the floor stops rising")


def floor_after(rules: AccountRules, end_of_days: Iterable[DayBalance]) -> int:
    """The floor after these settled days, in any order; only trade dates after `as_of` count.

    It never falls below the stated floor and never rises above its lock, and another day never lowers it.
    """
    best = max((day.balance_micro for day in end_of_days if day.trade_date > rules.as_of), default=None)
    if best is None:
        return rules.floor_micro
    return max(rules.floor_micro, min(rules.locks_at_micro, best - rules.maximum_loss_micro))

"""The account file: what no API field carries and only the owner can state (start balance, floor, limits).

A missing file, or an account it does not name, is no error: the caller gets None, and the desk stays closed.
"""

from __future__ import annotations

from datetime import date
from decimal import Decimal
from pathlib import Path
from typing import Annotated, Any

from msgspec import Meta, Struct

from app.config.loading import decode, read_text
from app.config.settings import MOST_ACCOUNT_ID
from app.errors import SettingsError

MICRO = 1_000_000
NONE = "none"  # `daily_loss_limit = "none"`: said aloud, because a limit nobody stated is not "no limit"
MOST = Decimal(10_000_000)  # USD; the largest account is 150,000


def _usd(low: str) -> Any:
    return Meta(description="USD", extra={"ge": Decimal(low), "le": MOST})


class AccountStatement(Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """`[account.<id>]`. Money in USD as exact decimals; the `_micro` properties give it in micro-units.

    `floor` held after the close of trade date `as_of`; it stops rising at `locks_at` (or start_balance).
    """

    start_balance: Annotated[Decimal, _usd("-10000000")]
    floor: Annotated[Decimal, _usd("-10000000")]
    as_of: date
    maximum_loss_limit: Annotated[Decimal, _usd("1")]
    daily_loss_limit: Annotated[str, Meta(max_length=20, description='USD in quotes, or "none"')]
    max_minis: Annotated[int, Meta(ge=1, le=1_000, description="minis; ten micros count as one")]
    locks_at: Annotated[Decimal, _usd("-10000000")] | None = None

    @property
    def start_balance_micro(self) -> int:
        return _micro(self.start_balance)

    @property
    def floor_micro(self) -> int:
        return _micro(self.floor)

    @property
    def maximum_loss_limit_micro(self) -> int:
        return _micro(self.maximum_loss_limit)

    @property
    def daily_loss_limit_micro(self) -> int | None:
        """None = the owner stated that this account has none."""
        return None if self.daily_loss_limit == NONE else _micro(Decimal(self.daily_loss_limit))

    @property
    def locks_at_micro(self) -> int:
        return _micro(self.start_balance if self.locks_at is None else self.locks_at)

    @property
    def max_contracts_tenths(self) -> int:
        """The account's size limit in tenths of a mini."""
        return self.max_minis * 10


class AccountFile(Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """The whole file: statements by account number."""

    account: dict[
        Annotated[int, Meta(ge=1, le=MOST_ACCOUNT_ID, description="account number")], AccountStatement
    ] = {}

    def of(self, account_id: int) -> AccountStatement | None:
        return self.account.get(account_id)


def load_accounts(path: Path) -> AccountFile | None:
    """The account file at `path`, None when there is none. Raises SettingsError for anything wrong in it."""
    return parse_accounts(read_text(path)) if path.exists() else None


def parse_accounts(text: str) -> AccountFile:
    """The account file from its TOML `text`. Raises SettingsError naming `account.<id>.<key>`."""
    file = decode(text, Path(), AccountFile)
    for account_id, statement in file.account.items():
        _check(f"account.{account_id}", statement)
    return file


def _check(key: str, own: AccountStatement) -> None:
    _check_daily_loss(f"{key}.daily_loss_limit", own.daily_loss_limit)
    if own.floor_micro > own.locks_at_micro:
        raise SettingsError(
            f"{key}.floor", f"{own.floor} is above {own.locks_at or own.start_balance}, where it stops rising"
        )
    lowest = own.start_balance - own.maximum_loss_limit
    if own.floor < lowest:
        raise SettingsError(
            f"{key}.floor", f"{own.floor} is below start_balance - maximum_loss_limit = {lowest}"
        )


def _check_daily_loss(key: str, text: str) -> None:
    if text == NONE:
        return
    try:
        usd = Decimal(text)
        if usd.is_finite() and 1 <= usd <= MOST and usd * MICRO == int(usd * MICRO):
            return
    except ArithmeticError:
        pass
    raise SettingsError(key, f'found "{text}", allowed: USD in quotes such as "1000", or "none"')


def _micro(usd: Decimal) -> int:
    return int(usd * MICRO)

"""The account file: what is stated, what is missing, and what cannot be."""

from __future__ import annotations

from datetime import date
from pathlib import Path

import pytest

from app.config import load_accounts, parse_accounts
from app.errors import SettingsError

TEXT = """[account.1001]
start_balance = "50000"
floor = "48000.50"
as_of = 2026-11-20
maximum_loss_limit = 2000
daily_loss_limit = "1000"
max_minis = 5
locks_at = 50000.0
"""


def test_gives_what_was_stated_in_micro_units() -> None:
    statement = parse_accounts(TEXT).of(1001)
    assert statement is not None
    assert statement.start_balance_micro == statement.locks_at_micro == 50_000_000_000
    assert statement.floor_micro == 48_000_500_000
    assert statement.maximum_loss_limit_micro == 2_000_000_000
    assert statement.daily_loss_limit_micro == 1_000_000_000
    assert (statement.max_contracts_tenths, statement.as_of) == (50, date(2026, 11, 20))


def test_locks_at_the_start_balance_unless_told_otherwise() -> None:
    express = TEXT.replace("50000.0", "0").replace('"50000"', "0").replace("48000.50", "-2000")
    for text in (express, express.replace("locks_at = 0\n", "")):
        statement = parse_accounts(text).of(1001)
        assert statement is not None
        assert (statement.floor_micro, statement.locks_at_micro) == (-2_000_000_000, 0)


def test_has_no_daily_loss_limit_only_when_that_is_stated() -> None:
    statement = parse_accounts(TEXT.replace('"1000"', '"none"')).of(1001)
    assert statement is not None and statement.daily_loss_limit_micro is None


def test_says_nothing_of_an_account_or_a_file_that_is_not_there(tmp_path: Path) -> None:
    assert parse_accounts(TEXT).of(1002) is None
    assert load_accounts(tmp_path / "account.toml") is None
    (tmp_path / "account.toml").write_text(TEXT)
    assert load_accounts(tmp_path / "account.toml") == parse_accounts(TEXT)


@pytest.mark.parametrize(
    ("old", "new", "message"),
    [
        (
            'floor = "48000.50"\n',
            "",
            "account.1001.floor; is missing; write a number from -10000000 to 10000000 (USD)",
        ),
        ('daily_loss_limit = "1000"\n', "", "account.1001.daily_loss_limit; is missing; "),
        ("[account.1001]", "[account.mine]", "account.mine; the name must be a whole number from 1 to"),
        ("[account.1001]", "[acount.1001]", "acount; is unknown; did you mean account?"),
        ("max_minis", "max_micros", "account.1001.max_micros; is unknown; did you mean max_minis?"),
        (
            "48000.50",
            "47999.99",
            "account.1001.floor; 47999.99 is below start_balance - maximum_loss_limit = 48000",
        ),
        ("48000.50", "50000.01", "account.1001.floor; 50000.01 is above 50000.0, where it stops rising"),
        ("48000.50", "48000.0000001", "account.1001.floor; found 48000.0000001, allowed: at most 6 digits"),
        ('"1000"', "1000", "account.1001.daily_loss_limit; found 1000, allowed: a text in quotes"),
        ('"1000"', '"nan"', 'account.1001.daily_loss_limit; found "nan", allowed: USD in quotes'),
        ('"1000"', '"0"', 'account.1001.daily_loss_limit; found "0", allowed: USD in quotes'),
        ('"1000"', '""', 'account.1001.daily_loss_limit; found "", allowed: USD in quotes'),
        ("= 2000", "= 0", "account.1001.maximum_loss_limit; found 0, allowed: a number from 1 to"),
        (
            "max_minis = 5",
            "max_minis = 0",
            "account.1001.max_minis; found 0, allowed: a whole number from 1 to 1000",
        ),
        ("2026-11-20", '"soon"', 'account.1001.as_of; found "soon", allowed: a date such as 2026-11-20'),
        ("50000.0", "true", "account.1001.locks_at; found true, allowed: a number from"),
    ],
)
def test_names_the_account_and_the_key(old: str, new: str, message: str) -> None:
    with pytest.raises(SettingsError) as error:
        parse_accounts(TEXT.replace(old, new))
    assert str(error.value).removeprefix("setting ").startswith(message)

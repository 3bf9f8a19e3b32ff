"""Typed settings: what the owner may say, with type, unit and bounds. The rest is an error naming the key.

`load` and `load_file` read the settings, `load_accounts` the account file, `read_secret` a secret by path.
Nothing here acts on a setting or knows another package of ours; `app.compose` hands the values on.
"""

from __future__ import annotations

from app.config.accounts import AccountFile, AccountStatement, load_accounts, parse_accounts
from app.config.loading import load, load_file
from app.config.secrets import Secret, read_secret
from app.config.settings import (
    Board,
    Native,
    Notify,
    OvernightRange,
    Risk,
    Settings,
    Strategies,
    TopstepX,
    Web,
    is_loopback,
)

__all__ = [
    "AccountFile",
    "AccountStatement",
    "Board",
    "Native",
    "Notify",
    "OvernightRange",
    "Risk",
    "Secret",
    "Settings",
    "Strategies",
    "TopstepX",
    "Web",
    "is_loopback",
    "load",
    "load_accounts",
    "load_file",
    "parse_accounts",
    "read_secret",
]

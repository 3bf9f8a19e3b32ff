"""`plimsoll replay FILE --symbol ES --strategy overnight_range [--set key=value ...] [--json]`.

Arguments and output only. Errors are raised as they are (`app.errors`); the command line turns them into
one line.
"""

from __future__ import annotations

import argparse
import sys
from collections.abc import Sequence
from pathlib import Path

from app.errors import SettingsError


def add_arguments(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("file", type=Path, metavar="FILE", help="one-minute bars, CSV or CSV.gz")
    parser.add_argument("--symbol", required=True, help="ticker of the bars, such as ES")
    parser.add_argument("--strategy", required=True, metavar="NAME", help="such as overnight_range")
    parser.add_argument(
        "--set",
        action="append",
        default=[],
        metavar="KEY=VALUE",
        help="a setting of the strategy or of the account, such as slippage_ticks=2; may be repeated",
    )
    parser.add_argument("--json", action="store_true", help="print JSON")


def run(args: argparse.Namespace) -> int:
    """Print the report; 0. With --json, alarms go to stderr, a line each: the JSON's shape is fixed.

    Raises Theirs for the file, SettingsError for arguments.
    """
    from app.backtest.replay import replay  # the engine is loaded for a replay, not for its --help

    report = replay(args.file, args.symbol, args.strategy, assignments(args.set))
    if args.json:
        sys.stderr.write("".join(f"{line}\n" for line in report.alarms()))
    sys.stdout.write((report.as_json() if args.json else report.as_table()) + "\n")
    return 0


def assignments(words: Sequence[str]) -> dict[str, str]:
    """{"key": "value"} of "key=value" words; the last of a repeated key holds. Raises SettingsError."""
    values: dict[str, str] = {}
    for word in words:
        key, equals, value = word.partition("=")
        if not equals or not key:
            raise SettingsError(word, "write --set key=value")
        values[key.strip()] = value.strip()
    return values

"""`plimsoll replay`: output, and one clear line with the right exit code for every bad input."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from app.backtest.bars_csv import HEADER
from app.cli import main

START = "2013-10-07T12:00:00Z,1676,1677,1675,1676,5"


@pytest.fixture
def bars(tmp_path: Path) -> Path:
    path = tmp_path / "bars.csv"
    path.write_text(f"{HEADER}\n{START}\n2013-10-07T12:01:00Z,1676,1678,1675,1677,5\n")
    return path


def test_prints_json_of_a_file_in_which_nothing_happens(
    bars: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert main(["replay", str(bars), "--symbol", "ES", "--strategy", "overnight_range", "--json"]) == 0
    report = json.loads(capsys.readouterr().out)
    (day,) = report.pop("days")
    assert report == {
        "bars": 2,
        "orders": [],
        "fills": [],
        "trades": [],
        "gross": "0.00",
        "fees": "0.00",
        "net": "0.00",
        "max_drawdown": "0.00",
    }
    assert (day["date"], day["high"], day["low"], day["atr"]) == ("2013-10-07", "1678.00", "1675.00", None)


def test_prints_a_table_for_people(bars: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["replay", str(bars), "--symbol", "ES", "--strategy", "sma_cross", "--set", "slow=20"]) == 0
    lines = capsys.readouterr().out.splitlines()
    assert lines[0].split()[:4] == ["date", "high", "low", "atr"]
    assert lines[-1] == "2 bars, 0 fills, largest drawdown 0.00 USD"


@pytest.mark.parametrize(
    ("arguments", "code", "words"),
    [
        (["--symbol", "XX"], 2, "setting symbol; XX is unknown; known are 6A,"),
        (["--symbol", "MNS"], 2, "did you mean"),
        (["--strategy", "foo"], 2, "known are overnight_range, sma_cross"),
        (["--set", "nope=1"], 2, "setting nope; unknown; known are contracts"),
        (["--set", "nope=1"], 2, "stop_slippage_ticks"),
        (["--set", "symbol=NQ"], 2, "setting symbol; unknown"),
        (["--set", "contracts"], 2, "write --set key=value"),
        (["--set", "=1"], 2, "write --set key=value"),
        (["--set", "contracts=many"], 2, "'many' is not a whole number"),
        (["--set", "slippage_ticks=-1"], 2, "replay.slippage_ticks; -1 is outside 0 to 1000"),
        (["--set", "start_balance=0.0000001"], 2, "start_balance; 0.0000001 is outside 1 to 1000000"),
        (["--set", "start_balance=1.0000001"], 2, "has more than six decimal places"),
        (["--set", "maximum_loss_limit=0"], 2, "replay.maximum_loss_limit; 0 is outside"),
        (["--symbol", "ZB"], 2, "the fees of ZB are not known"),
    ],
)
def test_bad_arguments_end_with_one_line(
    bars: Path, capsys: pytest.CaptureFixture[str], arguments: list[str], code: int, words: str
) -> None:
    if "ZB" in arguments:
        bars.write_text(f"{HEADER}\n2013-10-07T12:00:00Z,130,131,129,130,5\n")
    given = ["replay", str(bars), "--symbol", "ES", "--strategy", "overnight_range", *arguments]
    assert main(given) == code
    error = capsys.readouterr().err
    assert words in error
    assert error.count("\n") == 1


@pytest.mark.parametrize(
    ("content", "words"),
    [
        (None, "No such file"),
        ("", ":1: the header must be"),
        (f"{HEADER}\n", "no bars in it"),
        (f"{HEADER}\n{START}\nbroken\n", ":3: 1 fields instead of 6"),
        (f"{HEADER}\n2009-01-05T12:00:00Z,1,1,1,1,1\n", ":2: 2009-01-05T12:00:00Z is outside"),
        (f"{HEADER}\n{START}\n9999-10-07T12:00:00Z,1,1,1,1,1\n", ":3: 9999-10-07T12:00:00Z is outside"),
    ],
)
def test_bad_files_end_with_one_line(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], content: str | None, words: str
) -> None:
    path = tmp_path / "bars.csv"
    if content is not None:
        path.write_text(content)
    assert main(["replay", str(path), "--symbol", "ES", "--strategy", "overnight_range"]) == 1
    error = capsys.readouterr().err
    assert words in error
    assert error.count("\n") == 1


def test_accepts_the_mark_that_spreadsheets_write(bars: Path, capsys: pytest.CaptureFixture[str]) -> None:
    bars.write_bytes(b"\xef\xbb\xbf" + bars.read_bytes())
    assert main(["replay", str(bars), "--symbol", "ES", "--strategy", "sma_cross"]) == 0
    assert capsys.readouterr().out.endswith("2 bars, 0 fills, largest drawdown 0.00 USD\n")


WEEK = "esz13_1m_2013-10-06_2013-10-11.csv.gz"


def test_says_below_a_day_what_stopped_trading(shared_data: Path, capsys: pytest.CaptureFixture[str]) -> None:
    given = ["replay", str(shared_data / WEEK), "--symbol", "ES", "--strategy", "overnight_range"]
    for setting in ("daily_loss_limit=300", "contracts=2", "slippage_ticks=20", "stop_slippage_ticks=40"):
        given += ["--set", setting]
    assert main(given) == 0
    lines = capsys.readouterr().out.splitlines()
    at = next(number for number, line in enumerate(lines) if line.startswith("2013-10-08"))
    assert "alarm: HALTED watch.daily_loss" in lines[at + 1]
    assert "alarm: HALTED watch.maximum_loss" in lines[at + 2]
    at = next(number for number, line in enumerate(lines) if line.startswith("2013-10-09"))
    assert "alarm: no entries: watch.maximum_loss: 47,713.66 against limit 48,000.00 USD" in lines[at + 1]
    assert main([*given, "--json"]) == 0
    told = capsys.readouterr()
    assert [line.split(" ", 1)[1] for line in told.err.splitlines()] == [
        line.strip().split(" ", 1)[1] for line in lines if " alarm: " in line
    ]
    assert list(json.loads(told.out)["days"][0]) == [
        "date", "high", "low", "atr", "buy_stop", "sell_stop", "gross", "fees", "net", "trades"
    ]  # fmt: skip

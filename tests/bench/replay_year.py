"""A year of one-minute ES bars through `app.backtest` itself: averages that cross, orders, fees, the ledger.

The year is made from the recorded week, without random numbers: 252 whole sessions of 1,380 minutes, whose
bars are the recorded ones in order, each chained to the close before; every second run through the week is
mirrored, so that the week's trend does not become a year's. The goal is for reading the file, running it and
writing the report together; the parts are rows beside it.
"""

from __future__ import annotations

import tempfile
import time
from collections.abc import Iterator
from datetime import UTC, date, datetime
from itertools import cycle, islice
from pathlib import Path

from app.backtest.bars_csv import HEADER, read_bars, read_blocks
from app.backtest.replay import replay
from app.domain.calendar import TradingCalendar
from app.domain.instruments import by_symbol
from app.domain.market import MINUTE_NS, Bar
from tests.bench.appliance import ROOT
from tests.bench.figures import Row, least, measured

JOB = "replay_year"
ROUNDS = 5
GOAL_BARS_S = 500_000
SESSIONS, MINUTES = 252, 1_380
FIRST, LAST = date(2014, 1, 2), date(2015, 2, 28)
# Fast over slow in minutes: the default trades every 25 minutes, the slowest twice a day.
CROSSES = {
    "10 over 30": {},
    "60 over 240": {"fast": "60", "slow": "240", "stop_ticks": "40", "target_ticks": "80"},
    "200 over 1000": {"fast": "200", "slow": "1000", "stop_ticks": "80", "target_ticks": "160"},
}
WEEK = ROOT.parent / "shared" / "data" / "esz13_1m_2013-10-06_2013-10-11.csv.gz"
# An account that no drawdown ends, so that the whole year is traded.
ACCOUNT = {"start_balance": "1000000", "maximum_loss_limit": "1000000", "daily_loss_limit": "0"}


def year(week: list[Bar]) -> Iterator[Bar]:
    """347,760 bars of whole sessions, oldest first."""
    calendar = TradingCalendar()
    whole = (s for s in calendar.sessions(FIRST, LAST) if s.close_ns - s.open_ns >= MINUTES * MINUTE_NS)
    recorded = cycle(range(len(week)))
    close, mirrored = week[0].open_ticks, 1
    for session in islice(whole, SESSIONS):
        for minute in range(MINUTES):
            each = next(recorded)
            bar, before = week[each], week[each - 1].close_ticks if each else week[0].open_ticks
            mirrored = mirrored if each else -mirrored
            made = _moved(bar, session.open_ns + minute * MINUTE_NS, close - mirrored * before, mirrored)
            close = made.close_ticks
            yield made


def _moved(bar: Bar, start_ns: int, offset: int, sign: int) -> Bar:
    ends = sorted((offset + sign * bar.high_ticks, offset + sign * bar.low_ticks))
    opened, close = offset + sign * bar.open_ticks, offset + sign * bar.close_ticks
    return Bar(start_ns, opened, ends[1], ends[0], close, bar.volume)


def write(path: Path, bars: Iterator[Bar]) -> None:
    with path.open("w") as file:
        file.write(HEADER + "\n")
        for bar in bars:
            when = datetime.fromtimestamp(bar.start_ns // 1_000_000_000, UTC).strftime("%Y-%m-%dT%H:%M:%SZ")
            prices = (bar.open_ticks, bar.high_ticks, bar.low_ticks, bar.close_ticks)
            file.write(f"{when},{','.join(f'{p / 4:.2f}' for p in prices)},{bar.volume}\n")


def measure() -> list[Row]:
    if not WEEK.exists():
        return [{"job": JOB, "skipped": f"../{WEEK.relative_to(ROOT.parent)} is not there"}]
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "year.csv"
        write(path, year(list(read_bars(WEEK, by_symbol("ES")))))
        rows = [_row(path, name, more, ROUNDS) for name, more in CROSSES.items()]
        rows.append(_row(path, "10 over 30, no bar skipped", {}, 1, skipping=False))
        return [*rows, _reading(path)]


def _row(path: Path, name: str, more: dict[str, str], rounds: int, skipping: bool = True) -> Row:
    """Bars a second of CPU time, the file's reading and the report's text included."""
    rates: list[float] = []
    fills = 0
    for _ in range(rounds):
        begun = time.process_time()
        report = replay(path, "ES", "sma_cross", ACCOUNT | more, skipping=skipping)
        report.as_json()
        rates.append(report.bars / (time.process_time() - begun))
        fills = len(report.fills)
    goals = [least(GOAL_BARS_S)] if skipping else []
    return measured(JOB, f"{name}, {fills} fills", "bars/s", rates, *goals)


def _reading(path: Path) -> Row:
    rates: list[float] = []
    for _ in range(ROUNDS):
        begun = time.process_time()
        count = sum(block.count for block in read_blocks(path, by_symbol("ES")))
        rates.append(count / (time.process_time() - begun))
    return measured(JOB, "of which reading the file", "bars/s", rates)

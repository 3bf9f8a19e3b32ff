"""A year of one-minute ES bars through `app.backtest` itself: averages that cross, orders, fees, the ledger.

The year is made from the recorded week, without random numbers: 252 whole sessions of 1,380 minutes, whose
bars are the recorded ones in order, each chained to the close before; every second run through the week is
mirrored, so that the week's trend does not become a year's. The goal is for reading the file, running it and
writing the report together; what of it is reading stands in a row beside it.

A bar costs next to nothing, a trade a few hundred microseconds, so the figure says little without the number
of trades. The row to look at is the first, one hour over four: three round trips a day, which cost an ES
trader up to 85 USD in fees and slippage. Ten minutes over thirty, the strategy's own default, trades 28 times
a day and pays up to 800 USD for it, so nobody would; it shows what trades cost. The slow pair shows what bars
cost.
"""

from __future__ import annotations

import json
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
from tests.bench import replay_peers
from tests.bench.appliance import ROOT
from tests.bench.figures import Row, least, measured

JOB = "replay_year"
ROUNDS = 5
GOAL_BARS_S = 500_000
SESSIONS, MINUTES = 252, 1_380
BARS = SESSIONS * MINUTES
FIRST, LAST = date(2014, 1, 2), date(2015, 2, 28)
HEADLINE = "60 over 240"
# Fast over slow in minutes.
CROSSES = {
    HEADLINE: {"fast": "60", "slow": "240", "stop_ticks": "40", "target_ticks": "80"},
    "10 over 30": {},
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
        texts = {name: _run(path, name)[1] for name in CROSSES}
        slow, text = _run(path, HEADLINE, skipping=False)
        if text != texts[HEADLINE]:
            raise RuntimeError("a replay that skips bars tells something else")
        rates: dict[str, list[float]] = {name: [] for name in CROSSES}
        reading: list[float] = []
        for _ in range(ROUNDS):
            for name, samples in rates.items():
                samples.append(_run(path, name)[0])
            reading.append(_read(path))
        beside = replay_peers.row(path, BARS, CROSSES[HEADLINE], lambda: _run(path, HEADLINE)[1])
    rows = [_row(name, samples, texts[name]) for name, samples in rates.items()]
    rows.append(measured(JOB, f"{HEADLINE}, no bar skipped", "bars/s", [slow]))
    return [beside, *rows, measured(JOB, "of which reading the file", "bars/s", reading)]


def _run(path: Path, name: str, skipping: bool = True) -> tuple[float, str]:
    """Bars a second of CPU time, the file's reading and the report's text included; and that text."""
    begun = time.process_time()
    report = replay(path, "ES", "sma_cross", ACCOUNT | CROSSES[name], skipping=skipping)
    text = report.as_json()
    return report.bars / (time.process_time() - begun), text


def _row(name: str, rates: list[float], text: str) -> Row:
    told = json.loads(text)
    fills, trades = len(told["fills"]), len(told["trades"])
    figure = f"{name}, {fills} fills"
    more = {"headline": name == HEADLINE, "fills": fills, "round_trips": trades, "fees": told["fees"]}
    return measured(JOB, figure, "bars/s", rates, least(GOAL_BARS_S), **more)


def _read(path: Path) -> float:
    begun = time.process_time()
    count = sum(block.count for block in read_blocks(path, by_symbol("ES")))
    return count / (time.process_time() - begun)

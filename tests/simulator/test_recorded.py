"""Recorded files as a market."""

from __future__ import annotations

import gzip
from datetime import date
from pathlib import Path

import pytest

from app.clock import NS
from app.domain.calendar import TradingCalendar
from app.errors import SettingsError, Theirs
from app.simulator.main import SimulatorOptions, feed_of, start_ns
from app.simulator.recorded import Recorded
from tests.simulator.conftest import ACCOUNT, Make, new_york

CALENDAR = TradingCalendar()
HEADER = "start_utc,open,high,low,close,volume"
LEGS = {"stopLossBracket": {"ticks": -4, "type": 4}, "takeProfitBracket": {"ticks": 4, "type": 1}}
GOOD = "2013-10-07T14:30:00Z,1680,1681,1679.5,1680.25,100"


def write(folder: Path, *lines: str, name: str = "es.csv") -> Path:
    path = folder / name
    data = "".join(line + "\n" for line in lines).encode()
    path.write_bytes(gzip.compress(data) if name.endswith(".gz") else data)
    return path


@pytest.mark.parametrize(
    "line",
    [
        "2013-10-07T14:31:00Z,1680,1681,1679.5,1680.25",
        "2013-10-07T14:31:00Z,1680,1681,1679.5,x,100",
        "2013-10-07T14:31:00Z,1680,1681,1679.5,1680.10,100",
        "2013-10-07T14:31:00Z,1680,1679,1679.5,1680.25,100",
        "2013-10-07T14:31:00Z,1680,1681,1679.5,1680.25,-1",
        "2013-10-07T14:31:00Z,1680,1681,1679.5,1680.25,1.5",
        "yesterday,1680,1681,1679.5,1680.25,100",
        "2013-10-07T14:29:00Z,1680,1681,1679.5,1680.25,100",
        "x" * 5_000,
        "",
    ],
)
def test_rejects_a_broken_line_by_name(tmp_path: Path, line: str) -> None:
    with pytest.raises(Theirs) as broken:
        Recorded.load(write(tmp_path, HEADER, GOOD, line), "ES", CALENDAR)
    assert broken.value.source == "es.csv:3"


def test_rejects_unknown_headers_empty_and_missing_files(tmp_path: Path) -> None:
    with pytest.raises(Theirs, match=r"es\.csv:1"):
        Recorded.load(write(tmp_path, "date,price"), "ES", CALENDAR)
    with pytest.raises(Theirs, match="no data"):
        Recorded.load(write(tmp_path, HEADER), "ES", CALENDAR)
    with pytest.raises(SettingsError):
        Recorded.load(tmp_path / "none.csv", "ES", CALENDAR)
    broken = tmp_path / "broken.csv.gz"
    broken.write_bytes(b"not gzip")
    with pytest.raises(SettingsError):
        Recorded.load(broken, "ES", CALENDAR)


def test_a_bar_becomes_four_prints_and_the_same_bar_again(tmp_path: Path) -> None:
    feed = Recorded.load(write(tmp_path, HEADER, GOOD, name="es.csv.gz"), "ES", CALENDAR)
    assert [(t.price, t.size) for t in feed.ticks("ES", 0)] == [
        (6720, 25),
        (6718, 25),
        (6724, 25),
        (6721, 25),
    ]
    session = CALENDAR.session(date(2013, 10, 7))
    assert session is not None
    bar = feed.minutes("ES", session)[0]
    assert (bar.open_ticks, bar.high_ticks, bar.low_ticks, bar.close_ticks, bar.volume) == (
        6720,
        6724,
        6718,
        6721,
        100,
    )


def test_a_recorded_week_gives_its_bars_back(shared_data: Path) -> None:
    path = shared_data / "esz13_1m_2013-10-06_2013-10-11.csv.gz"
    feed = Recorded.load(path, "ES", CALENDAR)
    rows = gzip.decompress(path.read_bytes()).decode().splitlines()[1:]
    bars = [
        bar
        for session in CALENDAR.sessions(date(2013, 10, 7), date(2013, 10, 11))
        for bar in feed.minutes("ES", session)
    ]
    assert sum(bar.volume for bar in bars) == sum(int(row.split(",")[5]) for row in rows)
    first = rows[0].split(",")
    shown = [bars[0].open_ticks, bars[0].high_ticks, bars[0].low_ticks, bars[0].close_ticks]
    assert [ticks / 4 for ticks in shown] == [float(cell) for cell in first[1:5]]


async def test_serves_a_recorded_week_with_its_own_contract(shared_data: Path, bench_at: Make) -> None:
    path = shared_data / "esz13_1m_2013-10-06_2013-10-11.csv.gz"
    feed = Recorded.load(path, "ES", CALENDAR)
    bench = await bench_at("10:00", day=date(2013, 10, 8), feed=feed)
    contracts = (await bench.post("/api/Contract/available", live=False))["contracts"]
    assert [row["id"] for row in contracts] == ["CON.F.US.EP.Z13"]
    hub = await bench.user_hub()
    assert (await bench.place(contractId="CON.F.US.EP.Z13", **LEGS))["success"]
    for _ in range(40):
        bench.clock.advance(20 * NS)
        await hub.call("SubscribeAccounts")
        if not await bench.positions():
            break
    trades = (await bench.post("/api/Trade/search", accountId=ACCOUNT))["trades"]
    assert trades[0]["profitAndLoss"] == 50 or trades[0]["profitAndLoss"] <= -50
    assert not (await bench.place(contractId="CON.F.US.MES.Z13"))["success"]


def test_reads_trades_too(shared_data: Path) -> None:
    feed = Recorded.load(shared_data / "gcz13_ticks_2013-10-07_08.csv.gz", "GC", CALENDAR)
    assert sum(1 for _ in feed.ticks("GC", 0)) == 91_573
    assert start_ns(SimulatorOptions(), feed, CALENDAR) == feed.first_ns
    assert start_ns(SimulatorOptions(day=date(2013, 10, 8)), feed, CALENDAR) == new_york(
        date(2013, 10, 8), "09:28"
    )
    for day in (date(2013, 10, 6), date(2013, 10, 9)):
        with pytest.raises(SettingsError, match="recording"):
            start_ns(SimulatorOptions(day=day), feed, CALENDAR)


def test_data_needs_its_symbol(tmp_path: Path) -> None:
    with pytest.raises(SettingsError, match="symbol"):
        feed_of(SimulatorOptions(data=write(tmp_path, HEADER, GOOD)), CALENDAR)

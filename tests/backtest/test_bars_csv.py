"""Bars from CSV: exact, and every broken line is named with file and line."""

from __future__ import annotations

import gzip
from pathlib import Path

import pytest

from app.backtest.bars_csv import HEADER, LINE_LIMIT, read_bars
from app.domain.instruments import by_symbol
from app.domain.market import Bar
from app.errors import Theirs

ES = by_symbol("ES")
GOOD = "2013-10-06T22:00:00Z,1676.75,1677.25,1673.5,1675.25,1884"


def write(folder: Path, *lines: str, header: str = HEADER) -> Path:
    path = folder / "bars.csv"
    path.write_text("\n".join([header, *lines]) + "\n")
    return path


def test_reads_exact_ticks_and_times_plain_or_gzipped(tmp_path: Path) -> None:
    plain = write(tmp_path, GOOD, "2013-10-06T23:59:00Z,1675,1675,1675.00,1675.0,0")
    zipped = tmp_path / "bars.csv.gz"
    zipped.write_bytes(gzip.compress(plain.read_bytes()))
    expected = [
        Bar(1_381_096_800_000_000_000, 6707, 6709, 6694, 6701, 1884),
        Bar(1_381_103_940_000_000_000, 6700, 6700, 6700, 6700, 0),
    ]
    assert list(read_bars(plain, ES)) == list(read_bars(zipped, ES)) == expected


def test_windows_line_ends_are_read(tmp_path: Path) -> None:
    path = tmp_path / "bars.csv"
    path.write_bytes(f"{HEADER}\r\n{GOOD}\r\n".encode())
    assert len(list(read_bars(path, ES))) == 1


def test_the_last_line_may_end_without_a_line_end(tmp_path: Path) -> None:
    path = tmp_path / "bars.csv"
    path.write_text(f"{HEADER}\n{GOOD}\n{GOOD.replace('22:00', '22:01')}")
    assert [bar.start_ns // 60_000_000_000 % 60 for bar in read_bars(path, ES)] == [0, 1]


def test_reads_lines_that_are_written_unusually_among_plain_ones(tmp_path: Path) -> None:
    """More than a block and a chunk of them: none is lost at a seam, and each is counted."""
    times = [f"2013-10-{7 + i // 1440:02}T{i // 60 % 24:02}:{i % 60:02}:00Z" for i in range(9_000)]
    lines = [f"{at},{'1.675e3' if i % 997 == 0 else '1675'},1675,1675,1675,{i}" for i, at in enumerate(times)]
    path = write(tmp_path, *lines)
    bars = list(read_bars(path, ES))
    assert [bar.volume for bar in bars] == list(range(9_000))
    assert {bar.open_ticks for bar in bars} == {6700}
    path = write(tmp_path, *lines, "x")
    with pytest.raises(Theirs, match=":9002: 1 fields"):
        list(read_bars(path, ES))


@pytest.mark.parametrize(
    ("line", "problem"),
    [
        ("2013-10-06T22:01:00Z,1676.75,1677.25,1673.5,1675.25", "5 fields instead of 6"),
        ("2013-10-06T22:01:00Z,1676.75,1677.25,1673.5,1675.25,1,2", "7 fields instead of 6"),
        ("", "1 fields instead of 6"),
        ("2013-10-06T22:01:00Z,1676.70,1677.25,1673.5,1675.25,1", "price.off_tick: ES 1676.70"),
        ("2013-10-06T22:01:00Z,nan,1677.25,1673.5,1675.25,1", "price.malformed: nan"),
        ("2013-10-06T22:01:00Z,,1677.25,1673.5,1675.25,1", "price.malformed"),
        ("2013-10-06T22:01:00Z,1e400,1677.25,1673.5,1675.25,1", "price.malformed"),
        ("2013-10-06T22:01:00Z,1678,1677.25,1673.5,1675.25,1", "high and low do not enclose open and close"),
        ("2013-10-06T22:01:00Z,1676,1677.25,1675.5,1675.25,1", "high and low do not enclose open and close"),
        ("2013-10-06T22:01:00Z,1676,1677,1673.5,1675.25,1.5", "volume '1.5' is not a whole number"),
        ("2013-10-06T22:01:00Z,1676,1677,1673.5,1675.25,-1", "volume '-1' is not a whole number"),
        ("2013-10-06T22:01:00Z,1676,1677,1673.5,1675.25,²", "volume"),
        ("2013-10-06T22:01:30Z,1676,1677,1673.5,1675.25,1", "is not a full minute"),
        ("2013-10-06T22:01:00,1676,1677,1673.5,1675.25,1", "is not a full minute"),
        ("2013-10-06 22:01:00Z,1676,1677,1673.5,1675.25,1", "is not a full minute"),
        ("2013-10-06T24:00:00Z,1676,1677,1673.5,1675.25,1", "is not a full minute"),
        ("2013-10-06T22:60:00Z,1676,1677,1673.5,1675.25,1", "is not a full minute"),
        ("2013-13-06T22:01:00Z,1676,1677,1673.5,1675.25,1", "month must be in 1..12"),
        ("2013-10-06T22:00:00Z,1676,1677,1673.5,1675.25,1", "is not later than the line before"),
        ("2013-10-06T21:59:00Z,1676,1677,1673.5,1675.25,1", "is not later than the line before"),
        ("x" * 5000, "1 fields instead of 6"),
    ],
)
def test_rejects_a_broken_line_with_file_and_line(tmp_path: Path, line: str, problem: str) -> None:
    path = write(tmp_path, GOOD, line, "2013-10-06T22:05:00Z,1676,1677,1673.5,1675.25,1")
    with pytest.raises(Theirs) as raised:
        list(read_bars(path, ES))
    assert str(raised.value).startswith(f"{path}:3: ")
    assert problem in str(raised.value)


def test_good_lines_before_a_broken_one_were_told(tmp_path: Path) -> None:
    bars = read_bars(write(tmp_path, GOOD, "x"), ES)
    assert next(bars).volume == 1884
    with pytest.raises(Theirs):
        next(bars)


@pytest.mark.parametrize("header", ["", "time,open,high,low,close,volume", GOOD, "\x00\xff"])
def test_rejects_another_header(tmp_path: Path, header: str) -> None:
    with pytest.raises(Theirs, match=":1: the header must be"):
        list(read_bars(write(tmp_path, GOOD, header=header), ES))


def test_reads_no_more_of_a_line_than_its_limit(tmp_path: Path) -> None:
    """A file without line ends must not fill the memory: the rest of such a line is never a bar."""
    path = tmp_path / "bars.csv"
    path.write_text(f"{HEADER}\n{GOOD}" + " " * (LINE_LIMIT - len(GOOD)) + f"{GOOD}\n")
    with pytest.raises(Theirs, match=":2: "):
        list(read_bars(path, ES))


def test_rejects_a_missing_file_a_folder_and_a_broken_archive(tmp_path: Path) -> None:
    broken = tmp_path / "broken.csv.gz"
    broken.write_bytes(gzip.compress(f"{HEADER}\n{GOOD}\n".encode())[:-20])
    garbled = tmp_path / "garbled.csv.gz"
    garbled.write_bytes(b"\x1f\x8b" + bytes(100))
    for path in (tmp_path / "none.csv", tmp_path, broken, garbled):
        with pytest.raises(Theirs) as raised:
            list(read_bars(path, ES))
        assert str(raised.value).startswith(f"{path}: ")

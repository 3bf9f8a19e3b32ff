"""Both twins of native.minutes: plain lines exactly, nothing else ever, and equal on anything."""

from __future__ import annotations

import importlib
from array import array
from datetime import UTC, datetime, timedelta
from fractions import Fraction
from types import ModuleType
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from native import minutes_py

minutes_c = importlib.import_module("native.minutes_c")
TWINS = pytest.mark.parametrize("twin", [minutes_py, minutes_c], ids=["pure", "compiled"])

EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
QUARTER = 250_000_000
GOOD = b"2013-10-06T22:00:00Z,1676.75,1677.25,1673.5,1675.25,1884\n"
COLUMNS = ("starts", "opens", "highs", "lows", "closes", "volumes")

stamps = st.datetimes(datetime(1970, 1, 1), datetime(2199, 12, 31)).map(lambda t: t.replace(second=0))
ticks = st.integers(0, 3_999_999_999)
rows = st.tuples(stamps, st.tuples(ticks, ticks, ticks, ticks), st.integers(0, 10**12 - 1), st.booleans())


def price(number: int, long: bool) -> str:
    return f"{number // 4}.{number % 4 * 25:02}{'0000000' if long else ''}"


def line(row: Any) -> bytes:
    stamp, prices, volume, long = row
    low, opened, close, high = sorted(prices)
    fields = [f"{stamp:%Y-%m-%dT%H:%M}:00Z", *(price(p, long) for p in (opened, high, low, close))]
    return (",".join([*fields, str(volume)]) + ("\r\n" if long else "\n")).encode()


def taken(block: Any) -> list[tuple[int, ...]]:
    return list(zip(*(getattr(block, name)[: block.count] for name in COLUMNS), strict=True))


def read(twin: ModuleType, text: bytes, tick_nano: int = QUARTER) -> tuple[int, list[tuple[int, ...]], int]:
    block = twin.Block(tick_nano, 0, 2**63 - 1)
    at = block.read(text, 0)
    return at, taken(block), block.last_ns


@TWINS
@given(st.lists(rows, max_size=8, unique_by=lambda row: row[0].replace(microsecond=0)))
def test_reads_plain_lines_exactly(twin: ModuleType, made: list[Any]) -> None:
    made.sort(key=lambda row: row[0].replace(microsecond=0))
    text = b"".join(map(line, made))
    at, found, _ = read(twin, text)
    assert at == len(text)
    for (stamp, prices, volume, _long), bar in zip(made, found, strict=True):
        low, opened, close, high = sorted(prices)
        start = stamp.replace(microsecond=0, tzinfo=UTC) - EPOCH
        assert bar == (start // timedelta(seconds=1) * 10**9, opened, high, low, close, volume)


@given(st.lists(rows, min_size=1, max_size=3), st.data())
def test_twins_agree_on_lines_that_were_tampered_with(made: list[Any], data: st.DataObject) -> None:
    text = bytearray(b"".join(map(line, made)))
    for _ in range(data.draw(st.integers(1, 3))):
        place = data.draw(st.integers(0, len(text) - 1))
        text[place] = data.draw(st.sampled_from(b"0123456789.,-:TZ\r\n +eE\x00\xff") | st.integers(0, 255))
    text = text[: data.draw(st.integers(0, len(text)))]
    assert read(minutes_c, bytes(text)) == read(minutes_py, bytes(text))


@given(st.binary(max_size=80))
def test_twins_agree_on_noise(text: bytes) -> None:
    assert read(minutes_c, text) == read(minutes_py, text)


@TWINS
@pytest.mark.parametrize(
    "odd",
    [
        b"", b"\n", GOOD[:-1], GOOD.replace(b"Z", b""), GOOD.replace(b"22:00", b"24:00"),
        GOOD.replace(b"22:00", b"22:60"), GOOD.replace(b"10-06", b"02-29"), GOOD.replace(b"10-06", b"13-06"),
        GOOD.replace(b"10-06", b"00-06"), GOOD.replace(b"10-06", b"06-31"), GOOD.replace(b"2013", b"1969"),
        GOOD.replace(b"2013", b"2201"), GOOD.replace(b":00Z", b":30Z"), GOOD.replace(b"1676.75", b"1676.70"),
        GOOD.replace(b"1676.75", b"-1676.75"), GOOD.replace(b"1676.75", b"1e3"),
        GOOD.replace(b"1676.75", b""),
        GOOD.replace(b"1676.75", b"1676."), GOOD.replace(b"1676.75", b"1234567890"),
        GOOD.replace(b"1676.75", b"1676.7500000000"), GOOD.replace(b"1676.75", b"1678"),
        GOOD.replace(b"1673.5", b"1675.5"), GOOD.replace(b"1884", b"1234567890123"),
        GOOD.replace(b"1884", b"1.5"), GOOD.replace(b"1884", b""), GOOD.replace(b"1884", b"1,2"),
    ],
)  # fmt: skip
def test_leaves_a_line_that_is_not_plain_where_it_is(twin: ModuleType, odd: bytes) -> None:
    assert read(twin, GOOD + odd)[0] == len(GOOD)
    assert read(twin, odd)[:2] == (0, [])


@TWINS
def test_leaves_a_bar_that_is_not_later(twin: ModuleType) -> None:
    assert read(twin, GOOD + GOOD)[0] == len(GOOD)
    block = twin.Block(QUARTER, 0, 2**63 - 1)
    block.read(GOOD, 0)
    block.clear()
    assert block.read(GOOD, 0) == 0


@TWINS
def test_leaves_a_bar_outside_the_times_that_are_known(twin: ModuleType) -> None:
    start = read(twin, GOOD)[2]
    for bounds, after in (((start, start + 1), len(GOOD)), ((start + 1, 2**62), 0), ((0, start), 0)):
        assert twin.Block(QUARTER, *bounds).read(GOOD, 0) == after


@TWINS
def test_stops_when_it_is_full_and_goes_on_when_cleared(twin: ModuleType) -> None:
    first = datetime(2024, 2, 28, 12, 0)
    made = [(first + timedelta(minutes=i), (1, 1, 1, 1), i, False) for i in range(minutes_py.ROWS + 5)]
    text, block = b"".join(map(line, made)), twin.Block(QUARTER, 0, 2**63 - 1)
    at = block.read(text, 0)
    assert (block.count, block.read(text, at)) == (minutes_py.ROWS, at)
    with pytest.raises(IndexError, match="full"):
        block.put(1, 1, 1, 1, 1, 1)
    block.clear()
    assert block.read(text, at) == len(text)
    assert block.volumes[:5] == array("q", range(minutes_py.ROWS, minutes_py.ROWS + 5))
    assert block.count == 5


@TWINS
def test_rejects_a_place_outside_and_a_tick_of_nothing(twin: ModuleType) -> None:
    for begin in (-1, 2):
        with pytest.raises(IndexError):
            twin.Block(QUARTER, 0, 2**63 - 1).read(b"x", begin)
    with pytest.raises(ValueError, match="positive"):
        twin.Block(0, 0, 1)


@TWINS
@given(st.integers(1, 10**10), st.integers(0, 999_999_999), st.integers(0, 10**9 - 1))
def test_takes_exactly_the_prices_that_lie_on_a_tick(
    twin: ModuleType, tick: int, whole: int, part: int
) -> None:
    text = f"{whole}.{part:09}"
    at, found, _ = read(twin, f"2013-10-06T22:00:00Z,{text},{text},{text},{text},0\n".encode(), tick)
    number = Fraction(text) * 10**9 / tick
    assert (at > 0) is (number.denominator == 1)
    assert [bar[1] for bar in found] == ([number.numerator] if at else [])

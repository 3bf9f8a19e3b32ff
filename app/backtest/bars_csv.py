"""One-minute bars from a CSV file, plain or gzipped: exact prices, every line checked, nothing kept in
memory.

The format: the header `start_utc,open,high,low,close,volume`, then one line a bar, stamped with its
opening minute in UTC (`2013-10-06T22:00:00Z`), strictly ascending; a minute without a trade has no line.
What does not fit raises Theirs with file and line. Nothing here knows a strategy, an account or a clock.
"""

from __future__ import annotations

import gzip
import zlib
from collections.abc import Iterator
from datetime import date
from pathlib import Path
from typing import BinaryIO, cast

from app.domain.calendar import COVERAGE_END_NS, COVERAGE_START_NS
from app.domain.holidays import FIRST_DATE, LAST_DATE
from app.domain.instruments import Instrument, price_to_ticks
from app.domain.market import MINUTE_NS, Bar
from app.errors import Refused, Theirs
from native import minutes

HEADER = "start_utc,open,high,low,close,volume"
LINE_LIMIT = 200  # characters; the longest honest line has about 90
BARS_LIMIT = 10_000_000  # lines: 28 years of minutes; more is not a recording but an attack on the disk
CHUNK_BYTES = 65_536  # read at a time: about a day
PRICES_KEPT = 100_000  # distinct price texts remembered; a market visits a few thousand
VOLUME_DIGITS = 12

_GZIP_MAGIC = b"\x1f\x8b"
_EPOCH_DAY = date(1970, 1, 1).toordinal()
_DAY_NS = 86_400_000_000_000
_HOUR_NS = 3_600_000_000_000


def read_bars(path: Path, instrument: Instrument) -> Iterator[Bar]:
    """The bars of `path`, oldest first. Raises Theirs (`file:line: what`), also for a file that cannot be
    opened.
    """
    for block in read_blocks(path, instrument):
        columns = (block.starts, block.opens, block.highs, block.lows, block.closes, block.volumes)
        yield from map(Bar, *(column[: block.count] for column in columns))


def read_blocks(path: Path, instrument: Instrument) -> Iterator[minutes.Block]:
    """The same in columns, a block at a time; the next call fills the same block anew."""
    try:
        with _open(path) as file:
            yield from _Reader(str(path), instrument).blocks(file)
    except (OSError, EOFError, zlib.error) as error:
        reason = error.strerror if isinstance(error, OSError) and error.strerror else error
        raise Theirs(str(path), reason) from None


def _open(path: Path) -> BinaryIO:
    with path.open("rb") as file:
        zipped = file.read(2) == _GZIP_MAGIC
    return cast(BinaryIO, gzip.open(path)) if zipped else path.open("rb")


class _Reader:
    """Remembers what repeats: midnights and price texts."""

    def __init__(self, name: str, instrument: Instrument) -> None:
        self._name, self._instrument = name, instrument
        self._midnights: dict[str, int] = {}
        self._ticks: dict[str, int] = {}

    def blocks(self, file: BinaryIO) -> Iterator[minutes.Block]:
        """Plain lines are read by `native.minutes`, the others one by one, by the rules below."""
        if self._line(file, "utf-8-sig").strip() != HEADER:  # spreadsheets write a mark before it
            raise Theirs(f"{self._name}:1", f"the header must be {HEADER}")
        block = minutes.Block(self._instrument.tick_nano, COVERAGE_START_NS, COVERAGE_END_NS)
        text, told, ended = b"", 0, False
        while text or block.count or not ended:
            if not ended and len(text) < LINE_LIMIT:
                more = file.read(CHUNK_BYTES)
                text, ended = text + more, not more
            text = text[block.read(text, 0) :]
            odd = bool(text) and (ended or len(text) >= LINE_LIMIT or b"\n" in text)
            if block.count and (odd or ended or block.count == minutes.ROWS):
                told += block.count
                if told > BARS_LIMIT:
                    raise Theirs(self._name, f"more than {BARS_LIMIT} bars")
                yield block
                full = block.count == minutes.ROWS
                block.clear()
                if full:
                    continue  # what follows may be plain
            if odd:
                text = self._odd(text, block, told + 2)

    def _odd(self, text: bytes, block: minutes.Block, number: int) -> bytes:
        """Take the first line of `text`, which is not plain; returns the rest."""
        end = min(text.find(b"\n") + 1 or len(text), LINE_LIMIT)
        try:
            bar = self._bar(text[:end].decode("ascii", "replace"))
            if bar.start_ns <= block.last_ns:
                raise ValueError("is not later than the line before")
        except (ValueError, Refused) as error:
            raise Theirs(f"{self._name}:{number}", error) from None
        prices = bar.open_ticks, bar.high_ticks, bar.low_ticks, bar.close_ticks
        block.put(bar.start_ns, *prices, bar.volume)
        return text[end:]

    @staticmethod
    def _line(file: BinaryIO, encoding: str = "ascii") -> str:
        """The next line; one that is too long or not ASCII comes back as text that no check accepts."""
        raw = file.readline(LINE_LIMIT)
        return raw.decode(encoding, "replace")

    def _bar(self, line: str) -> Bar:
        fields = line.rstrip("\r\n").split(",")
        if len(fields) != 6:
            raise ValueError(f"{len(fields)} fields instead of 6")
        start, volume = self._start(fields[0]), fields[5]
        opened, high, low, close = map(self._price, fields[1:5])
        if not low <= min(opened, close) <= max(opened, close) <= high:
            raise ValueError("high and low do not enclose open and close")
        if not (volume.isdecimal() and len(volume) <= VOLUME_DIGITS):
            raise ValueError(f"volume {volume!r} is not a whole number")
        return Bar(start, opened, high, low, close, int(volume))

    def _start(self, text: str) -> int:
        """UTC ns of "2013-10-06T22:00:00Z"."""
        hour, minute = text[11:13], text[14:16]
        shape = text[10:11] + text[13:14] + text[16:]
        if shape != "T::00Z" or not (hour + minute).isdecimal() or hour > "23" or minute > "59":
            raise ValueError(f"time {text!r} is not a full minute such as 2013-10-06T22:00:00Z")
        midnight = self._midnights.get(text[:10])
        if midnight is None:
            day = date.fromisoformat(text[:10])
            midnight = self._midnights[text[:10]] = (day.toordinal() - _EPOCH_DAY) * _DAY_NS
        start_ns = midnight + int(hour) * _HOUR_NS + int(minute) * MINUTE_NS
        if not COVERAGE_START_NS <= start_ns < COVERAGE_END_NS:
            raise ValueError(f"{text} is outside the trading calendar, {FIRST_DATE} to {LAST_DATE}")
        return start_ns

    def _price(self, text: str) -> int:
        ticks = self._ticks.get(text)
        if ticks is None:
            ticks = price_to_ticks(self._instrument, text)
            if len(self._ticks) < PRICES_KEPT:
                self._ticks[text] = ticks
        return ticks

# cython: overflowcheck=False
"""Hub records cut from a byte stream, and a scanner for the shapes that the venue's hubs send all day.

Source of both twins (typed by ``frames_c.pxd``): imports nothing of ours. A record is either read here whole,
exactly, into the reader's own slots, or it is OTHER: then nothing of it counts and the caller decodes its
bytes with the full decoder, which also finds the words for what is wrong. So this file knows no error of the
venue, and reading less here is never wrong, only slower. What makes a record OTHER: another target, an
unknown, repeated or missing member, an escape, a byte outside printable ASCII, white space, a number with an
exponent, too many digits or off the tick grid, a stamp with an offset, a contract that is not followed.

Every frame ends with the separator, no rule below accepts it, and nothing is read behind a byte that was not
accepted: this is what bounds the reading, in place of an index check for each byte. The compiled twin checks
for overflow no more than that: numbers have at most 18 digits, positions are below `MAX_DATA`.
"""

from __future__ import annotations

import native.spans as spans
from native import shapes

MAX_ROWS = 64  # rows of one record read here; tape and depth send under 20, longer records are OTHER
MAX_CONTRACTS = 64  # contracts followed at once, above what the hubs subscribe
MAX_DATA = 2**31 - 1  # bytes of one frame: two positions fit one slot
MAX_TEXT = 256  # characters of a text; longer ones are the decoder's business

_FIELDS = 24  # slots of one row: the widest shape has 20 members
_MAX_ROWS = MAX_ROWS
_MAX_DATA = MAX_DATA
_MAX_TEXT = MAX_TEXT
_MAX_DIGITS = 18  # of a number: 10**18 fits 64 bits
_MAX_ID = 10**18 - 1
_INT32 = 2**31
_MAX_SIZE = 10_000  # contracts in one order, execution or position, as the decoder bounds them
_MAX_VOLUME = 10_000_000  # contracts in one execution of the tape
_PRICE_DIGITS, _MONEY_DIGITS = 9, 6
_POWERS = [1, 10, 100, 1_000, 10_000, 100_000, 1_000_000, 10_000_000, 100_000_000, 1_000_000_000]
_BITS = [1 << slot for slot in range(_FIELDS)]

_DAY_NS = 86_400_000_000_000
_SECOND_NS = 1_000_000_000
_DAYS_TO_2000 = 10_957  # from 1970-01-01

_SEPARATOR = 0x1E

_HEADS, _SHAPES, _NEEDS = shapes.HEADS, shapes.SHAPES, shapes.NEEDS

slot = shapes.slot
NONE, OTHER, QUOTE, TRADE, DEPTH = shapes.NONE, shapes.OTHER, shapes.QUOTE, shapes.TRADE, shapes.DEPTH
ORDER, FILL, POSITION, ACCOUNT = shapes.ORDER, shapes.FILL, shapes.POSITION, shapes.ACCOUNT

# Once more for C: a name that is typed there cannot be seen from outside.
_OTHER, _QUOTE, _DEPTH = shapes.OTHER, shapes.QUOTE, shapes.DEPTH
_ANY, _PRICE, _MONEY, _STAMP = shapes.ANY, shapes.PRICE, shapes.MONEY, shapes.STAMP
_STRING, _BOOL, _ID, _ACCOUNT_ID = shapes.STRING, shapes.BOOL, shapes.ID, shapes.ACCOUNT_ID
_SIZE, _CODE, _VOLUME = shapes.SIZE, shapes.CODE, shapes.VOLUME


class Contracts:
    """The contracts whose market events are read here, with their ticks. Shared by readers."""

    def __init__(self) -> None:
        self._table = b"\0"
        self._names: list[str] = []
        self._ticks = [0] * 64
        self._per_nano = [0.0] * 64  # what one of 1e-9 is in ticks

    def follow(self, contract: str, tick_nano: int) -> bool:
        """Read ``contract`` from now on, its tick in 1e-9; False when it is no plain text or none fits.

        Raises ValueError unless ``0 < tick_nano < 10**18``. Following twice is the same as once.
        """
        if not 0 < tick_nano < 10**18:
            raise ValueError(f"a tick in 1e-9 of a price unit, not {tick_nano}")
        if contract in self._names:
            return True
        plain = contract.isascii() and contract.isprintable() and not set(contract) & {'"', "\\"}
        if not plain or not 0 < len(contract) <= 40 or len(self._names) == MAX_CONTRACTS:
            return False
        self._ticks[len(self._names)] = tick_nano
        self._per_nano[len(self._names)] = 1.0 / tick_nano
        self._table = (
            self._table[:-1] + shapes.line(b'"%b",' % contract.encode(), len(self._names), 0) + b"\0"
        )
        self._names.append(contract)
        return True

    def state(self) -> tuple:
        return tuple([(name, self._ticks[at]) for at, name in enumerate(self._names)])

    def restore(self, state: tuple) -> None:
        Contracts.__init__(self)
        for name, tick in state:
            self.follow(name, tick)


class Reader:
    """Frames in, records out: ``feed`` goes to the first, ``next`` to each other, until it says NONE.

    What was found stays until the next call. ``rows`` counts the rows of a scanned record, ``more`` says if
    another record follows: asking costs less than ``next``.
    """

    def __init__(self, contracts: Contracts, limit: int) -> None:
        self._contracts = contracts
        self._limit = limit
        self._rest = bytearray()
        self._data = b""
        self._p = self._data
        self._size = 0
        self._start = 0
        self._stop = 0
        self._shape = b""
        self._value = 0
        self._run = [0]  # digits read last
        self._is_null = False
        self._contract = 0
        self._tick = 1
        self._per_nano = 0.0
        self._date = 0
        self._days = 0
        self._second = bytearray(b'"2000-01-01T00:00:00')  # the last stamp's, most come many a second
        self._second_ns = _DAYS_TO_2000 * _DAY_NS
        self.kind = 0
        self.more = False
        self.rows = 0
        self._values = [0] * 1_536
        self._given = [0] * 64
        self._actions = [0] * 64

    # -- the stream --------------------------------------------------------------------------------

    def feed(self, data: bytes) -> int:
        """Take the next frame and go to its first record, like ``next``.

        Raises OverflowError when a record outgrows the limit or the frame MAX_DATA, ValueError while records
        of the frame before are unread: they would be lost.
        """
        if self._stop != self._size:
            raise ValueError("a frame before the last one was read")
        if type(data) is not bytes:
            data = bytes(data)
        if len(data) > _MAX_DATA - len(self._rest):
            raise OverflowError(f"a frame of {len(data)} bytes")
        self._data = data
        self._p = self._data
        self._size = len(data)
        if self._rest or not self._size or self._p[self._size - 1] != _SEPARATOR:
            self._join(data)
        self._stop = 0
        return self.next()

    def _join(self, data: bytes) -> None:
        """Put what was left of the last frame in front, keep what is not ended for the next."""
        end = data.rfind(b"\x1e") + 1
        whole = bytes(self._rest) + data[:end] if end else b""
        if end:
            self._rest.clear()
        self._rest += data[end:]
        self._stop = 0
        self._data = whole
        self._p = self._data
        self._size = len(whole)
        if len(self._rest) > self._limit:
            raise OverflowError(f"a record of more than {self._limit} bytes")

    def next(self) -> int:
        """Go to the next record: its kind; OTHER when it was not read here; NONE when there is no more."""
        self.rows = 0
        if self._stop == self._size:
            self.kind = 0
            return 0
        self._start = self._stop
        self._stop = 0
        kind = self._scan()
        if kind == _OTHER:
            self._stop = self._data.index(b"\x1e", self._start) + 1
        self.more = self._stop != self._size
        self.kind = kind
        return kind

    def record(self) -> bytes:
        """The bytes of this record, without its separator."""
        return self._data[self._start : self._stop - 1] if self._stop else b""

    # -- what was read -----------------------------------------------------------------------------

    def contract(self) -> str:
        """The contract of a market record."""
        return self._contracts._names[self._contract]

    def number(self, row: int, at: int) -> int | None:
        """The number in slot ``at`` of ``row``, None when it was not given.

        Market prices in ticks, prices of user events in 1e-9, money in 1e-6, stamps in UTC ns, true as 1.
        Raises IndexError outside the record.
        """
        if not 0 <= row < self.rows or not 0 <= at < _FIELDS:
            raise IndexError("no such row or slot")
        return self._values[row * _FIELDS + at] if self._given[row] >> at & 1 else None

    def text(self, row: int, at: int) -> str | None:
        """The text in slot ``at`` of ``row``, None when it was not given. Raises IndexError."""
        span = self.number(row, at)
        return None if span is None else self._data[span >> 32 : span & 0xFFFFFFFF].decode("ascii")

    def action(self, row: int) -> int:
        """The action that wrapped a row of a user event: 1 when it came flat. Raises IndexError."""
        if not 0 <= row < self.rows:
            raise IndexError("no such row")
        return self._actions[row]

    def quote(self) -> tuple[int | None, int | None, int | None, int]:
        """Bid, ask and last of a QUOTE in ticks, None where not given; its stamp, 0 where not given.

        Raises ValueError when the record is no QUOTE.
        """
        if self.kind != _QUOTE:
            raise ValueError("not a quote")
        given = self._given[0]
        stamp = self._values[11] if given & 1 << 11 else self._values[12] if given & 1 << 12 else 0
        return (
            self._values[3] if given & 1 << 3 else None,
            self._values[4] if given & 1 << 4 else None,
            self._values[2] if given & 1 << 2 else None,
            stamp,
        )

    def state(self) -> tuple:
        """All that is remembered and the rows that were read, for `restore` of either twin."""
        at = self._start, self._stop, self._contract, self._tick, self._date, self._days
        values = tuple([self.number(i // _FIELDS, i % _FIELDS) or 0 for i in range(self.rows * _FIELDS)])
        rows = tuple([(self._given[row], self._actions[row]) for row in range(self.rows)])
        read = self.kind, self.more, self.rows, values, rows
        return self._contracts, self._limit, bytes(self._rest), self._data, at, read

    def restore(self, state: tuple) -> None:
        Reader.__init__(self, state[0], state[1])
        self._rest += state[2]
        self._data = state[3]
        self._p = self._data
        self._size = len(self._data)
        self._start, self._stop, self._contract, self._tick, self._date, self._days = state[4]
        self.kind, self.more, self.rows, values, rows = state[5]
        for at, number in enumerate(values):
            self._values[at] = number
        for row, each in enumerate(rows):
            self._given[row], self._actions[row] = each

    # -- the record --------------------------------------------------------------------------------

    def _scan(self) -> int:
        """Read the record at ``_start``; sets ``_stop`` behind it unless it is OTHER."""
        heads = _HEADS
        line = self._line(heads, 0, self._start)
        if line < 0:
            return _OTHER
        kind = heads[line + 1]
        pos = self._start + heads[line]
        self._shape = _SHAPES[kind]
        self._tick = self._actions[0] = 1
        if kind <= _DEPTH:
            pos = self._followed(pos)
        if pos:
            pos = (
                self._object(pos, 0, _NEEDS[kind])
                if kind == _QUOTE
                else self._elements(pos, kind, _NEEDS[kind])
            )
        if not pos or self._p[pos] != 93 or self._p[pos + 1] != 125 or self._p[pos + 2] != _SEPARATOR:
            self.rows = 0
            return _OTHER
        self._stop = pos + 3
        return kind

    def _line(self, table: bytes, first: int, pos: int) -> int:
        """The line of ``table`` whose name stands at ``pos``, looked for from ``first`` on; -1 if none."""
        p = self._p
        left = self._size - pos
        at = first
        while True:
            size = table[at]
            if size == 0:
                if first == 0:
                    return -1
                first = at = 0
                continue
            if size <= left and spans.same(p, pos, table, at + 3, size):
                return at
            at += size + 3

    def _followed(self, pos: int) -> int:
        """Read the contract argument; where the payload begins, 0 when the contract is not followed."""
        table = self._contracts._table
        line = self._line(table, 0, pos)
        if line < 0:
            return 0
        self._contract = table[line + 1]
        self._tick = self._contracts._ticks[self._contract]
        self._per_nano = self._contracts._per_nano[self._contract]
        return pos + table[line]

    def _elements(self, pos: int, kind: int, needed: int) -> int:
        """Read one element or an array of them; the position behind it, 0 for what is not understood."""
        if self._p[pos] != 91:
            return self._element(pos, kind, needed)
        pos += 1
        if self._p[pos] == 93:
            return pos + 1
        while self.rows < _MAX_ROWS:
            pos = self._element(pos, kind, needed)
            if not pos:
                return 0
            if self._p[pos] == 93:
                return pos + 1
            if self._p[pos] != 44:
                return 0
            pos += 1
        return 0

    def _element(self, pos: int, kind: int, needed: int) -> int:
        """Read one row, wrapped or flat; user events alone are wrapped."""
        self._actions[self.rows] = 1
        wrapped = self._after(pos, b'{"action":', 10) if kind > _DEPTH else 0
        if not wrapped:
            return self._object(pos, self.rows, needed)
        action = self._p[wrapped] - 48
        if action < 0 or action > 2:
            return 0
        pos = self._after(wrapped + 1, b',"data":', 8)
        if pos:
            self._actions[self.rows] = action
            pos = self._object(pos, self.rows, needed)
        return pos + 1 if pos and self._p[pos] == 125 else 0

    def _after(self, pos: int, words: bytes, size: int) -> int:
        """The position behind ``words``, 0 when something else stands at ``pos``."""
        if size > self._size - pos or not spans.same(self._p, pos, words, 0, size):
            return 0
        return pos + size

    def _object(self, pos: int, row: int, needed: int) -> int:
        """Read one object of the shape into the slots of ``row``; the position behind it, 0 if it is none."""
        p = self._p
        if p[pos] != 123:
            return 0
        shape, edge = self._shape, self._size
        slots = row * _FIELDS
        line = seen = given = 0
        pos += 1
        while p[pos] != 125 or seen:
            size = shape[line]
            if size == 0 or pos + size > edge or not spans.same(p, pos, shape, line + 3, size):
                line = self._line(shape, line, pos)
                if line < 0:
                    return 0
                size = shape[line]
            bit = _BITS[shape[line + 2]]
            if seen & bit:
                return 0
            seen |= bit
            pos = self._member(pos + size, shape[line + 1])
            if not pos:
                return 0
            if not self._is_null:
                given |= bit
                self._values[slots + shape[line + 2]] = self._value
            if p[pos] == 125:
                break
            if p[pos] != 44:
                return 0
            pos += 1
            line += size + 3
        self._given[row] = given
        self.rows = row + 1
        return pos + 1 if given & needed == needed else 0

    # -- the members: each reads a value at `pos` into `_value`; the position behind it, 0 if it is not one

    def _member(self, pos: int, kind: int) -> int:
        self._is_null = self._p[pos] == 110
        if self._is_null:
            return self._after(pos, b"null", 4)
        if kind == _PRICE:
            return self._price(pos)
        if kind == _ANY:
            return self._any(pos)
        if kind == _STAMP:
            return self._stamp(pos)
        if kind == _STRING:
            return self._text(pos)
        if kind == _MONEY:
            return self._decimal(pos, _MONEY_DIGITS)
        if kind == _BOOL:
            return self._bool(pos)
        return self._bounded(pos, kind)

    def _bounded(self, pos: int, kind: int) -> int:
        """An integer within the bounds that the decoder sets for its type."""
        pos = self._integer(pos)
        number = self._value
        if kind == _ID:
            return pos if 1 <= number <= _MAX_ID else 0
        if kind == _ACCOUNT_ID:
            return pos if 1 <= number < _INT32 else 0
        if kind == _SIZE:
            return pos if 0 <= number <= _MAX_SIZE else 0
        if kind == _CODE:
            return pos if -_INT32 <= number < _INT32 else 0
        if kind == _VOLUME:
            return pos if 0 <= number <= _MAX_VOLUME else 0
        return pos

    def _price(self, pos: int) -> int:
        """A price on the grid, in ticks; without a contract's tick in 1e-9."""
        pos = self._decimal(pos, _PRICE_DIGITS)
        tick = self._tick
        if pos and tick > 1:
            value = self._value
            ticks = spans.nearly(value, self._per_nano)
            if (
                ticks * tick != value
            ):  # negative, off the grid or very many: a division takes as long as the rest
                ticks = value // tick
                if ticks * tick != value:
                    return 0
            self._value = ticks
        return pos

    def _decimal(self, pos: int, digits: int) -> int:
        """A plain decimal times ``10**digits``, exactly; at most 18 digits in all after scaling."""
        p = self._p
        negative = p[pos] == 45
        if negative:
            pos += 1
        end = spans.digits(p, pos, _MAX_DIGITS - digits, self._run)
        if end == pos or (p[pos] == 48 and end > pos + 1):
            return 0
        number = self._run[0] * _POWERS[digits]
        if p[end] == 46:
            pos = end + 1
            end = spans.digits(p, pos, digits, self._run)
            if end == pos:
                return 0
            number += self._run[0] * _POWERS[digits - (end - pos)]
        self._value = -number if negative else number
        return end

    def _integer(self, pos: int) -> int:
        """A whole number of at most 18 digits; no negative zero."""
        p = self._p
        negative = p[pos] == 45
        if negative:
            pos += 1
        end = spans.digits(p, pos, _MAX_DIGITS, self._run)
        if end == pos or (p[pos] == 48 and (end > pos + 1 or negative)):
            return 0
        self._value = -self._run[0] if negative else self._run[0]
        return end

    def _bool(self, pos: int) -> int:
        after = self._after(pos, b"true", 4)
        self._value = 1 if after else 0
        return after or self._after(pos, b"false", 5)

    def _text(self, pos: int) -> int:
        """Printable ASCII without escapes; the value is its span, ``start << 32 | end``."""
        p = self._p
        if p[pos] != 34:
            return 0
        first = pos + 1
        pos = spans.odd_one(p, first, self._size)
        if p[pos] != 34 or pos - first > _MAX_TEXT:
            return 0
        self._value = (first << 32) | pos
        return pos + 1

    def _any(self, pos: int) -> int:
        """Any plain value; the value is its span. Exponents are allowed: small percentages have them."""
        first = pos
        if self._p[pos] == 34:
            return self._text(pos)
        if self._p[pos] == 116 or self._p[pos] == 102:
            return self._bool(pos)
        if self._p[pos] == 45:
            pos += 1
        pos = self._digits(pos, self._p[pos] == 48)
        if pos and self._p[pos] == 46:
            pos = self._digits(pos + 1, False)
        if pos and (self._p[pos] == 69 or self._p[pos] == 101):
            pos += 1
            if self._p[pos] == 43 or self._p[pos] == 45:
                pos += 1
            exponent = pos
            pos = self._digits(pos, False)
            if pos > exponent + 2:
                return 0
        self._value = (first << 32) | pos
        return pos

    def _digits(self, pos: int, one: bool) -> int:
        """The position behind a run of 1 to 18 digits (of one digit if ``one``), 0 without any."""
        p = self._p
        first = pos
        last = pos + (1 if one else _MAX_DIGITS)
        while 48 <= p[pos] <= 57 and pos < last:
            pos += 1
        return pos if pos > first else 0

    # -- stamps: `"2026-11-20T19:48:53.1234567+00:00"`, UTC only, 2000 to 2099, 0 to 9 fraction digits

    def _stamp(self, pos: int) -> int:
        if self._size - pos < 20 or not spans.same(self._p, pos, self._second, 0, 20):
            if not self._is_second(pos):
                return 0
            spans.keep(self._second, self._p, pos, 20)
        self._value = self._second_ns
        return self._zone(self._fraction(pos + 20))

    def _is_second(self, pos: int) -> bool:
        """Read ``"2026-11-20T19:48:53`` into ``_second_ns``."""
        if (
            self._p[pos] != 34
            or self._two(pos + 1) != 20
            or not self._day(pos + 3)
            or self._p[pos + 11] != 84
        ):
            return False
        hour = self._two(pos + 12)
        if hour < 0 or hour > 23 or self._p[pos + 14] != 58:
            return False
        minute = self._two(pos + 15)
        if minute < 0 or minute > 59 or self._p[pos + 17] != 58:
            return False
        second = self._two(pos + 18)
        if second < 0 or second > 59:
            return False
        self._second_ns = self._days * _DAY_NS + (hour * 3_600 + minute * 60 + second) * _SECOND_NS
        return True

    def _day(self, pos: int) -> bool:
        """Read ``26-11-20`` into ``_days`` since 1970. The last day is remembered: it is the same all day."""
        year = self._two(pos)
        if year < 0 or self._p[pos + 2] != 45:
            return False
        month = self._two(pos + 3)
        if month < 1 or month > 12 or self._p[pos + 5] != 45:
            return False
        day = self._two(pos + 6)
        date = (year * 12 + month) * 32 + day
        if day < 1 or day > 31:
            return False
        if date != self._date:
            if day > _month_days(year, month):
                return False
            self._days = _days_of(year, month, day)
            self._date = date
        return True

    def _two(self, pos: int) -> int:
        """The number of two digits at ``pos``, -1 when they are none."""
        tens = self._p[pos] - 48
        if tens < 0 or tens > 9:
            return -1
        ones = self._p[pos + 1] - 48
        return tens * 10 + ones if 0 <= ones <= 9 else -1

    def _fraction(self, pos: int) -> int:
        """Add what stands behind the seconds; the position behind it, 0 for a point without digits."""
        p = self._p
        if p[pos] != 46:
            return pos
        pos += 1
        end = spans.digits(p, pos, 9, self._run)
        if end == pos:
            return 0
        self._value += self._run[0] * _POWERS[9 - (end - pos)]
        return end

    def _zone(self, pos: int) -> int:
        """The position behind ``Z"`` or ``+00:00"``; 0 for anything else."""
        if not pos:
            return 0
        if self._p[pos] == 90:
            return pos + 2 if self._p[pos + 1] == 34 else 0
        return self._after(pos, b'+00:00"', 7)


def _month_days(year: int, month: int) -> int:
    """Days of a month of 2000 to 2099, years counted from 2000."""
    if month == 2:
        return 29 if year % 4 == 0 else 28
    return 30 + ((month + month // 8) & 1)


def _days_of(year: int, month: int, day: int) -> int:
    """Days from 1970-01-01 to a day of 2000 to 2099, years counted from 2000."""
    before = (367 * month - 362) // 12
    if month > 2:
        before -= 1 if year % 4 == 0 else 2
    return _DAYS_TO_2000 + 365 * year + (year + 3) // 4 + before + day - 1

"""The seeded market: the same seed gives the same day, whatever was asked before. All randomness of the
simulator is here.

A family (ES and MES are one) has a daily chain (level, gap, volatility that clusters from day to day) and
within each session a path of one-second steps: a volatility profile of the day times a GARCH(1,1) of
one-minute returns, a factor shared with its group, rare jumps, bridged so that the session ends where the
chain says. Each (seed, family, date) has its own random stream, so a session is made alone, in some 50 ms,
and history before the simulated start agrees with what follows.

Normal and exponential variates are table look-ups on random bytes: 256 quantiles each, which is as fine as
a tick needs and ten times as fast as drawing them one by one. Sums of floats are exact (`fsum`): Pythons 3.11
and 3.13 add lists differently.
"""

from __future__ import annotations

import random
from array import array
from collections.abc import Iterator, Sequence
from datetime import date, datetime, timedelta
from functools import lru_cache
from itertools import accumulate, chain, islice
from math import fsum, log, sqrt
from statistics import NormalDist

from app.domain.calendar import CHICAGO, Session, TradingCalendar
from app.domain.instruments import TABLE, Instrument, by_symbol
from app.domain.market import Bar
from app.domain.units import NANO
from app.simulator.feed import NS, Tick
from app.simulator.profiles import DAY_VOLUME, FAMILIES, QUIET_VOLUME, Family, weight
from app.simulator.tape import Tape

CHAIN_START = date(2009, 12, 28)  # a Monday before the calendar's coverage: day one of every chain
PATHS_KEPT = (
    4  # sessions of one family as floats, 660 kB each: what the products of a family share while being made
)
TAPES_KEPT = (
    24  # sessions of one symbol in ticks, 660 kB each: five symbols live, the rest for paging through history
)
MINUTES_KEPT = 64  # sessions of minute bars, 400 kB each: 15 daily bars, or 20,000 minutes, of four symbols

LEVEL_MEMORY = 0.995  # a day keeps this much of the log distance from the family's usual price
GAP_SHARE = 0.25  # standard deviation of the opening gap, of a day's
WEEKEND_GAP = 2.0  # a Monday's gap is this much wider
DAY_GARCH = (0.10, 0.85)  # reaction and memory of daily variance
MINUTE_GARCH = (0.12, 0.86)  # reaction and memory of one-minute variance
VARIANCE_CAP = 12.0  # times the usual variance: clustering, not explosion
JUMPS_PER_MINUTE = 1 / 900  # about one and a half a day
JUMP_SIZE = (4.0, 9.0)  # in standard deviations of the minute
NEWS_SHARED = 0.5  # families tied to their group at least so much jump with it, at the same moment
MINUTE = 60

_NORMAL = tuple(NormalDist().inv_cdf((i + 0.5) / 256) for i in range(256))
_EXPONENTIAL = tuple(-log(1 - (i + 0.5) / 256) for i in range(256))
_UNIFORM = tuple((i + 0.5) / 256 for i in range(256))


class _Day:
    """One link of a family's daily chain: where the session opens and closes, and how volatile it is."""

    __slots__ = ("close", "daily", "open")

    def __init__(self, opening: float, close: float, daily: float) -> None:
        self.open, self.close, self.daily = opening, close, daily


class Market:
    """A `Feed` of every instrument, endless in both directions within the calendar's coverage."""

    def __init__(self, seed: int, calendar: TradingCalendar, quotes_per_second: int = 10) -> None:
        self.seed, self._calendar, self._slots = seed, calendar, quotes_per_second
        self._chains: dict[str, list[_Day]] = {}
        self._path = lru_cache(PATHS_KEPT)(self._make_path)
        self.tape = lru_cache(TAPES_KEPT)(self._make_tape)
        self._minutes = lru_cache(MINUTES_KEPT)(self._make_minutes)

    # -- Feed --------------------------------------------------------------------------------------

    @property
    def symbols(self) -> tuple[str, ...]:
        return tuple(instrument.symbol for instrument in TABLE)

    def ticks(self, symbol: str, after_ns: int) -> Iterator[Tick]:
        for session in self._sessions_from(symbol, after_ns):
            yield from self.tape(symbol, session).ticks(after_ns, self._slots)

    def last_tick(self, symbol: str, at_ns: int) -> Tick | None:
        hours = by_symbol(symbol).hours
        session = self._calendar.session_at(at_ns, hours) or self._session_before(at_ns, hours)
        return None if session is None else self.tape(symbol, session).last_tick(at_ns, self._slots)

    def minutes(self, symbol: str, session: Session) -> Sequence[Bar]:
        return self._minutes(symbol, session)

    def seconds(self, symbol: str, session: Session, start_ns: int, end_ns: int) -> Sequence[Bar]:
        first, last = (-((session.open_ns - when) // NS) for when in (start_ns, end_ns))
        return self.tape(symbol, session).bars(1, max(0, first), last)

    # -- sessions ----------------------------------------------------------------------------------

    def _sessions_from(self, symbol: str, at_ns: int) -> Iterator[Session]:
        hours, now = by_symbol(symbol).hours, at_ns
        while True:
            session = self._calendar.session_at(now, hours)
            if session is not None:
                yield session
                now = session.close_ns
            now = self._calendar.next_open(now - 1, hours)

    def _session_before(self, at_ns: int, hours: str) -> Session | None:
        day = self._calendar.trade_date(at_ns)
        recent = [
            s for s in self._calendar.sessions(day - timedelta(days=7), day, hours) if s.close_ns <= at_ns
        ]
        return recent[-1] if recent else None

    # -- the daily chain ---------------------------------------------------------------------------

    def _stream(self, *key: object) -> random.Random:
        return random.Random(":".join(map(str, (self.seed, *key))))

    def _day(self, name: str, day: date) -> _Day:
        index = (day - CHAIN_START).days // 7 * 5 + day.weekday()
        links = self._chains.get(name)
        if links is None or len(links) <= index:
            links = self._chains[name] = list(islice(self._chain(FAMILIES[name], name), index + 260))
        return links[index]

    def _chain(self, family: Family, name: str) -> Iterator[_Day]:
        """Weekdays from CHAIN_START on. Variance clusters; the level is pulled softly towards the family's
        price.
        """
        common, own = self._stream("days", family.group), self._stream("days", family.group, name)
        shared, rest = family.shared, sqrt(1 - family.shared**2)
        away, variance = 0.0, 1.0
        react, memory = DAY_GARCH
        for number in range(10**6):
            z = [shared * common.gauss(0, 1) + rest * own.gauss(0, 1) for _ in range(2)]
            daily = family.daily * sqrt(variance)
            gap = z[0] * daily * GAP_SHARE * (WEEKEND_GAP if number % 5 == 0 else 1.0)
            opening = family.price * (1 + away) * (1 + gap)
            close = opening * (1 + z[1] * daily)
            yield _Day(opening, close, daily)
            away = (close / family.price - 1) * LEVEL_MEMORY
            variance = min(
                1 - react - memory + react * z[1] ** 2 * variance + memory * variance, VARIANCE_CAP
            )

    # -- one session -------------------------------------------------------------------------------

    def _make_path(self, name: str, session: Session) -> array[float]:
        """Prices at the end of each second of the session."""
        family, day = FAMILIES[name], self._day(name, session.trade_date)
        seconds = (session.close_ns - session.open_ns) // NS
        normals = self._normals(family, name, session.trade_date, seconds)
        profile = _profile(family.group, session)
        news = family.group if family.shared >= NEWS_SHARED else name
        rng = self._stream("jumps", news, session.trade_date)
        unit = day.daily / sqrt(fsum(w * w for w in profile) * MINUTE)
        steps, variances = _clustered(normals, profile, unit, rng)
        return _bridged(steps, variances, day)

    def _normals(self, family: Family, name: str, day: date, count: int) -> list[float]:
        common = self._stream("path", family.group, day).randbytes(count)
        own = self._stream("path", family.group, name, day).randbytes(count)
        shared, rest = family.shared, sqrt(1 - family.shared**2)
        left, right = [shared * z for z in _NORMAL], [rest * z for z in _NORMAL]
        return [left[a] + right[b] for a, b in zip(common, own, strict=True)]

    def _make_tape(self, symbol: str, session: Session) -> Tape:
        """The family's path in ticks of this product, moving only when it trades."""
        instrument = by_symbol(symbol)
        path = self._path(instrument.family, session)
        per_tick = NANO / instrument.tick_nano
        prices = array("i", [round(price * per_tick) for price in path])
        return Tape(session, prices, self._volumes(instrument, session, len(prices)))

    def _volumes(self, instrument: Instrument, session: Session, count: int) -> array[int]:
        """Contracts traded in each second: exponential around the profile, rounded up by chance, 0 outside
        the windows.
        """
        rng = self._stream("volume", instrument.symbol, session.trade_date)
        sizes, chances = rng.randbytes(count), rng.randbytes(count)
        profile = [w**1.6 for w in _profile(FAMILIES[instrument.family].group, session)]
        unit = DAY_VOLUME.get(instrument.symbol, QUIET_VOLUME) / (fsum(profile) * MINUTE)
        volumes: array[int] = array("i")
        for index, share in enumerate(profile):
            cut = slice(index * MINUTE, (index + 1) * MINUTE)
            mean = share * unit * _is_trading(session, session.open_ns + index * MINUTE * NS)
            table = [mean * z for z in _EXPONENTIAL]
            volumes.extend(int(table[a] + _UNIFORM[b]) for a, b in zip(sizes[cut], chances[cut], strict=True))
        if volumes:
            volumes[0] = max(volumes[0], 1)  # the opening trade
        return volumes

    def _make_minutes(self, symbol: str, session: Session) -> Sequence[Bar]:
        return self.tape(symbol, session).bars(MINUTE)


def _is_trading(session: Session, utc_ns: int) -> bool:
    return any(start <= utc_ns < end for start, end in session.windows)


@lru_cache(32)
def _profile(group: str, session: Session) -> tuple[float, ...]:
    """Volatility weights of the session's minutes. Sessions open on whole minutes of Chicago's clock."""
    first = (session.open_ns - session.close_ns) // (MINUTE * NS) + _close_minute(session)
    count = (session.close_ns - session.open_ns) // (MINUTE * NS)
    return tuple(weight(group, first + index) for index in range(count))


def _close_minute(session: Session) -> int:
    """Chicago's wall-clock minute of the close, which never falls on another date than the trade date."""
    local = datetime.fromtimestamp(session.close_ns // NS, CHICAGO)
    return local.hour * 60 + local.minute


def _clustered(
    normals: list[float], profile: Sequence[float], unit: float, rng: random.Random
) -> tuple[list[list[float]], list[float]]:
    """Returns of each second by minute, and each minute's variance: a GARCH(1,1) over the day's profile,
    and jumps.
    """
    react, memory = MINUTE_GARCH
    heat, steps, variances = 1.0, [], []
    for index, share in enumerate(profile):
        sigma = unit * share * sqrt(heat)
        minute = [sigma * z for z in normals[index * MINUTE : (index + 1) * MINUTE]]
        if rng.random() < JUMPS_PER_MINUTE:
            minute[rng.randrange(MINUTE)] += (
                rng.choice((-1, 1)) * rng.uniform(*JUMP_SIZE) * sigma * sqrt(MINUTE)
            )
        surprise = (fsum(minute) / (unit * share)) ** 2 / MINUTE
        heat = min(1 - react - memory + react * surprise + memory * heat, VARIANCE_CAP)
        steps.append(minute)
        variances.append(sigma * sigma)
    return steps, variances


def _bridged(steps: list[list[float]], variances: list[float], day: _Day) -> array[float]:
    """Prices from `day.open` to `day.close`: what the steps miss is spread in proportion to variance."""
    missing = day.close / day.open - 1 - fsum(map(fsum, steps))
    unit = missing / (fsum(variances) * MINUTE)
    drifts = (variance * unit for variance in variances)
    moves = chain.from_iterable(
        [z + drift for z in minute] for minute, drift in zip(steps, drifts, strict=True)
    )
    return array("d", [day.open * (1 + away) for away in accumulate(moves)])

"""The seeded market: repeatable, consistent with itself, and like a market."""

from __future__ import annotations

from datetime import date, timedelta
from itertools import islice, pairwise
from statistics import correlation, mean, pstdev

import pytest

from app.clock import NS
from app.domain.calendar import TradingCalendar
from app.domain.instruments import TABLE, by_symbol
from app.domain.market import Bar
from app.simulator.feed import merge
from app.simulator.main import DEMO_DATE, DEMO_SEED
from app.simulator.market import Market
from app.simulator.profiles import FAMILIES
from tests.simulator.conftest import MARKET, new_york

CALENDAR = TradingCalendar()
SESSION = CALENDAR.session(DEMO_DATE)
assert SESSION is not None
WEEK = [s for s in CALENDAR.sessions(DEMO_DATE - timedelta(days=9), DEMO_DATE)]


def test_the_same_seed_tells_the_same_day_in_whatever_order_it_is_asked() -> None:
    other = Market(DEMO_SEED, CALENDAR)
    for session in reversed(WEEK[-2:]):
        assert other.minutes("MNQ", session) == Market(DEMO_SEED, CALENDAR).minutes("MNQ", session)
    assert list(islice(other.ticks("ES", SESSION.open_ns), 500)) == list(
        islice(MARKET.ticks("ES", SESSION.open_ns), 500)
    )
    assert Market(DEMO_SEED + 1, CALENDAR).minutes("ES", SESSION) != other.minutes("ES", SESSION)


def test_bars_are_exactly_the_trades_of_the_tape() -> None:
    start = new_york(DEMO_DATE, "09:29")
    ticks = [t for t in islice(MARKET.ticks("ES", start - 1), 1_500) if t.utc_ns < start + 120 * NS]
    for minute in (0, 1):
        window = range(start + minute * 60 * NS, start + (minute + 1) * 60 * NS)
        prints = [Bar(t.utc_ns, *(t.price,) * 4, t.size) for t in ticks if t.size and t.utc_ns in window]
        bar = next(bar for bar in MARKET.minutes("ES", SESSION) if bar.start_ns == window.start)
        assert merge(prints, window.start) == bar


def test_entering_the_tape_anywhere_continues_it() -> None:
    start = new_york(DEMO_DATE, "11:00")
    ticks = list(islice(MARKET.ticks("ES", start), 100))
    for index in (1, 37, 99):
        assert MARKET.last_tick("ES", ticks[index].utc_ns) == ticks[index]
        assert next(iter(MARKET.ticks("ES", ticks[index - 1].utc_ns))) == ticks[index]


def test_ticks_go_on_over_the_nightly_pause_and_the_weekend() -> None:
    friday = CALENDAR.session(date(2026, 11, 20))
    assert friday is not None
    after = next(iter(MARKET.ticks("ES", friday.close_ns - 1)))
    assert after.utc_ns == CALENDAR.next_open(friday.close_ns)


def test_quotes_frame_the_trade_and_stand_a_tick_apart_as_a_rule() -> None:
    ticks = list(islice(MARKET.ticks("ES", new_york(DEMO_DATE, "10:00")), 2_000))
    spreads = [tick.ask - tick.bid for tick in ticks]
    assert set(spreads) <= {1, 2}
    assert spreads.count(1) / len(spreads) > 0.95
    assert all(t.price == (t.ask if t.side > 0 else t.bid) for t in ticks)


def test_volatility_clusters_and_returns_do_not() -> None:
    squares, plain = [], []
    for session in WEEK:
        middle = MARKET.minutes("ES", session)[120:600]  # overnight, where the day's profile is level
        moves = [b.close_ticks - a.close_ticks for a, b in pairwise(middle)]
        sizes = [abs(move) for move in moves]
        squares.append(mean(correlation(sizes[:-lag], sizes[lag:]) for lag in (1, 2, 3)))
        plain.append(correlation(moves[:-1], moves[1:]))
    assert mean(squares) > 0.08
    assert abs(mean(plain)) < 0.08


def test_the_open_is_busier_and_wilder_than_the_night_and_lunch() -> None:
    def between(start: str, end: str) -> tuple[float, float]:
        rows = [b for b in bars if new_york(DEMO_DATE, start) <= b.start_ns < new_york(DEMO_DATE, end)]
        return mean(b.volume for b in rows), mean(b.high_ticks - b.low_ticks for b in rows)

    bars = MARKET.minutes("ES", SESSION)
    night, opening, lunch = between("00:00", "02:00"), between("09:30", "10:00"), between("12:00", "13:00")
    assert opening[0] > 10 * night[0]
    assert opening[0] > 2 * lunch[0]
    assert opening[1] > 2 * night[1]


def test_index_futures_move_together_and_gold_does_not_follow() -> None:
    def moves(symbol: str) -> list[float]:
        closes = {b.start_ns: b.close_ticks for b in MARKET.minutes(symbol, SESSION)}
        return [closes.get(when + 300 * NS, 0) - closes[when] for when in grid if when + 300 * NS in grid_set]

    common = [{b.start_ns for b in MARKET.minutes(symbol, SESSION)} for symbol in ("ES", "NQ", "GC")]
    grid_set = {w for w in set.intersection(*common) if (w - SESSION.open_ns) % (300 * NS) == 0}
    grid = sorted(grid_set)
    es, nq, gold = moves("ES"), moves("NQ"), moves("GC")
    assert correlation(es, nq) > 0.7
    assert abs(correlation(es, gold)) < 0.3


def test_a_micro_has_the_prices_of_its_big_sister() -> None:
    big, small = (MARKET.tape(symbol, SESSION).prices for symbol in ("ES", "MES"))
    assert max(abs(a - b) for a, b in zip(big, small, strict=True)) < 60
    assert mean(a == b for a, b in zip(big, small, strict=True)) > 0.8


def test_days_open_with_gaps_and_ranges_are_those_of_a_market() -> None:
    gaps = [
        abs(MARKET.minutes("ES", b)[0].open_ticks - MARKET.minutes("ES", a)[-1].close_ticks)
        for a, b in pairwise(WEEK)
    ]
    assert max(gaps) > 8
    days = [merge(MARKET.minutes("ES", session), 0) for session in WEEK]
    spans = [(d.high_ticks - d.low_ticks) / d.close_ticks for d in days if d is not None]
    assert 0.003 < mean(spans) < 0.04


def test_levels_stay_believable_for_eighteen_years() -> None:
    for name, family in FAMILIES.items():
        days = [
            MARKET._day(name, date(year, 6, 3) + timedelta(days=7 - date(year, 6, 3).weekday()))
            for year in range(2027, 2009, -1)
        ]
        assert all(0.2 < day.close / family.price < 5 for day in days), name
    returns = [MARKET._day("ES", day).close / MARKET._day("ES", day).open - 1 for day in _weekdays(2020)]
    assert pstdev(returns) == pytest.approx(FAMILIES["ES"].daily, rel=0.5)


def _weekdays(year: int) -> list[date]:
    days = (date(year, 1, 1) + timedelta(days=n) for n in range(365))
    return [day for day in days if day.weekday() < 5]


@pytest.mark.parametrize("symbol", ["CL", "6J", "ZN", "ZC", "LE", "MBT"])
def test_other_products_trade_in_their_own_hours(symbol: str) -> None:
    session = CALENDAR.session(DEMO_DATE, by_symbol(symbol).hours)
    assert session is not None
    bars = MARKET.minutes(symbol, session)
    assert bars
    assert all(any(start <= bar.start_ns < end for start, end in session.windows) for bar in bars)
    assert all(bar.low_ticks > 0 for bar in bars)


def test_every_instrument_has_a_family_profile() -> None:
    assert {instrument.family for instrument in TABLE} <= FAMILIES.keys()


def test_demo_day_breaks_the_overnight_range_for_the_first_time_soon_after_the_open() -> None:
    """18:00 to 09:30 New York sets the range; the first trade beyond it falls between 09:30:05 and
    09:30:45.
    """
    opening = new_york(DEMO_DATE, "09:30")
    night = [bar for bar in MARKET.minutes("ES", SESSION) if bar.start_ns < opening]
    high, low = max(b.high_ticks for b in night), min(b.low_ticks for b in night)
    assert night[0].start_ns == SESSION.open_ns
    outside = (t for t in MARKET.ticks("ES", opening - 1) if t.size and not low <= t.price <= high)
    first = next(outside)
    assert opening + 5 * NS < first.utc_ns < opening + 45 * NS

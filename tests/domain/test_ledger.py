"""The ledger against a brute-force FIFO, whatever order fills arrive in, and against real statements."""

from __future__ import annotations

import json
import random
from dataclasses import replace
from datetime import UTC, date, datetime, timedelta
from fractions import Fraction
from pathlib import Path
from typing import NamedTuple

import pytest
from hypothesis import given
from hypothesis import strategies as st

from app.domain.calendar import CHICAGO, trade_date
from app.domain.events import Fill
from app.domain.fifo import Booked, Fifo
from app.domain.instruments import by_contract, by_symbol, price_to_ticks
from app.domain.ledger import Ledger
from app.domain.market import Quote
from app.domain.orders import MANUAL, Side
from app.domain.pnl import balance_points, total, weeks
from app.domain.units import micro
from app.errors import Ours, Refused

ES, MNQ = "CON.F.US.EP.Z26", "CON.F.US.MNQ.Z25"
DAY = date(2026, 11, 20)
START_NS = int(datetime(2026, 11, 20, 15, tzinfo=UTC).timestamp()) * 10**9


def fill(
    number: int,
    side: Side,
    size: int,
    ticks: int,
    fees: int = 0,
    contract: str = ES,
    at: int | None = None,
    voided: bool = False,
) -> Fill:
    when = START_NS + (number if at is None else at)
    return Fill(number, number, 1, contract, side, size, ticks, fees, when, voided=voided)


BUY, SELL = Side.BUY, Side.SELL


def booked(*fills: Fill, strategy: str = "manual") -> Ledger:
    ledger = Ledger()
    for each in fills:
        assert ledger.book(each, strategy, DAY)
    return ledger


# -- by hand


def test_golden_vector_gross_50_fees_280_net_4720() -> None:
    es = by_symbol("ES")
    entry, out = price_to_ticks(es, "6064.25"), price_to_ticks(es, "6065.25")
    ledger = booked(fill(1, BUY, 1, entry, micro("1.40")), fill(2, SELL, 1, out, micro("1.40")))
    assert ledger.gross_micro(DAY) == micro("50.00")
    assert ledger.fees_micro(DAY) == micro("2.80")
    assert ledger.net_micro(DAY) == micro("47.20")
    (trade,) = ledger.trades()
    assert (trade.side, trade.size, trade.net_micro, trade.fills) == (BUY, 1, micro("47.20"), 2)


def test_consumes_the_oldest_lot_first() -> None:
    ledger = booked(fill(1, BUY, 1, 100), fill(2, BUY, 1, 110), fill(3, SELL, 1, 120))
    (lot,) = ledger.lots()
    assert (lot.entry_id, lot.exit_id, lot.gross_micro) == (1, 3, 20 * 12_500_000)
    assert ledger.open_micro(ES, 120) == 10 * 12_500_000
    assert ledger.trades() == []


def test_a_flip_closes_one_trade_and_opens_the_next_with_its_share_of_fees() -> None:
    ledger = booked(fill(1, BUY, 2, 100, 200), fill(2, SELL, 5, 104, 500), fill(3, BUY, 3, 101, 300))
    first, second = ledger.trades()
    assert (first.side, first.size, first.gross_micro, first.fees_micro) == (BUY, 2, 8 * 12_500_000, 400)
    assert (second.side, second.size, second.gross_micro, second.fees_micro) == (SELL, 3, 9 * 12_500_000, 600)
    assert ledger.net(ES) == 0


def test_a_trade_runs_from_flat_to_flat_with_exact_averages() -> None:
    ledger = booked(fill(1, BUY, 1, 100), fill(2, BUY, 2, 101), fill(3, SELL, 1, 105), fill(4, SELL, 2, 104))
    (trade,) = ledger.trades()
    assert trade.size == 3
    assert trade.entry_ticks == Fraction(302, 3)
    assert trade.exit_ticks == Fraction(313, 3)
    assert (trade.entry_ns, trade.exit_ns) == (START_NS + 1, START_NS + 4)


def test_the_size_of_a_trade_is_the_most_it_held() -> None:
    fills = (fill(1, BUY, 3, 100), fill(2, SELL, 2, 101), fill(3, BUY, 1, 102), fill(4, SELL, 2, 103))
    (trade,) = booked(*fills).trades()
    assert (trade.size, trade.fills) == (3, 4)


def test_entry_fees_count_on_their_own_day_in_cash_and_at_the_exit_in_trades() -> None:
    ledger = Ledger()
    ledger.book(fill(1, BUY, 1, 100, 7), "manual", DAY)
    ledger.book(fill(2, SELL, 1, 101, 9), "manual", DAY + timedelta(days=3))
    assert ledger.dates() == [d.trade_date for d in ledger.days()]
    assert [(d.trade_date, d.gross_micro, d.fees_micro, d.trades) for d in ledger.days()] == [
        (DAY, 0, 7, 0),
        (DAY + timedelta(days=3), 12_500_000, 9, 1),
    ]
    assert ledger.trades()[0].fees_micro == 16
    assert ledger.trades()[0].trade_date == DAY + timedelta(days=3)


def test_two_strategies_net_in_the_account_and_stay_apart_in_their_sub_books() -> None:
    ledger = Ledger()
    ledger.book(fill(1, BUY, 3, 100), "one", DAY)
    ledger.book(fill(2, SELL, 2, 104), "two", DAY)
    assert (ledger.net(ES), ledger.net_of("one", ES), ledger.net_of("two", ES)) == (1, 3, -2)
    assert ledger.trades() == []
    assert ledger.gross_micro(DAY) == 8 * 12_500_000
    assert ledger.net_micro_of("one", DAY) == 0
    parts = [ledger.open_micro(ES, 90, name) for name in ("one", "two")]
    assert sum(parts) == ledger.gross_micro(DAY) + ledger.open_micro(ES, 90)


def nets(ledger: Ledger, *names: str) -> tuple[int, ...]:
    return tuple(ledger.net_of(name, ES) for name in names)


def test_the_fill_that_makes_the_account_flat_closes_everybody_at_its_price() -> None:
    ledger = Ledger()
    ledger.book(fill(1, BUY, 1, 100, 10), "one", DAY)
    ledger.book(fill(2, BUY, 2, 101, 20), "two", DAY)
    ledger.book(fill(3, SELL, 1, 104, 10), "one", DAY)
    ledger.book(fill(4, SELL, 2, 105, 31), "one", DAY)  # the venue's own close: one order for all
    assert nets(ledger, "one", "two") == (0, 0)
    one, two = ledger.trades()
    assert (one.strategy, one.gross_micro, one.fees_micro) == ("one", 4 * 12_500_000, 20)
    assert (two.strategy, two.gross_micro, two.fees_micro) == ("two", 8 * 12_500_000, 51)
    assert ledger.net_micro(DAY) == ledger.net_micro_of("one", DAY) + ledger.net_micro_of("two", DAY)


def test_a_flatten_of_two_strategies_leaves_neither_of_them_a_position() -> None:
    ledger = Ledger()
    ledger.book(fill(1, BUY, 1, 100), "one", DAY)
    ledger.book(fill(2, BUY, 2, 101), "two", DAY)
    ledger.book(fill(3, SELL, 3, 104, 10), "two", DAY)
    assert nets(ledger, "one", "two") == (0, 0)
    assert [(t.strategy, t.gross_micro, t.fees_micro) for t in ledger.trades()] == [
        ("one", 4 * 12_500_000, 3),
        ("two", 6 * 12_500_000, 7),
    ]


def test_strategies_that_cross_to_flat_hold_nothing_any_more() -> None:
    ledger = Ledger()
    ledger.book(fill(1, BUY, 3, 100), "one", DAY)
    ledger.book(fill(2, SELL, 1, 101), "two", DAY)
    ledger.book(fill(3, SELL, 2, 104, 5), "three", DAY)
    assert nets(ledger, "one", "two", "three") == (0, 0, 0)
    gross = {t.strategy: (t.gross_micro, t.fees_micro) for t in ledger.trades()}
    assert gross == {"one": (12 * 12_500_000, 5), "two": (-3 * 12_500_000, 0)}
    assert ledger.gross_micro(DAY) == 9 * 12_500_000


def test_the_owners_click_reduces_those_who_hold_largest_first() -> None:
    ledger = Ledger()
    ledger.book(fill(1, BUY, 1, 100), "one", DAY)
    ledger.book(fill(2, BUY, 3, 100), "two", DAY)
    ledger.book(fill(3, SELL, 2, 104, 7), MANUAL, DAY)
    assert nets(ledger, "one", "two", MANUAL) == (1, 1, 0)
    ledger.book(fill(4, SELL, 6, 104, 6), MANUAL, DAY)  # and what is more is the owner's own
    assert nets(ledger, "one", "two", MANUAL) == (0, 0, -4)
    assert {t.strategy: t.fees_micro for t in ledger.trades()} == {"one": 1, "two": 8}


def test_the_owners_own_position_goes_before_that_of_a_strategy() -> None:
    ledger = Ledger()
    ledger.book(fill(1, BUY, 2, 100), "one", DAY)
    ledger.book(fill(2, BUY, 1, 100), MANUAL, DAY)
    ledger.book(fill(3, SELL, 1, 104), MANUAL, DAY)
    assert nets(ledger, "one", MANUAL) == (2, 0)


def test_a_click_that_adds_is_the_owners_own() -> None:
    ledger = Ledger()
    ledger.book(fill(1, BUY, 1, 100), "one", DAY)
    ledger.book(fill(2, BUY, 2, 100), MANUAL, DAY)
    assert nets(ledger, "one", MANUAL) == (1, 2)


def test_marks_pessimistically_and_says_when_it_does_not_know() -> None:
    long, short = booked(fill(1, BUY, 1, 100)), booked(fill(1, SELL, 1, 100))
    quote = Quote(ES, bid_ticks=98, ask_ticks=103, last_ticks=100)
    assert long.unrealised_micro(ES, quote) == -2 * 12_500_000
    assert short.unrealised_micro(ES, quote) == -3 * 12_500_000
    assert long.unrealised_micro(ES, None) is None
    assert long.unrealised_micro(ES, Quote(ES, ask_ticks=103, last_ticks=100)) is None
    assert short.unrealised_micro(ES, Quote(ES, bid_ticks=98, last_ticks=100)) is None
    assert long.unrealised_micro(ES, replace(quote, contract=MNQ)) is None
    assert Ledger().unrealised_micro(ES, None) == 0


# -- once, and only what belongs here


def test_books_a_fill_once() -> None:
    ledger = booked(fill(1, BUY, 1, 100, 5))
    assert not ledger.book(fill(1, BUY, 1, 100, 5), "manual", DAY)
    assert (ledger.net(ES), ledger.fees_micro(DAY)) == (1, 5)


def test_a_void_takes_a_fill_back_for_ever() -> None:
    ledger = booked(fill(1, BUY, 1, 100, 5), fill(2, SELL, 1, 101, 5))
    assert ledger.void(2)
    assert not ledger.void(2)
    assert (ledger.net(ES), ledger.gross_micro(DAY), ledger.fees_micro(DAY)) == (1, 0, 5)
    assert ledger.has(2)
    assert not ledger.book(fill(2, SELL, 1, 101, 5), "manual", DAY)


def test_a_void_that_overtakes_its_fill_still_counts() -> None:
    ledger = Ledger()
    assert not ledger.void(9)
    assert not ledger.book(fill(9, BUY, 1, 100), "manual", DAY)
    assert ledger.net(ES) == 0


def test_a_fill_that_arrives_voided_voids_the_booked_one() -> None:
    ledger = booked(fill(1, BUY, 1, 100))
    assert ledger.book(fill(1, BUY, 1, 100, voided=True), "manual", DAY)
    assert ledger.net(ES) == 0
    assert ledger.days() == []


@pytest.mark.parametrize(
    ("bad", "strategy"),
    [
        (fill(2, BUY, 1, 100), ""),
        (fill(2, BUY, 0, 100), "manual"),
        (fill(2, BUY, 1, 100, -1), "manual"),
        (replace(fill(2, BUY, 1, 100), account_id=2), "manual"),
    ],
)
def test_rejects_what_cannot_be_booked_and_changes_nothing(bad: Fill, strategy: str) -> None:
    ledger = booked(fill(1, BUY, 1, 100))
    with pytest.raises(Ours):
        ledger.book(bad, strategy, DAY)
    assert (ledger.net(ES), ledger.has(2)) == (1, False)


def test_rejects_an_unknown_product_and_changes_nothing() -> None:
    ledger = Ledger()
    with pytest.raises(Refused):
        ledger.book(fill(1, BUY, 1, 100, contract="CON.F.US.NONE.Z26"), "manual", DAY)
    assert not ledger.has(1)
    assert ledger.book(replace(fill(1, BUY, 1, 100), account_id=7), "manual", DAY)


def test_a_history_that_arrives_newest_first_is_worked_through_once(monkeypatch: pytest.MonkeyPatch) -> None:
    worked: list[int] = []
    apply = Fifo.apply

    def counting(self: Fifo, booked: Booked) -> int:
        worked.append(booked.fill.id)
        return apply(self, booked)

    monkeypatch.setattr(Fifo, "apply", counting)
    rows = [fill(n, BUY if n % 2 else SELL, 1, 100 + n % 3) for n in range(200)]
    ledger = booked(*reversed(rows))
    assert len(worked) == 2  # the first fill alone came in order: once for the account, once for its strategy
    assert ledger.net(ES) == 0
    assert ledger.net_micro(DAY) == booked(*rows).net_micro(DAY)
    assert len(worked) == 2 + 2 * 200 + 2 * 200


# -- against brute force


class Raw(NamedTuple):
    contract: str
    strategy: str
    side: Side
    size: int
    ticks: int
    fees: int
    at: int
    day: int


raws = st.builds(
    Raw,
    st.sampled_from([ES, MNQ]),
    st.sampled_from(["a", "b", MANUAL]),
    st.sampled_from([BUY, SELL]),
    st.integers(1, 4),
    st.integers(90, 110),
    st.integers(0, 9),
    st.integers(0, 20),
    st.integers(0, 2),
)


def as_fill(number: int, raw: Raw) -> tuple[Fill, str, date]:
    made = fill(number, raw.side, raw.size, raw.ticks, raw.fees, raw.contract, raw.at)
    return made, raw.strategy, DAY + timedelta(days=raw.day)


def brute(rows: list[tuple[Fill, str, date]]) -> tuple[int, dict[date, int], list[tuple[int, int, int]]]:
    """(net, gross by day, closed single contracts as (entry id, exit id, gross)): one contract at a time."""
    open_lots: list[tuple[Fill, int]] = []
    gross: dict[date, int] = {}
    closed = []
    for each, _, day in sorted(rows, key=lambda row: (row[0].utc_ns, row[0].id)):
        value = by_contract(each.contract).tick_value_micro
        for _ in range(each.size):
            if open_lots and open_lots[0][0].side is not each.side:
                entry, _ = open_lots.pop(0)
                won = entry.side * (each.price_ticks - entry.price_ticks) * value
                gross[day] = gross.get(day, 0) + won
                closed.append((entry.id, each.id, won))
            else:
                open_lots.append((each, 1))
    return sum(lot.side for lot, _ in open_lots), gross, closed


def shared(rows: list[tuple[Fill, str, date]]) -> dict[str, int]:
    """Who holds what of one contract, one contract at a time: a flat account is nobody's, the owner's clicks
    take from those who hold.
    """
    held = {"a": 0, "b": 0, MANUAL: 0}
    for each, strategy, _ in sorted(rows, key=lambda row: (row[0].utc_ns, row[0].id)):
        if sum(held.values()) + each.side * each.size == 0:
            held = dict.fromkeys(held, 0)
            continue
        before = dict(held)
        for name in sorted(held, key=lambda n: (n != MANUAL, -abs(before[n]), n)):
            taken = min(each.size, max(0, -each.side * before[name])) if strategy == MANUAL else 0
            taken = min(taken, each.size - sum(abs(held[n] - before[n]) for n in held))
            held[name] += each.side * taken
        held[strategy] += each.side * (each.size - sum(abs(held[n] - before[n]) for n in held))
    return held


def of(rows: list[tuple[Fill, str, date]], contract: str) -> list[tuple[Fill, str, date]]:
    return [row for row in rows if row[0].contract == contract]


@given(
    st.lists(raws, max_size=25), st.randoms(use_true_random=False), st.sets(st.integers(0, 24), max_size=4)
)
def test_agrees_with_brute_force_however_fills_arrive(
    made: list[Raw], rng: random.Random, voids: set[int]
) -> None:
    rows = [as_fill(n, raw) for n, raw in enumerate(made)]
    arriving = [*rows, *rng.sample(rows, len(rows) // 2)]
    rng.shuffle(arriving)
    steps: list[tuple[Fill, str, date] | int] = [*arriving, *voids]
    rng.shuffle(steps)
    ledger = Ledger()
    for step in steps:
        if isinstance(step, int):
            ledger.void(step)
        else:
            ledger.book(*step)
    kept = [row for row in rows if row[0].id not in voids]
    by_day: dict[date, int] = {}
    for contract in (ES, MNQ):
        net, gross, closed = brute(of(kept, contract))
        assert ledger.net(contract) == net
        lots = [lot for lot in ledger.lots() if lot.contract == contract]
        assert sum(lot.gross_micro for lot in lots) == sum(won for _, _, won in closed)
        pairs = [(lot.entry_id, lot.exit_id) for lot in lots for _ in range(lot.size)]
        assert sorted(pairs) == sorted((entry, out) for entry, out, _ in closed)
        for day, amount in gross.items():
            by_day[day] = by_day.get(day, 0) + amount
        held = shared([row for row in of(kept, contract)])
        assert {name: ledger.net_of(name, contract) for name in ("a", "b", MANUAL)} == held
    for day in {row[2] for row in kept}:
        assert ledger.gross_micro(day) == by_day.get(day, 0)
        assert ledger.fees_micro(day) == sum(f.fees_micro for f, _, d in kept if d == day)


@given(st.lists(raws, max_size=25), st.integers(80, 120))
def test_parts_sum_to_the_whole_at_any_mark(made: list[Raw], mark: int) -> None:
    rows = [as_fill(n, raw) for n, raw in enumerate(made)]
    ledger = Ledger()
    for row in rows:
        ledger.book(*row)
    whole = total(ledger.days())
    assert whole.fees_micro == sum(f.fees_micro for f, _, _ in rows)
    assert whole.net_micro == sum(amount for _, amount in ledger.cash()) == ledger.realised_since(0)
    assert balance_points(ledger, 5)[-1:] == ([5 + whole.net_micro] if rows else [])
    days = {row[2] for row in rows}
    account = whole.gross_micro + sum(ledger.open_micro(c, mark) for c in (ES, MNQ))
    subs = sum(ledger.net_micro_of(s, d) for s in ledger.strategies() for d in days) + whole.fees_micro
    subs += sum(ledger.open_micro(c, mark, s) for c in (ES, MNQ) for s in ledger.strategies())
    assert account == subs
    cash = sum(
        -f.side * f.size * f.price_ticks * by_contract(f.contract).tick_value_micro for f, _, _ in rows
    )
    marked = sum(ledger.net(c) * mark * by_contract(c).tick_value_micro for c in (ES, MNQ))
    assert account == cash + marked


@given(st.lists(raws, max_size=25))
def test_every_fee_is_in_exactly_one_trade_once_flat(made: list[Raw]) -> None:
    ledger = Ledger()
    rows = [as_fill(n, raw) for n, raw in enumerate(made)]
    for row in rows:
        ledger.book(*row)
    flat = len(made)
    for contract in (ES, MNQ):
        net = ledger.net(contract)
        if net:
            side = SELL if net > 0 else BUY
            ledger.book(fill(flat, side, abs(net), 100, 3, contract, 99), "a", DAY)
            flat += 1
    whole = total(ledger.days())
    trades = ledger.trades()
    assert ledger.open_contracts() == []
    assert not any(ledger.net_of(s, c) for s in ledger.strategies() for c in (ES, MNQ))
    days = {day.trade_date for day in ledger.days()}
    assert whole.net_micro == sum(ledger.net_micro_of(s, d) for s in ledger.strategies() for d in days)
    assert (
        sum(t.gross_micro for t in trades) == whole.gross_micro == sum(x.gross_micro for x in ledger.lots())
    )
    assert sum(t.fees_micro for t in trades) == whole.fees_micro == sum(x.fees_micro for x in ledger.lots())


@given(st.lists(raws, max_size=20), st.integers(0, 21))
def test_realised_since_is_what_the_balance_moved_from_then_on(made: list[Raw], at: int) -> None:
    ledger, before = Ledger(), Ledger()
    for number, raw in enumerate(made):
        ledger.book(*as_fill(number, raw))
        if raw.at < at:
            before.book(*as_fill(number, raw))
    earlier = sum(amount for _, amount in before.cash())
    assert ledger.realised_since(START_NS + at) == ledger.realised_since(0) - earlier


# -- against the venue's own statements


def test_reproduces_the_venue_day_of_a_real_account(shared_data: Path) -> None:
    """Five round trips of the evening of 9 November are the trade date 10 November, net of fees 647.80."""
    facts = json.loads((shared_data / "pnl_calendar.json").read_text())
    mnq = by_symbol("MNQ")
    fee = micro(facts["fee_per_contract_round_turn"]["MNQ"]) // 2
    evening = [t for t in facts["recent_trades"] if t["local_time"].startswith("2025-11-09")]
    assert len(evening) == 5
    ledger = Ledger()
    for number, row in enumerate(reversed(evening)):
        local = datetime.fromisoformat(row["local_time"]).replace(tzinfo=CHICAGO)
        utc_ns = int(local.timestamp()) * 10**9
        side = BUY if row["side"] == "LONG" else SELL
        entry = price_to_ticks(mnq, row["price"])
        moved, rest = divmod(micro(row["gross"]), mnq.tick_value_micro * row["qty"])
        assert rest == 0
        for leg, (way, ticks) in enumerate(((side, entry), (side.opposite, entry + side * moved))):
            each = Fill(2 * number + leg, 0, 1, MNQ, way, row["qty"], ticks, fee * row["qty"], utc_ns)
            assert ledger.book(each, "former", trade_date(utc_ns))
    (day,) = ledger.days()
    venue = facts["days"][-1]
    assert str(day.trade_date) == venue["date"] == "2025-11-10"
    assert day.gross_micro == micro("670.00")
    assert day.fees_micro == micro("22.20")
    assert day.net_micro == micro(venue["net"])
    assert day.trades == venue["trades"] == 5
    (ends, week) = next(iter(weeks(ledger.days()).items()))
    assert (str(ends), week.net_micro) == ("2025-11-15", micro(facts["weeks"][-1]["net"]))

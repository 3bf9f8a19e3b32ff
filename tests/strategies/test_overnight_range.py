"""The overnight range breakout: every rule from both sides, on a desk without engine."""

from __future__ import annotations

import json
from datetime import date, timedelta
from fractions import Fraction

import pytest
from hypothesis import given
from hypothesis import strategies as st

from app.domain.events import Fill
from app.domain.intents import Cancel, Close, Place
from app.domain.market import MINUTE_NS, Bar
from app.domain.orders import OrderState, OrderType, Side
from app.errors import IllegalTransition, Refused
from app.strategies import build
from app.strategies.overnight_plan import distance
from app.strategies.overnight_range import TRANSITIONS, Memory, Phase
from tests.strategies.desk import NS, Desk, flat_bars, new_york
from tests.strategies.nights import END, ENTRY, MONDAY, OPEN, night_desk, phase, strategy, why

# -- the pair


def test_places_a_stop_entry_one_tick_beyond_either_side_of_the_night() -> None:
    desk = night_desk()
    buy, sell = desk.all(Place)
    assert (buy.side, buy.stop_ticks, sell.side, sell.stop_ticks) == (Side.BUY, 6609, Side.SELL, 6599)
    assert {buy.type, sell.type} == {OrderType.STOP}
    assert buy.oco == sell.oco == "overnight_range-2013-10-07"
    assert buy.ref != sell.ref
    assert (buy.size, buy.contract) == (1, desk.contract)


def test_places_at_the_very_instant_the_night_ends() -> None:
    desk = Desk(strategy(), OPEN)
    desk.live_bars(flat_bars(ENTRY - 90 * MINUTE_NS, 89))
    assert desk.strategy.next_time(desk.now_ns) == ENTRY
    desk.live_bars(flat_bars(ENTRY - MINUTE_NS, 1))
    assert [desk.live[p.ref].created_ns for p in desk.all(Place)] == [ENTRY, ENTRY]


def test_keeps_its_appointment_when_a_bar_arrives_at_the_same_instant() -> None:
    desk = Desk(strategy(), OPEN)
    desk.now_ns = ENTRY
    desk.history(flat_bars(ENTRY - 90 * MINUTE_NS, 90))
    assert desk.strategy.next_time(ENTRY) == ENTRY
    desk = night_desk()
    desk.now_ns = END
    desk.history(flat_bars(END - MINUTE_NS, 1))
    assert desk.strategy.next_time(END) == END


def test_brackets_are_rounded_up_to_whole_ticks() -> None:
    buy, _ = night_desk(low=6600, high=6609).all(Place)  # ATR 9 ticks: 11.25 and 18
    assert buy.bracket is not None
    assert (buy.bracket.stop_ticks, buy.bracket.target_ticks) == (12, 18)


def test_a_stop_is_never_nearer_than_four_ticks() -> None:
    buy, _ = night_desk(low=6600, high=6602).all(Place)  # 1.25 x 2 = 2.5
    assert buy.bracket is not None
    assert (buy.bracket.stop_ticks, buy.bracket.target_ticks) == (4, 4)


@given(
    atr=st.fractions(min_value=0, max_value=500),
    ratio=st.fractions(Fraction(1, 10), 50),
    least=st.integers(1, 8),
)
def test_a_distance_is_whole_and_never_less_than_asked(atr: Fraction, ratio: Fraction, least: int) -> None:
    ticks = distance(ratio * atr, least)
    assert ticks >= ratio * atr
    assert ticks >= least
    assert ticks == least or ticks - 1 < ratio * atr


@given(
    st.lists(
        st.tuples(st.integers(-40, 40), st.integers(0, 12), st.integers(0, 12)), min_size=80, max_size=120
    )
)
def test_orders_and_brackets_follow_from_any_night(moves: list[tuple[int, int, int]]) -> None:
    start = ENTRY - len(moves) * MINUTE_NS
    bars = [
        Bar(start + i * MINUTE_NS, 6600 + at, 6600 + at + up, 6600 + at - down, 6600 + at, 5)
        for i, (at, up, down) in enumerate(moves)
    ]
    desk = Desk(strategy(), OPEN)
    desk.live_bars(bars)
    buy, sell = desk.all(Place)
    assert buy.stop_ticks == max(b.high_ticks for b in bars) + 1
    assert sell.stop_ticks == min(b.low_ticks for b in bars) - 1
    assert buy.bracket is not None
    assert buy.bracket == sell.bracket
    assert buy.bracket.stop_ticks >= 4
    assert 2 * buy.bracket.stop_ticks + 2 >= buy.bracket.target_ticks  # 1.25 to 2, with both rounded up


# -- what the night must have


@pytest.mark.parametrize(("minutes", "placed"), [(9, 0), (10, 2)])
def test_needs_ten_minutes_of_night(minutes: int, placed: int) -> None:
    day_before = flat_bars(new_york(date(2013, 10, 4), 14), 100)
    desk = Desk(strategy(), OPEN)
    desk.history(day_before)
    desk.live_bars(flat_bars(ENTRY - minutes * MINUTE_NS, minutes))
    desk.until(ENTRY + 6 * MINUTE_NS)
    assert len(desk.all(Place)) == placed
    if not placed:
        assert why(desk) == "the night has 9 one-minute bars, 10 are needed"


@pytest.mark.parametrize(("minutes", "placed"), [(74, 2), (70, 0)])
def test_needs_the_bar_before_the_first_of_fourteen(minutes: int, placed: int) -> None:
    desk = night_desk(count=minutes)
    desk.until(ENTRY + 6 * MINUTE_NS)
    assert len(desk.all(Place)) == placed
    if not placed:
        assert "needs 14 bars of 5 minutes and the one before, 14 are known" in why(desk)
        assert phase(desk) == Phase.STAYED_OUT


def test_the_first_true_range_uses_the_bar_before_it() -> None:
    before, night = flat_bars(ENTRY - 75 * MINUTE_NS, 5, 6630, 6630), flat_bars(ENTRY - 70 * MINUTE_NS, 70)
    desk = Desk(strategy(), OPEN)
    desk.live_bars([*before, *night])
    # 13 ranges of 8 ticks and one of 30 (from the close 6630 down to 6600), in points of 4 ticks
    assert Fraction(desk.strategy.facts()["atr"]) == pytest.approx((13 * 8 + 30) / 14 / 4)


def test_bars_outside_the_night_do_not_widen_the_range() -> None:
    desk = Desk(strategy(), new_york(date(2013, 10, 4), 12))
    desk.history(flat_bars(new_york(date(2013, 10, 4), 16), 14, 6500, 6700))
    desk.live_bars(flat_bars(ENTRY - 90 * MINUTE_NS, 90))
    assert [p.stop_ticks for p in desk.all(Place)] == [6609, 6599]


def test_ignores_a_bar_it_has_and_takes_the_fuller_of_two() -> None:
    bars = flat_bars(ENTRY - 90 * MINUTE_NS, 90)
    desk = Desk(strategy(), OPEN)
    cut = Bar(bars[5].start_ns, 6604, 6605, 6603, 6604, 3)
    desk.until(OPEN)
    desk.history([cut, *bars, *bars[:20], Bar(bars[7].start_ns, 6604, 6650, 6550, 6604, 2)])
    facts = desk.strategy.facts()
    assert (facts["bars"], facts["high"], facts["low"]) == ("90", "1652.00", "1650.00")


# -- starting late


@pytest.mark.parametrize(
    ("minutes", "placed"), [(0, 2), (4, 2), (5, 2), (6, 0), (300, 0)], ids=lambda value: str(value)
)
def test_a_late_start_places_within_the_grace_only(minutes: int, placed: int) -> None:
    now = ENTRY + minutes * MINUTE_NS
    desk = Desk(strategy(), now)
    assert desk.strategy.wants_bars_from(now) == new_york(date(2013, 10, 3), 18)
    desk.history(flat_bars(ENTRY - 90 * MINUTE_NS, 90 + minutes))
    desk.price(6604)
    desk.until(now)
    assert len(desk.all(Place)) == placed
    if not placed:
        assert "started more than 5 minutes after the entry time" in why(desk)


def test_a_late_start_stays_out_when_the_price_left_the_range_meanwhile() -> None:
    now = ENTRY + 3 * MINUTE_NS
    desk = Desk(strategy(), now)
    desk.history([*flat_bars(ENTRY - 90 * MINUTE_NS, 90), *flat_bars(ENTRY, 3, 6600, 6609)])
    desk.price(6604)
    desk.until(now)
    assert desk.all(Place) == []
    assert why(desk) == "the price has left the range already"


@pytest.mark.parametrize(("bid", "ask", "placed"), [(6600, 6608, 2), (6604, 6609, 0), (6599, 6604, 0)])
def test_places_only_while_both_entries_lie_beyond_the_market(bid: int, ask: int, placed: int) -> None:
    desk = Desk(strategy(), ENTRY)
    desk.history(flat_bars(ENTRY - 90 * MINUTE_NS, 90))
    desk.price(bid, ask)
    desk.until(ENTRY)
    assert len(desk.all(Place)) == placed


def test_waits_within_the_grace_for_a_quote_and_for_history() -> None:
    desk = Desk(strategy(), ENTRY)
    desk.until(ENTRY + 2 * NS)
    assert why(desk).startswith("the night has 0")
    desk.history(flat_bars(ENTRY - 90 * MINUTE_NS, 90))
    desk.until(ENTRY + 4 * NS)
    assert why(desk) == "no quote yet"
    desk.price(6604)
    desk.until(ENTRY + 5 * NS)
    assert len(desk.all(Place)) == 2
    assert why(desk) == ""


def test_waits_within_the_grace_until_trading_is_open() -> None:
    desk = Desk(strategy(), ENTRY)
    desk.trading = False
    desk.history(flat_bars(ENTRY - 90 * MINUTE_NS, 90))
    desk.price(6604)
    desk.until(ENTRY + 2 * NS)
    assert (phase(desk), why(desk)) == (Phase.TRACKING, "trading is not open yet")
    desk.trading = True
    desk.until(ENTRY + 3 * NS)
    assert [desk.live[p.ref].created_ns for p in desk.all(Place)] == [ENTRY + 3 * NS] * 2
    assert why(desk) == ""


def test_stays_out_when_trading_does_not_open_within_the_grace() -> None:
    desk = Desk(strategy(), ENTRY)
    desk.trading = False
    desk.history(flat_bars(ENTRY - 90 * MINUTE_NS, 90))
    desk.price(6604)
    desk.until(ENTRY + 10 * MINUTE_NS)
    assert (phase(desk), why(desk)) == (Phase.STAYED_OUT, "trading is not open yet")


def test_says_what_was_missing_when_the_grace_is_over() -> None:
    desk = Desk(strategy(), ENTRY)
    desk.history(flat_bars(ENTRY - 90 * MINUTE_NS, 90))
    desk.until(ENTRY + 10 * MINUTE_NS)
    assert (phase(desk), why(desk)) == (Phase.STAYED_OUT, "no quote yet")


# -- fills


def test_first_fill_leaves_one_position_and_the_day_ends_with_its_exit() -> None:
    desk = night_desk()
    leg = desk.fill(desk.entry(Side.BUY), 6609)
    assert phase(desk) == Phase.FILLED
    assert leg is not None
    desk.fill(leg, 6599)
    assert phase(desk) == Phase.DONE
    desk.until(END + MINUTE_NS)
    assert desk.all(Close) == []


def test_records_that_both_sides_were_filled() -> None:
    desk = night_desk()
    desk.fill(desk.entry(Side.BUY), 6609, cancel_other=False)
    desk.fill(desk.entry(Side.SELL), 6599)
    assert why(desk) == "both sides were filled"
    assert len(desk.all(Place)) == 2


def test_entries_that_end_without_a_fill_end_the_day() -> None:
    desk = night_desk()
    for side in Side:
        desk.end(desk.entry(side), OrderState.CANCELLED)
    desk.live_bars(flat_bars(ENTRY, 30))
    assert phase(desk) == Phase.DONE
    assert len(desk.all(Place)) == 2


def test_entries_that_a_hold_cancelled_end_the_day_at_once_and_say_so() -> None:
    desk = night_desk()
    desk.trading = False
    desk.end(desk.entry(Side.BUY), OrderState.CANCELLED)
    assert phase(desk) == Phase.PLACED
    desk.end(desk.entry(Side.SELL), OrderState.CANCELLED)
    words = "the entries were cancelled without a fill while trading was not open"
    assert (phase(desk), why(desk)) == (Phase.DONE, words)


def test_a_fill_that_is_told_after_the_end_of_both_entries_counts() -> None:
    desk = night_desk()
    buy, sell = desk.entry(Side.BUY), desk.entry(Side.SELL)
    desk.end(buy, OrderState.FILLED, tell=False)
    desk.end(sell, OrderState.CANCELLED)
    assert phase(desk) == Phase.DONE
    desk.position = 1
    desk.take(desk.strategy.on_fill(Fill(1, 1, 1, desk.contract, buy.side, 1, 6609, 0, desk.now_ns), buy))
    assert (phase(desk), why(desk)) == (Phase.FILLED, "")


# -- the end of the window


def test_cancels_unfilled_entries_at_the_end_of_the_window() -> None:
    desk = night_desk()
    desk.until(END - 1)
    assert desk.all(Cancel) == []
    desk.until(END)
    assert len(desk.all(Cancel)) == 2
    assert desk.all(Close) == []
    assert phase(desk) == Phase.CLOSED


def test_closes_an_open_position_at_the_end_and_asks_again_until_it_is_gone() -> None:
    desk = night_desk()
    desk.fill(desk.entry(Side.SELL), 6599)
    desk.until(END)
    assert len(desk.all(Close)) == 1
    desk.until(END + 60 * NS)
    assert len(desk.all(Close)) == 3
    desk.position = 0
    desk.live.clear()
    desk.until(END + 300 * NS)
    assert len(desk.all(Close)) == 3


def test_a_fill_after_the_end_is_closed_at_once() -> None:
    desk = night_desk()
    desk.until(END)
    entry = desk.entry(Side.BUY)
    desk.fill(entry, 6609)
    assert [c.reason for c in desk.all(Close)] == ["filled after the end of the window"]


def test_an_early_close_moves_the_end_of_the_window() -> None:
    day = date(2026, 11, 27)  # flat by 11:45 Chicago, ours is two minutes before
    entry, flat = new_york(day, 9, 30), new_york(day, 12, 43)
    desk = Desk(strategy(), entry - 90 * MINUTE_NS)
    desk.live_bars(flat_bars(entry - 90 * MINUTE_NS, 90))
    assert len(desk.all(Place)) == 2
    assert desk.strategy.next_time(desk.now_ns) == flat
    desk.until(flat)
    assert len(desk.all(Cancel)) == 2


def test_stays_out_when_the_session_closes_before_the_entry_time() -> None:
    day = date(2026, 4, 3)  # Good Friday with the employment report: closes 08:15 Chicago
    entry = new_york(day, 9, 30)
    desk = Desk(strategy(), entry - 90 * MINUTE_NS)
    desk.live_bars(flat_bars(entry - 120 * MINUTE_NS, 90))
    desk.until(entry + MINUTE_NS)
    assert desk.all(Place) == []
    assert why(desk) == "the session closes before the entry time"


# -- once a day


def test_never_places_twice_a_day_and_again_the_next() -> None:
    desk = night_desk()
    desk.fill(desk.entry(Side.BUY), 6609)
    leg = next(iter(desk.live.values()))
    desk.fill(leg, 6599)
    desk.live_bars(flat_bars(ENTRY, 380))
    assert len(desk.all(Place)) == 2
    following = ENTRY + 24 * 60 * MINUTE_NS
    desk.live_bars(flat_bars(following - 90 * MINUTE_NS, 90))
    assert [p.oco for p in desk.all(Place)[2:]] == ["overnight_range-2013-10-08"] * 2


@pytest.mark.parametrize("left", ["position", "entry"])
def test_stays_out_while_something_of_an_earlier_day_is_left(left: str) -> None:
    desk = night_desk()
    if left == "position":
        desk.position = 1
        desk.live.clear()
    following = ENTRY + 24 * 60 * MINUTE_NS
    desk.live_bars(flat_bars(following - 90 * MINUTE_NS, 90))
    assert len(desk.all(Place)) == 2
    assert why(desk) == "a position or an entry of an earlier day is still there"


def test_a_new_date_shows_nothing_of_the_old_one() -> None:
    desk = night_desk()
    desk.until(new_york(MONDAY, 18, 1))
    facts = desk.strategy.facts()
    assert facts["date"] == "2013-10-08"
    assert {facts[key] for key in ("high", "low", "atr", "buy_stop", "sell_stop", "why")} == {""}
    assert facts["phase"] == Phase.TRACKING


@pytest.mark.parametrize("done", ["placed", "filled", "stopped out"])
def test_the_memory_of_today_survives_a_restart(done: str) -> None:
    desk = night_desk()
    if done != "placed":
        leg = desk.fill(desk.entry(Side.BUY), 6609)
        if done == "stopped out" and leg is not None:
            desk.fill(leg, 6599)
    before = phase(desk)
    again = Desk(strategy(), ENTRY + MINUTE_NS)
    again.live, again.position = desk.live, desk.position
    again.strategy.restore(desk.strategy.state())
    again.history(flat_bars(ENTRY - 90 * MINUTE_NS, 91))
    again.price(6604)
    again.until(ENTRY + 4 * MINUTE_NS)
    assert again.all(Place) == []
    assert phase(again) == before
    assert again.strategy.facts()["buy_stop"] == "1652.25"


def test_yesterdays_memory_does_not_bind_today() -> None:
    text = json.dumps({"date": "2013-10-04", "phase": "done", "why": "", "side": 1, "entry_ticks": 6})
    desk = Desk(strategy(), OPEN)
    desk.strategy.restore(text)
    desk.live_bars(flat_bars(ENTRY - 90 * MINUTE_NS, 90))
    assert len(desk.all(Place)) == 2


@pytest.mark.parametrize("text", ["", "{", "[]", '{"date": 7}', '{"date":"x","phase":"placed"}', "null"])
def test_an_unreadable_memory_counts_as_a_day_already_used(text: str) -> None:
    desk = Desk(strategy(), OPEN)
    desk.strategy.restore(text)
    desk.live_bars(flat_bars(ENTRY - 90 * MINUTE_NS, 90))
    assert desk.all(Place) == []
    assert "could not be read" in why(desk)


@given(st.lists(st.integers(0, 5), max_size=60), st.integers(20, 120))
def test_never_two_entries_a_side_a_day_whatever_happens(events: list[int], minutes: int) -> None:
    desk = Desk(strategy(), OPEN)
    bars = iter(flat_bars(ENTRY - minutes * MINUTE_NS, minutes + 400))
    for event in [*[0] * minutes, *events]:
        live = list(desk.live.values())
        if event == 0:
            desk.live_bars([next(bars)])
        elif event in (1, 2) and live:
            order = live[0 if event == 1 else -1]
            desk.fill(order, order.stop_ticks or 0, cancel_other=event == 1)
        elif event == 3 and live:
            desk.end(live[0], OrderState.CANCELLED)
        elif event == 4 and live:
            desk.end(live[-1], OrderState.REJECTED, "Invalid stop price")
        else:
            restarted = Desk(strategy(), desk.now_ns)
            restarted.live, restarted.position, restarted.asked = desk.live, desk.position, desk.asked
            restarted.strategy.restore(desk.strategy.state())
            restarted.history(flat_bars(ENTRY - minutes * MINUTE_NS, minutes))
            desk = restarted
    refs = [place.ref for place in desk.all(Place)]
    assert len(refs) == len(set(refs)) <= 2


# -- refusals


def test_one_side_refused_cancels_the_other_and_stays_out() -> None:
    desk = night_desk()
    desk.end(desk.entry(Side.SELL), OrderState.REJECTED, "Invalid stop price")
    assert [c.tag for c in desk.all(Cancel)] == [desk.entry(Side.BUY).tag]
    assert (phase(desk), why(desk)) == (Phase.STAYED_OUT, "Invalid stop price")


@pytest.mark.parametrize("state", [OrderState.REJECTED, OrderState.WITHDRAWN, OrderState.LOST])
@pytest.mark.parametrize("reason", ["halt epoch changed", ""])
def test_one_side_that_will_not_come_cancels_the_other(state: OrderState, reason: str) -> None:
    desk = night_desk()
    desk.end(desk.entry(Side.BUY), state, reason)
    assert [c.tag for c in desk.all(Cancel)] == [desk.entry(Side.SELL).tag]
    assert (phase(desk), why(desk)) == (Phase.STAYED_OUT, reason or f"an entry was {state}")


def test_an_entry_that_works_after_the_pair_broke_is_cancelled_too() -> None:
    desk = Desk(strategy(), ENTRY)
    desk.history(flat_bars(ENTRY - 90 * MINUTE_NS, 90))
    desk.price(6604)
    buy, sell = desk.strategy.on_time(ENTRY)
    assert isinstance(buy, Place)
    desk.take(desk.strategy.on_refused(buy, "gate.collar", "too far"))
    desk.take([sell])
    assert [c.tag for c in desk.all(Cancel)] == [desk.entry(Side.SELL).tag]


@pytest.mark.parametrize("by_gate", [True, False])
def test_position_brackets_stop_it_until_a_restart_and_name_the_setting(by_gate: bool) -> None:
    words = "Brackets cannot be used with Position Brackets. You must enable Auto OCO Brackets."
    desk = night_desk()
    if by_gate:
        desk.take(desk.strategy.on_refused(desk.all(Place)[0], "venue", words))
    else:
        desk.end(desk.entry(Side.BUY), OrderState.REJECTED, words)
    following = ENTRY + 24 * 60 * MINUTE_NS
    desk.position = 0
    desk.live.clear()
    desk.live_bars(flat_bars(following - 90 * MINUTE_NS, 90))
    assert len(desk.all(Place)) == 2
    assert "switch on Auto OCO Brackets in TopstepX settings" in why(desk)
    again = Desk(strategy(), desk.now_ns)
    again.strategy.restore(desk.strategy.state())
    third = following + 24 * 60 * MINUTE_NS
    again.live_bars(flat_bars(third - 90 * MINUTE_NS, 90))
    assert len(again.all(Place)) == 2


# -- time


@pytest.mark.parametrize("day", [date(2026, 3, 9), date(2026, 11, 2), date(2026, 7, 6), date(2026, 1, 20)])
def test_the_night_is_new_york_time_on_both_sides_of_the_clock_change(day: date) -> None:
    eve = day - timedelta(days=1)
    inside, before = new_york(eve, 18), new_york(eve, 18) - MINUTE_NS
    entry = new_york(day, 9, 30)
    desk = Desk(strategy(), inside)
    desk.history([Bar(before, 6604, 6990, 6200, 6604, 5), Bar(inside, 6604, 6700, 6604, 6604, 5)])
    desk.live_bars(flat_bars(entry - 90 * MINUTE_NS, 90))
    assert [p.stop_ticks for p in desk.all(Place)] == [6701, 6599]
    assert desk.strategy.next_time(desk.now_ns) == new_york(day, 15, 45)


def test_beyond_the_calendar_it_does_nothing() -> None:
    late = new_york(date(2031, 1, 6), 9, 30)
    desk = Desk(strategy(), late)
    assert desk.strategy.next_time(late) == 0
    assert desk.strategy.wants_bars_from(late) == 0
    assert desk.strategy.on_time(late) == ()


# -- the machine


def test_an_impossible_step_raises_and_changes_nothing() -> None:
    memory = Memory(phase=Phase.DONE)
    with pytest.raises(IllegalTransition):
        memory.move("place")
    assert memory.phase is Phase.DONE
    assert set(TRANSITIONS) == set(Phase)


def test_rejects_an_unknown_symbol() -> None:
    with pytest.raises(Refused):
        build("overnight_range", {"symbol": "XX"})

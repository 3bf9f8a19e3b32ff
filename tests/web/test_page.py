"""The page as text: well formed, nothing inline, every state told in words."""

from __future__ import annotations

from dataclasses import replace
from html.parser import HTMLParser

import pytest
from hypothesis import given
from hypothesis import strategies as st

from app.engine.snapshot import EventView, GoalView, ReasonView, StorageView, UpdateView
from app.risk.state import Code
from app.web import words
from app.web.assets import template
from app.web.page import Parts, fill, render, render_locked
from tests.web.pictures import ACTIVE, CLOSED, FRESH, HALTED, NOW, POSITION, STOPPED, order


def _page(view: object = ACTIVE) -> str:
    return fill(template("page.html"), render(view, {"ES": [6012.0, 6013.25]}))  # type: ignore[arg-type]


class _Tags(HTMLParser):
    """Collects tags and checks that they close in order."""

    VOID = frozenset({"meta", "link", "input", "circle", "path", "line", "rect", "polyline", "br"})

    def __init__(self, text: str) -> None:
        super().__init__()
        self.open: list[str] = []
        self.seen: list[str] = []
        self.feed(text)
        assert self.open == [], self.open

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.seen.append(tag)
        assert not any(name == "style" or name.startswith("on") for name, _ in attrs), (tag, attrs)
        if tag not in self.VOID:
            self.open.append(tag)

    def handle_endtag(self, tag: str) -> None:
        if tag not in self.VOID:
            assert self.open and self.open.pop() == tag, tag


STRATEGY_NET = '<b class="pos">+117.44</b>'


@pytest.mark.parametrize("view", [ACTIVE, HALTED, FRESH])
def test_is_well_formed_and_free_of_inline_style_and_script(view: object) -> None:
    tags = _Tags(_page(view))
    assert tags.seen.count("script") == 1 and tags.seen.count("h1") == 1


def test_says_every_reason_and_what_ends_it() -> None:
    page = _page(HALTED)
    assert "because entries were stopped by hand (stop entries); ends when a person re-arms" in page
    assert "because the session is closed; ends Fri 18:00 New York" in page
    assert "working to cancel every entry order (2 cancels pending, market closed)" in page


def test_says_that_a_condition_is_over_instead_of_what_it_waited_for() -> None:
    start = ReasonView(
        "start", "condition", "*", "halted", "no_entries", NOW, 0, "trades not read yet", "by itself"
    )
    assert words.because(start) == "it has just started (trades not read yet); ends by itself"
    assert (
        words.because(replace(start, ends="a person re-arms"))
        == "it has just started; over; waits for a re-arm"
    )
    over = "over; waits for a re-arm (board.resume is false)"
    assert words.because(replace(start, ends=over)) == f"it has just started; {over}"


@pytest.mark.parametrize(
    ("goal", "text"),
    [
        (GoalView("flat", True, "pending: position X", 0), "working to close every position (position X)"),
        (GoalView("flat", False, "confirmed", 0), "confirmed by the venue: close every position"),
        (GoalView("none", False, "", 0), ""),
    ],
)
def test_says_what_is_pursued_once(goal: GoalView, text: str) -> None:
    assert words.pursuit(goal) == text


@pytest.mark.parametrize(
    ("said", "text"),
    [
        ("X market hub: X market hub: closed", "X market hub: closed"),
        ("read failed: market hub: market hub: no", "read failed: market hub: no"),
        ("X market hub: closed", "X market hub: closed"),
        ("", ""),
    ],
)
def test_says_a_name_once(said: str, text: str) -> None:
    assert words.once(said) == text


def test_shows_an_unprotected_position_as_such() -> None:
    page = _page(replace(ACTIVE, positions=(replace(POSITION, stop=""),)))
    assert "no stop at the venue" in page


@pytest.mark.parametrize("change", [{"link_up": False}, {"synced": False}])
def test_shows_what_the_venue_does_not_confirm_now_as_last_known(change: dict[str, bool]) -> None:
    page = fill(template("page.html"), render(replace(ACTIVE, **change), {}, NOW))  # type: ignore[arg-type]
    assert page.count("last known, not as of now: last confirmed 09:31:15") == 2
    assert "stop 6,001.25 when last confirmed" in page and "at the venue" not in page
    assert 'data-known="before"' in page
    assert "never since the start" in _page(replace(ACTIVE, **change))
    assert "last known" not in _page() and 'data-known="now"' in _page()


def test_shows_parts_that_add_up_to_the_net_of_today() -> None:
    cells = render(ACTIVE, {}).cells
    assert cells["t.realised"] == STRATEGY_NET == '<b class="pos">+117.44</b>'
    assert cells["t.unrealised"] == '<b class="pos">+87.50</b>'
    assert cells["t.net"] == '<b class="pos">+204.94</b>'
    assert f"{STRATEGY_NET} <small>realised, 1 closed trade</small>" in _page()


def test_says_that_no_trade_was_closed_yet() -> None:
    assert ACTIVE.today is not None
    page = _page(replace(ACTIVE, today=replace(ACTIVE.today, trades=0, contracts=0)))
    assert "0 closed trades on 2026-11-20" in page


def test_shows_unknown_for_what_is_not_known() -> None:
    assert ACTIVE.today is not None
    page = _page(replace(ACTIVE, today=replace(ACTIVE.today, net="", unrealised="")))
    assert page.count('<span class="none">unknown</span>') >= 2
    assert "<b" in _page(FRESH) and "0.00" not in _page(FRESH)


def test_labels_simulated_time() -> None:
    assert "New York, simulated" in _page()
    assert "simulated" not in _page(replace(ACTIVE, clock="system", mode="live")).lower()


def test_escapes_every_text_from_outside() -> None:
    evil = "<script>alert(1)</script>\"'&"
    view = replace(
        ACTIVE,
        link_detail=evil,
        journal=evil,
        version=evil,
        link_up=False,
        reasons=(ReasonView(evil, "person", "*", "halted", "flat", NOW, 0, evil, evil),),
        goal=GoalView("flat", True, evil, 0),
        orders=(order(reason=evil, strategy=evil, symbol=evil, limit=evil, state=evil, side=evil),),
        events=(EventView(NOW, evil, evil, evil),),
        feeds=(replace(ACTIVE.feeds[0], symbol=evil, last=evil, bid=evil),),
        strategies=(replace(ACTIVE.strategies[0], name=evil, facts={evil: evil}),),
        positions=(replace(POSITION, average=evil, stop=evil, contract=evil, by_strategy={evil: 1}),),
    )
    page = _page(view)
    assert "<script>alert" not in page
    assert _Tags(page).seen.count("script") == 1


def test_locked_page_tells_the_state_and_nothing_else() -> None:
    page = fill(template("locked.html"), render_locked(ACTIVE))
    assert ">Active</h1>" in page
    for secret in ("SIM-50K", "204.94", "6,012", "overnight"):
        assert secret not in page


def test_sends_only_what_changed() -> None:
    before = render(ACTIVE, {})
    after = render(replace(ACTIVE, feeds=(replace(ACTIVE.feeds[0], last="6014.50", age_ms=190),)), {})
    assert after.changed(before) == {"c": {"f.ES": "6,014.50"}}
    assert after.changed(after) == {}
    assert set(after.changed(Parts())) == {"s", "c", "f"}


def test_every_cell_has_its_place_in_a_slot() -> None:
    parts = render(ACTIVE, {})
    slots = "".join(parts.slots.values())
    assert all(f'data-c="{name}"' in slots for name in parts.cells)
    assert all(f'data-s="{name}"' in template("page.html") for name in parts.slots)


def test_has_words_for_every_reason_there_is() -> None:
    assert set(words.PHRASES) == set(Code)


@pytest.mark.parametrize(
    ("age_ms", "text"), [(-1, "—"), (0, "0.0 s"), (9_999, "10.0 s"), (10_000, "10 s"), (120_000, "2 min")]
)
def test_says_ages_in_words(age_ms: int, text: str) -> None:
    assert words.age(age_ms) == text


@pytest.mark.parametrize(
    ("net", "html"),
    [
        ("0.00", '<b class="zero">0.00</b>'),
        ("-1234.505", '<b class="neg">\u22121,234.50</b>'),
        ("1234567.895", '<b class="pos">+1,234,567.90</b>'),
        ("-0.001", '<b class="neg">0.00</b>'),
        ("nonsense", '<span class="none">unknown</span>'),
    ],
)
def test_shows_money_exactly(net: str, html: str) -> None:
    assert ACTIVE.today is not None
    assert render(replace(ACTIVE, today=replace(ACTIVE.today, net=net)), {}).cells["t.net"] == html


def test_names_the_heaviest_reason_in_one_sentence() -> None:
    assert words.sentence("halted", (STOPPED, CLOSED)).startswith("Halted because entries were stopped")
    assert words.sentence("active", ()) == "Active"


@given(st.lists(st.floats(1, 1e5), max_size=40), st.lists(st.floats(1, 1e5), max_size=8))
def test_draws_any_prices_inside_the_picture(points: list[float], prices: list[float]) -> None:
    orders = tuple(order(str(i), stop=f"{price:.2f}") for i, price in enumerate(prices))
    parts = render(replace(ACTIVE, orders=orders), {"ES": points})
    picture = parts.slots["chart"]
    _Tags(picture)
    assert "nan" not in picture and "inf" not in picture.replace("info", "")


@pytest.mark.parametrize(
    ("kind", "stop", "limit", "shown"),
    [
        ("stop", "6012.50", "", "6,012.50"),
        ("stop_limit", "6012.50", "6013.00", "6,012.50 / 6,013.00"),
        ("market", "", "", "market"),
        ("stop", "", "", "—"),  # a leg whose entry never filled: the venue never set its price
    ],
)
def test_shows_the_price_of_an_order_or_that_there_is_none(
    kind: str, stop: str, limit: str, shown: str
) -> None:
    view = replace(ACTIVE, orders=(order(type=kind, stop=stop, limit=limit),))
    assert f'<td class="num">{shown}</td>' in render(view, {}).slots["orders"]


def test_a_detail_that_repeats_the_phrase_is_not_said_twice() -> None:
    opened = ReasonView(
        "switch", "person", "*", "halted", "flat", 0, 0, "the switch was opened", "a person re-arms"
    )
    assert words.because(opened) == "the switch was opened; ends when a person re-arms"
    contact = replace(opened, detail="contact a")
    assert words.because(contact) == "the switch was opened (contact a); ends when a person re-arms"


def test_the_foot_tells_of_an_update_and_is_loud_about_one_that_failed() -> None:
    assert "<i>update</i>" not in render(ACTIVE, {}).slots["foot"]
    doing = replace(ACTIVE, update=UpdateView("downloading <0.2.0>", "0.1.9 was taken back", ""))
    assert "<i>update</i> downloading &lt;0.2.0&gt;" in render(doing, {}).slots["foot"]
    failed = replace(ACTIVE, update=UpdateView("", "0.3.0 was taken back", "refused"))
    assert '<b class="bad">0.3.0 was taken back</b>' in render(failed, {}).slots["foot"]
    looked = replace(ACTIVE, update=UpdateView("", "", "update info stale"))
    assert "<i>update</i> update info stale" in render(looked, {}).slots["foot"]
    waits = replace(ACTIVE, update=UpdateView(waits="waits for 3 days", looked="the newest is installed"))
    assert '<b class="bad">waits for 3 days</b>' in render(waits, {}).slots["foot"]


def test_tells_of_the_disk_and_loudly_when_it_needs_attention() -> None:
    assert "disk" not in render(ACTIVE, {}).slots["foot"], "before it was measured"
    well = replace(ACTIVE, storage=StorageView(5_100_000_000, 0, 12_400_000, 0, 20, 1))
    assert (
        "<i>disk</i> 5.1 GB free, 12 MB written (since the start, a day at most), 20 % worn<"
        in render(well, {}).slots["foot"]
    )
    ill = replace(ACTIVE, storage=StorageView(troubles={"storage_wear": "90 % <spent>"}))
    assert '<b class="bad">90 % &lt;spent&gt;</b>' in render(ill, {}).slots["foot"]

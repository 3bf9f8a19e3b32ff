"""Tags: unique for ever, from reserved counters, and read back exactly."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from app.domain.tags import (
    DEFAULT_PREFIX,
    ORDER_TYPE_LIMIT,
    PREFIX_LIMIT,
    RESERVE_BELOW,
    RESERVE_BLOCK,
    STRATEGY_LIMIT,
    TAG_LIMIT,
    Tag,
    TagMint,
    parse,
)
from app.errors import Ours, Refused

names = st.from_regex(rf"[a-z0-9_]{{1,{ORDER_TYPE_LIMIT}}}", fullmatch=True)
prefixes = st.from_regex(rf"[A-Za-z0-9][A-Za-z0-9._-]{{0,{PREFIX_LIMIT - 1}}}", fullmatch=True)
NOW = 1_795_185_000


def mint(counter: int = 1, reserved: int = RESERVE_BLOCK) -> TagMint:
    return TagMint(DEFAULT_PREFIX, counter, reserved)


def test_mints_the_documented_form() -> None:
    assert mint(7).mint("overnight_range", "stop", NOW) == (
        "Plimsoll-v1.0-strategy-overnight_range-stop-7-1795185000"
    )


@given(
    prefixes, names, names, st.integers(1, 10**15), st.integers(0, 10**11), st.sampled_from(["", "SL", "TP"])
)
def test_reads_back_what_it_minted(
    prefix: str, strategy: str, order_type: str, counter: int, unix: int, leg: str
) -> None:
    text = TagMint(prefix, counter, counter).mint(strategy, order_type, unix)
    assert parse(f"{text}-{leg}" if leg else text, prefix) == Tag(strategy, order_type, counter, unix, leg)


@given(st.text(max_size=200))
def test_reads_no_foreign_text_as_a_tag(text: str) -> None:
    assert parse(text) is None


@pytest.mark.parametrize(
    "text",
    [
        "Plimsoll-v1.0-strategy-a-stop-1-5-XX",
        "Plimsoll-v1.0-strategy-a-stop-01-5",
        "Plimsoll-v1.0-strategy-a-stop-0-5",
        "Plimsoll-v1.0-strategy-a-stop-1-5-SL-TP",
        "Plimsoll-v1.0-strategy-A-stop-1-5",
        "Plimsoll-v1.0-strategy-a-stop-1-5\n",
        "Plimsoll-v1.0-strategy-a-stop-1",
        "Plimsoll-v1.1-strategy-a-stop-1-5",
        "xPlimsoll-v1.0-strategy-a-stop-1-5",
    ],
)
def test_reads_no_near_miss_as_a_tag(text: str) -> None:
    assert parse(text) is None


def test_longest_tag_with_a_leg_stays_within_the_limit() -> None:
    text = TagMint("P" * PREFIX_LIMIT, 10**12, 10**12).mint("s" * STRATEGY_LIMIT, "o" * ORDER_TYPE_LIMIT, NOW)
    assert len(text) + len("-SL") <= TAG_LIMIT
    assert parse(text + "-SL", "P" * PREFIX_LIMIT) is not None


@pytest.mark.parametrize("name", ["", "Manual", "a-b", "a b", "ä", "x" * 33, "a\n"])
def test_rejects_a_name_that_a_tag_cannot_carry(name: str) -> None:
    it = mint()
    with pytest.raises(Refused):
        it.mint(name, "stop", NOW)
    with pytest.raises(Refused):
        it.mint("manual", name, NOW)
    assert it.next_counter == 1


@pytest.mark.parametrize("prefix", ["", "-a", "a b", "p" * 25, "ä"])
def test_rejects_a_prefix_that_a_tag_cannot_carry(prefix: str) -> None:
    with pytest.raises(Refused):
        TagMint(prefix, 1, 64)


def test_rejects_a_time_before_the_clock_was_set() -> None:
    with pytest.raises(Refused, match="clock"):
        mint().mint("manual", "market", -1)


def test_rejects_beyond_the_reserved_block_and_uses_nothing_up() -> None:
    it = mint(RESERVE_BLOCK)
    it.mint("manual", "market", NOW)
    with pytest.raises(Refused, match=r"tags\.reserved"):
        it.mint("manual", "market", NOW)
    it.reserved(2 * RESERVE_BLOCK)
    assert it.mint("manual", "market", NOW).split("-")[-2] == str(RESERVE_BLOCK + 1)


def test_asks_for_the_next_block_when_fewer_than_16_are_left() -> None:
    it = mint()
    for _ in range(RESERVE_BLOCK - RESERVE_BELOW):
        assert it.needs_reserve() is None
        it.mint("manual", "market", NOW)
    assert it.needs_reserve() is None
    it.mint("manual", "market", NOW)
    assert it.needs_reserve() == 2 * RESERVE_BLOCK
    assert it.needs_reserve() == 2 * RESERVE_BLOCK
    it.reserved(2 * RESERVE_BLOCK)
    assert it.needs_reserve() is None


def test_an_older_reservation_takes_nothing_back() -> None:
    it = mint(1, 128)
    it.reserved(64)
    assert it.reserved_to == 128


def test_a_fresh_journal_must_reserve_before_the_first_tag() -> None:
    it = mint(1, 0)
    assert it.needs_reserve() == RESERVE_BLOCK
    with pytest.raises(Refused):
        it.mint("manual", "market", NOW)


@pytest.mark.parametrize(("counter", "reserved"), [(0, 64), (66, 64)])
def test_rejects_counters_that_make_no_sense(counter: int, reserved: int) -> None:
    with pytest.raises(Ours):
        TagMint(DEFAULT_PREFIX, counter, reserved)


@given(st.lists(st.integers(0, 40), min_size=1, max_size=8))
def test_never_mints_a_tag_twice_over_crashes(runs: list[int]) -> None:
    """Each run mints some, reserving as asked, and dies; the next starts behind what was durable."""
    durable, seen = 0, set[str]()
    for orders in runs:
        it = TagMint(DEFAULT_PREFIX, durable + 1, durable)
        for _ in range(orders):
            if (up_to := it.needs_reserve()) is not None:
                durable = up_to
                it.reserved(up_to)
            tag = it.mint("manual", "market", NOW)
            assert tag not in seen
            seen.add(tag)

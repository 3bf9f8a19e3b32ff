"""Group commit: who is told what, when, and what is on disk then."""

from __future__ import annotations

import asyncio
import sqlite3
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from app.clock import MS, SystemClock, VirtualClock
from app.domain.market import Bar
from app.engine.records import BarClosed, Happened, TagsReserved, VenueCalled
from app.errors import Ours, Refused
from app.store import Store, journal, open_journal, writer
from tests.guards import PATIENCE
from tests.store.records import changed, durable, fill

BAR = BarClosed("CON.F.US.EP.Z26", 1, Bar(60, 1, 4, 0, 2, 9))


def on_disk(folder: Path, table: str, file: str = "state.db") -> int:
    """Rows another process would find now."""
    with sqlite3.connect(folder / file) as other:
        (count,) = other.execute(f"SELECT count(*) FROM {table}").fetchone()
    other.close()
    return int(count)


async def turns() -> None:
    """Let the writer's task begin whatever it has a reason to begin."""
    for _ in range(5):
        await asyncio.sleep(0)


async def test_tells_the_writer_only_after_its_rows_are_in_the_file(store: Store, tmp_path: Path) -> None:
    found: list[int] = []
    done = asyncio.Event()

    def then(error: Exception | None) -> None:
        assert error is None
        found.append(on_disk(tmp_path, "fills"))
        done.set()

    store.append([fill(1), fill(2)], then)
    assert found == []  # never from inside append
    await done.wait()
    assert found == [2]


async def test_shares_one_commit_among_all_who_append_in_one_turn(store: Store) -> None:
    first, second = durable(store, changed("a")), durable(store, changed("b"))
    assert await asyncio.gather(first, second) == [None, None]
    assert store.commits == 1


async def test_commits_a_single_waiting_writer_at_once_without_a_timer(tmp_path: Path) -> None:
    clock = VirtualClock(0)  # whose timers never fire here
    store = await open_journal(tmp_path, clock)
    async with asyncio.timeout(PATIENCE):
        for number in range(3):
            assert await durable(store, fill(number)) is None
    assert store.commits == 3
    await store.close()


async def test_keeps_commits_far_below_rows_with_64_writers(store: Store) -> None:
    async def write(writer: int) -> None:
        for number in range(20):
            assert await durable(store, fill(writer * 100 + number)) is None

    await asyncio.gather(*(write(number) for number in range(64)))
    assert store.rows == 64 * 20
    assert store.commits <= 64 * 20 // 16


async def test_flushes_what_nobody_waits_for_after_the_lazy_time(tmp_path: Path) -> None:
    clock = VirtualClock(0)
    store = await open_journal(tmp_path, clock)
    store.append([fill(1)])
    clock.advance(writer.LAZY_NS - MS)
    await turns()
    store.append([fill(2)])
    clock.advance(MS)
    async with asyncio.timeout(PATIENCE):
        while store.rows < 2:
            await asyncio.sleep(0)
    assert (store.commits, on_disk(tmp_path, "fills")) == (1, 2)
    await store.close()


async def test_lets_what_nobody_waits_for_ride_along_in_order(store: Store, tmp_path: Path) -> None:
    store.append([changed("a", filled=0)])
    assert await durable(store, changed("a", filled=1)) is None
    assert (store.commits, on_disk(tmp_path, "order_events")) == (1, 2)
    assert (await store.reader.orders(5))[0]["filled"] == 1


async def test_spends_no_second_commit_on_rows_added_by_the_callback(tmp_path: Path) -> None:
    store = await open_journal(tmp_path, VirtualClock(0))
    done = asyncio.Event()

    def sent(_error: Exception | None) -> None:
        store.append([fill(2)])
        done.set()

    store.append([fill(1)], sent)
    await done.wait()
    await turns()
    assert await durable(store, fill(3)) is None
    assert (store.commits, store.rows) == (2, 3)
    await store.close()


async def test_flushes_a_backfill_before_it_fills_the_queue(tmp_path: Path) -> None:
    store = await open_journal(tmp_path, VirtualClock(0))
    store.append([fill(number) for number in range(writer.LAZY_ROWS)])
    async with asyncio.timeout(PATIENCE):
        while not store.commits:
            await asyncio.sleep(0)
    await store.close()
    assert on_disk(tmp_path, "fills") == writer.LAZY_ROWS


async def test_copies_the_order_before_append_returns(store: Store) -> None:
    record = changed("a")
    answer = durable(store, record)
    record.order.filled = 99
    assert await answer is None
    assert (await store.reader.orders(1))[0]["filled"] == 0


async def test_answers_an_append_without_records_after_those_before_it(store: Store, tmp_path: Path) -> None:
    store.append([fill(1)])
    assert await durable(store) is None
    assert on_disk(tmp_path, "fills") == 1


async def test_puts_measurements_into_the_other_file_and_waits_for_both(store: Store, tmp_path: Path) -> None:
    assert await durable(store, fill(1), BAR, VenueCalled("Order/place", 200, 0, 5, 1, 9)) is None
    assert on_disk(tmp_path, "fills") == 1
    assert on_disk(tmp_path, "bars", "market.db") == on_disk(tmp_path, "venue_calls", "market.db") == 1
    assert await durable(store, BAR) is None
    assert (store.commits, on_disk(tmp_path, "bars", "market.db")) == (1, 1)


async def test_refuses_a_record_without_a_table(store: Store) -> None:
    with pytest.raises(Ours, match="no table for str"):
        store.append(["x"])  # type: ignore[list-item]


async def test_calls_the_others_when_one_callback_raises(store: Store) -> None:
    raised: list[dict[str, Any]] = []
    asyncio.get_running_loop().set_exception_handler(lambda _loop, context: raised.append(context))

    def broken(_error: Exception | None) -> None:
        raise Ours("a bug in the caller")

    store.append([fill(1)], broken)
    assert await durable(store, fill(2)) is None
    assert await durable(store, fill(3)) is None
    assert [str(context["exception"]) for context in raised] == ["a bug in the caller"]


async def test_tells_everyone_and_writes_no_more_after_a_failed_commit(store: Store, tmp_path: Path) -> None:
    assert await durable(store, fill(1)) is None
    bad, next_one = durable(store, fill(2**70)), durable(store, fill(3))
    for answer in (bad, next_one):
        assert isinstance(await answer, Refused)
    assert "too large" in store.failed
    later = durable(store, fill(4))
    assert not later.done()  # told on the loop, not from inside append
    assert str(await later).startswith("journal.failed: state.db: ")
    assert on_disk(tmp_path, "fills") == 1


async def test_fails_loudly_when_the_queue_is_full_and_keeps_what_was_queued(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(journal, "STATE_QUEUE_ROWS", 3)
    store = await open_journal(tmp_path, SystemClock())
    kept = durable(store, fill(1), fill(2), fill(3))
    assert store.failed == ""
    over = durable(store, fill(4))
    assert store.failed == "more than 3 rows wait for the disk"
    assert isinstance(await over, Refused)
    assert await kept is None
    assert isinstance(await durable(store, fill(5)), Refused)
    await store.close()
    assert on_disk(tmp_path, "fills") == 3


async def test_loses_measurements_but_keeps_trading_when_the_other_file_fails(store: Store) -> None:
    assert isinstance(await durable(store, VenueCalled("x", 2**70, 0, 0, 0, 0)), Refused)
    assert "market.db" in store.market_failed
    assert isinstance(await durable(store, BAR, fill(1)), Refused)
    assert store.failed == ""
    assert await durable(store, fill(2)) is None


async def test_writes_what_waits_before_it_closes_and_nothing_after(tmp_path: Path) -> None:
    store = await open_journal(tmp_path, VirtualClock(0))
    store.append([fill(1)])
    answer = durable(store, fill(2))
    await store.close()
    await store.close()
    assert await answer is None
    assert on_disk(tmp_path, "fills") == 2
    assert str(await durable(store, fill(3))) == "journal.failed: closed"
    assert not (tmp_path / "state.db-wal").exists()  # folded into the file


async def test_stores_text_no_encoding_can_hold_and_cuts_what_is_endless(store: Store) -> None:
    assert await durable(store, Happened("info", "x", "a\ud800b" + "c" * 9_000, 1)) is None
    (event,) = await store.reader.events(1)
    assert event["text"].startswith("a?bccc")
    assert len(event["text"]) == 2_000


@settings(max_examples=15)
@given(st.lists(st.tuples(st.integers(0, 3), st.booleans(), st.booleans()), max_size=40))
async def test_calls_every_then_once_and_in_order(steps: list[tuple[int, bool, bool]]) -> None:
    """Whatever is appended in whatever turns of the loop: one call each, in order, rows on disk by then."""
    import tempfile

    with tempfile.TemporaryDirectory() as folder:
        store = await open_journal(Path(folder), SystemClock())
        told: list[int] = []
        expected = []
        for number, (rows, waits, pause) in enumerate(steps):
            records = [TagsReserved(number * 10 + row) for row in range(rows)]
            if waits:
                expected.append(number)
                store.append(records, lambda _error, number=number: told.append(number))  # type: ignore[misc]
            else:
                store.append(records)
            if pause:
                await asyncio.sleep(0)
        await store.close()
        assert told == expected
        assert store.rows == sum(rows for rows, _, _ in steps)

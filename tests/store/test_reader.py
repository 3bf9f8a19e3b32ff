"""History for page and command line: bounded, newest first, and readable with and without a service."""

from __future__ import annotations

from pathlib import Path

import pytest

from app.clock import SystemClock
from app.engine.records import ArmedChanged, Happened, Latch
from app.errors import Refused, Theirs
from app.store import Store, open_journal, read_only
from app.store.reader import READ_LIMIT
from tests.store.records import changed, durable, fill


async def test_gives_executions_with_their_orders_newest_first(store: Store) -> None:
    assert await durable(store, fill(1), fill(2), changed("tag-2", ref="buy_stop")) is None
    rows = await store.reader.trades(10)
    assert [(row["id"], row["order_type"], row["ref"]) for row in rows] == [
        (2, "stop", "buy_stop"),
        (1, None, None),
    ]
    assert rows[0]["price_ticks"] == 20_000
    assert rows[0]["trade_date"] == "2026-11-20"


async def test_gives_orders_by_their_last_change_and_events_by_arrival(store: Store) -> None:
    records = [changed("a", 1), changed("b", 2), changed("a", 3)]
    events = [Happened("info", "start", str(number), 5 - number) for number in range(3)]
    assert await durable(store, *records, *events) is None
    assert [row["tag"] for row in await store.reader.orders(10)] == ["a", "b"]
    assert [row["text"] for row in await store.reader.events(2)] == ["2", "1"]
    assert await store.reader.audit(1) == []


@pytest.mark.parametrize(("limit", "rows"), [(-1, 1), (0, 1), (1, 1), (10**9, READ_LIMIT)])
async def test_holds_the_limit_to_its_bounds(store: Store, limit: int, rows: int) -> None:
    store.append([Happened("info", "x", "", number) for number in range(READ_LIMIT + 1)])
    assert await durable(store) is None
    assert len(await store.reader.events(limit)) == rows


async def test_reads_beside_a_running_service(store: Store, tmp_path: Path) -> None:
    assert await durable(store, fill(1)) is None
    async with read_only(tmp_path) as reader:
        assert len(await reader.trades(5)) == 1
        assert await durable(store, fill(2)) is None
        assert len(await reader.trades(5)) == 2


async def test_reads_without_a_service_and_leaves_the_file_as_it_was(tmp_path: Path) -> None:
    store = await open_journal(tmp_path, SystemClock())
    assert await durable(store, fill(1), ArmedChanged(True, "owner", "", 1)) is None
    await store.close()
    before = (tmp_path / "state.db").read_bytes()
    async with read_only(tmp_path) as reader:
        assert len(await reader.trades(5)) == 1
        assert (await reader.recover(1)).latch == Latch(True)
    assert (tmp_path / "state.db").read_bytes() == before


async def test_says_that_there_is_nothing_to_read(tmp_path: Path) -> None:
    with pytest.raises(Refused, match="no service has run with this data_dir yet") as refused:
        async with read_only(tmp_path):
            pass
    assert refused.value.exit_code == 1
    assert list(tmp_path.iterdir()) == []


async def test_says_that_the_file_is_damaged(tmp_path: Path) -> None:
    (tmp_path / "state.db").write_bytes(b"?" * 5_000)
    with pytest.raises(Theirs, match="is damaged"):
        async with read_only(tmp_path):
            pass


async def test_refuses_a_file_no_service_has_brought_up_to_date(tmp_path: Path) -> None:
    (tmp_path / "state.db").touch()
    with pytest.raises(Theirs, match="start the service once"):
        async with read_only(tmp_path):
            pass

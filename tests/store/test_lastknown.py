"""What is left to say when no service can start, from a journal that is not touched."""

from __future__ import annotations

import asyncio
import shutil
import sqlite3
from pathlib import Path

import pytest

from app.clock import SystemClock
from app.domain.orders import OrderState, OrderType, Role, Side
from app.engine.records import FillVoided, Record
from app.errors import PlimsollError, Theirs, Unable
from app.store import lastknown, open_journal
from app.store.lastknown import ROWS_MAX, LastKnown, last_known
from tests.store.records import changed, durable, fill

ES = "CON.F.US.EP.Z26"
RECORDS = (
    fill(1, utc_ns=5_000),
    fill(2, utc_ns=6_000),
    fill(3, utc_ns=7_000, contract="X.FLAT"),
    fill(4, utc_ns=8_000, contract="X.FLAT", side=Side.SELL),
    fill(5, utc_ns=9_000, contract="X.VOID"),
    FillVoided(7, 5, 9_000),
    changed("s", 9_500, role=Role.STOP, side=Side.SELL, size=2, state=OrderState.WORKING),
    changed("u", 9_600, type=OrderType.MARKET, stop_ticks=None, state=OrderState.UNKNOWN),
    changed("f", 9_700, state=OrderState.FILLED),
    changed("p", 9_800, contract="X.NO", stop_ticks=None, limit_ticks=12, state=OrderState.WORKING),
)
KNOWN = LastKnown(
    9_800,
    (f"long 2 {ES} in account 7",),
    (
        f"entry: buy 1 {ES} at market in account 7 (unknown)",
        f"stop: sell 2 {ES} at 5000.00 in account 7",
        "entry: buy 1 X.NO at 12 ticks in account 7",
    ),
)


async def journal(folder: Path, *records: Record, crash: bool = False) -> None:
    """A journal with `records`, closed in order; or as a crash leaves it, with everything in its log."""
    made = folder.parent / "made"
    made.mkdir()
    store = await open_journal(made, SystemClock())
    assert await durable(store, *records) is None
    if crash:
        await asyncio.to_thread(shutil.copytree, made, folder)
        (folder / "state.db-shm").unlink()
    await store.close()
    if not crash:
        made.rename(folder)


def contents(folder: Path) -> dict[str, tuple[bytes, int]]:
    return {path.name: (path.read_bytes(), path.stat().st_mtime_ns) for path in folder.iterdir()}


@pytest.mark.parametrize("crash", [False, True])
async def test_tells_positions_and_standing_orders_and_changes_nothing(tmp_path: Path, crash: bool) -> None:
    data = tmp_path / "data"
    await journal(data, *RECORDS, crash=crash)
    assert (data / "state.db-wal").exists() is crash
    before = contents(data)
    assert await asyncio.to_thread(last_known, data) == KNOWN
    assert contents(data) == before


async def test_says_when_a_log_is_too_long_to_be_read(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    data = tmp_path / "data"
    await journal(data, *RECORDS, crash=True)
    with sqlite3.connect(tmp_path / "made/state.db") as db:
        db.execute("PRAGMA wal_checkpoint(TRUNCATE)")
    db.close()
    shutil.copyfile(tmp_path / "made/state.db", data / "state.db")
    monkeypatch.setattr(lastknown, "COPY_MOST", 1)
    before = contents(data)
    found = await asyncio.to_thread(last_known, data)
    assert (found.complete, found.positions) == (False, KNOWN.positions)
    assert contents(data) == before


async def test_an_empty_journal_is_flat_since_never(tmp_path: Path) -> None:
    await journal(tmp_path / "data")
    assert await asyncio.to_thread(last_known, tmp_path / "data") == LastKnown(0, (), ())


async def test_names_so_many_and_no_more(tmp_path: Path) -> None:
    await journal(tmp_path / "data", *(fill(n, contract=f"C.{n:03}") for n in range(ROWS_MAX + 5)))
    found = await asyncio.to_thread(last_known, tmp_path / "data")
    assert len(found.positions) == ROWS_MAX


def nothing(_data: Path) -> None:
    """No file at all."""


def rubbish(data: Path) -> None:
    (data / "state.db").write_bytes(b"not a database" * 500)


def foreign(data: Path) -> None:
    with sqlite3.connect(data / "state.db") as db:
        db.execute("CREATE TABLE songs (title)")
    db.close()


@pytest.mark.parametrize(("make", "error"), [(nothing, Unable), (rubbish, Theirs), (foreign, Theirs)])
def test_says_why_it_knows_nothing(tmp_path: Path, make: object, error: type[PlimsollError]) -> None:
    make(tmp_path)  # type: ignore[operator]
    with pytest.raises(error):
        last_known(tmp_path)

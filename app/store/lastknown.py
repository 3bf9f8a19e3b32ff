"""What the journal last knew, for a page and a person when no service can start: positions, standing orders.

Nothing is written where the journal lies, not even the file that SQLite keeps beside a log: a disk that is
bad, full or read-only must not get worse, and a damaged file is evidence. Only the venue knows whether what
is told here is still so.
"""

from __future__ import annotations

import shutil
import sqlite3
import tempfile
from collections.abc import Iterator
from contextlib import closing, contextmanager
from dataclasses import dataclass
from pathlib import Path

from app.domain.instruments import by_contract, ticks_to_price
from app.domain.orders import TERMINAL, OrderState, Side
from app.errors import Refused, Theirs, Unable
from app.store.database import unusable
from app.store.schema import STATE

ROWS_MAX = 20  # positions, and orders, that are named: a page of a phone
COPY_MOST = 64 * 2**20  # bytes copied to read a log that was never folded in: memory, and minutes of trading
_LIVE = ", ".join(f"'{state.value}'" for state in OrderState if state not in TERMINAL)
_POSITIONS = f"""SELECT account_id, contract, sum(side * size) AS net FROM fills WHERE voided = 0
GROUP BY account_id, contract HAVING net <> 0 ORDER BY account_id, contract LIMIT {ROWS_MAX}"""
_ORDERS = f"""SELECT account_id, contract, side, size - filled, role, limit_ticks, stop_ticks, state
FROM orders WHERE state IN ({_LIVE}) ORDER BY account_id, contract, role, rowid LIMIT {ROWS_MAX}"""
_NEWEST = """SELECT max(ifnull((SELECT max(utc_ns) FROM fills), 0),
ifnull((SELECT max(changed_ns) FROM orders), 0), ifnull((SELECT max(utc_ns) FROM account_snapshots), 0))"""


@dataclass(frozen=True, slots=True)
class LastKnown:
    """Lines for a person. `utc_ns` is the newest entry's, 0 = there is none. `complete` False: a log that is
    too long was left out, and with it the newest entries.
    """

    utc_ns: int
    positions: tuple[str, ...]
    orders: tuple[str, ...]
    complete: bool = True


def last_known(data_dir: Path) -> LastKnown:
    """Read it, blocking for as long as the disk takes.

    Raises Unable (there is no journal, or it cannot be read) and Theirs (it is damaged or not ours).
    """
    path = data_dir / STATE.file
    try:
        with _readable(path) as (db, complete):
            (application,) = db.execute("PRAGMA application_id").fetchone()
            if application != STATE.application_id:
                raise Theirs(str(path), "is not a database of Plimsoll")
            (newest,) = db.execute(_NEWEST).fetchone()
            positions = tuple(_position(*row) for row in db.execute(_POSITIONS))
            return LastKnown(newest, positions, tuple(_order(*row) for row in db.execute(_ORDERS)), complete)
    except (sqlite3.Error, OSError) as error:
        raise unusable(path, error) from error


@contextmanager
def _readable(path: Path) -> Iterator[tuple[sqlite3.Connection, bool]]:
    """A connection, and whether it sees the log too."""
    if not path.exists():
        raise Unable("store.missing", path, hint="no service has run with this data_dir yet")
    log = path.with_name(f"{path.name}-wal")
    length = log.stat().st_size if log.exists() else 0
    if not length or length + path.stat().st_size > COPY_MOST:
        with closing(_open(path, "mode=ro&immutable=1")) as db:
            yield db, not length
        return
    with tempfile.TemporaryDirectory(prefix="plimsoll-") as folder:
        for source in (path, log):
            shutil.copyfile(source, Path(folder) / source.name)
        with closing(_open(Path(folder) / path.name, "mode=rw")) as db:
            yield db, True


def _open(path: Path, how: str) -> sqlite3.Connection:
    return sqlite3.connect(f"{path.absolute().as_uri()}?{how}", uri=True)


def _position(account_id: int, contract: str, net: int) -> str:
    return f"{'long' if net > 0 else 'short'} {abs(net)} {contract} in account {account_id}"


def _order(
    account_id: int,
    contract: str,
    side: int,
    left: int,
    role: str,
    limit: int | None,
    stop: int | None,
    state: str,
) -> str:
    prices = " / ".join(_price(contract, ticks) for ticks in (stop, limit) if ticks is not None) or "market"
    words = f"{role}: {Side(side).name.lower()} {left} {contract} at {prices} in account {account_id}"
    return words if state == OrderState.WORKING.value else f"{words} ({state})"


def _price(contract: str, ticks: int) -> str:
    try:
        return ticks_to_price(by_contract(contract), ticks)
    except Refused:
        return f"{ticks} ticks"

"""What must be found after a power cut, given the lines that had come out before it. Product code reads the
journal, as the next start would; SQLite's own full check has the last word.
"""

from __future__ import annotations

import asyncio
import json
import sqlite3
from collections.abc import Iterable, Iterator
from contextlib import closing
from pathlib import Path
from typing import Any

from app.clock import SystemClock
from app.engine.records import Recovered
from app.errors import PlimsollError
from app.store import open_journal
from tests.power.ledger import side_of, size_of, tag_of

LOST = "lost: "  # how a line about something acknowledged begins
Line = dict[str, Any]


def parsed(said: bytes) -> list[Line]:
    """The whole lines of a ledger; of a last one that was cut nothing is known."""
    return [json.loads(line) for line in said.split(b"\n")[:-1]]


def problems(folder: Path, lines: list[Line]) -> list[str]:
    """Everything that is not as it must be in the journal of `folder`, in words; empty = nothing."""
    try:
        found = asyncio.run(_recovered(folder))
    except PlimsollError as error:
        return [f"does not open: {error}"]
    acked = [line["ack"] for line in lines if "ack" in line]
    return [*damage(folder), *_lost(found, acked), *_latch(found, lines), *_torn(found), *_position(found)]


async def _recovered(folder: Path) -> Recovered:
    store = await open_journal(folder, SystemClock())
    try:
        return await store.recover(1)
    finally:
        await store.close()


def damage(folder: Path) -> Iterator[str]:
    """What SQLite finds wrong with either file."""
    for name in ("state.db", "market.db"):
        with closing(sqlite3.connect(folder / name)) as db:
            rows = [row[0] for row in db.execute("PRAGMA integrity_check")]
            broken = db.execute("PRAGMA foreign_key_check").fetchall()
        if rows != ["ok"] or broken:
            yield f"{name} is damaged: {rows[:3]} {broken[:3]}"


def _lost(found: Recovered, acked: Iterable[Line]) -> Iterator[str]:
    orders, fills = {o.tag for o in found.orders}, {b.fill.id for b in found.fills}
    for word in acked:
        if "order" in word and tag_of(word["order"]) not in orders:
            yield f"{LOST}order {word['order']}"
        if "fill" in word and word["fill"] not in fills:
            yield f"{LOST}fill {word['fill']}"
        if "tags" in word and word["tags"] > found.tags_reserved:
            yield f"{LOST}tags up to {word['tags']}, found {found.tags_reserved}"


def _latch(found: Recovered, lines: Iterable[Line]) -> Iterator[str]:
    """It stands where it was last acknowledged, or where it was about to go; nothing = not armed."""
    allowed = {False}
    for line in lines:
        if "armed" in line.get("ack", ()):
            allowed = {line["ack"]["armed"]}
        elif "armed" in line.get("try", ()):
            allowed.add(line["try"]["armed"])
    armed = found.latch is not None and found.latch.armed
    if armed not in allowed:
        yield f"{LOST}the latch is {armed}, it must be in {allowed}"


def _torn(found: Recovered) -> Iterator[str]:
    """An order and its fill were one append: both or neither. A tag was used only from a durable block."""
    booked = {b.tag: b.fill.size for b in found.fills}
    for order in found.orders:
        if booked.pop(order.tag, 0) != order.filled:
            yield f"torn: {order.tag} says {order.filled}, its fills something else"
        if int(order.tag.split("-")[1]) > found.tags_reserved:
            yield f"torn: {order.tag} is beyond the counter {found.tags_reserved}"
    yield from (f"torn: a fill of {tag} without its order" for tag in booked)


def _position(found: Recovered) -> Iterator[str]:
    """The fills sum to the position that their numbers make."""
    net = sum(b.fill.side * b.fill.size for b in found.fills)
    wanted = sum(side_of(b.fill.id) * size_of(b.fill.id) for b in found.fills)
    if net != wanted:
        yield f"position {net}, by the numbers {wanted}"

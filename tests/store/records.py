"""Records to put into a journal, and how to wait for them."""

from __future__ import annotations

import asyncio
from dataclasses import replace
from datetime import date

from app.domain.events import Fill
from app.domain.orders import Order, OrderType, Side
from app.engine.records import FillBooked, OrderChanged, Record
from app.store import Store
from tests.guards import PATIENCE


def durable(store: Store, *records: Record) -> asyncio.Future[Exception | None]:
    """Append and give a future of what `then` is told; TimeoutError when it is told nothing."""
    loop = asyncio.get_running_loop()
    answer: asyncio.Future[Exception | None] = loop.create_future()

    def give_up() -> None:
        if not answer.done():
            answer.set_exception(TimeoutError("then was never called"))

    timer = loop.call_later(PATIENCE, give_up)
    answer.add_done_callback(lambda _answer: timer.cancel())
    store.append(records, answer.set_result)
    return answer


FILL = Fill(1, 10, 7, "CON.F.US.EP.Z26", Side.BUY, 1, 20_000, 1_890_000, 1_000)


def fill(number: int, **changes: object) -> FillBooked:
    values = {"id": number, "utc_ns": 1_000 + number, **changes}
    return FillBooked(replace(FILL, **values), f"tag-{number}", "overnight_range", date(2026, 11, 20))  # type: ignore[arg-type]


def order(tag: str, **changes: object) -> Order:
    made = Order(tag, "overnight_range", 7, "CON.F.US.EP.Z26", Side.BUY, 1, OrderType.STOP, stop_ticks=20_000)
    return replace(made, **changes)  # type: ignore[arg-type]


def changed(tag: str, utc_ns: int = 1_000, **changes: object) -> OrderChanged:
    return OrderChanged(order(tag, **changes), "send", utc_ns)

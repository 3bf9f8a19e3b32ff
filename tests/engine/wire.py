"""The wire between engine and exchange: delays, and faults by the seed."""

from __future__ import annotations

import random
from collections.abc import Callable
from copy import copy
from dataclasses import dataclass
from typing import Any

from app.clock import MS, NS, VirtualClock
from app.domain.events import (
    AccountSnapshot,
    Fill,
    OpenSnapshot,
    OrderReport,
    Outcome,
    PositionReport,
    Reply,
    Request,
)
from app.domain.orders import Order, OrderState
from app.engine.ports import Action, Approved
from tests.engine.exchange import ACCOUNT, Exchange


@dataclass
class Faults:
    """Probabilities per message, and switches for whole tests. All zero: a perfect wire."""

    lose_reply: float = 0.0  # the request arrives, the answer does not: AMBIGUOUS
    lose_request: float = 0.0  # nothing arrives: AMBIGUOUS too
    lose_event: float = 0.0
    duplicate_event: float = 0.0
    late_event: float = 0.0  # delivered up to 3 s later, so out of order
    read_fails: float = 0.0
    slow_read: float = 0.0  # told up to 3 s after the venue answered, so later reads overtake it
    unreachable: bool = False


class Wire:
    """`ports.Venue` over an Exchange, with delay and faults. `sent` is everything that reached the wire, in
    order.
    """

    def __init__(self, clock: VirtualClock, exchange: Exchange, rng: random.Random, faults: Faults) -> None:
        self.clock, self.exchange, self.rng, self.faults = clock, exchange, rng, faults
        self.sink: Any = None
        self.delay = 2 * MS
        self.sent: list[tuple[int, str, str]] = []
        self.dead = False
        self.durable: Callable[[Approved], bool] = lambda approved: True
        exchange.tell = self.event

    def encode_place(self, order: Order) -> bytes:
        return order.tag.encode()

    def encode_modify(
        self, order: Order, limit_ticks: int | None, stop_ticks: int | None, size: int | None
    ) -> bytes:
        return repr((order.tag, limit_ticks, stop_ticks, size)).encode()

    def submit(self, approved: Approved) -> None:
        request = Request.PLACE if approved.action is Action.PLACE else Request.MODIFY
        why = self.sink.may_send(approved)
        if why:
            self._answer(Reply(request, approved.order.tag, Outcome.WITHDRAWN, 0, why))
            return
        assert not (approved.exposing and self.sink.trading.state), "exposure left while trading was closed"
        assert self.durable(approved) or not approved.exposing, "exposure left before it was durable"
        self.sent.append((self.clock.mono_ns(), str(request), approved.order.tag))
        order, body = copy(approved.order), approved.body
        self.sink.on_sent(approved)
        self._request(
            lambda: self._do(request, order, body),
            Reply(request, order.tag, Outcome.AMBIGUOUS, 0, "time-out"),
        )

    def cancel(self, order: Order) -> None:
        self.sent.append((self.clock.mono_ns(), "cancel", order.tag))
        order_id, tag = order.venue_id, order.tag

        def act() -> Reply:
            done = self.exchange.cancel(order_id)
            return Reply(Request.CANCEL, tag, Outcome.ACCEPTED if done else Outcome.REJECTED)

        self._request(act, Reply(Request.CANCEL, tag, Outcome.AMBIGUOUS))

    def close(self, contract: str) -> None:
        self.sent.append((self.clock.mono_ns(), "close", contract))

        def act() -> Reply:
            why = self.exchange.close(contract)
            return Reply(Request.CLOSE, contract, Outcome.REJECTED if why else Outcome.ACCEPTED, 0, why)

        self._request(act, Reply(Request.CLOSE, contract, Outcome.AMBIGUOUS))

    def read(self, since_ns: int) -> None:
        begun = self.clock.mono_ns()
        self._read(lambda: self._snapshot(since_ns, begun), lambda told: self.sink.on_snapshot(told))

    def read_open(self) -> None:
        begun = self.clock.mono_ns()

        def make() -> OpenSnapshot:
            orders = tuple(
                self.exchange.report(o)
                for o in self.exchange.orders.values()
                if o.state is OrderState.WORKING
            )
            return OpenSnapshot(ACCOUNT, orders, self.exchange.positions(), begun, self.clock.mono_ns())

        self._read(make, lambda told: self.sink.on_open(told), complete=False)

    def read_bars(self, contract: str, start_ns: int, end_ns: int) -> None:
        self._later(self.delay, lambda: self.sink.on_bars(contract, ()))

    # -- delivery

    def event(self, event: Any) -> None:
        """A hub event on its way: lost, doubled or late by the seed."""
        if self.rng.random() < self.faults.lose_event:
            return
        times = 2 if self.rng.random() < self.faults.duplicate_event else 1
        for _ in range(times):
            late = self.rng.randrange(3 * NS) if self.rng.random() < self.faults.late_event else 0
            self._later(self.delay + late, lambda: self._deliver(event))

    def _deliver(self, event: Any) -> None:
        if isinstance(event, OrderReport):
            self.sink.on_order(event)
        elif isinstance(event, Fill):
            self.sink.on_fill(event)
        elif isinstance(event, PositionReport):
            self.sink.on_position(event)
        else:
            self.sink.on_account(event)

    def _do(self, request: Request, order: Order, body: bytes) -> Reply:
        if request is Request.PLACE:
            return self.exchange.place(order)
        _, limit, stop, _ = eval(body)  # our own repr of four literals
        done = self.exchange.modify(order.venue_id, limit, stop)
        return Reply(request, order.tag, Outcome.ACCEPTED if done else Outcome.REJECTED)

    def _request(self, act: Callable[[], Reply], ambiguous: Reply) -> None:
        if self.faults.unreachable or self.rng.random() < self.faults.lose_request:
            self._later(5 * NS, lambda: self._answer(ambiguous))
            return
        lost = self.rng.random() < self.faults.lose_reply

        def arrive() -> None:
            reply = act()
            if lost:
                self._later(5 * NS, lambda: self._answer(ambiguous))
            else:
                self._later(self.delay, lambda: self._answer(reply))

        self._later_always(self.delay, arrive)

    def _answer(self, reply: Reply) -> None:
        self.sink.on_reply(reply)

    def _read(self, make: Callable[[], Any], tell: Callable[[Any], None], complete: bool = True) -> None:
        if self.faults.unreachable or self.rng.random() < self.faults.read_fails:
            self._later(self.delay, lambda: self.sink.on_read_failed(ACCOUNT, "time-out", complete))
            return
        if not self.faults.slow_read or self.rng.random() >= self.faults.slow_read:
            self._later(self.delay, lambda: tell(make()))
            return
        late = self.rng.randrange(3 * NS)

        def answered() -> None:
            answer = make()
            self._later(late, lambda: tell(answer))

        self._later(self.delay, answered)

    def _snapshot(self, since_ns: int, begun: int) -> AccountSnapshot:
        x = self.exchange
        return AccountSnapshot(
            x.account(),
            tuple(x.report(o) for o in x.orders.values() if o.created >= since_ns or not o.state.terminal),
            x.positions(),
            tuple(f for f in x.fills if f.utc_ns >= since_ns),
            since_ns,
            begun,
            self.clock.mono_ns(),
        )

    def _later(self, delay: int, call: Callable[[], None]) -> None:
        """To the engine of this process: a crash forgets it."""
        self.clock.call_later(delay, lambda: None if self.dead else call())

    def _later_always(self, delay: int, call: Callable[[], None]) -> None:
        """To the venue: what was sent arrives though the sender died."""
        self.clock.call_later(delay, call)

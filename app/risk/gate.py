"""The risk gate: the only maker of an `Approved`. Pure; time, state and prices come in through a `GateView`.

What could add exposure passes every rule of `checks.EXPOSING`. What can only take it away passes the few of
`checks.REDUCING`: with trading halted, without a quote and without the journal, but never for more than the
position. A refused order leaves no trace in the gate's windows.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace

from app.domain.calendar import TradingCalendar
from app.domain.orders import Order, OrderState, Role
from app.errors import Refused
from app.risk import checks, exposure
from app.risk.approved import SEAL, Action, Approved
from app.risk.checks import Desk, GateView, Rule
from app.risk.limits import Limits

__all__ = ["Gate", "GateView"]

EncodePlace = Callable[[Order], bytes]
EncodeModify = Callable[[Order, int | None, int | None, int | None], bytes]


class Gate:
    """The rules of one account with their rolling windows; the same calls give the same answers.

    `encode_place` and `encode_modify` make the bytes, last of all; what they refuse is refused.
    """

    def __init__(
        self,
        limits: Limits,
        calendar: TradingCalendar,
        encode_place: EncodePlace,
        encode_modify: EncodeModify,
    ) -> None:
        self.limits = limits
        self._desk = Desk(limits, calendar)
        self._encode_place, self._encode_modify = encode_place, encode_modify

    def place(self, order: Order, view: GateView) -> Approved:
        """Approve a new order with its bytes. Raises Refused; then nothing was counted."""
        if order.state is not OrderState.PENDING or order.filled:
            raise Refused("gate.order_state", order.state, OrderState.PENDING)
        exposing = self.exposing(order, view)
        self._pass(checks.EXPOSING_PLACE if exposing else checks.REDUCING, order, view)
        body = self._encode_place(order)
        self._count(order, True, view)
        return self._approved(Action.PLACE, order, body, view, exposing)

    def modify(
        self, order: Order, limit_ticks: int | None, stop_ticks: int | None, size: int | None, view: GateView
    ) -> Approved:
        """Approve a change of a working order; None = unchanged. Raises Refused; then nothing was counted."""
        if order.state is not OrderState.WORKING or not order.venue_id or order.cancel_requested:
            value = f"{order.state}, cancel requested" if order.cancel_requested else order.state
            raise Refused("gate.order_state", value, OrderState.WORKING)
        changed = _changed(order, limit_ticks, stop_ticks, size)
        exposing = _change_exposes(order, changed, view)
        self._pass(checks.EXPOSING if exposing else checks.REDUCING, changed, view)
        body = self._encode_modify(order, limit_ticks, stop_ticks, size)
        self._remember_size(order, changed, view)
        self._count(order, False, view)
        return self._approved(Action.MODIFY, order, body, view, exposing)

    def exposing(self, order: Order, view: GateView) -> bool:
        """Could `order` take |net| of its contract up, in whatever order it and the other live orders fill?

        An entry always counts as exposing, and so does anything that brings a bracket along.
        """
        if order.role is Role.ENTRY or order.bracket is not None:
            return True
        return not exposure.only_reduces(order, view.positions, self._desk.pending(order, view))

    def resume(self, orders_today: int, utc_ns: int) -> None:
        """After a restart: so many orders were approved since the trading day of `utc_ns` began."""
        self._desk.throttle.resume(orders_today, utc_ns)
        self._desk.rates_forgotten()

    def _pass(self, rules: tuple[Rule, ...], order: Order, view: GateView) -> None:
        desk = self._desk
        first = 0 if rules is checks.REDUCING else desk.first_doubt(order, view)
        for rule in rules[first:]:
            rule(desk, order, view)

    def _count(self, order: Order, placed: bool, view: GateView) -> None:
        self._desk.throttle.count(order, placed, view.utc_ns, view.mono_ns)
        self._desk.rates_known(view.utc_ns, view.mono_ns)

    def _remember_size(self, order: Order, changed: Order, view: GateView) -> None:
        """Until the venue answers, the larger size counts; if it says no, until the order is gone."""
        raised = self._desk.raised
        live = {o.tag: o.size for o in view.orders}
        for tag in [tag for tag, size in raised.items() if live.get(tag, size) >= size]:
            del raised[tag]
        if changed.size > order.size:
            raised[order.tag] = max(changed.size, raised.get(order.tag, 0))

    def _approved(
        self, action: Action, order: Order, body: bytes, view: GateView, exposing: bool
    ) -> Approved:
        return Approved(
            SEAL,
            action,
            order,
            body,
            epoch=view.epoch,
            expires_mono_ns=view.mono_ns + self.limits.approval_life_ns,
            max_quote_age_ns=self.limits.max_quote_age_ns if exposing else 0,
            exposing=exposing,
        )


def _changed(order: Order, limit_ticks: int | None, stop_ticks: int | None, size: int | None) -> Order:
    """The order as it would be. Raises Refused when nothing would change."""
    limit = order.limit_ticks if limit_ticks is None else limit_ticks
    stop = order.stop_ticks if stop_ticks is None else stop_ticks
    most = order.size if size is None else size
    if (limit, stop, most) == (order.limit_ticks, order.stop_ticks, order.size):
        raise Refused("gate.unchanged", order.tag, "a new price or size")
    return replace(order, limit_ticks=limit, stop_ticks=stop, size=most)


def _change_exposes(order: Order, changed: Order, view: GateView) -> bool:
    """Could the change add exposure, or leave a position worse protected?

    A larger size does, an entry's new price, an exit's price further from the market, a new price of an exit
    that nothing is held for, and a smaller stop that no longer covers what is held.
    """
    if changed.size > order.size:
        return True
    moved = (changed.limit_ticks, changed.stop_ticks) != (order.limit_ticks, order.stop_ticks)
    held = checks.held_against(order, view)
    if order.role is Role.ENTRY or not held:
        return moved
    if order.stop_ticks is not None and changed.size < order.size and changed.size - changed.filled < held:
        return True
    loosened = _loosened(order.side, order.stop_ticks, changed.stop_ticks)
    return loosened or _loosened(-order.side, order.limit_ticks, changed.limit_ticks)


def _loosened(side: int, before: int | None, after: int | None) -> bool:
    """A stop moved away from the market: a sell's down, a buy's up. Of a limit it is the other way round."""
    if before is None or after is None:
        return before is not after
    return (after - before) * side > 0

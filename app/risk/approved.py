"""`Approved`: the only thing a venue will send. Only `app.risk.gate` can make one."""

from __future__ import annotations

from enum import StrEnum
from typing import Any

from app.domain.orders import Order
from app.errors import Ours


class Action(StrEnum):
    PLACE = "place"
    MODIFY = "modify"


SEAL = object()  # for app.risk.gate alone: the layer test forbids importing it elsewhere


class Approved:
    """An order that passed every rule, frozen with its bytes.

    `epoch` is the halt epoch at approval, `expires_mono_ns` the end of its life (500 ms), `max_quote_age_ns`
    the oldest quote (monotonic age of `order.contract`'s quote) it may still leave on; 0 = no quote needed.
    `exposing` is False for what can only take exposure away: it skips journal and halt, never the expiry.
    """

    __slots__ = ("action", "body", "epoch", "expires_mono_ns", "exposing", "max_quote_age_ns", "order")

    action: Action
    order: Order
    body: bytes
    epoch: int
    expires_mono_ns: int
    max_quote_age_ns: int
    exposing: bool

    def __init__(
        self,
        seal: object,
        action: Action,
        order: Order,
        body: bytes,
        *,
        epoch: int,
        expires_mono_ns: int,
        max_quote_age_ns: int,
        exposing: bool,
    ) -> None:
        if seal is not SEAL:
            raise Ours("only the risk gate can approve an order")
        put = object.__setattr__
        put(self, "action", action)
        put(self, "order", order)
        put(self, "body", body)
        put(self, "epoch", epoch)
        put(self, "expires_mono_ns", expires_mono_ns)
        put(self, "max_quote_age_ns", max_quote_age_ns)
        put(self, "exposing", exposing)

    def __setattr__(self, name: str, value: Any) -> None:
        raise Ours(f"an approval is frozen: {name}")

    def withheld(self, mono_ns: int, epoch: int, quote_age_ns: int | None) -> str:
        """Why it may no longer leave, "" when it may. Called inside the write, no await before the bytes."""
        if mono_ns > self.expires_mono_ns:
            return "approval expired"  # a late exit too: the position it was meant for may be gone
        if not self.exposing:
            return ""
        if epoch != self.epoch:
            return "halted after approval"
        if self.max_quote_age_ns and (quote_age_ns is None or quote_age_ns > self.max_quote_age_ns):
            return "quote went stale"
        return ""

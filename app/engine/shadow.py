"""Shadow mode: everything is decided as if it were live, and nothing is ever sent.

The venue is read and listened to; orders pass strategy, gate and journal and are withdrawn where the bytes
would leave. A halt finds nothing of ours at the venue, and what is the owner's is left alone.
"""

from __future__ import annotations

from app.domain.events import Outcome, Reply, Request
from app.domain.orders import Order
from app.engine.ports import Action, Approved, Sink, Venue

SHADOW = "shadow"
WHY = "shadow mode: not sent"


class ShadowVenue:
    """`ports.Venue` over a real one, without its hands."""

    def __init__(self, venue: Venue, sink: Sink) -> None:
        self._sink = sink
        self.encode_place = venue.encode_place
        self.encode_modify = venue.encode_modify
        self.read = venue.read
        self.read_open = venue.read_open
        self.read_bars = venue.read_bars

    def submit(self, approved: Approved) -> None:
        request = Request.PLACE if approved.action is Action.PLACE else Request.MODIFY
        self._answer(request, approved.order.tag)

    def cancel(self, order: Order) -> None:
        self._answer(Request.CANCEL, order.tag)

    def close(self, contract: str) -> None:
        self._answer(Request.CLOSE, contract)

    def _answer(self, request: Request, ref: str) -> None:
        self._sink.on_reply(Reply(request, ref, Outcome.WITHDRAWN, 0, WHY))

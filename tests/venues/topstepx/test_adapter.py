"""The adapter against a scripted venue: start, the order path, reads, hubs, and that no secret escapes."""

from __future__ import annotations

from pathlib import Path

from app.domain.events import Outcome, Request
from tests.venues.topstepx.scripted import (
    CONTRACT,
    RecordingSink,
    ScriptedVenue,
    approved,
    entry,
    ok,
    running,
    settings_for,
)


async def test_places_an_order_and_tells_its_id(tmp_path: Path) -> None:
    venue, sink = ScriptedVenue(), RecordingSink()
    venue.on("/api/Order/place", lambda _: ok(orderId=71))
    async with venue.serving(), running(settings_for(venue.url, tmp_path), sink) as desk:
        order = entry()
        desk.submit(approved(order, desk.encode_place(order)))
        assert sink.names()[-2:] == ["may_send", "on_sent"]
        reply = await sink.until("on_reply")
    assert (reply.request, reply.ref, reply.outcome, reply.venue_id) == (Request.PLACE, order.tag, Outcome.ACCEPTED, 71)
    body = venue.heard[-1].body
    assert body["stopLossBracket"] == {"ticks": -10, "type": 4} and body["takeProfitBracket"] == {"ticks": 16, "type": 1}
    assert body["stopPrice"] == 6700.25 and body["contractId"] == CONTRACT and "linkedOrderId" not in body

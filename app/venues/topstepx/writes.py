"""What is sent at most once: place, modify, cancel, close; and what shares their connections.

The last check of an order (`Sink.may_send`) runs in `Connection.send`, directly before the bytes are handed
to the transport. What an answer proves is decided by `codec.replies.judge`; everything else about it is told
here.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable

from app.clock import Clock
from app.domain.events import Outcome, Reply
from app.domain.events import Request as Asked
from app.engine.ports import Approved, Sink
from app.engine.records import VenueCalled
from app.errors import Unreachable
from app.venues.topstepx.codec.fields import SOURCE
from app.venues.topstepx.codec.http1 import Answer
from app.venues.topstepx.codec.replies import Endpoint, Verdict, judge
from app.venues.topstepx.limiter import Lane, Limiter, retry_after_ns
from app.venues.topstepx.times import Times
from app.venues.topstepx.tokens import Tokens
from app.venues.topstepx.wire import Request


class Heads:
    """Request heads, formatted once per endpoint and token: an order only adds its length and its body."""

    def __init__(self, authority: str, tokens: Tokens) -> None:
        self._authority, self._tokens = authority, tokens
        self._heads: dict[Endpoint, bytes] = {}
        self._generation = -1

    def of(self, endpoint: Endpoint) -> bytes:
        """Everything up to the value of Content-Length."""
        if self._generation != self._tokens.generation:
            self._heads.clear()
            self._generation = self._tokens.generation
        head = self._heads.get(endpoint)
        if head is None:
            head = self._heads[endpoint] = self._format(endpoint)
        return head

    def _format(self, endpoint: Endpoint) -> bytes:
        lines = (
            f"POST {endpoint} HTTP/1.1",
            f"Host: {self._authority}",
            f"Authorization: Bearer {self._tokens.reveal()}",
            "Accept: application/json",
            "Content-Type: application/json",
            "Content-Length: ",
        )
        return "\r\n".join(lines).encode("ascii")


class Desk:
    """What all requests on the order connections share."""

    def __init__(
        self,
        clock: Clock,
        times: Times,
        tokens: Tokens,
        limiter: Limiter,
        heads: Heads,
        sink: Callable[[], Sink],
    ) -> None:
        self.clock, self.times, self.tokens, self.limiter, self.heads = clock, times, tokens, limiter, heads
        self._sink = sink

    @property
    def sink(self) -> Sink:
        return self._sink()

    def message(self, endpoint: Endpoint, body: bytes) -> bytes:
        return b"%b%d\r\n\r\n%b" % (self.heads.of(endpoint), len(body), body)

    def hear(self, answer: Answer, generation: int, lane: Lane) -> None:
        """What an answer says beyond its own request: a dead token, a spent budget."""
        if answer.status == 401:
            self.tokens.died(generation)
        if answer.status == 429:
            wait = retry_after_ns(answer.headers.get("retry-after"), self.clock.wall_ns())
            self.limiter.refused(self.clock.mono_ns(), wait, lane)


class Write(Request):
    """A request that changes something at the venue. Ends in exactly one `Reply` and one `VenueCalled`."""

    def __init__(self, desk: Desk, endpoint: Endpoint, body: bytes, asked: Asked, ref: str) -> None:
        self._desk, self._endpoint, self._body = desk, endpoint, body
        self._asked, self._ref = asked, ref
        self._begun_ns = desk.clock.mono_ns()
        self._generation = desk.tokens.generation
        self._status = 0
        self._verdict: Verdict | None = None

    def encode(self) -> bytes:
        self._generation = self._desk.tokens.generation
        return self._desk.message(self._endpoint, self._body)

    def answered(self, answer: Answer) -> bool:
        self._status = answer.status
        self._desk.hear(answer, self._generation, self.lane)
        self._verdict = judge(self._endpoint, answer.status, answer.body)
        if self._verdict.outcome is Outcome.AMBIGUOUS:
            return False
        self._end(self._verdict)
        return True

    def failed(self, problem: str, sent: bool) -> None:
        if sent:
            self._end(self._verdict or Verdict(Outcome.AMBIGUOUS, reason=problem))
        else:
            self.withheld(f"not sent: {problem}")

    def withheld(self, reason: str) -> None:
        # Told on the next turn of the loop: the engine may still be inside the call that asked for this.
        asyncio.get_running_loop().call_soon(self._end, Verdict(Outcome.WITHDRAWN, reason=reason))

    def _end(self, verdict: Verdict) -> None:
        desk = self._desk
        duration = desk.clock.mono_ns() - self._begun_ns
        if verdict.outcome is not Outcome.WITHDRAWN:
            called = VenueCalled(
                self._endpoint, self._status, verdict.error_code, duration, 1, desk.clock.utc_ns()
            )
            desk.sink.on_called(called)
        self._tell(verdict)

    def _tell(self, verdict: Verdict) -> None:
        reply = Reply(self._asked, self._ref, verdict.outcome, verdict.venue_id, verdict.reason)
        self._desk.sink.on_reply(reply)


class OrderWrite(Write):
    """A place or modify: checked once more, inside the write."""

    def __init__(self, desk: Desk, endpoint: Endpoint, asked: Asked, approved: Approved) -> None:
        super().__init__(desk, endpoint, approved.body, asked, approved.order.tag)
        self._approved = approved
        self.timeout_ns = desk.times.order_ns

    def may_send(self) -> str:
        return self._desk.sink.may_send(self._approved)

    def sent(self) -> None:
        self._desk.sink.on_sent(self._approved)


class KillWrite(Write):
    """A cancel or close. `ended` runs before the reply is told, so that the next one may follow at once."""

    lane = Lane.KILL

    def __init__(
        self, desk: Desk, endpoint: Endpoint, body: bytes, asked: Asked, ref: str, ended: Callable[[], None]
    ) -> None:
        super().__init__(desk, endpoint, body, asked, ref)
        self._ended = ended
        self.timeout_ns = desk.times.kill_ns

    def _end(self, verdict: Verdict) -> None:
        self._ended()
        super()._end(verdict)


class PartialClose(Write):
    """Part of a position closed, for who awaits `verdict`. The sink hears no reply: it asked for nothing."""

    lane = Lane.KILL

    def __init__(self, desk: Desk, body: bytes) -> None:
        super().__init__(desk, Endpoint.PARTIAL_CLOSE, body, Asked.CLOSE, "")
        self.timeout_ns = desk.times.kill_ns
        self.verdict: asyncio.Future[Verdict] = asyncio.get_running_loop().create_future()

    def _tell(self, verdict: Verdict) -> None:
        if not self.verdict.done():
            self.verdict.set_result(verdict)


class KillRead(Request):
    """A read on the order connections, for what follows a cancel or close."""

    lane = Lane.KILL_READ

    def __init__(self, desk: Desk, endpoint: Endpoint, body: bytes) -> None:
        self._desk, self._endpoint, self._body = desk, endpoint, body
        self.timeout_ns = desk.times.kill_ns
        self.answer: asyncio.Future[Answer] = asyncio.get_running_loop().create_future()

    def encode(self) -> bytes:
        return self._desk.message(self._endpoint, self._body)

    def may_send(self) -> str:
        return "nobody waits for it" if self.answer.done() else ""

    def answered(self, answer: Answer) -> bool:
        if not self.answer.done():
            self.answer.set_result(answer)
        return True

    def failed(self, problem: str, sent: bool) -> None:
        if not self.answer.done():
            self.answer.set_exception(Unreachable(f"{SOURCE} {self._endpoint}", problem))


class Ping(Request):
    """Keeps a connection warm; what it answers does not matter, that it answers does."""

    lane = Lane.KILL

    def __init__(self, authority: str, timeout_ns: int) -> None:
        self._message = f"GET {Endpoint.PING} HTTP/1.1\r\nHost: {authority}\r\n\r\n".encode("ascii")
        self.timeout_ns = timeout_ns

    def encode(self) -> bytes:
        return self._message

    def answered(self, answer: Answer) -> bool:
        return True

    def failed(self, problem: str, sent: bool) -> None:
        """The pool opens a new connection; nobody else needs to know."""

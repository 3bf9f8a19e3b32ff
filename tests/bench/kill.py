"""The kill over TLS at the worst moment: rate budget spent, the read pool full of slow answers.

From `engine.trip` to the first byte of a cancel or close, to the execution that closed the position, and to
the venue's confirmation that nothing is left. The limits of the order rate are as shipped: what the kill may
use is the reserve alone.
"""

from __future__ import annotations

import asyncio
import os
import subprocess
import tempfile
import time
from pathlib import Path
from typing import TYPE_CHECKING, Any

from tests.bench.figures import Row, measured

if TYPE_CHECKING:
    from tests.bench.desk import Desk

JOB = "kill"
ROUNDS = 40
SLOW_MS = 1_200  # of the reads that fill the pool: longer than it takes to send them all and to kill
READS = 100  # the session's whole pool
FAR_TICKS = 60  # of the resting pair: it must not fill
BRACKET_TICKS = 40
STRATEGY = "bench"
CERTIFICATE = (
    "openssl", "req", "-x509", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:prime256v1", "-nodes",
    "-days", "2", "-subj", "/CN=127.0.0.1", "-addext", "subjectAltName=IP:127.0.0.1",
)  # fmt: skip


def measure() -> list[Row]:
    with tempfile.TemporaryDirectory(dir=Path.cwd()) as folder:  # a temporary folder may be memory
        home = Path(folder)
        certificate, key = home / "certificate.pem", home / "key.pem"
        command = (*CERTIFICATE, "-out", str(certificate), "-keyout", str(key))
        subprocess.run(command, check=True, capture_output=True)
        # What OpenSSL itself looks at: the client under test is not told that this venue is special. It must
        # be set before aiohttp is imported, which builds its context then.
        os.environ["SSL_CERT_FILE"] = str(certificate)
        return asyncio.run(_measure(home, certificate, key))


async def _measure(home: Path, certificate: Path, key: Path) -> list[Row]:
    from app.venues.topstepx.limiter import Limiter
    from tests.bench.appliance import SPECIAL, simulator, write_settings
    from tests.bench.desk import desk

    options = ("--tls", str(certificate), str(key), "--slow", str(SLOW_MS), "--quotes-per-second", "20")
    stamps = Stamps()
    async with simulator(home, *options, script=SPECIAL, pinned=True) as url:
        file = write_settings(home, url, ("MES",), risk="default_max_contracts = 5", strategy=False)
        async with desk(file, [], stamps.seen, durable=True, limiter=Limiter()) as running:
            rounds = [await _round(running, stamps, number) for number in range(ROUNDS)]
    first, closed, flat = zip(*rounds, strict=True)
    note = f"TLS, {READS} reads outstanding, general budget spent"
    return [
        measured(JOB, "trip -> first byte of a cancel or close", "us", first, note=note),
        measured(JOB, "trip -> position closed", "ms", closed),
        measured(JOB, "trip -> venue confirms nothing left", "ms", flat),
    ]


class Stamps:
    """When what happened, on the engine's own monotonic clock."""

    def __init__(self) -> None:
        from app.venues.topstepx.writes import KillWrite

        self.bytes_ns = self.closed_ns = self.flat_ns = 0
        stamps = self

        def sent(_: KillWrite) -> None:
            stamps.bytes_ns = stamps.bytes_ns or time.monotonic_ns()

        setattr(KillWrite, "sent", sent)  # noqa: B010  # called when the bytes are with the transport

    def clear(self) -> None:
        self.bytes_ns = self.closed_ns = self.flat_ns = 0

    def seen(self, record: Any) -> None:
        from app.engine.records import FillBooked, GoalChanged
        from app.risk.state import Goal

        if isinstance(record, FillBooked):
            self.closed_ns = time.monotonic_ns()
        elif isinstance(record, GoalChanged) and record.done and record.goal is Goal.FLAT:
            self.flat_ns = time.monotonic_ns()


async def _round(running: Desk, stamps: Stamps, number: int) -> tuple[float, float, float]:
    """One kill: us to the first byte, ms to the closed position, ms to the confirmation."""
    from tests.bench.appliance import until
    from tests.bench.desk import arm

    fresh_budget(running)
    await arm(running.engine)
    await expose(running, number)
    reads = [asyncio.create_task(_slow_read(running)) for _ in range(READS)]
    connections = running.venue._session.connector._acquired  # type: ignore[union-attr]
    await until(lambda: len(connections) >= READS, "the pool is full")
    spend_budget(running)
    stamps.clear()
    begun = time.monotonic_ns()
    running.engine.trip("bench")
    await until(lambda: bool(stamps.flat_ns), "the halt is confirmed")
    waiting = sum(not read.done() for read in reads)
    if waiting < READS:
        raise RuntimeError(f"not the worst moment: only {waiting} reads were still waiting")
    await asyncio.gather(*reads)
    return tuple(
        (at - begun) / unit
        for at, unit in ((stamps.bytes_ns, 1e3), (stamps.closed_ns, 1e6), (stamps.flat_ns, 1e6))
    )  # type: ignore[return-value]


def fresh_budget(running: Desk) -> None:
    """A minute has passed, as far as the client's limiter knows."""
    running.venue._limiter.__init__()  # type: ignore[misc]


def spend_budget(running: Desk) -> None:
    """Take all that general traffic may take; what is reserved for the kill stays."""
    while not running.venue._limiter.take(running.clock.mono_ns()):
        pass


async def _slow_read(running: Desk) -> None:
    from app.venues.topstepx.codec.replies import Endpoint
    from app.venues.topstepx.codec.requests import contract_body

    rest, (contract,) = running.venue._rest, running.venue.contracts.values()
    answer = await rest._caller.post(Endpoint.CONTRACT_BY_ID, contract_body(contract), rest.tokens.secret)
    if answer.status != 200:
        raise RuntimeError(f"a slow read ended with HTTP {answer.status}")


async def expose(running: Desk, number: int) -> None:
    """A protected position and a resting OCO pair, as the overnight strategy leaves them."""
    from app.domain.intents import Place
    from app.domain.orders import Bracket, OrderState, OrderType, Side
    from tests.bench.appliance import until

    engine, contract = running.engine, next(iter(running.venue.contracts.values()))
    bracket = Bracket(BRACKET_TICKS, BRACKET_TICKS)
    quotes = engine.book.quotes
    await until(lambda: contract in quotes and quotes[contract].ask_ticks is not None, "a quote")
    ask = quotes[contract].ask_ticks
    assert ask is not None
    ref = f"kill-{number}"
    engine.submit([Place(STRATEGY, contract, Side.BUY, 1, OrderType.MARKET, f"{ref}-in", bracket=bracket)])
    pair = [
        Place(
            STRATEGY, contract, side, 1, OrderType.STOP, f"{ref}-{side.name}", bracket=bracket, oco=ref,
            stop_ticks=ask + side * FAR_TICKS,
        )
        for side in Side
    ]  # fmt: skip
    engine.submit(pair)
    await until(lambda: bool(engine.book.net(contract)) and engine.book.protected(contract), "a position")
    resting = lambda: [o for o in engine.book.live_orders() if o.oco and o.state is OrderState.WORKING]  # noqa: E731
    await until(lambda: len(resting()) == 2, "a resting pair")

"""The simulator for measurements and long tests: no request budget of its own, TLS if wanted, late if wanted.

`python -m tests.bench.venue --port 0 --json [--tls CERTIFICATE KEY] [--slow MS] [--late MS]` and what
`simulate` takes: `--slow` delays the answers of one endpoint, `--late` those that change an order and the
events of the user hub. The client keeps the venue's budget on its side; nobody refuses what is beyond it.
"""

from __future__ import annotations

import argparse
import asyncio
import ssl
from collections.abc import Sequence
from dataclasses import replace

from aiohttp import web

from app.clock import MS
from app.simulator import main as simulate
from app.simulator.faults import NoFaults, Outgoing, Reply
from app.simulator.limits import RateLimits

SLOW_PATH = "/api/contract/searchbyid"  # asked for by nothing but the measurement
CHANGING = frozenset(
    {"/api/order/place", "/api/order/modify", "/api/order/cancel", "/api/position/closecontract"}
)


class Late(NoFaults):
    """One endpoint answers `slow_ns` late. What changed an order is answered and told `late_ns` after."""

    def __init__(self, slow_ns: int, late_ns: int) -> None:
        self._slow_ns, self._late_ns = slow_ns, late_ns

    def reply(self, path: str, reply: Reply) -> Reply:
        delay_ns = self._late_ns if path in CHANGING else self._slow_ns if path == SLOW_PATH else 0
        return replace(reply, delay_ns=delay_ns)

    def event(self, hub: str, event: Outgoing) -> Sequence[Outgoing]:
        return (replace(event, delay_ns=self._late_ns),) if hub == "user" else (event,)


def _unlimited(self: RateLimits, *_: object) -> bool:
    return True


async def _serve(options: simulate.SimulatorOptions, faults: Late, tls: ssl.SSLContext | None) -> None:
    simulator = simulate.Simulator(options, faults=faults)
    simulate.warm_up(simulator.world.feed, simulator.world.now_ns)
    runner = web.AppRunner(simulator.server.application(), access_log=None)
    await runner.setup()
    await web.TCPSite(runner, simulate.HOST, 0, ssl_context=tls).start()
    simulator.pump.turn()
    scheme = "https" if tls else "http"
    print(f'{{"ready": true, "url": "{scheme}://{simulate.HOST}:{runner.addresses[0][1]}"}}', flush=True)
    await asyncio.Event().wait()


def main() -> None:
    parser = argparse.ArgumentParser()
    simulate.add_arguments(parser)
    parser.add_argument("--tls", nargs=2, metavar=("CERTIFICATE", "KEY"))
    parser.add_argument("--slow", type=int, default=0, metavar="MS")
    parser.add_argument("--late", type=int, default=0, metavar="MS")
    arguments = parser.parse_args()
    tls = None
    if arguments.tls:
        tls = ssl.create_default_context(ssl.Purpose.CLIENT_AUTH)
        tls.load_cert_chain(*arguments.tls)
    setattr(RateLimits, "admit", _unlimited)  # noqa: B010  # a plain assignment would be a type error
    late = Late(arguments.slow * MS, arguments.late * MS)
    asyncio.run(_serve(simulate.options_from(arguments), late, tls))


if __name__ == "__main__":
    main()

"""The share of one core that the running service takes while three symbols quote 50 times a second."""

from __future__ import annotations

import asyncio
import json
import tempfile
import time
from pathlib import Path

import aiohttp

from tests.bench.appliance import cpu_ns, service, simulator, synced, write_settings
from tests.bench.figures import Row, measured, most

JOB = "service_cpu"
WINDOWS = 6  # the shares of so many windows, one after the other, are the samples
WINDOW_S = 5
GOAL_PERCENT = 5
SYMBOLS = ("ES", "NQ", "YM")
QUOTES = "50"  # a second and symbol
MARK = "\x1e"  # ends a record of the hub


def measure() -> list[Row]:
    return asyncio.run(_measure())


async def _measure() -> list[Row]:
    with tempfile.TemporaryDirectory() as folder:
        home = Path(folder)
        async with simulator(home, "--quotes-per-second", QUOTES) as url:
            async with service(write_settings(home, url, SYMBOLS)) as child:
                feeds = (await synced(child, home / "data"))["feeds"]
                await asyncio.sleep(WINDOW_S)  # history is read and the caches are warm
                shares = [await _share(child.pid) for _ in range(WINDOWS)]
            records = await _records_per_second(url, [feed["contract"] for feed in feeds])
    note = "the hub sends " + ", ".join(f"{rate:.0f} {name}/s" for name, rate in sorted(records.items()))
    return [measured(JOB, "share of one core", "%", shares, most(GOAL_PERCENT), note=note)]


async def _share(pid: int) -> float:
    cpu, wall = cpu_ns(pid), time.perf_counter_ns()
    await asyncio.sleep(WINDOW_S)
    return 100 * (cpu_ns(pid) - cpu) / (time.perf_counter_ns() - wall)


async def _records_per_second(url: str, contracts: list[str]) -> dict[str, float]:
    """What the hub really sends of `contracts`, counted by a client of our own: invocations by target."""
    counts: dict[str, float] = {}
    async with aiohttp.ClientSession() as session:
        login = {"userName": "demo", "apiKey": "demo-key"}
        async with session.post(f"{url}/api/Auth/loginKey", json=login) as response:
            token = (await response.json())["token"]
        async with session.ws_connect(f"{url}/hubs/market?access_token={token}") as socket:
            await socket.send_str(json.dumps({"protocol": "json", "version": 1}) + MARK)
            for contract in contracts:
                for method in ("SubscribeContractQuotes", "SubscribeContractTrades"):
                    call = {"type": 1, "target": method, "arguments": [contract]}
                    await socket.send_str(json.dumps(call) + MARK)
            end = time.monotonic() + WINDOW_S
            while (left := end - time.monotonic()) > 0:
                for record in (await socket.receive_str(timeout=left + 1)).split(MARK):
                    target = json.loads(record or "{}").get("target")
                    if target:
                        counts[target] = counts.get(target, 0) + 1 / WINDOW_S
    return counts

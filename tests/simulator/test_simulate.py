"""The command, the composition, and the promise that one seed is one story."""

from __future__ import annotations

import argparse
import asyncio
import json
import socket
from datetime import date
from typing import Any

import pytest

from app.clock import NS, VirtualClock
from app.config import Settings
from app.errors import Later, Refused, SettingsError
from app.simulator.limits import Budget, RateLimits
from app.simulator.main import Ready, Simulator, SimulatorOptions, add_arguments, options_from, run, serve
from app.simulator.simtime import SimTime
from app.simulator.stamps import iso, parse
from app.simulator.tokens import Tokens
from tests.guards import PATIENCE
from tests.ports import reserved
from tests.simulator.conftest import ACCOUNT, DEMO_DATE, ES, MARKET, Make, new_york


def parsed(*words: str) -> argparse.Namespace:
    parser = argparse.ArgumentParser()
    add_arguments(parser)
    return parser.parse_args(words)


def test_defaults_are_the_demonstration() -> None:
    options = options_from(parsed())
    assert options == SimulatorOptions()


@pytest.mark.parametrize(
    "words",
    [
        ("--port", "70000"),
        ("--quotes-per-second", "0"),
        ("--latency", "-1"),
        ("--slippage", "101"),
        ("--symbol", "XX"),
        ("--rate", "0"),
        ("--user", ""),
        ("--key", "two\nlines"),
        ("--key", "k" * 101),
    ],
)
def test_refuses_options_out_of_bounds(words: tuple[str, ...]) -> None:
    with pytest.raises(Refused):
        options_from(parsed(*words))


@pytest.mark.parametrize("bad", [{"rate": 0}, {"day": date(2031, 1, 1)}])
def test_refuses_to_start_outside_what_it_knows(bad: dict[str, Any]) -> None:
    with pytest.raises(Refused):
        Simulator(SimulatorOptions(**bad), VirtualClock(0))


def test_a_port_in_use_is_one_clear_line_and_exit_code_1(capsys: pytest.CaptureFixture[str]) -> None:
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = taken.getsockname()[1]
        assert run(parsed("--port", str(port))) == 1
    said = capsys.readouterr().err
    assert f"port {port}: cannot listen" in said
    assert said.count("\n") == 1


def test_a_bad_setting_is_exit_code_2(capsys: pytest.CaptureFixture[str]) -> None:
    assert run(parsed("--port", "-1")) == 2
    assert "port" in capsys.readouterr().err


async def test_serves_until_cancelled_and_frees_its_port() -> None:
    ready: asyncio.Future[Ready] = asyncio.get_running_loop().create_future()
    clock = VirtualClock(new_york(DEMO_DATE, "10:00"))
    with reserved() as port:
        running = asyncio.ensure_future(serve(SimulatorOptions(port=port), ready.set_result, clock))
        async with asyncio.timeout(PATIENCE):
            url = (await ready).url
            running.cancel()
            await asyncio.gather(running, return_exceptions=True)
        again = Simulator(SimulatorOptions(), clock, feed=MARKET)
        assert await again.start(port) == url
        await again.stop()
        await again.stop()
    with pytest.raises(Later), socket.create_server(("127.0.0.1", 0)) as taken:
        await Simulator(SimulatorOptions(), clock, feed=MARKET).start(taken.getsockname()[1])


def test_says_on_readiness_how_to_log_in() -> None:
    ready = Ready("http://127.0.0.1:1", "owner", "secret", ((1001, "SIM-50K-1001"), (1002, "PRAC-SIM-1002")))
    assert json.loads(ready.as_json()) == {
        "ready": True,
        "url": "http://127.0.0.1:1",
        "user": "owner",
        "key": "secret",
        "accounts": [{"id": 1001, "name": "SIM-50K-1001"}, {"id": 1002, "name": "PRAC-SIM-1002"}],
    }
    assert "\n" not in ready.as_json()
    for words in ("http://127.0.0.1:1", "owner", "secret", "1001  SIM-50K-1001", "1002  PRAC-SIM-1002"):
        assert words in ready.as_text()


def test_listens_where_the_settings_look_for_it() -> None:
    assert Settings().topstepx.rest_url == f"http://127.0.0.1:{SimulatorOptions().port}"


def test_an_unknown_ticker_gets_suggestions(capsys: pytest.CaptureFixture[str]) -> None:
    assert run(parsed("--symbol", "MNS")) == 2
    said = capsys.readouterr().err
    assert "did you mean" in said and "MES" in said


async def test_logs_in_whom_it_was_told_to(bench_at: Make) -> None:
    bench = await bench_at(accounts=("50k",), user="owner", key="secret")
    for user, key, code in (("demo", "secret", 1), ("owner", "demo-key", 3), ("owner", "secret", 0)):
        answer = await bench.post("/api/Auth/loginKey", userName=user, apiKey=key)
        assert answer["errorCode"] == code


async def test_an_account_that_may_not_trade_says_so_and_refuses(bench_at: Make) -> None:
    bench = await bench_at(cannot_trade=True)
    (account,) = (await bench.post("/api/Account/search", onlyActiveAccounts=True))["accounts"]
    assert account["canTrade"] is False
    assert "account rules" in (await bench.place())["errorMessage"]


async def story(bench_at: Make) -> list[Any]:
    """A client's morning: everything it was sent, byte for byte."""
    bench = await bench_at("09:29")
    heard: list[Any] = [await bench.raw("/api/Auth/validate", {})]
    user, market = await bench.user_hub(), await bench.hub("market")
    for channel in ("Quotes", "Trades", "MarketDepth"):
        await market.call(f"SubscribeContract{channel}", ES)
    legs = {"stopLossBracket": {"ticks": -10, "type": 4}, "takeProfitBracket": {"ticks": 10, "type": 1}}
    for number in range(4):
        body = {
            "accountId": ACCOUNT,
            "contractId": ES,
            "type": 2,
            "side": number % 2,
            "size": 1,
            "customTag": str(number),
        }
        heard.append(await bench.raw("/api/Order/place", body | (legs if number == 0 else {})))
        for _ in range(20):
            bench.clock.advance(NS)
            await user.call("SubscribeAccounts")
            await market.call("SubscribeContractQuotes", ES)
    heard.append(await bench.raw("/api/Trade/search", {"accountId": ACCOUNT}))
    return [heard, user.seen, market.seen]


async def test_two_runs_of_one_seed_send_the_same_bytes(bench_at: Make) -> None:
    assert await story(bench_at) == await story(bench_at)


async def test_a_faster_clock_moves_the_market_faster(bench_at: Make) -> None:
    bench = await bench_at(rate=60)
    bench.clock.advance(NS)
    answer = await bench.post(
        "/api/History/retrieveBars", contractId=ES, live=False, startTime="2026-11-18T15:00:00Z",
        endTime="2026-11-18T16:00:00Z", unit=2, unitNumber=1, limit=9, includePartialBar=False,
    )  # fmt: skip
    assert [bar["t"] for bar in answer["bars"]] == ["2026-11-18T15:00:00+00:00"]


async def test_a_jump_over_hours_is_worked_off_in_bounded_turns(bench_at: Make) -> None:
    bench = await bench_at()
    await bench.place()
    bench.simulator.time.change(utc_ns=bench.simulator.time.utc_ns() + 1800 * NS)
    behind = bench.simulator.time.utc_ns() - bench.simulator.world.now_ns
    assert behind > 1500 * NS  # one turn does not block the loop for half an hour of ticks
    bench.clock.advance(0)
    assert bench.simulator.world.now_ns == bench.simulator.time.utc_ns()


def test_simulated_time_never_runs_backwards_and_counts_its_changes() -> None:
    clock = VirtualClock(0)
    time = SimTime(clock, 1_000, rate=3)
    heard = []
    forget = time.listen(lambda: heard.append(time.state()))
    clock.advance(10)
    assert time.utc_ns() == 1_030
    with pytest.raises(Refused):
        time.change(utc_ns=1_029)
    time.change(rate=1, utc_ns=2_000)
    forget()
    forget()
    time.change(rate=5)
    assert heard == [{"utc_ns": 2_000, "rate": 1, "epoch": 2}]
    assert time.real_delay_ns(2_011) == 3


def test_stamps_are_written_with_seven_digits_and_read_with_any() -> None:
    assert iso(1_795_013_333_527_491_099) == "2026-11-18T14:48:53.5274910+00:00"
    for text in (
        "2026-11-18T14:48:53.52749109Z",
        "2026-11-18T08:48:53.52749109-06:00",
        "2026-11-18 14:48:53.52749109",
    ):
        assert parse(text) == 1_795_013_333_527_491_090
    assert parse("2026-11-18") == parse("2026-11-18T00:00Z")
    for bad in ("", "yesterday", "2026-13-01", "2026-11-18T25:00Z", "2026-11-18T10:00:00+99:00"):
        with pytest.raises(ValueError):
            parse(bad)


def test_tokens_of_another_seed_are_forged() -> None:
    token = Tokens(1).issue("demo", 0)
    assert Tokens(1).check(token, 0) is not None
    assert Tokens(2).check(token, 0) is None
    assert Tokens(1).check(token[:-2] + "AA", 0) is None


def test_a_window_forgets_exactly_after_its_length() -> None:
    limits, budget = RateLimits(), Budget("x", 2, 100)
    assert [limits.admit("t", budget, now) for now in (0, 50, 99, 100, 149, 150)] == [
        True,
        True,
        False,
        True,
        False,
        True,
    ]


def test_the_settings_error_names_the_account_kinds() -> None:
    with pytest.raises(SettingsError, match="50k"):
        Simulator(SimulatorOptions(accounts=("500k",)), VirtualClock(0), feed=MARKET)

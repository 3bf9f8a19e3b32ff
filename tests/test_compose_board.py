"""The whole service with the virtual board: trades through it, obeys its switch, outlives its absence."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from pathlib import Path

import pytest

from app import compose, demo
from app.cli.causes import first_cause
from app.clock import NS
from app.domain.intents import Place
from app.domain.orders import Bracket, OrderState, OrderType, Side
from app.errors import Ours, Refused, SettingsError
from app.mcu import unoq
from app.mcu.virtual import VirtualBoard
from app.risk.state import Goal
from tests import service
from tests.guards import PATIENCE
from tests.mcu import virtual
from tests.test_compose import Running, running, synced

FAR_TICKS, BRACKET_TICKS = 200, 20

url, board = service.url, virtual.board


@pytest.fixture
def file(tmp_path: Path, url: str) -> Path:
    settings = demo.write_settings(tmp_path, url, 0, keep=False, board=True)
    settings.write_text(f"dev = true\n{settings.read_text()}")
    return settings


async def until(condition: Callable[[], object]) -> None:
    async with asyncio.timeout(PATIENCE):
        while not condition():
            await asyncio.sleep(0.001)


async def output(board: VirtualBoard, on: bool) -> None:
    async with asyncio.timeout(PATIENCE):
        while (await board.ask("state"))["output"] is not on:
            await asyncio.sleep(0.002)


async def trading(held: Running) -> None:
    """Armed, trading open."""
    await synced(held.service)
    await until(lambda: held.service.engine.board.closed)
    held.service.commands.execute("demo", "rearm", "a test")
    await until(lambda: held.service.engine.snapshot().state == "active")


def codes(held: Running) -> set[str]:
    return {reason.code for reason in held.service.engine.snapshot().reasons}


async def test_runs_the_board_while_it_trades_and_stops_it_at_the_end(
    file: Path, board: VirtualBoard
) -> None:
    async with running(file) as held:
        await output(board, False)
        await trading(held)
        await output(board, True)
        await until(lambda: held.service.engine.snapshot().board.state == "run")
        view = held.service.engine.snapshot().board
        assert (view.mode, view.target, view.contacts) == ("virtual", "linux", "closed")
    await held.task
    told = await board.ask("state")
    assert told["output"] is False and told["cause"] == "host"


async def test_cancels_and_halts_when_the_switch_opens_and_never_re_arms_when_it_closes(
    file: Path, board: VirtualBoard
) -> None:
    async with running(file) as held:
        await trading(held)
        engine, (contract,) = held.service.engine, held.service.venue.contracts.values()
        await until(lambda: contract in engine.book.quotes and engine.book.quotes[contract].ask_ticks)
        ask = engine.book.quotes[contract].ask_ticks
        assert ask is not None
        bracket = Bracket(BRACKET_TICKS, BRACKET_TICKS)
        price = ask + FAR_TICKS
        entry = Place(
            "manual", contract, Side.BUY, 1, OrderType.STOP, "test", bracket=bracket, stop_ticks=price
        )
        (order,) = engine.submit([entry])
        await until(lambda: order.state is OrderState.WORKING)
        await board.ask("contact a open")
        await until(lambda: order.state is OrderState.CANCELLED)
        assert "switch" in codes(held) and not engine.trading.armed
        await output(board, False)
        with pytest.raises(Refused):
            held.service.commands.execute("cli", "rearm", "somebody")
        await board.ask("contact b open")
        await board.ask("contact both closed")
        await until(lambda: engine.board.closed)
        assert engine.snapshot().state == "halted" and not engine.trading.armed
        await until(lambda: engine.pursuit.done)
        held.service.commands.execute("cli", "rearm", "somebody")
        await output(board, True)


async def test_trades_again_by_itself_after_a_restart_when_armed_and_resume(
    file: Path, board: VirtualBoard
) -> None:
    async with running(file) as held:
        await trading(held)
    await held.task
    async with running(file) as held:
        assert held.service.engine.snapshot().state == "halted"
        await until(lambda: held.service.engine.snapshot().state == "active")
        await output(board, True)


async def test_waits_after_a_restart_without_resume_and_says_so(file: Path, board: VirtualBoard) -> None:
    file.write_text(file.read_text().replace("resume = true", "resume = false"))
    async with running(file) as held:
        await synced(held.service)
        await until(lambda: held.service.engine.board.closed and held.service.engine.pursuit.done)
        held.service.commands.execute("cli", "rearm", "somebody")
        await until(lambda: held.service.engine.snapshot().state == "active")
    await held.task
    async with running(file) as held:
        await synced(held.service)
        await until(lambda: held.service.engine.board.closed and held.service.engine.pursuit.done)
        reasons = held.service.engine.snapshot().reasons
        assert reasons and all("over; waits for a re-arm" in reason.ends for reason in reasons)
        await output(board, False)


async def test_stays_closed_while_the_board_is_silent(file: Path) -> None:
    async with running(file) as held:
        await synced(held.service)
        assert "link_silence" in codes(held)
        with pytest.raises(Refused, match=r"rearm\.switch"):
            held.service.commands.execute("cli", "rearm", "somebody")
        await until(lambda: "no such file" in held.service.engine.snapshot().board.detail.lower())


async def test_holds_while_the_cable_is_out_and_goes_on_when_it_is_back(
    file: Path, board: VirtualBoard
) -> None:
    async with running(file) as held:
        await trading(held)
        await board.ask("unplug")
        await until(lambda: "link_silence" in codes(held))
        assert held.service.engine.trading.armed
        await board.ask("plug")
        await until(lambda: held.service.engine.snapshot().state == "active")
        await output(board, True)


@pytest.mark.parametrize("mode", ["owner", "guest"])
async def test_refuses_the_modes_of_another_machine(
    file: Path, mode: str, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    monkeypatch.setattr(unoq.require, "__defaults__", (tmp_path / "no device tree",))
    file.write_text(file.read_text().replace('mode = "virtual"', f'mode = "{mode}"'))
    with pytest.raises(SettingsError, match=r"board\.mode"):
        async with running(file):
            pass


def test_needs_an_explicit_word_to_trade_live_without_a_switch(file: Path) -> None:
    """The default is required; the virtual board does not count."""
    live = file.read_text().replace('mode = "simulate"', 'mode = "live"\nlive = "I accept"')
    live = live.replace('symbols = ["ES"]', 'symbols = ["ES"]\naccounts = [1001]')
    live = live.replace('clock = "simulator"', "")
    file.write_text(live)
    with pytest.raises(SettingsError, match=r"protects no real money.*board\.required = false"):
        demo.load_file(file)
    file.write_text(live.replace("required = true", "required = false"))
    assert not demo.load_file(file).board.required


@pytest.mark.parametrize(("word", "goal"), [("flat", Goal.FLAT), ("no_entries", Goal.NO_ENTRIES)])
def test_takes_from_the_settings_what_a_trip_does(file: Path, word: str, goal: Goal) -> None:
    text = file.read_text().replace("leds = false", "leds = false\nlink_flatten_after_s = 7")
    file.write_text(f'{text}\n[board.on_trip]\nfutures = "{word}"\n')
    settings = compose._engine_settings(demo.load_file(file), 1001)
    assert settings.on_trip is goal and settings.link_flatten_after_ns == 7 * NS and settings.resume


async def test_ends_when_the_link_itself_broke(
    file: Path, board: VirtualBoard, monkeypatch: pytest.MonkeyPatch
) -> None:
    async with running(file) as held:
        await until(lambda: held.service.engine.board.closed)

        def broken(*_: object) -> None:
            raise ZeroDivisionError("planted")

        monkeypatch.setattr(held.service.engine.panel, "_handle", broken)
        await asyncio.wait((held.task,))
    error = held.task.exception()
    assert error is not None and isinstance(first_cause(error), Ours)

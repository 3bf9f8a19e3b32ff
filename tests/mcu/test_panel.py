"""The link as the engine's panel, on a virtual clock against the board's own rules: what each event means."""

from __future__ import annotations

from collections.abc import AsyncIterator, Callable
from dataclasses import replace

import pytest

from app.mcu import lights, messages
from app.mcu.link import RETRY_MS
from app.mcu.native_codec import NativeCodec
from board.micropython.board import PROTOCOL
from tests.mcu.rig import CLOSED, ONLY_A, OPEN, Listener, Rig
from tests.web.pictures import ACTIVE, HALTED

RUN, READY, TRIPPED, FAULT = messages.RUN, messages.READY, messages.TRIPPED, messages.FAULT


@pytest.fixture
async def rig() -> AsyncIterator[Rig]:
    made = Rig()
    yield made
    await made.end()


async def ready(rig: Rig) -> Listener:
    """A session, the board ready, the engine told; what it heard until then is forgotten."""
    engine = Listener()
    rig.connect(engine)
    await rig.until(lambda: engine.heard)
    assert engine.heard == [(True, True)] and rig.board.state == READY
    engine.heard.clear()
    return engine


async def running(rig: Rig) -> Listener:
    engine = await ready(rig)
    rig.link.show(ACTIVE)
    await rig.until(lambda: rig.board.state == RUN)
    await rig.run(60)
    assert not engine.heard
    return engine


async def test_says_nothing_before_the_board_is_ready(rig: Rig) -> None:
    engine = Listener()
    rig.frozen = True
    rig.connect(engine)
    await rig.run(1_500)
    assert engine.heard == [] and rig.link.view().state == "silent"
    rig.frozen = False
    rig.reboot()
    await rig.until(lambda: engine.heard, 3_000)
    assert engine.heard == [(True, True)]


async def test_lets_the_board_run_only_while_trading_is_open(rig: Rig) -> None:
    engine = await ready(rig)
    await rig.run(500)
    assert rig.board.state == READY, "nobody asked it to run"
    rig.link.show(ACTIVE)
    assert await rig.until(lambda: rig.board.state == RUN) <= 60
    rig.link.show(HALTED)
    assert await rig.until(lambda: rig.board.state != RUN) <= 5
    await rig.run(500)
    assert rig.board.state == READY and rig.board.cause == messages.CAUSE_HOST
    assert engine.heard == [], "our own stop is no silence and no trip"
    rig.link.show(ACTIVE)
    await rig.until(lambda: rig.board.state == RUN)


@pytest.mark.parametrize("state", ["reducing", "halted"])
async def test_stops_the_board_in_every_state_but_active(rig: Rig, state: str) -> None:
    await running(rig)
    rig.link.show(replace(ACTIVE, state=state))
    assert await rig.until(lambda: rig.board.state != RUN) <= 5


async def test_takes_back_an_arm_that_trading_has_overtaken(rig: Rig) -> None:
    await ready(rig)
    rig.link.show(ACTIVE)
    rig.link.show(HALTED)
    await rig.run(1_000)
    assert rig.board.state == READY and not rig.board.output


async def test_asks_no_board_to_run_that_tripped_before_trading_was_shown_anew(rig: Rig) -> None:
    engine = await running(rig)
    rig.board._happen(PROTOCOL, rig.now_ms)
    await rig.run(200)
    assert engine.heard == [(False, True), (True, True)]
    assert rig.board.state == READY and not rig.board.output
    rig.link.show(ACTIVE)
    await rig.until(lambda: rig.board.state == RUN)


@pytest.mark.parametrize("contacts", [OPEN, ONLY_A])
async def test_trips_at_once_when_a_contact_opens(rig: Rig, contacts: int) -> None:
    engine = await running(rig)
    rig.contacts = contacts
    await rig.until(lambda: engine.heard)
    assert engine.heard == [("trip", "the switch was opened")] and not rig.board.output
    await rig.run(40)
    assert engine.heard[1:] == [("trip", "the switch is open"), (True, False)]


async def test_hears_an_opening_of_one_millisecond(rig: Rig) -> None:
    engine = await running(rig)
    rig.contacts = OPEN
    await rig.run(1)
    rig.contacts = CLOSED
    await rig.run(1)
    assert engine.heard == [("trip", "the switch was opened")] and not rig.board.output
    rig.link.show(HALTED)
    await rig.run(500)
    assert len(engine.heard) == 1, "a trip is no silence, and closed again it permits a re-arm, nothing more"
    assert rig.board.state == READY


async def test_hears_an_opening_that_happened_while_nobody_listened(rig: Rig) -> None:
    await rig.run(200)
    rig.contacts = OPEN
    await rig.run(50)
    rig.contacts = CLOSED
    await rig.run(500)
    engine = Listener()
    rig.connect(engine)
    await rig.until(lambda: engine.heard)
    assert engine.heard[0] == ("trip", "the switch was opened")


async def test_trips_when_the_channels_contradict_each_other(rig: Rig) -> None:
    engine = await running(rig)
    rig.contacts = ONLY_A
    await rig.until(lambda: rig.board.state == FAULT)
    await rig.run(20)
    assert ("trip", "the board found a fault in its contacts or its output") in engine.heard
    view = rig.link.view()
    assert (view.state, view.contacts, view.faults) == ("fault", "b open", ("the channels differ",))


async def test_holds_within_250_ms_of_silence_and_comes_back_by_itself(rig: Rig) -> None:
    engine = await running(rig)
    rig.frozen = True
    assert await rig.until(lambda: engine.heard) <= 250
    assert engine.heard == [(False, True)] and rig.link.view().detail == "the board is silent"
    rig.frozen = False
    await rig.until(lambda: len(engine.heard) > 1)
    assert engine.heard == [(False, True), (True, True)]


async def test_holds_at_once_when_the_tty_vanishes_and_comes_back_with_it(rig: Rig) -> None:
    engine = await running(rig)
    rig.unplug()
    assert engine.heard == [(False, True)] and rig.link.view().detail == "hung up"
    await rig.run(1_200)
    assert rig.link.view().detail == "board: no such device" and not rig.board.output
    rig.plugged = True
    await rig.until(lambda: len(engine.heard) > 1)
    assert engine.heard == [(False, True), (True, True)]


async def test_opens_two_sessions_a_second_at_most(rig: Rig) -> None:
    await ready(rig)
    for _ in range(20):
        rig.unplug()
        rig.plugged = True
        await rig.run(100)
    gaps = [later - earlier for earlier, later in zip(rig.dialled_ms, rig.dialled_ms[1:], strict=False)]
    assert len(gaps) >= 3 and min(gaps) >= RETRY_MS


async def test_holds_when_the_board_reboots_and_comes_back(rig: Rig) -> None:
    engine = await running(rig)
    rig.reboot()
    await rig.until(lambda: engine.heard)
    await rig.until(lambda: engine.heard[-1] == (True, True))
    assert engine.heard == [(False, True), (True, True)]


async def test_stays_halted_by_a_board_that_reboots_with_its_switch_open(rig: Rig) -> None:
    engine = await running(rig)
    rig.contacts = OPEN
    rig.reboot()
    await rig.until(lambda: ("trip", "the switch is open") in engine.heard)
    await rig.run(500)
    assert (True, True) not in engine.heard and not rig.board.output


async def test_sends_no_beat_when_the_work_loop_stands_still(rig: Rig) -> None:
    engine = await running(rig)
    rig.beating = False
    assert await rig.until(lambda: not rig.board.output) <= 400
    await rig.until(lambda: engine.heard)
    assert engine.heard == [(False, True)], "the board tripped because we were silent: a hold of ours"


async def test_takes_noise_for_silence(rig: Rig) -> None:
    engine = await running(rig)
    noise = rig.random
    rig.mangle = lambda data: noise.randbytes(len(data)) + b"\0"
    await rig.until(lambda: engine.heard)
    assert engine.heard == [(False, True)]
    rig.mangle = lambda data: data
    await rig.until(lambda: engine.heard[-1] == (True, True), 3_000)


async def test_is_not_fooled_by_a_wire_that_answers_with_its_own_echo(rig: Rig) -> None:
    engine = await running(rig)
    rig.frozen = True
    wire = rig.wire
    assert wire is not None
    write = wire.write
    wire.write = lambda data: (write(data), wire.received(data))[0]  # type: ignore[method-assign]
    await rig.until(lambda: engine.heard, 300)
    assert engine.heard == [(False, True)]


async def test_is_not_fooled_by_a_replay(rig: Rig) -> None:
    engine = Listener()
    recorded: list[bytes] = []
    rig.mangle = lambda data: (recorded.append(data), data)[1]
    rig.connect(engine)
    await rig.until(lambda: engine.heard)
    rig.link.show(ACTIVE)
    await rig.run(500)
    rig.frozen = True
    heard = len(engine.heard)
    for data in recorded:
        if rig.wire is not None:
            rig.wire.received(data)
        await rig.run(10)
    await rig.run(200)
    assert engine.heard[heard:] == [(False, True)]


async def test_opens_the_port_anew_when_nobody_answers(rig: Rig) -> None:
    rig.frozen = True
    rig.connect(Listener())
    await rig.run(5_000)
    assert len(rig.wires) >= 2 and all(wire.closed for wire in rig.wires[:-1])
    assert rig.link.view().detail == "the board does not answer"


async def test_sends_the_lights_and_sends_them_again_to_a_new_session(rig: Rig) -> None:
    await running(rig)
    wanted = (lights.IN_POSITION, 1, 204)
    assert rig.board.request == wanted
    rig.reboot()
    await rig.until(lambda: rig.board.request == wanted, 3_000)


async def test_the_lights_say_at_once_that_an_update_is_under_way_and_that_it_is_over(rig: Rig) -> None:
    await running(rig)
    rig.link.updating(True)
    await rig.run(200)
    assert rig.board.request[0] == lights.UPDATING
    rig.link.updating(False)
    await rig.run(200)
    assert rig.board.request[0] == lights.IN_POSITION


async def test_ends_although_nobody_answers_its_farewell(rig: Rig, monkeypatch: pytest.MonkeyPatch) -> None:
    await running(rig)
    with monkeypatch.context() as broken:
        broken.setattr(rig, "board", None)
        with pytest.raises(AttributeError):
            await rig.end()
    assert rig._task is not None and rig._task.done()


async def test_stops_the_board_when_the_service_ends(rig: Rig) -> None:
    await running(rig)
    await rig.end()
    assert rig.board.cause == messages.CAUSE_HOST and not rig.board.output
    assert rig.wire is None


async def test_takes_a_board_that_stays_tripped_for_silent(rig: Rig) -> None:
    engine = await running(rig)
    rig.contacts = OPEN
    await rig.run(30)
    rig.contacts = CLOSED
    rig.board.contacts.released = lambda: False  # type: ignore[method-assign]
    await rig.run(500)
    assert engine.heard[-1] == (True, False)
    await rig.run(1_000)
    assert engine.heard[-1] == (False, False)


async def test_tells_people_what_it_knows(rig: Rig) -> None:
    await running(rig)
    await rig.run(1_100)
    view = rig.link.view()
    assert (view.mode, view.state, view.contacts) == ("virtual", "run", "closed")
    assert (view.cause, view.detail, view.faults) == ("", "", ())
    assert (view.target, view.firmware, view.reset) == ("micropython", "0001020304050607", "power")
    assert (view.boot_id, view.sessions) == (77, 1) and view.counters["good"] > 0
    assert 0 <= view.latency_ms <= 2


def twice(data: bytes) -> bytes:
    return data * 2


def nothing(_: bytes) -> bytes:
    return b""


def flipped(data: bytes) -> bytes:
    return bytes([data[0] ^ 0x10]) + data[1:]


def cut(data: bytes) -> bytes:
    return data[: len(data) // 2]


@pytest.mark.parametrize("mangle", [twice, nothing, flipped, cut])
async def test_is_not_even_held_by_two_beats_that_went_wrong(
    rig: Rig, mangle: Callable[[bytes], bytes]
) -> None:
    engine = await running(rig)
    rig.mangle = mangle
    await rig.run(50 if mangle is cut else 100)  # a frame that was cut takes the next one along
    rig.mangle = lambda data: data
    await rig.run(1_000)
    assert engine.heard == [] and rig.board.state == RUN and rig.link.sessions == 1


async def test_is_not_even_held_by_frames_in_the_wrong_order(rig: Rig) -> None:
    engine = await running(rig)
    kept: list[bytes] = []

    def swap(data: bytes) -> bytes:
        kept.append(data)
        return b"" if len(kept) % 2 else kept[-1] + kept[-2]

    rig.mangle = swap
    await rig.run(1_000)
    assert engine.heard == [] and rig.board.state == RUN and rig.link.sessions == 1


async def test_takes_in_bytes_that_both_tell_something_and_end_the_session(rig: Rig) -> None:
    engine = await running(rig)
    strange = NativeCodec().encode(messages.BOARD_BEAT, 2, 1, 1, 0, 0, ())
    rig.mangle = lambda data: data + strange
    assert rig.wire is not None
    rig.wire.sent += b"\x05junk\0" * 30  # the board trips: noise
    await rig.run(20)
    assert engine.heard == [(False, True)] and rig.link.view().detail.endswith("version of the protocol")


@pytest.mark.parametrize("hours", [-24, 24])
async def test_is_not_moved_by_a_clock_that_jumps(rig: Rig, hours: int) -> None:
    engine = await running(rig)
    rig.clock.step_wall(hours * 3_600 * 10**9)
    await rig.run(1_000)
    assert engine.heard == [] and rig.board.state == RUN and rig.link.sessions == 1

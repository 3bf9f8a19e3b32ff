"""The two firmwares side by side: the same happens to both, and the host hears the same of both."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from app.mcu import messages, session
from tests.mcu.world import CLOSED, OPEN, World

# Lengths that keep away from the protocol's limits: the two may differ by the millisecond of a turn.
lengths = st.sampled_from([5, 30, 70, 130, 330, 620])
steps = st.one_of(
    st.tuples(st.just("contacts"), st.sampled_from([OPEN, CLOSED, CLOSED, 1, 2])),
    st.tuples(st.sampled_from(["turning", "plugged"]), st.booleans()),
    st.tuples(st.sampled_from(["arm", "stop", "reboot", "again", "foreign", "newer", "nonsense"]), st.none()),
    st.tuples(st.sampled_from(["drop", "duplicate", "swap"]), st.integers(1, 3)),
)


def act(world: World, what: str, value: int | None) -> None:
    if what in ("contacts", "turning"):
        setattr(world, what, value)
    elif what == "plugged":
        world.to_host.cut = world.to_board.cut = not value
    elif what in ("drop", "duplicate", "swap"):
        setattr(world.to_board, what, value)
    elif what == "arm":
        world.arm()
    elif what == "stop":
        world.host.stop()
    elif what == "reboot":
        world.reboot()
    else:
        inject(world, what)


def inject(world: World, what: str) -> None:
    """Put bytes on the board's wire that the host never sent."""
    encode = world.codec.encode
    data = {
        "again": b"".join(world.to_board.recorded[-20:]),
        "foreign": encode(messages.STOP, messages.VERSION, 12345, 1, 0, 0, ()),
        "newer": encode(messages.STOP, messages.VERSION + 1, 1, 1, 0, 0, ()),
        "nonsense": b"\x01\0" * 21,
    }
    world.to_board.put(data[what], world.now_ms)


def cause(number: int) -> int:
    """A host that went silent says hello again about when the board gives it up: either may come first."""
    return messages.CAUSE_LINK if number == messages.CAUSE_SESSION else number


def told(world: World) -> list[tuple]:
    """What the host heard that does not hang on the millisecond."""
    trips = [(*event[:2], cause(event[2])) for _, event in world.seen(session.EV_TRIP)]
    return trips + [event for _, event in world.events if event[0] in (session.EV_LOST, session.EV_LIVE)]


@given(script=st.lists(st.tuples(steps, lengths), max_size=12), seed=st.integers(0, 1000))
def test_the_host_hears_the_same_of_both(script: list, seed: int) -> None:
    ours, in_c = World(seed), World(seed, in_c=True)
    for world in (ours, in_c):
        world.run(200)
    for (what, value), length in script:
        for world in (ours, in_c):
            act(world, what, value)
            world.run(length)
        assert (ours.board.state, ours.board.output) == (in_c.board.state, in_c.board.output)
        ours_trip, in_c_trip = ours.board.trip, in_c.board.trip
        assert (ours_trip[0], cause(ours_trip[1])) == (in_c_trip[0], cause(in_c_trip[1]))
    assert told(ours) == told(in_c)
    assert ours.turned_on == in_c.turned_on

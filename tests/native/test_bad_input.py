"""What the network may send that nobody should: both twins give the same value or the same refusal."""

from __future__ import annotations

import importlib
from array import array
from types import ModuleType
from typing import Any

import pytest

from app.domain.orders import OrderType
from app.errors import Theirs
from app.venues.topstepx.codec import scanned
from native import frames_py, orders_py, wire_py
from tests.native import bad_input
from tests.native.test_frames import decoded
from tests.native.test_market import day_of
from tests.native.test_orders import writer

frames_c = importlib.import_module("native.frames_c")
orders_c = importlib.import_module("native.orders_c")
wire_c = importlib.import_module("native.wire_c")

FRAMES = pytest.mark.parametrize("frames", [frames_py, frames_c], ids=["pure", "compiled"])
WIRE = pytest.mark.parametrize("wire", [wire_py, wire_c], ids=["pure", "compiled"])
ORDERS = pytest.mark.parametrize("orders", [orders_py, orders_c], ids=["pure", "compiled"])
LIMIT = 64 * 1024  # bytes of a record
EXACT = frozenset({"exponent", "20-places"})  # on the grid, only written in a way that the scanner leaves

# What a whole stream comes to where it is not the payload that is wrong: 0 is a good frame.
OUTCOMES = {
    "good": [0],
    "truncated": [wire_py.FAULT_COBS],
    "no-end": [],
    "twice": [0, 0],
    "reordered": [wire_py.FAULT_CRC],
    "oversized": [wire_py.FAULT_OVERSIZE, 0],
    "zeros": [0],
    "chain": [wire_py.FAULT_COBS],
    "noise": [wire_py.FAULT_OVERSIZE, wire_py.FAULT_OVERSIZE],
}


def reader(frames: ModuleType) -> Any:
    followed = frames.Contracts()
    for contract in (bad_input.MNQ, bad_input.TNOTE):
        scanned.follow(followed, contract)
    return frames.Reader(followed, LIMIT)


def kinds(frames: ModuleType, stream: bytes) -> list[int]:
    found, kind = [], (one := reader(frames)).feed(stream)
    while kind:
        found.append(kind)
        kind = one.next()
    return found


@FRAMES
@pytest.mark.parametrize("name", sorted(bad_input.FRAMES.keys() - bad_input.READ - {"no-end"}))
def test_a_bad_record_is_left_to_the_decoder_and_the_next_one_read(frames: ModuleType, name: str) -> None:
    found = kinds(frames, bad_input.FRAMES[name] + bad_input.GOOD_QUOTE)
    assert set(found[:-1]) == {frames.OTHER} and found[-1] == frames.QUOTE


@FRAMES
@pytest.mark.parametrize("name", sorted(bad_input.READ))
def test_a_strange_record_of_good_values_is_read(frames: ModuleType, name: str) -> None:
    one = reader(frames)
    assert one.feed(bad_input.FRAMES[name]) == frames.QUOTE
    assert one.quote() == (0 if name == "negative-zero" else 100_048, 100_050, None, 0)


@FRAMES
def test_an_unfinished_record_is_kept_up_to_the_limit(frames: ModuleType) -> None:
    one = reader(frames)
    assert one.feed(bad_input.FRAMES["no-end"]) == frames.NONE
    assert one.feed(bad_input.RECORD_END) == frames.QUOTE
    assert one.next() == frames.NONE
    with pytest.raises(OverflowError, match=f"more than {LIMIT} bytes"):
        one.feed(b"{" * (LIMIT + 1))


@pytest.mark.parametrize("name", [*sorted(bad_input.NUMBERS.keys() - EXACT), "nested", "opened"])
def test_the_decoder_refuses_what_the_scanner_left_to_it(name: str) -> None:
    with pytest.raises(Theirs):
        decoded(bad_input.FRAMES[name].removesuffix(bad_input.RECORD_END))


@WIRE
@pytest.mark.parametrize("name", OUTCOMES)
def test_bytes_that_are_no_frame_are_named_and_the_next_one_is_read(wire: ModuleType, name: str) -> None:
    found = wire.Decoder().feed(bad_input.WIRE[name])
    assert [each if isinstance(each, int) else 0 for each in found] == OUTCOMES[name]


@WIRE
@pytest.mark.parametrize("name", bad_input.PAYLOADS)
def test_a_payload_outside_the_subset_is_refused_in_words_that_both_twins_share(
    wire: ModuleType, name: str
) -> None:
    decoder = wire.Decoder()
    assert list(decoder.feed(bad_input.WIRE[f"payload-{name}"])) == [wire.FAULT_PAYLOAD]
    assert len(decoder.feed(bad_input.GOOD_FRAME)) == 1
    with pytest.raises(ValueError, match=r"^wire: ") as refused:
        wire.cbor_decode(bad_input.PAYLOADS[name])
    with pytest.raises(ValueError) as again:
        wire_py.cbor_decode(bad_input.PAYLOADS[name])
    assert str(refused.value) == str(again.value)


@WIRE
@pytest.mark.parametrize(
    "value",
    [float("nan"), float("inf"), -0.0, 10**20, -(10**19), "\udcff", (((((1,),),),),), "x" * 200, [], {}],
)
def test_a_value_outside_the_subset_is_never_sent(wire: ModuleType, value: Any) -> None:
    with pytest.raises((ValueError, TypeError, OverflowError)) as refused:
        wire.encode(1, 1, 1, 1, 1, 1, (value,))
    with pytest.raises((ValueError, TypeError, OverflowError)) as again:
        wire_py.encode(1, 1, 1, 1, 1, 1, (value,))
    assert (refused.type, str(refused.value)) == (again.type, str(again.value))


@ORDERS
@pytest.mark.parametrize("name", bad_input.MEMBERS)
def test_a_member_that_no_order_has_is_left_to_the_encoder(orders: ModuleType, name: str) -> None:
    written = writer(orders)
    good = (OrderType.STOP, "CON.F.US.EP.Z26", *bad_input.GOOD_ORDER.values())
    bad = (*good[:2], *(bad_input.GOOD_ORDER | bad_input.MEMBERS[name]).values())
    assert written.place(*bad) is None
    assert written.place(*good) is not None


def twin(module: str, suffix: str) -> Any:
    return importlib.import_module(f"native.{module}_{suffix}")


@pytest.mark.parametrize("suffix", ["py", "c"])
def test_none_in_place_of_an_object_is_an_error_and_no_crash(suffix: str) -> None:
    market, indicators = twin("market", suffix), twin("indicators", suffix)
    with pytest.raises(AttributeError, match="NoneType"):
        twin("frames", suffix).Reader(None, LIMIT).feed(bad_input.GOOD_QUOTE)
    with pytest.raises(AttributeError, match="NoneType"):
        market.coarsen(None, 5, day_of, market.Bars())
    with pytest.raises(AttributeError, match="NoneType"):
        indicators.uncrossed(None, indicators.Sma(2), 0, array("q", [1, 2]), 0, 2)


@ORDERS
@pytest.mark.parametrize("names", [("x" * 41, ""), ("", "x" * 2_000)])
def test_names_that_could_outgrow_the_buffer_are_refused(orders: ModuleType, names: tuple[str, str]) -> None:
    with pytest.raises(ValueError, match="40 characters"):
        orders.Writer({1: (1, *names)}, 4, 1)


@ORDERS
@pytest.mark.parametrize("codes", [(10**400, 4, 1), (1, -(10**400), 1), (1, 4, 100)])
def test_codes_that_could_outgrow_the_buffer_are_refused(orders: ModuleType, codes: tuple[int, ...]) -> None:
    with pytest.raises(ValueError, match="0 to 99"):
        orders.Writer({1: (codes[0], "", "")}, *codes[1:])

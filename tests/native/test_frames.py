"""Both twins of native.frames against the full decoder: what is scanned is equal, what is not is OTHER.

The oracle of every record is `codec.signalr` on msgspec. A record that the scanner reads must give the
decoder's very values; where the decoder refuses, the scanner must not have an opinion.
"""

from __future__ import annotations

import importlib
import json
from pathlib import Path
from types import ModuleType
from typing import Any

import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st

from app.errors import Theirs
from app.venues.topstepx.codec import scanned, signalr
from app.venues.topstepx.codec.fields import instrument_of, stamp_ns
from native import frames_py, shapes
from tests.venues.topstepx.scripted import account_row, order_row, position_row, trade_row

frames_c = importlib.import_module("native.frames_c")
TWINS = {"pure": frames_py, "compiled": frames_c}
CORPUS = Path(__file__).parent / "corpus" / "frames"
MNQ, ZN = "CON.F.US.MNQ.Z26", "CON.F.US.TYA.Z26"
STAMP = "2026-11-20T19:48:53.5274910+00:00"
END = b"\x1e"


@pytest.fixture(params=[frames_py, frames_c], ids=list(TWINS))
def frames(request: pytest.FixtureRequest) -> ModuleType:
    return request.param


def reader(frames: ModuleType, *contracts: str, limit: int = signalr.MAX_RECORD) -> Any:
    followed = frames.Contracts()
    for contract in contracts:
        scanned.follow(followed, contract)
    return frames.Reader(followed, limit)


def record(target: str, *arguments: Any) -> bytes:
    body = {"type": 1, "target": target, "arguments": list(arguments)}
    return json.dumps(body, separators=(",", ":")).encode()


QUOTE = {
    "symbol": "F.US.MNQ", "symbolName": "/MNQ", "lastPrice": 25012.25, "bestBid": 25012.0, "bestAsk": 25012.5,
    "change": -101.25, "changePercent": -0.0041, "open": 24911.0, "high": 25050.75, "low": 24880.25,
    "volume": 1234567, "lastUpdated": STAMP, "timestamp": "2026-11-20T19:48:53.527+00:00",
}  # fmt: skip
TAPE = {"symbolId": "F.US.MNQ", "price": 25012.25, "timestamp": STAMP, "type": 0, "volume": 3}
DEPTH = {"timestamp": STAMP, "type": 1, "price": 25012.5, "volume": 7, "currentVolume": 9, "index": 2}


def wrapped(row: dict[str, Any], action: int = 1) -> dict[str, Any]:
    return {"action": action, "data": {name: value for name, value in row.items() if value is not None}}


RECORDS = [
    record("GatewayQuote", MNQ, QUOTE),
    record("GatewayQuote", MNQ, {"bestBid": 25012.25}),
    record("GatewayQuote", MNQ, {}),
    record("GatewayQuote", ZN, {"lastPrice": 110.515625, "bestAsk": None, "timestamp": STAMP}),
    record("GatewayTrade", MNQ, [TAPE, TAPE | {"price": 25012.5, "volume": 1}]),
    record("GatewayTrade", MNQ, TAPE),
    record("GatewayTrade", MNQ, []),
    record("GatewayDepth", MNQ, [DEPTH, DEPTH | {"type": 2, "volume": 0}]),
    record("GatewayUserOrder", wrapped(order_row())),
    record("GatewayUserOrder", [wrapped(order_row(), 0), order_row(limitPrice=6700.25, customTag="t-1")]),
    record("GatewayUserTrade", wrapped(trade_row(), 0)),
    record("GatewayUserTrade", trade_row(profitAndLoss=-12.5, voided=True)),
    record("GatewayUserPosition", wrapped(position_row())),
    record("GatewayUserPosition", wrapped(position_row(type=0, size=0), 2)),
    record("GatewayUserAccount", wrapped(account_row())),
]

# -- the oracle and the scanner, each saying a record's values in the same words


def decoded(data: bytes) -> Any:
    """What the full decoder makes of a record's payload. Raises Theirs."""
    message = signalr.decode_message(data)
    arguments = message.arguments or []
    if message.type != signalr.INVOCATION or message.target is None:
        return "not an event"
    if message.target in signalr.USER_TARGETS:
        return signalr.user_events(message.target, arguments)
    contract = signalr.market_contract(arguments)
    if message.target == signalr.QUOTE:
        return signalr.QuoteBook().merge(contract, arguments[1], 5)
    if message.target == signalr.TRADE:
        return signalr.tape(contract, arguments[1])
    return [depth_row(contract, row) for row in depth_rows(json.loads(bytes(arguments[1])))]


def depth_rows(payload: Any) -> list[Any]:
    return payload if isinstance(payload, list) else [payload]


def depth_row(contract: str, row: dict[str, Any]) -> tuple[Any, ...]:
    ticks = round(row["price"] * 10**9) // instrument_of(contract).tick_nano
    return stamp_ns(row["timestamp"]), row["type"], ticks, row["volume"], row.get("currentVolume")


def read(frames: ModuleType, found: Any, kind: int) -> Any:
    """What the scanner makes of the record that `found` stands on; None when the decoder must judge."""
    if kind == frames.OTHER:
        return None
    if kind == frames.QUOTE:
        return signalr.QuoteBook().update(found.contract(), found.quote(), 5)
    if kind == frames.TRADE:
        return scanned.tape(found)
    if kind == frames.DEPTH:
        names = ("timestamp", "type", "price", "volume", "currentVolume")
        slots = [frames.slot(frames.DEPTH, name) for name in names]
        return [tuple(found.number(row, at) for at in slots) for row in range(found.rows)]
    return scanned.user_events(found)


def agrees(frames: ModuleType, data: bytes) -> int:
    """Hold the scanner against the decoder on one record; returns the kind it saw."""
    found = reader(frames, MNQ, ZN)
    kind = found.feed(data + END)
    assert found.record() == data
    value = read(frames, found, kind)
    if value is not None:
        assert value == decoded(data)  # Theirs fails the test: the scanner had an opinion
    if kind != frames.OTHER:
        assert found.next() == frames.NONE
    return kind


# -- equal values


@pytest.mark.parametrize("data", RECORDS, ids=[f"{i}" for i in range(len(RECORDS))])
def test_reads_the_shapes_of_the_hubs_like_the_decoder(frames: ModuleType, data: bytes) -> None:
    assert agrees(frames, data) > frames.OTHER
    found = reader(frames, MNQ, ZN)
    assert read(frames, found, found.feed(data + END)) is not None


@pytest.mark.parametrize("data", RECORDS, ids=[f"{i}" for i in range(len(RECORDS))])
@given(st.randoms())
def test_keeps_its_values_when_members_come_in_another_order(data: bytes, random: Any) -> None:
    def shuffled(value: Any) -> Any:
        if isinstance(value, dict) and "data" not in value:
            items = list(value.items())
            random.shuffle(items)
            return dict(items)
        if isinstance(value, dict):
            return value | {"data": shuffled(value["data"])}
        return [shuffled(one) for one in value] if isinstance(value, list) else value

    body = json.loads(data)
    moved = record(body["target"], *map(shuffled, body["arguments"]))
    for twin in TWINS.values():
        assert agrees(twin, moved) > twin.OTHER


prices = st.integers(-(10**6), 10**7).map(lambda ticks: ticks * 0.25)
texts = st.sampled_from(["F.US.MNQ", "/MNQ", "", "x" * 40])
stamps = st.builds(
    "{:04}-{:02}-{:02}T{:02}:{:02}:{:02}{}{}".format,
    st.integers(1999, 2101), st.integers(0, 13), st.integers(0, 32), st.integers(0, 24), st.integers(0, 60),
    st.integers(0, 60), st.sampled_from(["", ".5", ".527", ".5274910", ".123456789", ".1234567890", "."]),
    st.sampled_from(["Z", "+00:00", "-00:00", "-06:00", "", "+00:00 "]),
)  # fmt: skip
quotes = st.fixed_dictionaries(
    {},
    optional={
        "symbol": texts, "lastPrice": prices | st.none(), "bestBid": prices | st.none(), "bestAsk": prices,
        "change": prices, "changePercent": st.floats(-100, 100), "volume": st.integers(0, 10**19),
        "lastUpdated": stamps | st.none(), "timestamp": stamps, "novel": st.none(),
    },
)  # fmt: skip


@given(st.sampled_from([MNQ, ZN, "CON.F.US.EP.Z26", "CON.F.US.NONE.Z26"]), quotes)
def test_reads_any_quote_like_the_decoder(contract: str, quote: dict[str, Any]) -> None:
    data = record("GatewayQuote", contract, quote)
    assert agrees(frames_py, data) == agrees(frames_c, data)


@given(stamps)
@example("2000-02-29T00:00:00Z")
@example("2100-01-01T00:00:00Z")
@example("2026-02-29T00:00:00Z")
@example("2024-12-31T23:59:59.999999999+00:00")
def test_reads_any_stamp_like_the_decoder(stamp: str) -> None:
    data = record("GatewayTrade", MNQ, TAPE | {"timestamp": stamp})
    assert agrees(frames_py, data) == agrees(frames_c, data)


@given(stamps, stamps, st.integers(0, 24), st.integers(0, 255))
def test_reads_a_stamp_the_same_whatever_came_before(first: str, second: str, at: int, byte: int) -> None:
    whole = record("GatewayTrade", MNQ, TAPE | {"timestamp": second})
    place = whole.index(second.encode()) + min(at, len(second) - 1)
    damaged = whole[:place] + bytes([byte]) + whole[place + 1 :]
    before = [record("GatewayTrade", MNQ, TAPE | {"timestamp": each}) for each in (first, second)]
    for twin in TWINS.values():
        found, fresh = reader(twin, MNQ), reader(twin, MNQ)
        for each in (*before, b"{}"):
            assert found.feed(each + END) != twin.NONE and found.next() == twin.NONE
        at_stamp = twin.slot(twin.TRADE, "timestamp")
        for each in (damaged, whole):
            if END in each:
                continue
            kind = fresh.feed(each + END)
            assert found.feed(each + END) == kind
            if kind == twin.TRADE:
                assert found.number(0, at_stamp) == fresh.number(0, at_stamp)
            assert found.next() == fresh.next() == twin.NONE


@given(
    st.sampled_from([2, 3, 7, 250_000_000, 15_625_000, 10**9, 10**17, 10**18 - 1]),
    st.integers(-(10**18), 10**18),
    st.sampled_from([0, 0, 0, 1, -1]),
)
@example(2, 499_999_999_999_999_999, 0)
@example(3, 2**51 + 1, 0)
def test_a_price_is_its_ticks_exactly_or_left_to_the_decoder(tick_nano: int, ticks: int, off: int) -> None:
    nano = (ticks % (2 * 10**18 // tick_nano) - 10**18 // tick_nano) * tick_nano + off
    sign, (whole, rest) = "-" * (nano < 0), divmod(abs(nano), 10**9)
    data = (
        b'{"type":1,"target":"GatewayTrade","arguments":["%b",{"price":%b,"timestamp":"%b","volume":1}]}'
        % (
            MNQ.encode(),
            f"{sign}{whole}.{rest:09}".encode(),
            STAMP.encode(),
        )
    )
    for twin in TWINS.values():
        followed = twin.Contracts()
        followed.follow(MNQ, tick_nano)
        found = twin.Reader(followed, signalr.MAX_RECORD)
        kind = found.feed(data + END)
        assert kind == (twin.OTHER if nano % tick_nano or abs(nano) >= 10**18 else twin.TRADE)
        if kind == twin.TRADE:
            assert found.number(0, twin.slot(kind, "price")) == nano // tick_nano


def test_reads_every_day_of_the_century(frames: ModuleType) -> None:
    found, second = reader(frames, MNQ), 946_684_800
    while second < 4_102_444_800:
        stamp = scanned_stamp(second)
        assert found.feed(record("GatewayQuote", MNQ, {"timestamp": stamp}) + END) == frames.QUOTE
        assert found.quote()[3] == second * 10**9 == stamp_ns(stamp)
        assert found.next() == frames.NONE
        second += 86_400 * 9 + 3_601


def scanned_stamp(second: int) -> str:
    from app.venues.topstepx.codec.fields import stamp_text

    return stamp_text(second * 10**9)


# -- what is never read


NEVER = [
    b"",
    b'{"type":6}',
    b'{"type":3,"invocationId":"1"}',
    RECORDS[0][:-1],
    RECORDS[0] + b" ",
    RECORDS[0].replace(b'"bestBid":25012.0', b'"bestBid":25012.1'),  # off the grid
    RECORDS[0].replace(b"25012.0", b"25012.0000000001"),
    RECORDS[0].replace(b"25012.0", b"2.5e4"),
    RECORDS[0].replace(b"25012.0", b"1e400"),
    RECORDS[0].replace(b"25012.0", b"NaN"),
    RECORDS[0].replace(b"25012.0", b"-Infinity"),
    RECORDS[0].replace(b"25012.0", b"12345678901234567890"),
    RECORDS[0].replace(b"25012.0", b"025012.0"),
    RECORDS[0].replace(b"25012.0", b"25012."),
    RECORDS[0].replace(b"25012.0", b'"25012.0"'),
    RECORDS[0].replace(b"25012.0", b"[25012.0]"),
    RECORDS[0].replace(b"25012.0", b"-"),
    RECORDS[0].replace(b"1234567", b"12345678901234567890"),
    RECORDS[0].replace(b'"bestAsk"', b'"bestBid"'),  # twice
    RECORDS[0].replace(b'"bestAsk"', b'"bestask"'),
    RECORDS[0].replace(b"/MNQ", b"\\u0041"),
    RECORDS[0].replace(b"/MNQ", b"\xff\xfe"),
    RECORDS[0].replace(b"/MNQ", "é".encode()),
    RECORDS[0].replace(b"/MNQ", b"x" * 257),
    RECORDS[0].replace(b"/MNQ", b"\x00"),
    RECORDS[0].replace(b'"type":1', b'"type":1.0'),
    RECORDS[0].replace(b"Z26", b"H27"),  # not followed
    RECORDS[4].replace(b'"volume":3', b'"volume":10000001'),
    RECORDS[4].replace(b'"volume":3', b'"volume":-1'),
    RECORDS[4].replace(b'"volume":3', b'"volume":null'),
    RECORDS[4].replace(b'"volume":3', b'"volume":-0'),
    RECORDS[8].replace(b'"action":1', b'"action":3'),
    RECORDS[8].replace(b'"size":1', b'"size":10001'),
    record("GatewayQuote", MNQ, [QUOTE]),
    record("GatewayQuote", MNQ),
    record("GatewayQuote", MNQ, QUOTE, 1),
    record("GatewayTrade", MNQ, [TAPE] * 65),
    record("GatewayUserOrder", {"action": 1}),
    record("GatewayUserOrder", {"action": 1, "data": {}}),
    record("GatewayUserOrder", order_row(), order_row()),
    b"[" * 5_000,
]


@pytest.mark.parametrize("data", NEVER, ids=[f"{i}" for i in range(len(NEVER))])
def test_leaves_to_the_decoder_whatever_it_is_not_sure_of(frames: ModuleType, data: bytes) -> None:
    found = reader(frames, MNQ, ZN)
    assert found.feed(data + END + RECORDS[0] + END) == frames.OTHER
    assert found.record() == data and found.rows == 0
    assert found.next() == frames.QUOTE and found.record() == RECORDS[0]


def test_leaves_values_that_break_a_rule_to_the_decoder(frames: ModuleType) -> None:
    for target, row in (
        ("GatewayUserOrder", order_row(status=9)),
        ("GatewayUserOrder", order_row(side=2)),
        ("GatewayUserOrder", order_row(fillVolume=2)),
        ("GatewayUserOrder", order_row(limitPrice=0.1)),
        ("GatewayUserTrade", trade_row(fees=-1)),
        ("GatewayUserTrade", {"action": 2, "data": trade_row()}),
        ("GatewayUserPosition", {"action": 2, "data": position_row(size=1)}),
        ("GatewayUserPosition", position_row(type=3, size=1)),
    ):
        data = record(target, row)
        found = reader(frames)
        assert found.feed(data + END) > frames.OTHER and scanned.user_events(found) is None
        with pytest.raises(Theirs):
            decoded(data)


def test_leaves_a_product_that_is_unknown_to_the_decoder(frames: ModuleType) -> None:
    for target, row in (("Order", order_row()), ("Trade", trade_row()), ("Position", position_row())):
        found = reader(frames)
        strange = row | {"contractId": "CON.F.US.NONE.Z26"}
        assert found.feed(record(f"GatewayUser{target}", strange) + END) > frames.OTHER
        assert scanned.user_events(found) is None


def test_a_negative_zero_is_zero(frames: ModuleType) -> None:
    data = RECORDS[1].replace(b"25012.25", b"-0.00")
    assert agrees(frames, data) == frames.QUOTE


# -- mutated frames


def mutated(data: bytes, changes: list[tuple[int, int, int]]) -> bytes:
    changed = bytearray(data)
    for place, what, value in changes:
        at = place % len(changed)
        if what == 0:
            changed[at] = value
        elif what == 1:
            changed.insert(at, value)
        elif len(changed) > 1:
            del changed[at]
    return bytes(changed).replace(END, b"")


telling = st.sampled_from(list(b'0123456789-+.eE"\\,:{}[]nulltruefalse TZ \x00\x7f\xff'))
changes = st.lists(
    st.tuples(st.integers(0, 2_000), st.integers(0, 2), telling | st.integers(0, 255)), max_size=4
)


@settings(max_examples=600)
@given(st.sampled_from(RECORDS), changes)
def test_mutated_records_are_equal_or_left_to_the_decoder(
    data: bytes, how: list[tuple[int, int, int]]
) -> None:
    changed = mutated(data, how)
    assert agrees(frames_py, changed) == agrees(frames_c, changed)


@given(st.binary(max_size=200))
def test_any_bytes_at_all_are_left_to_the_decoder(data: bytes) -> None:
    clean = data.replace(END, b"")
    assert agrees(frames_py, clean) == agrees(frames_c, clean) == frames_py.OTHER


@pytest.mark.parametrize("path", sorted(CORPUS.iterdir()), ids=lambda path: path.name)
def test_replays_the_kept_corpus(path: Path) -> None:
    for data in path.read_bytes().split(END):
        assert agrees(frames_py, data) == agrees(frames_c, data)


# -- the stream


@given(st.lists(st.sampled_from([*RECORDS, b"", b'{"type":6}', b"x" * 30]), max_size=6), st.data())
def test_records_survive_any_cutting_of_the_stream(records: list[bytes], data: st.DataObject) -> None:
    stream = b"".join(one + END for one in records)
    pieces = []
    while stream:
        size = data.draw(st.integers(1, len(stream)))
        pieces.append(stream[:size])
        stream = stream[size:]
    for frames in TWINS.values():
        found, seen, kinds = reader(frames, MNQ, ZN), [], []
        for piece in pieces:
            kind = found.feed(piece)
            while kind:
                seen.append(found.record())
                kinds.append(kind)
                more = found.more
                kind = found.next()
                assert more == (kind != frames.NONE)
        assert seen == records
        assert [kind == frames.OTHER for kind in kinds] == [one not in RECORDS for one in records]


def test_refuses_a_record_without_end(frames: ModuleType) -> None:
    found = reader(frames, limit=100)
    assert found.feed(b"x" * 60) == found.feed(b"x" * 40) == frames.NONE
    with pytest.raises(OverflowError, match="a record of more than 100 bytes"):
        found.feed(b"x")


def test_refuses_a_frame_whose_positions_would_not_fit(frames: ModuleType) -> None:
    found = reader(frames, MNQ)
    with pytest.raises(OverflowError, match="a frame of"):
        found.feed(bytes(2**31))
    assert found.feed(RECORDS[0] + END) == frames.QUOTE


def test_refuses_a_frame_while_records_are_unread(frames: ModuleType) -> None:
    found = reader(frames)
    assert found.feed(b"a\x1eb\x1e") == frames.OTHER
    with pytest.raises(ValueError, match="before the last one was read"):
        found.feed(b"c\x1e")
    assert found.next() == frames.OTHER and found.record() == b"b"


def test_a_reader_on_nothing_has_nothing(frames: ModuleType) -> None:
    found = reader(frames, MNQ)
    assert found.kind == found.next() == frames.NONE and found.record() == b"" and found.rows == 0
    assert found.feed(b"") == frames.NONE
    for ask in (lambda: found.number(0, 0), lambda: found.text(0, 0), lambda: found.action(0)):
        with pytest.raises(IndexError):
            ask()
    with pytest.raises(ValueError, match="not a quote"):
        found.quote()
    assert found.feed(RECORDS[0] + END) == frames.QUOTE
    for row, at in ((-1, 0), (1, 0), (0, -1), (0, 24)):
        with pytest.raises(IndexError):
            found.number(row, at)


def test_contracts_are_bounded_and_plain(frames: ModuleType) -> None:
    contracts = frames.Contracts()
    assert [contracts.follow(f"C{index}", 1) for index in range(frames.MAX_CONTRACTS)] == [True] * 64
    assert contracts.follow("C3", 1) and not contracts.follow("C64", 1)
    for name in ('"', "\\", "é", "\n", "", "x" * 41):
        assert not frames.Contracts().follow(name, 1)
    for tick in (0, -1, 10**18):
        with pytest.raises(ValueError, match="a tick"):
            contracts.follow("C", tick)


def test_every_shape_fits_its_slots() -> None:
    assert max(len(members.split()) for _, members in shapes.TARGETS) <= frames_py._FIELDS
    for module in TWINS.values():
        names = ("lastPrice", "bestBid", "bestAsk", "lastUpdated", "timestamp")
        assert [module.slot(module.QUOTE, name) for name in names] == [2, 3, 4, 11, 12]
    assert len(reader(frames_py)._values) == frames_py.MAX_ROWS * frames_py._FIELDS

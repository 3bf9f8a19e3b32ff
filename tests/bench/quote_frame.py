"""Job `quote_frame`: a GatewayQuote frame to a typed record, one frame a call.

All read the same members into the same record: six prices in ticks, the volume, two stamps in nanoseconds;
json/v2 decodes in one pass into a typed message (prices through floats), the others by hand-written scanners
without allocation. msgspec's row is the app's own decoder, the message and then its payload: it reads three
prices and a stamp, as text that something else turns into numbers.
"""

from __future__ import annotations

import importlib
import random
from types import ModuleType
from typing import Any

from app.venues.topstepx.codec import signalr
from app.venues.topstepx.codec.fields import instrument_of, stamp_text
from native import frames_py
from tests.bench.figures import Row
from tests.bench.side_by_side import BUILT, Inside, compare, compile_c, compile_go, promise

FRAMES = 200
CONTRACT = "CON.F.US.MNQ.Z26"
HEAD = b'{"type":1,"target":"GatewayQuote","arguments":["%b",{' % CONTRACT.encode()
MEMBERS = ("lastPrice", "bestBid", "bestAsk", "open", "high", "low", "volume", "lastUpdated")


def measure() -> list[Row]:
    """One row, nanoseconds per frame."""
    frames = _frames(random.Random(20261120))
    BUILT.mkdir(parents=True, exist_ok=True)
    file = BUILT / "quote_frame.bin"
    file.write_bytes(b"".join(frames))
    scanners = {"pure": frames_py, "cython": importlib.import_module("native.frames_c")}
    inside = {name: _scanner(module, frames) for name, module in scanners.items()}
    inside["msgspec"] = _decoder(frames, inside["cython"].result())
    go = compile_go("quote_frame")
    peers = {"c": (compile_c("quote_frame"), file), "go": (go, file, "json"), "go_hand": (go, file, "hand")}
    row = compare("quote_frame", inside, peers, FRAMES)
    return [promise(promise(promise(row, "cython_ns", 300.0), "ratio_go", 0.15), "ratio_go_hand", 1.0)]


def _frames(chance: random.Random) -> list[bytes]:
    utc_ns, last = 1_795_204_133_527_491_000, 100_000
    frames = []
    for _ in range(FRAMES):
        utc_ns += chance.randrange(1_000_000, 900_000_000) // 100 * 100
        last += chance.randrange(-3, 4)
        stamp = stamp_text(utc_ns).replace("Z", "+00:00")
        price = [f"{ticks * 0.25:.2f}" for ticks in (last, last - 1, last + 1, 99_644, last + 800, 99_000)]
        members = (
            f'"symbol":"F.US.MNQ","symbolName":"/MNQ","lastPrice":{price[0]},"bestBid":{price[1]},'
            f'"bestAsk":{price[2]},"change":{(last - 99_644) / 4},'
            f'"changePercent":{(last - 99_644) / 996.44:.4f},"open":{price[3]},"high":{price[4]},'
            f'"low":{price[5]},"volume":{chance.randrange(10**6, 10**7)},'
            f'"lastUpdated":"{stamp}","timestamp":"{stamp}"'
        )
        frames.append(b"%b%b}]}\x1e" % (HEAD, members.encode()))
    return frames


def _scanner(module: ModuleType, frames: list[bytes]) -> Inside:
    contracts: Any = module.Contracts()
    contracts.follow(CONTRACT, instrument_of(CONTRACT).tick_nano)
    reader = module.Reader(contracts, signalr.MAX_RECORD)
    feed, following = reader.feed, reader.next
    quote, none = module.QUOTE, module.NONE

    def scan() -> None:
        for frame in frames:
            if feed(frame) != quote:
                raise RuntimeError("a quote was left to the decoder")
            while reader.more:
                if following() != quote:
                    raise RuntimeError("a quote was left to the decoder")

    def text(_: object) -> str:
        slots = [module.slot(quote, name) for name in MEMBERS]
        said = []
        for frame in frames:
            feed(frame)
            said.append(",".join(str(reader.number(0, at)) for at in slots) + ";")
            assert following() == none
        return "".join(said)

    return Inside(scan, text)


def _decoder(frames: list[bytes], scanned: str) -> Inside:
    """Its result is what was `scanned`, as far as it reads that; other numbers make another result."""
    records = [frame[:-1] for frame in frames]

    def decode() -> None:
        for record in records:
            arguments = signalr.decode_message(record).arguments or []
            signalr.market_contract(arguments)
            signalr._quote.decode(arguments[1])

    def text(_: object) -> str:
        book, read = signalr.QuoteBook(), []
        for record in records:
            arguments = signalr.decode_message(record).arguments or []
            quote = book.merge(signalr.market_contract(arguments), arguments[1], 0)
            read.append([quote.last_ticks, quote.bid_ticks, quote.ask_ticks, quote.utc_ns])
        rows = [list(map(int, row.split(","))) for row in scanned.split(";")[:-1]]
        return scanned if read == [[*row[:3], row[-1]] for row in rows] else str(read)

    return Inside(decode, text)

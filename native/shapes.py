"""The hub records that `native.frames` scans, as tables: targets, members in the venue's order, their types.

Data, the same for both twins, and what makes tables of it that C walks; nothing is read here. A type says
which text a member may have and what is kept of it; what does not fit makes the whole record OTHER.
"""

from __future__ import annotations

from collections.abc import Iterable

NONE, OTHER, QUOTE, TRADE, DEPTH, ORDER, FILL, POSITION, ACCOUNT = range(9)

# What a member holds. A member that may be missing may be null too.
ANY = 0  # a number, text, true, false or null that nobody reads: only its grammar counts
PRICE = 1
MONEY = 2
STAMP = 3
STRING = 4
BOOL = 5
ID = 6
ACCOUNT_ID = 7
SIZE = 8
CODE = 9
VOLUME = 10
INTEGER = 11

_TYPES = {
    "any": ANY,
    "price": PRICE,
    "money": MONEY,
    "stamp": STAMP,
    "text": STRING,
    "bool": BOOL,
    "id": ID,
    "account": ACCOUNT_ID,
    "size": SIZE,
    "code": CODE,
    "volume": VOLUME,
    "integer": INTEGER,
}
# Target, then its members in the order the venue sends them: `name:type`, `!` when it must be there.
TARGETS = (
    (
        "GatewayQuote",
        "symbol:any symbolName:any lastPrice:price bestBid:price bestAsk:price change:any changePercent:any "
        "open:price high:price low:price volume:integer lastUpdated:stamp timestamp:stamp",
    ),
    ("GatewayTrade", "symbolId:any price:price! timestamp:stamp! type:any volume:volume!"),
    (
        "GatewayDepth",
        "timestamp:stamp! type:code! price:price! volume:integer! currentVolume:integer index:any",
    ),
    (
        "GatewayUserOrder",
        "id:id! accountId:account! contractId:text! symbolId:any creationTimestamp:stamp! "
        "updateTimestamp:stamp status:code! type:code! side:code! size:size! limitPrice:price "
        "stopPrice:price fillVolume:size filledPrice:any customTag:text parentOrderId:integer "
        "linkedOrderId:integer trailDistance:any trailPrice:any",
    ),
    (
        "GatewayUserTrade",
        "id:id! accountId:account! contractId:text! creationTimestamp:stamp! price:price! "
        "profitAndLoss:money fees:money! commissions:money side:code! size:size! voided:bool orderId:id!",
    ),
    (
        "GatewayUserPosition",
        "id:any accountId:account! contractId:text! contractDisplayName:any creationTimestamp:any type:code! "
        "size:size! averagePrice:any",
    ),
    (
        "GatewayUserAccount",
        "id:account! name:text! balance:money! canTrade:bool! isVisible:any simulated:bool",
    ),
)


def line(name: bytes, *numbers: int) -> bytes:
    """One line of a table that is walked in C: the length of ``name``, two numbers, ``name``."""
    return bytes((len(name), *numbers)) + name


def _shape(members: Iterable[str]) -> bytes:
    """The members of a shape as a table: type, slot, name with its quotes and colon; a zero at the end."""
    lines = []
    for slot, member in enumerate(members):
        name, _, kind = member.rstrip("!").partition(":")
        lines.append(line(b'"%b":' % name.encode(), _TYPES[kind], slot))
    return b"".join(lines) + b"\0"


def _needed(members: Iterable[str]) -> int:
    return sum(1 << slot for slot, member in enumerate(members) if member.endswith("!"))


HEADS = (
    b"".join(
        line(b'{"type":1,"target":"%b","arguments":[' % target.encode(), kind, 0)
        for kind, (target, _) in enumerate(TARGETS, QUOTE)
    )
    + b"\0"
)
SHAPES = (b"", b"", *(_shape(members.split()) for _, members in TARGETS))
NEEDS = (0, 0, *(_needed(members.split()) for _, members in TARGETS))


def slot(kind: int, name: str) -> int:
    """Where the member ``name`` of a record of ``kind`` is kept. Raises ValueError for an unknown one."""
    members = TARGETS[kind - QUOTE][1].split()
    return [member.partition(":")[0] for member in members].index(name)

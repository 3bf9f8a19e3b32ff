"""What somebody wants: the only language in which strategies, the page, the CLI and webhooks talk to the
engine.

An Intent is a wish, not an order: the gate turns it into an order or refuses it. Prices in ticks, sizes in
contracts.
"""

from __future__ import annotations

from dataclasses import dataclass

from app.domain.orders import Bracket, OrderType, Role, Side


@dataclass(frozen=True, slots=True)
class Place:
    """Place one order. `ref` is the wisher's own name for it (unique per strategy and trading day), `oco` a
    group.
    """

    strategy: str
    contract: str
    side: Side
    size: int
    type: OrderType
    ref: str
    limit_ticks: int | None = None
    stop_ticks: int | None = None
    bracket: Bracket | None = None
    oco: str = ""
    role: Role = Role.ENTRY


@dataclass(frozen=True, slots=True)
class Modify:
    """Change the working order `tag`; None = unchanged."""

    strategy: str
    tag: str
    limit_ticks: int | None = None
    stop_ticks: int | None = None
    size: int | None = None


@dataclass(frozen=True, slots=True)
class Cancel:
    """Cancel the order `tag`."""

    strategy: str
    tag: str
    reason: str = ""


@dataclass(frozen=True, slots=True)
class Close:
    """Close the whole position of `contract` by the venue's own close call, then sweep its legs."""

    strategy: str
    contract: str
    reason: str = ""


Intent = Place | Modify | Cancel | Close

"""The request bodies of the REST API, typed as the venue binds them: unknown members are ignored, wrong
types refused.

Decimals are read from their text, so that an off-tick price is seen exactly. Pure.
"""

from __future__ import annotations

from decimal import Decimal
from typing import Annotated, Literal

import msgspec

from app.simulator.orders import Leg, Ticket

TAG_LIMIT = 256  # characters: the venue's own limit is unknown, tags of clients have under 100


class Body(msgspec.Struct, rename="camel"):
    """Root of all bodies."""


class Nothing(Body):
    """A request that needs no body; whatever comes is ignored."""


class LoginKey(Body):
    user_name: str
    api_key: str


class AccountSearch(Body):
    only_active_accounts: bool


class ContractSearch(Body):
    search_text: str
    live: bool


class ContractById(Body):
    contract_id: str


class ContractAvailable(Body):
    live: bool


class RetrieveBars(Body):
    contract_id: str
    live: bool
    start_time: str
    end_time: str
    unit: int
    unit_number: int
    limit: int
    include_partial_bar: bool


class AccountOnly(Body):
    account_id: int


class ByTime(Body):
    """Order/search and Trade/search."""

    account_id: int
    start_timestamp: str | None = None
    end_timestamp: str | None = None


class OrderId(Body):
    """Order/searchById and Order/cancel."""

    account_id: int
    order_id: int


class Filter(Body):
    account_id: int
    statuses: list[int] | None = None
    contract_id: str | None = None
    created_after: str | None = None
    created_before: str | None = None


class Query(Body):
    filter: Filter
    page_size: int | None = None
    page_offset: int | None = None
    sort_by: int | None = None
    sort_direction: int | None = None
    include_total_count: bool | None = None


class Bracket(Body):
    ticks: int
    type: int

    def leg(self) -> Leg:
        return Leg(self.ticks, self.type)


class Place(Body):
    account_id: int
    contract_id: str
    type: int
    side: Literal[0, 1]
    size: int
    limit_price: Decimal | None = None
    stop_price: Decimal | None = None
    trail_price: Decimal | None = None
    custom_tag: Annotated[str, msgspec.Meta(max_length=TAG_LIMIT)] | None = None
    stop_loss_bracket: Bracket | None = None
    take_profit_bracket: Bracket | None = None

    def ticket(self) -> Ticket:
        """The wire's side 0 buys, 1 sells."""
        return Ticket(
            self.account_id, self.contract_id, self.type, 1 if self.side == 0 else -1, self.size,
            self.limit_price, self.stop_price, self.trail_price, self.custom_tag or None,
            None if self.stop_loss_bracket is None else self.stop_loss_bracket.leg(),
            None if self.take_profit_bracket is None else self.take_profit_bracket.leg(),
        )  # fmt: skip


class Modify(Body):
    account_id: int
    order_id: int
    size: int | None = None
    limit_price: Decimal | None = None
    stop_price: Decimal | None = None
    trail_price: Decimal | None = None


class Close(Body):
    account_id: int
    contract_id: str


class PartialClose(Body):
    account_id: int
    contract_id: str
    size: int

"""What the engine knows of one account: orders, fills, positions, quotes, balance. State and look-ups, no
decisions.

Only the engine's other parts change it. Positions come in two voices that reconciliation compares: the sum of
our booked fills (`ledger`) and the venue's own word (`venue_net`).
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator

from app.domain.events import AccountReport, OrderReport, PositionReport
from app.domain.ledger import Ledger
from app.domain.market import Quote
from app.domain.orders import MANUAL, Order, OrderState, OrderType, Role
from app.domain.tags import parse

_ROLE_OF_LEG = {"SL": Role.STOP, "TP": Role.TARGET}


class Book:
    """Orders by tag and by venue id, the ledger, the last word on account, positions and quotes."""

    def __init__(self, account_id: int, tag_prefix: str) -> None:
        self.account_id = account_id
        self.tag_prefix = tag_prefix
        self.orders: dict[str, Order] = {}
        self.by_id: dict[int, Order] = {}
        self.live: dict[str, Order] = {}
        self._groups: dict[str, list[Order]] = {}  # OCO group -> its orders
        self.ledger = Ledger()
        self.account: AccountReport | None = None
        self.venue_net: dict[str, int] = {}
        self.venue_listed: frozenset[int] = frozenset()  # order ids of the last complete read
        self.quotes: dict[str, Quote] = {}
        self.venue_utc_ns = 0  # the newest stamp the venue gave a quote
        self.account_mono_ns = 0  # when the account and each position were last heard from the hub
        self.position_mono_ns: dict[str, int] = {}
        self._positions_begun_ns = 0  # when the read began whose positions were taken last
        self.synced = False  # the last complete read agreed with the ledger and nothing was lost since
        self.read_once = False  # at least one complete read since the process started
        self.heard = 0  # account events so far; a read during which it grew proves nothing about the sum

    def add(self, order: Order) -> Order:
        """Keep `order`, indexed by tag, id and liveness."""
        if order.oco and order.tag not in self.orders:
            self._groups.setdefault(order.oco, []).append(order)
        self.orders[order.tag] = order
        self.index(order)
        return order

    def forget_before(self, utc_ns: int) -> None:
        """Drop ended orders of past days from memory; the journal keeps them."""
        for order in [o for o in self.orders.values() if o.state.terminal and o.updated_ns < utc_ns]:
            del self.orders[order.tag]
            self.by_id.pop(order.venue_id, None)
            self._groups.pop(order.oco, None)

    def index(self, order: Order) -> None:
        """Refresh the indexes after a change of state or id."""
        if order.venue_id:
            self.by_id[order.venue_id] = order
        if order.state.live:
            self.live[order.tag] = order
        else:
            self.live.pop(order.tag, None)

    def take_positions(self, positions: Iterable[PositionReport], begun_mono_ns: int) -> None:
        """The positions of a read; what the hub said after the read began is newer, and so is what a read
        said that began later and ended first.
        """
        if begun_mono_ns < self._positions_begun_ns:
            return
        self._positions_begun_ns = begun_mono_ns
        listed = {p.contract: p.net for p in positions if p.net}
        newer = {c: n for c, n in self.venue_net.items() if self.position_mono_ns.get(c, 0) > begun_mono_ns}
        self.venue_net = {**listed, **newer}

    def find(self, report: OrderReport) -> Order | None:
        """Our order for the venue's report: by id, else by tag (an id may be new, a tag is ours for ever)."""
        return self.by_id.get(report.venue_id) or (self.orders.get(report.tag) if report.tag else None)

    def net(self, contract: str) -> int:
        """The position by our fills."""
        return self.ledger.net(contract)

    def positions(self) -> dict[str, int]:
        """Contract -> net by our fills, open ones only."""
        return {contract: self.ledger.net(contract) for contract in self.ledger.open_contracts()}

    def held(self, contract: str) -> int:
        """The net to protect: of our fills' word and the venue's the larger, whichever came first."""
        ours, venue = self.ledger.net(contract), self.venue_net.get(contract, 0)
        return venue if abs(venue) > abs(ours) else ours

    def disputed(self) -> list[str]:
        """Contracts whose two voices differ: a fill or a position report is still on its way, or lost."""
        return [c for c in self.exposed_contracts() if self.net(c) != self.venue_net.get(c, 0)]

    def exposed_contracts(self) -> list[str]:
        """Contracts open by either voice: what a flatten must close."""
        ours, venue = self.ledger.open_contracts(), [c for c, net in self.venue_net.items() if net]
        return sorted({*ours, *venue}) if venue else ours

    def live_orders(self, contract: str | None = None) -> Iterator[Order]:
        return (o for o in list(self.live.values()) if contract is None or o.contract == contract)

    def in_flight(self) -> list[Order]:
        """Orders the venue may have without our knowing the id."""
        return [o for o in self.live.values() if o.state in (OrderState.SENT, OrderState.UNKNOWN)]

    def siblings(self, order: Order) -> list[Order]:
        """The other orders of its OCO group, in any state."""
        return [o for o in self._groups.get(order.oco, ()) if o.tag != order.tag] if order.oco else []

    def stray_legs(self) -> frozenset[str]:
        """Tags of working bracket legs whose entry has ended and whose contract is flat by both voices."""
        open_now = set(self.exposed_contracts())
        return frozenset(
            o.tag
            for o in self.live_orders()
            if o.parent_tag
            and o.state is OrderState.WORKING
            and o.contract not in open_now
            and (o.parent_tag not in self.orders or self.orders[o.parent_tag].state.terminal)
        )

    def protected(self, contract: str) -> bool:
        """The venue has confirmed working stops, opposite to the position, for its whole size."""
        net = self.held(contract)
        if net == 0:
            return True
        stopped = 0
        for order in self.live.values():
            if order.state is OrderState.WORKING and order.contract == contract:
                stopped += _stops(order, net)
        return stopped >= abs(net)

    def adopt(self, report: OrderReport) -> Order:
        """A new order of ours from the venue's word: a bracket leg, one the journal lost, or the owner's own
        click.
        """
        tag = parse(report.tag, self.tag_prefix) if report.tag else None
        parent_tag = report.tag[: -len(tag.leg) - 1] if tag and tag.leg else ""
        parent = self.by_id.get(report.parent_id) or self.orders.get(parent_tag)
        strategy = tag.strategy if tag else parent.strategy if parent else MANUAL
        return self.add(
            Order(
                tag=report.tag or f"venue:{report.venue_id}",
                strategy=strategy,
                account_id=report.account_id,
                contract=report.contract,
                side=report.side,
                size=report.size,
                type=report.type,
                role=self._role(report, tag.leg if tag else ""),
                limit_ticks=report.limit_ticks,
                stop_ticks=report.stop_ticks,
                parent_tag=parent_tag or (parent.tag if parent else ""),
                state=OrderState.SENT,
                venue_id=report.venue_id,
                created_ns=report.created_ns,
            )
        )

    def _role(self, report: OrderReport, leg: str) -> Role:
        if leg in _ROLE_OF_LEG:
            return _ROLE_OF_LEG[leg]
        reducing = self.net(report.contract) * report.side < 0 and report.size <= abs(
            self.net(report.contract)
        )
        if reducing and not report.parent_id and report.type is OrderType.MARKET:
            return Role.EXIT
        if report.parent_id or reducing:
            return Role.STOP if report.type.is_stop else Role.TARGET
        return Role.ENTRY


def _stops(order: Order, net: int) -> int:
    """Contracts of a position of `net` that a working `order` covers as a stop."""
    covers = order.side * net < 0 and order.stop_ticks is not None and order.type.is_stop
    return order.remaining if covers else 0

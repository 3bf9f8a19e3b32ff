"""The REST endpoints as plain functions: a typed request in, the reply's members out. No HTTP here.

`ENDPOINTS` is the whole API. Every reply has the envelope `success`, `errorCode`, `errorMessage`; payload
members are null when there is nothing to show. Everything is done in one go but bars, which let the loop
breathe between sessions.
"""

from __future__ import annotations

import hmac
from collections.abc import Awaitable, Callable, Sequence
from dataclasses import dataclass
from datetime import date
from typing import Any

from app.clock import Clock
from app.simulator import history, requests
from app.simulator.accounts import Account
from app.simulator.changes import Change
from app.simulator.exchange import ACCOUNT_NOT_FOUND, Answer
from app.simulator.limits import HISTORY, REST, Budget
from app.simulator.listing import active, contract_row, find, instrument_of, search
from app.simulator.orders import Order, Status
from app.simulator.rows import Row, account_row, order_row, position_row, trade_row
from app.simulator.stamps import parse
from app.simulator.tokens import Session, Tokens
from app.simulator.world import World

PAGE_DEFAULT, PAGE_LIMIT = 100, 1_000  # orders of one page of Order/v2/query
USER_NOT_FOUND, INVALID_CREDENTIALS = 1, 3
CONTRACT_NOT_FOUND, UNIT_INVALID, UNIT_NUMBER_INVALID, LIMIT_INVALID = 1, 2, 3, 4
FOREVER_NS = 2**63 - 1

Breathe = Callable[[], Awaitable[None]]


@dataclass(slots=True)
class Login:
    """A user, the key, and the accounts that are theirs."""

    user: str
    key: str
    accounts: Sequence[int]


class Api:
    """The state the endpoints work on."""

    def __init__(
        self, world: World, clock: Clock, tokens: Tokens, logins: Sequence[Login], breathe: Breathe
    ) -> None:
        self.world, self.clock, self.tokens, self.breathe = world, clock, tokens, breathe
        self.logins = {login.user: login for login in logins}
        self.on_log_out: Callable[[Session], None] = lambda session: None

    def accounts_of(self, user: str) -> Sequence[int]:
        login = self.logins.get(user)
        return login.accounts if login is not None else ()

    def account(self, session: Session, identity: int) -> Account | None:
        return (
            self.world.exchange.accounts.get(identity) if identity in self.accounts_of(session.user) else None
        )


def envelope(code: int = 0, text: str | None = None, **payload: Any) -> Row:
    return {**payload, "success": code == 0, "errorCode": code, "errorMessage": text}


def _answer(answer: Answer, **payload: Any) -> Row:
    return envelope(answer.code, answer.text, **payload)


NO_ACCOUNT = Answer(ACCOUNT_NOT_FOUND, "Account not found.")

# -- sign-on ---------------------------------------------------------------------------------------


def login_key(api: Api, body: requests.LoginKey) -> Row:
    """The only endpoint without a token."""
    login = api.logins.get(body.user_name)
    if login is None:
        return envelope(USER_NOT_FOUND, "User not found.", token=None)
    if not hmac.compare_digest(login.key.encode(), body.api_key.encode()):
        return envelope(INVALID_CREDENTIALS, "Invalid credentials.", token=None)
    return envelope(token=api.tokens.issue(login.user, api.clock.wall_ns()))


def validate(api: Api, session: Session, body: requests.Nothing) -> Row:
    return envelope(newToken=api.tokens.issue(session.user, api.clock.wall_ns()))


def log_out(api: Api, session: Session, body: requests.Nothing) -> Row:
    api.tokens.revoke(session)
    api.on_log_out(session)
    return envelope()


# -- accounts and contracts ------------------------------------------------------------------------


def account_search(api: Api, session: Session, body: requests.AccountSearch) -> Row:
    """All accounts of the user: a locked one is still active, its `canTrade` says that it is locked."""
    accounts = [api.world.exchange.accounts[number] for number in api.accounts_of(session.user)]
    return envelope(accounts=[account_row(account) for account in accounts])


def contract_search(api: Api, session: Session, body: requests.ContractSearch) -> Row:
    found = [] if body.live else search(body.search_text, api.world.feed.symbols, _today(api))
    return envelope(contracts=found)


def contract_by_id(api: Api, session: Session, body: requests.ContractById) -> Row:
    if find(body.contract_id) is None:
        return envelope(CONTRACT_NOT_FOUND, "Contract not found.", contract=None)
    return envelope(contract=contract_row(body.contract_id, _today(api)))


def contract_available(api: Api, session: Session, body: requests.ContractAvailable) -> Row:
    today = _today(api)
    symbols = () if body.live else api.world.feed.symbols
    return envelope(contracts=[contract_row(active(symbol, today), today) for symbol in symbols])


def _today(api: Api) -> date:
    return api.world.calendar.trade_date(api.world.now_ns)


# -- bars ------------------------------------------------------------------------------------------


async def retrieve_bars(api: Api, session: Session, body: requests.RetrieveBars) -> Row:
    """Newest first. `live: true` is another subscription, which holds nothing."""
    instrument = instrument_of(body.contract_id)
    if instrument is None or instrument.symbol not in api.world.feed.symbols:
        return envelope(CONTRACT_NOT_FOUND, "Contract not found.", bars=None)
    if body.unit not in set(history.Unit):
        return envelope(UNIT_INVALID, "Invalid unit.", bars=None)
    if body.unit_number < 1:
        return envelope(UNIT_NUMBER_INVALID, "Invalid unit number.", bars=None)
    if not 1 <= body.limit <= history.LIMIT_MAX:
        return envelope(LIMIT_INVALID, f"Invalid limit. It should be 1 to {history.LIMIT_MAX}.", bars=None)
    query = history.Query(
        body.contract_id, instrument, parse(body.start_time), parse(body.end_time), history.Unit(body.unit),
        body.unit_number, body.limit, body.include_partial_bar, api.world.now_ns,
    )  # fmt: skip
    return envelope(bars=[] if body.live else await _bars(api, query))


async def _bars(api: Api, query: history.Query) -> list[Row]:
    """Session by session, newest first, until there is enough; the loop gets a turn after each."""
    found: list[history.Window] = []
    for session in history.sessions(query, api.world.calendar):
        found += history.windows(query, api.world.feed, session)
        if len(found) >= history.enough(query):
            break
        await api.breathe()
    return history.select(query, found)


# -- orders ----------------------------------------------------------------------------------------


def place(api: Api, session: Session, body: requests.Place) -> Row:
    if api.account(session, body.account_id) is None:
        return _answer(NO_ACCOUNT, orderId=None)
    api.world.follow(body.contract_id)
    answer = api.world.exchange.place(body.ticket(), api.world.now_ns)
    return _answer(answer, orderId=answer.order_id)


def modify(api: Api, session: Session, body: requests.Modify) -> Row:
    if api.account(session, body.account_id) is None:
        return _answer(NO_ACCOUNT)
    change = Change(body.size, body.limit_price, body.stop_price, body.trail_price)
    return _answer(api.world.exchange.modify(body.account_id, body.order_id, change, api.world.now_ns))


def cancel(api: Api, session: Session, body: requests.OrderId) -> Row:
    if api.account(session, body.account_id) is None:
        return _answer(NO_ACCOUNT)
    return _answer(api.world.exchange.cancel(body.account_id, body.order_id, api.world.now_ns))


def order_search(api: Api, session: Session, body: requests.ByTime) -> Row:
    """Every status but Suspended, oldest first."""
    account = api.account(session, body.account_id)
    if account is None:
        return _answer(NO_ACCOUNT, orders=None)
    start, end = _range(body.start_timestamp, body.end_timestamp)
    rows = [order_row(o) for o in _visible(account) if start <= o.created_ns <= end]
    return envelope(orders=rows)


def order_search_open(api: Api, session: Session, body: requests.AccountOnly) -> Row:
    account = api.account(session, body.account_id)
    if account is None:
        return _answer(NO_ACCOUNT, orders=None)
    return envelope(orders=[order_row(order) for order in _visible(account) if order.working])


def order_by_id(api: Api, session: Session, body: requests.OrderId) -> Row:
    account = api.account(session, body.account_id)
    order = account.orders.get(body.order_id) if account is not None else None
    if order is None:
        return envelope(1, "Order not found.", order=None)
    return envelope(order=order_row(order))


def order_query(api: Api, session: Session, body: requests.Query) -> Row:
    """The only read that shows suspended legs."""
    account = api.account(session, body.filter.account_id)
    if account is None:
        return _answer(NO_ACCOUNT, orders=None, totalCount=None)
    found = [order for order in account.orders.values() if _matches(order, body.filter)]
    found.sort(
        key=lambda o: o.id if body.sort_by == 1 else (o.created_ns, o.id), reverse=body.sort_direction == 1
    )
    first = max(0, body.page_offset or 0)
    size = max(1, min(body.page_size or PAGE_DEFAULT, PAGE_LIMIT))
    rows = [order_row(order) for order in found[first : first + size]]
    return envelope(orders=rows, totalCount=len(found) if body.include_total_count else None)


def _matches(order: Order, wanted: requests.Filter) -> bool:
    start, end = _range(wanted.created_after, wanted.created_before)
    return (
        (not wanted.statuses or order.status in wanted.statuses)
        and wanted.contract_id in (None, order.contract)
        and start <= order.created_ns <= end
    )


def _visible(account: Account) -> list[Order]:
    return [order for order in account.orders.values() if order.status is not Status.SUSPENDED]


def _range(start: str | None, end: str | None) -> tuple[int, int]:
    """An unset range is open. Raises ValueError."""
    return parse(start) if start else 0, parse(end) if end else FOREVER_NS


# -- positions and trades --------------------------------------------------------------------------


def position_search(api: Api, session: Session, body: requests.AccountOnly) -> Row:
    account = api.account(session, body.account_id)
    if account is None:
        return _answer(NO_ACCOUNT, positions=None)
    return envelope(positions=[position_row(account.id, position) for position in account.positions.values()])


def close_contract(api: Api, session: Session, body: requests.Close) -> Row:
    if api.account(session, body.account_id) is None:
        return _answer(NO_ACCOUNT)
    return _answer(api.world.exchange.close(body.account_id, body.contract_id, api.world.now_ns))


def partial_close(api: Api, session: Session, body: requests.PartialClose) -> Row:
    if api.account(session, body.account_id) is None:
        return _answer(NO_ACCOUNT)
    return _answer(api.world.exchange.close(body.account_id, body.contract_id, api.world.now_ns, body.size))


def trade_search(api: Api, session: Session, body: requests.ByTime) -> Row:
    """Newest first."""
    account = api.account(session, body.account_id)
    if account is None:
        return _answer(NO_ACCOUNT, trades=None)
    start, end = _range(body.start_timestamp, body.end_timestamp)
    rows = [trade_row(trade) for trade in reversed(account.trades) if start <= trade.created_ns <= end]
    return envelope(trades=rows)


# -- the table -------------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class Endpoint:
    """How a path is served: the body it binds, the function, the budget it is counted against."""

    body: type[requests.Body]
    run: Callable[[Api, Session, Any], Row | Awaitable[Row]]
    budget: Budget = REST


LOGIN_PATH = "/api/auth/loginkey"
PING_PATH = "/api/status/ping"
ENDPOINTS: dict[str, Endpoint] = {
    "/api/auth/validate": Endpoint(requests.Nothing, validate),
    "/api/auth/logout": Endpoint(requests.Nothing, log_out),
    "/api/account/search": Endpoint(requests.AccountSearch, account_search),
    "/api/contract/search": Endpoint(requests.ContractSearch, contract_search),
    "/api/contract/searchbyid": Endpoint(requests.ContractById, contract_by_id),
    "/api/contract/available": Endpoint(requests.ContractAvailable, contract_available),
    "/api/history/retrievebars": Endpoint(requests.RetrieveBars, retrieve_bars, HISTORY),
    "/api/order/place": Endpoint(requests.Place, place),
    "/api/order/modify": Endpoint(requests.Modify, modify),
    "/api/order/cancel": Endpoint(requests.OrderId, cancel),
    "/api/order/search": Endpoint(requests.ByTime, order_search),
    "/api/order/searchopen": Endpoint(requests.AccountOnly, order_search_open),
    "/api/order/searchbyid": Endpoint(requests.OrderId, order_by_id),
    "/api/order/v2/query": Endpoint(requests.Query, order_query),
    "/api/position/searchopen": Endpoint(requests.AccountOnly, position_search),
    "/api/position/closecontract": Endpoint(requests.Close, close_contract),
    "/api/position/partialclosecontract": Endpoint(requests.PartialClose, partial_close),
    "/api/trade/search": Endpoint(requests.ByTime, trade_search),
}

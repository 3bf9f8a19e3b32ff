"""Which contract of each wanted symbol is active, asked of the venue and checked against our own table.

A contract whose tick differs from the table is refused: every price of it would be read wrongly.
"""

from __future__ import annotations

from collections.abc import Iterable

from app.domain.instruments import Instrument, by_symbol
from app.errors import Refused, SettingsError, Theirs
from app.venues.topstepx.codec import requests
from app.venues.topstepx.codec.entities import Contract, WireContract, contract
from app.venues.topstepx.codec.fields import SOURCE, instrument_of
from app.venues.topstepx.codec.replies import ContractReply, ContractsReply, Endpoint
from app.venues.topstepx.rest import Rest


async def active_contracts(rest: Rest, symbols: Iterable[str], live: bool) -> dict[str, str]:
    """Symbol -> contract id. Raises SettingsError for a symbol that is unknown or has no active contract;
    what calls raise.
    """
    listed = _active(await _rows(rest, Endpoint.CONTRACTS, requests.available_body(live)))
    return {symbol: await _resolve(rest, symbol, listed, live) for symbol in symbols}


async def _rows(rest: Rest, endpoint: Endpoint, body: bytes) -> list[WireContract]:
    reply = await rest.call(endpoint, body, ContractsReply)
    return reply.contracts or []


async def contract_by_id(rest: Rest, contract_id: str) -> Contract:
    """One contract, expired ones too (`active` False). Raises Refused for an id the venue does not know."""
    body = requests.contract_body(contract_id)
    reply = await rest.call(Endpoint.CONTRACT_BY_ID, body, ContractReply)
    if reply.contract is None:
        raise Theirs(f"{SOURCE} {Endpoint.CONTRACT_BY_ID}", f"found {contract_id} and does not show it")
    return contract(reply.contract)


def _active(rows: Iterable[WireContract]) -> dict[str, list[Contract]]:
    """Active contracts by product; the others are not looked at, they may lack a tick."""
    found: dict[str, list[Contract]] = {}
    for row in rows:
        if row.active_contract:
            found.setdefault(row.symbol_id, []).append(contract(row))
    return found


async def _resolve(rest: Rest, symbol: str, listed: dict[str, list[Contract]], live: bool) -> str:
    instrument = _known(symbol)
    found = listed.get(instrument.symbol_id)
    if not found:  # the list may be empty on some data tiers; the search finds the same contracts
        rows = await _rows(rest, Endpoint.CONTRACT_SEARCH, requests.search_body(symbol, live))
        found = _active(rows).get(instrument.symbol_id, [])
    if not found:
        raise SettingsError("topstepx.symbols", f"{symbol} has no active contract at the venue; remove it")
    if len(found) > 1:
        raise Theirs(SOURCE, f"{len(found)} active contracts of {symbol}: {', '.join(c.id for c in found)}")
    return _checked(found[0], instrument)


def _known(symbol: str) -> Instrument:
    try:
        return by_symbol(symbol)
    except Refused:
        raise SettingsError(
            "topstepx.symbols", f"{symbol} is not a known product; write one like ES or MNQ"
        ) from None


def _checked(found: Contract, instrument: Instrument) -> str:
    same = (found.tick_nano, found.tick_value_micro) == (instrument.tick_nano, instrument.tick_value_micro)
    if not same or instrument_of(found.id) is not instrument:
        raise Theirs(SOURCE, f"{found.id}: tick or tick value differ from ours; it cannot be traded")
    return found.id

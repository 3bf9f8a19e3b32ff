"""Orders over the wire: refusals in the venue's words, and the life of a bracket."""

from __future__ import annotations

from datetime import date
from typing import Any

import pytest

from app.clock import NS
from app.simulator.accounts import KINDS
from tests.simulator.conftest import ACCOUNT, ES, MES, Bench, Make, new_york

LONG = {"stopLossBracket": {"ticks": -20, "type": 4}, "takeProfitBracket": {"ticks": 40, "type": 1}}
UNAVAILABLE = "Trading is currently unavailable. The instrument is not in an active trading status."


def stop(ticks: int, kind: int = 4) -> dict[str, Any]:
    return {"stopLossBracket": {"ticks": ticks, "type": kind}}


def target(ticks: int, kind: int = 1) -> dict[str, Any]:
    return {"takeProfitBracket": {"ticks": ticks, "type": kind}}


REFUSALS: list[tuple[dict[str, Any], str]] = [
    (stop(40), "Invalid stop loss ticks (40). Ticks should be less than zero when longing."),
    (
        {"side": 1, **stop(-40)},
        "Invalid stop loss ticks (-40). Ticks should be greater than zero when going short.",
    ),
    (target(-30), "Invalid take profit ticks (-30). Ticks should be greater than zero when longing."),
    (
        {"side": 1, **target(30)},
        "Invalid take profit ticks (30). Ticks should be less than zero when going short.",
    ),
    (stop(-3), "Stop loss tick value should be at least 4 ticks"),
    (stop(0), "Stop loss tick value should be at least 4 ticks"),
    (stop(-20, kind=1), "Invalid stop loss type (Limit)"),
    (target(20, kind=4), "Invalid take profit type (Stop)"),
    ({"type": 1}, "Invalid price"),
    ({"type": 1, "limitPrice": 5000.1}, "Price is not aligned to tick size."),
    ({"type": 1, "limitPrice": 1e300}, "Price is not aligned to tick size."),
    ({"type": 4}, "Invalid stop price"),
    ({"type": 4, "stopPrice": 9000.13}, "Price is not aligned to tick size."),
    ({"type": 4, "stopPrice": 1000}, "Invalid stop price"),
    ({"type": 4, "side": 1, "stopPrice": 9000}, "Invalid stop price"),
    ({"type": 5, "side": 1, "trailPrice": 1000}, "Invalid stop price"),
    ({"type": 3, "stopPrice": 9000, "limitPrice": 9000}, "Invalid order type (StopLimit)"),
    ({"type": 99}, "Invalid order type (99)"),
    ({"size": 0}, "Invalid order size (0)"),
    ({"size": 6}, "max position size of 5 contracts"),
    ({"contractId": "CON.F.US.EP.H27"}, UNAVAILABLE),
    ({"contractId": "CON.F.US.EP.U26"}, UNAVAILABLE),
]


@pytest.mark.parametrize(("order", "text"), REFUSALS)
async def test_rejects_with_the_venues_words_and_leaves_a_record(
    bench: Bench, order: dict[str, Any], text: str
) -> None:
    answer = await bench.place(**order, customTag="burnt")
    assert answer["errorCode"] == 2
    assert text.lower() in answer["errorMessage"].lower()
    records = await bench.orders()
    assert [(o["id"], o["status"], o["customTag"]) for o in records] == [(answer["orderId"], 5, "burnt")]
    assert (await bench.post("/api/Order/searchOpen", accountId=ACCOUNT))["orders"] == []


@pytest.mark.parametrize(
    "order", [stop(-4), target(1), {"type": 4, "stopPrice": 9000}, {"size": 5}, stop(-20, kind=5)]
)
async def test_accepts_what_is_just_inside_the_limits(bench: Bench, order: dict[str, Any]) -> None:
    assert (await bench.place(**order))["success"]


async def test_rejects_unknown_contracts_and_sides_without_a_record(bench: Bench) -> None:
    assert (await bench.place(contractId="CON.F.US.XX.Z26"))["errorCode"] == 8
    assert (
        await bench.raw(
            "/api/Order/place", {"accountId": ACCOUNT, "contractId": ES, "type": 2, "side": 2, "size": 1}
        )
    )[0] == 400
    assert await bench.orders() == []


async def test_a_tag_stays_burnt_after_a_fill_and_after_a_rejection(bench: Bench) -> None:
    assert (await bench.place(customTag="once"))["success"]
    assert (await bench.place(customTag="bad", size=0))["errorCode"] == 2
    for tag in ("once", "bad"):
        again = await bench.place(customTag=tag)
        assert (again["errorCode"], again["orderId"]) == (2, None)
        assert "custom tag already in use" in again["errorMessage"]


async def test_position_brackets_refuse_native_brackets_only(bench_at: Make) -> None:
    bench = await bench_at(auto_oco=False)
    answer = await bench.place(**LONG)
    assert (
        answer["errorMessage"]
        == "Brackets cannot be used with Position Brackets. You must enable Auto OCO Brackets."
    )
    assert (await bench.place())["success"]


async def test_market_bracket_tells_its_life_in_the_captured_order(bench: Bench) -> None:
    hub = await bench.user_hub()
    entry = (await bench.place(**LONG, customTag="x"))["orderId"]
    await hub.until(
        lambda r: "GatewayUserOrder" in str(r) and '"status": 1' in _text(r) and "x-TP" in _text(r)
    )
    told = [(target, a[0]["action"], a[0]["data"]) for target, a in hub.events()]
    assert [(target, data.get("id"), data.get("status")) for target, _, data in told] == [
        ("GatewayUserOrder", entry, 6),
        ("GatewayUserOrder", entry + 1, 8),
        ("GatewayUserOrder", entry + 2, 8),
        ("GatewayUserOrder", entry, 2),
        ("GatewayUserTrade", 90000001, None),
        ("GatewayUserPosition", 500001, None),
        ("GatewayUserAccount", ACCOUNT, None),
        ("GatewayUserOrder", entry + 1, 1),
        ("GatewayUserOrder", entry + 2, 1),
    ]
    assert [action for _, action, _ in told] == [1, 1, 1, 1, 0, 1, 1, 1, 1]
    orders = [data for target, _, data in told if target == "GatewayUserOrder"]
    assert len({order["creationTimestamp"] for order in orders}) == 1
    suspended_stop, suspended_target = orders[1], orders[2]
    assert (suspended_stop["customTag"], suspended_stop["trailDistance"], suspended_stop["trailPrice"]) == (
        "x-SL",
        -20,
        5.0,
    )
    assert (suspended_target["customTag"], suspended_target["linkedOrderId"]) == ("x-TP", entry + 1)
    assert "linkedOrderId" not in suspended_stop
    assert "stopPrice" not in suspended_stop
    assert {suspended_stop["parentOrderId"], suspended_target["parentOrderId"]} == {entry}
    fill = told[4][2]["price"]
    assert (orders[-2]["stopPrice"], orders[-1]["limitPrice"]) == (fill - 5, fill + 10)
    assert not any(None in data.values() for _, _, data in told)


def _text(record: dict[str, Any]) -> str:
    import json

    return json.dumps(record)


async def test_one_leg_filled_cancels_the_other_and_closes_the_position(bench: Bench) -> None:
    hub = await bench.user_hub()
    await bench.place(**stop(-8), **target(8), customTag="x")
    for _ in range(600):
        bench.clock.advance(NS)
        if not await_position(bench):
            break
    end = await hub.until(lambda r: r["arguments"][0]["action"] == 2)
    assert (end["arguments"][0]["data"]["type"], end["arguments"][0]["data"]["size"]) == (0, 0)
    legs = (await bench.orders())[1:]
    assert sorted(leg["status"] for leg in legs) == [2, 3]


def await_position(bench: Bench) -> bool:
    return bool(bench.simulator.exchange.accounts[ACCOUNT].positions)


async def test_cancelling_an_entry_cancels_its_suspended_legs(bench: Bench) -> None:
    entry = (await bench.place(type=4, stopPrice=9000, **LONG))["orderId"]
    cancel = {"accountId": ACCOUNT, "orderId": entry}
    assert (await bench.post("/api/Order/cancel", **cancel))["success"]
    assert [order["status"] for order in await bench.orders()] == [3, 3, 3]
    assert (await bench.post("/api/Order/cancel", **cancel))["errorCode"] == 3
    assert (await bench.post("/api/Order/cancel", accountId=ACCOUNT, orderId=1))["errorCode"] == 2


@pytest.mark.parametrize(("orphans", "left"), [(True, [1, 1]), (False, [3, 3])])
async def test_legs_outlive_a_closed_position_unless_told_otherwise(
    bench_at: Make, orphans: bool, left: list[int]
) -> None:
    bench = await bench_at(orphan_legs=orphans)
    await bench.place(**LONG)
    assert (await bench.post("/api/Position/closeContract", accountId=ACCOUNT, contractId=ES))["success"]
    assert await bench.positions() == []
    assert [order["status"] for order in await bench.orders() if "parentOrderId" in order] == left


async def test_modifies_a_working_leg_and_refuses_bad_changes(bench: Bench) -> None:
    entry = (await bench.place(**LONG))["orderId"]
    level = (await bench.orders())[1]["stopPrice"]
    modify = "/api/Order/modify"
    assert (await bench.post(modify, accountId=ACCOUNT, orderId=entry + 1, stopPrice=level + 1))["success"]
    assert (await bench.orders())[1]["stopPrice"] == level + 1
    for bad in (
        {"stopPrice": level + 0.1},
        {"stopPrice": 9000},
        {"limitPrice": 5000},
        {"trailPrice": 1},
        {"size": 0},
    ):
        assert (await bench.post(modify, accountId=ACCOUNT, orderId=entry + 1, **bad))["errorCode"] == 3, bad
    assert (await bench.orders())[1]["stopPrice"] == level + 1
    assert (await bench.post(modify, accountId=ACCOUNT, orderId=entry, size=2))["errorCode"] == 3
    assert (await bench.post(modify, accountId=ACCOUNT, orderId=5, size=2))["errorCode"] == 2


async def test_trailing_stop_shows_its_distance_and_only_tightens(bench: Bench) -> None:
    await bench.place()
    last = bench.simulator.exchange.book.touch[ES].price / 4
    trail = (await bench.place(type=5, side=1, trailPrice=last - 2))["orderId"]
    levels = []
    for _ in range(60):
        bench.clock.advance(NS)
        order = bench.simulator.exchange.accounts[ACCOUNT].orders[trail]
        levels.append(order.stop_ticks or 0)
    row = next(order for order in await bench.orders() if order["id"] == trail)
    assert (row["trailDistance"], row["trailPrice"]) == (-8, 2.0)
    assert levels == sorted(levels)


async def test_joins_become_limits_at_the_touch(bench: Bench) -> None:
    await bench.place(type=6)
    await bench.place(type=7, side=1)
    touch = bench.simulator.exchange.book.touch[ES]
    limits = [(order["type"], order["limitPrice"]) for order in await bench.orders()]
    assert limits == [(1, touch.bid / 4), (1, touch.ask / 4)]


@pytest.mark.parametrize(
    "at", ["16:30", "17:30"]
)  # 15:30 Chicago is the venue's pause, 16:30 the exchange's too
async def test_refuses_orders_and_closes_outside_the_session(bench_at: Make, at: str) -> None:
    bench = await bench_at(at)
    assert (await bench.place())["errorMessage"] == UNAVAILABLE
    assert (await bench.place(type=1, limitPrice=5000))["errorMessage"] == UNAVAILABLE


async def test_takes_no_entry_in_the_last_two_minutes_but_closes(bench_at: Make) -> None:
    bench = await bench_at("16:07")
    assert (await bench.place())["success"]
    bench.clock.advance(90 * NS)
    assert (await bench.place())["errorMessage"] == UNAVAILABLE
    assert (await bench.place(side=1, size=1))["success"]
    assert await bench.positions() == []


async def test_venue_flattens_before_1510_chicago_and_expires_orders(bench_at: Make) -> None:
    bench = await bench_at("16:07")
    await bench.place(**stop(-400))
    await bench.place(type=1, limitPrice=5000)
    bench.clock.advance_to(new_york(date(2026, 11, 18), "16:09") + 49 * NS)
    assert len(await bench.positions()) == 1
    bench.clock.advance(2 * NS)
    assert await bench.positions() == []
    bench.clock.advance(10 * NS)
    assert [order["status"] for order in await bench.orders()] == [2, 3, 3, 2]
    assert (await bench.place())["errorMessage"] == UNAVAILABLE


async def test_resting_orders_expire_with_the_session(bench_at: Make) -> None:
    bench = await bench_at("16:09")
    await bench.post("/api/Account/search", onlyActiveAccounts=True)
    assert (await bench.place(type=1, limitPrice=5000))["errorMessage"] == UNAVAILABLE
    bench = await bench_at("16:07")
    await bench.place(type=4, stopPrice=9000, **LONG)
    bench.clock.advance(200 * NS)
    assert [order["status"] for order in await bench.orders()] == [4, 3, 3]


async def test_daily_loss_limit_closes_everything_and_locks_until_the_next_session(bench_at: Make) -> None:
    bench = await bench_at("16:05")
    hub = await bench.user_hub()
    account = bench.simulator.exchange.accounts[ACCOUNT]
    account.day_balance_micro += 999_000_000
    assert (await bench.place(type=1, limitPrice=5000, contractId=MES))["success"]
    assert (await bench.place())["success"]  # its fee and the spread are more than the dollar that is left
    told = await hub.until(
        lambda r: r["target"] == "GatewayUserAccount" and not r["arguments"][0]["data"]["canTrade"]
    )
    assert told["arguments"][0]["data"]["id"] == ACCOUNT
    assert await bench.positions() == []
    assert (await bench.post("/api/Order/searchOpen", accountId=ACCOUNT))["orders"] == []
    assert "daily loss" in (await bench.place())["errorMessage"]
    bench.clock.advance_to(new_york(date(2026, 11, 18), "18:00"))
    await hub.until(lambda r: r["target"] == "GatewayUserAccount" and r["arguments"][0]["data"]["canTrade"])
    assert (await bench.place())["success"]


async def test_maximum_loss_limit_locks_for_good(bench_at: Make) -> None:
    bench = await bench_at("16:05")
    account = bench.simulator.exchange.accounts[ACCOUNT]
    account.floor_micro = account.balance_micro - 1_000_000
    await bench.place()
    assert account.locked == "maximum loss limit"
    bench.clock.advance_to(new_york(date(2026, 11, 18), "18:01"))
    assert "maximum loss" in (await bench.place())["errorMessage"]


def test_floor_trails_the_end_of_day_and_stops_at_the_start() -> None:
    from app.simulator.accounts import Account

    account, floors = Account(1, "x", KINDS["50k"]), []
    for balance in (50_800, 51_500, 50_900, 52_400, 50_100):
        account.balance_micro = balance * 1_000_000
        account.roll_day()
        floors.append(account.floor_micro // 1_000_000)
    assert floors == [48_800, 49_500, 49_500, 50_000, 50_000]


async def test_micros_count_a_tenth_and_working_entries_count_too(bench: Bench) -> None:
    assert (await bench.place(size=4))["success"]
    assert (await bench.place(contractId=MES, type=1, limitPrice=5000, size=10))["success"]
    assert "max position" in (await bench.place(contractId=MES))["errorMessage"]
    assert (await bench.place(side=1, size=4))["success"]


async def test_latches_two_pairs_of_legs_for_two_entries(bench: Bench) -> None:
    for tag in ("a", "b"):
        await bench.place(customTag=tag, **LONG)
    await bench.post("/api/Position/partialCloseContract", accountId=ACCOUNT, contractId=ES, size=1)
    legs = [order for order in await bench.orders() if "parentOrderId" in order]
    assert [(leg["customTag"], leg["size"], leg["status"]) for leg in legs] == [
        ("a-SL", 1, 1), ("a-TP", 1, 1), ("b-SL", 1, 1), ("b-TP", 1, 1),
    ]  # fmt: skip


CORN = "CON.F.US.ZCE.Z26"


@pytest.mark.parametrize(("contract", "before", "after"), [(CORN, "14:04", "14:06"), (ES, "16:04", "16:10")])
async def test_each_product_is_flat_before_its_own_close(
    bench_at: Make, contract: str, before: str, after: str
) -> None:
    bench = await bench_at("14:00" if contract == CORN else "16:00")
    bench.clock.advance_to(new_york(date(2026, 11, 18), before) - 120 * NS)
    assert (await bench.place(contractId=contract))["success"]
    bench.clock.advance_to(new_york(date(2026, 11, 18), before))
    assert len(await bench.positions()) == 1
    bench.clock.advance_to(new_york(date(2026, 11, 18), after))
    assert await bench.positions() == []


async def test_an_early_close_ends_the_day_before_noon_chicago(bench_at: Make) -> None:
    day = date(2026, 11, 27)
    bench = await bench_at("12:42", day=day)
    assert (await bench.place())["success"]
    bench.clock.advance_to(new_york(day, "12:45"))
    assert await bench.positions() == []
    assert (await bench.place())["errorMessage"] == UNAVAILABLE


async def test_a_contract_that_rolls_overnight_stops_trading(bench_at: Make) -> None:
    """Equity products roll on the Monday of their expiry week."""
    bench = await bench_at("16:58", day=date(2026, 9, 11))
    hub = await bench.hub("market")
    old, new = "CON.F.US.EP.U26", "CON.F.US.EP.Z26"
    for contract in (old, new):
        await hub.call("SubscribeContractQuotes", contract)
    bench.simulator.time.change(utc_ns=new_york(date(2026, 9, 13), "18:01"))
    bench.clock.advance(NS)
    assert (await bench.place(contractId=old))["errorMessage"] == UNAVAILABLE
    assert (await bench.place(contractId=new))["success"]
    assert set(bench.simulator.world._watched) == {new}

"""Answers as text for a terminal. Pure: a dict in, lines out. JSON is the contract, this is for eyes."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from datetime import UTC, datetime
from typing import Any

from app.engine.snapshot import BoardView, GoalView, ReasonView, StorageView, UpdateView
from app.web import words

Row = Mapping[str, Any]
NS = 1_000_000_000


def lines(command: str, answer: Row) -> str:
    """The text of `answer` to `command`."""
    shown: dict[str, Callable[[Row], str]] = {
        "status": _status,
        "orders": lambda a: _table(a["orders"], ORDER_COLUMNS, "no orders"),
        "positions": lambda a: _table(a["positions"], POSITION_COLUMNS, "flat"),
        "trades": lambda a: _table(a["trades"], TRADE_COLUMNS, "no trades yet"),
    }
    text = shown.get(command, _done)(answer)
    return (
        text
        if answer.get("service", True)
        else f"no service is running; this is what its journal says\n{text}"
    )


def _status(answer: Row) -> str:
    if "safe" in answer:
        text = [
            f"{answer['title'].upper()}: nothing is traded",
            f"  because {answer['safe']}",
            answer["advice"],
        ]
        return "\n".join([*text, answer["known"], *(f"  {line}" for line in answer["lines"])])
    view = answer.get("snapshot")
    return _offline(answer) if view is None else "\n".join(filter(None, _online(view)))


def _online(view: Row) -> list[str]:
    account, today, goal = view["account"], view["today"], view["goal"]
    text = [f"{view['state'].upper()}  ({view['mode']}, {'armed' if view['armed'] else 'not armed'})"]
    text += [f"  because {_reason(reason)}" for reason in view["reasons"]]
    if goal["goal"] != "none":
        text.append(f"  goal {goal['goal']}: {words.pursuit(GoalView(**goal))}")
    text.append("link    " + ("up" if view["link_up"] else f"down {words.once(view['link_detail'])}"))
    text.append("journal " + (view["journal"] or "ok"))
    text.append("switch  " + words.switch(view["panel"], BoardView(**view["board"])))
    if account:
        text.append(f"account {account['name']}: balance {account['balance']}, equity {account['equity']}, ")
        text[-1] += f"{account['floor_distance'] or 'unknown'} above the floor"
    if today:
        text.append(
            f"today   net {today['net'] or 'unknown'} (gross {today['gross']}, fees {today['fees']}, "
        )
        text[-1] += f"unrealised {today['unrealised'] or 'unknown'})"
    held = ", ".join(f"{position['net']:+d} {position['symbol']}" for position in view["positions"])
    text.append(f"held    {held or 'flat'}")
    text.append(f"native  {words.twins(view['native'])}")
    if said := words.storage(StorageView(**view["storage"])):
        text.append(f"disk    {said}")
    if said := words.update(UpdateView(**view["update"])):
        text.append(f"update  {said}")
    if not view["link_up"] or not view["synced"]:
        text.append("these figures are last known: the venue does not confirm them now")
    return text


def _offline(answer: Row) -> str:
    armed = "armed" if answer["armed"] else "not armed"
    text = [armed, *(f"  because {reason['code']} {reason['detail']}" for reason in answer["reasons"])]
    held = ", ".join(f"{position['net']:+d} {position['contract']}" for position in answer["positions"])
    text.append(f"held by the books: {held or 'flat'}")
    text += [f"native.{name} will run on its pure twin" for name in answer["native_exceptions"]]
    return "\n".join(text)


def _reason(reason: Row) -> str:
    return words.because(ReasonView(**reason))


def _done(answer: Row) -> str:
    if answer.get("rearmed") is False:
        return "rearm: re-arming; see plimsoll status"
    goal = answer.get("goal") or {}
    pending = f", goal {goal['goal']} pending" if goal.get("pending") else ""
    done = "armed" if answer.get("rearmed") else "done"
    text = [f"{answer['done']}: {done}; {str(answer.get('state', '')).upper()}{pending}"]
    text += [f"  because {_reason(reason)}" for reason in answer.get("reasons", ())]
    if answer.get("journal"):
        text.append(f"  not written to disk: {answer['journal']}")
    return "\n".join(text)


def _time(row: Row, key: str) -> str:
    return datetime.fromtimestamp(row[key] // NS, UTC).strftime("%Y-%m-%d %H:%M:%S")


def _price(row: Row) -> str:
    return row["stop"] or row["limit"] or ("market" if row["type"] == "market" else "")


Column = tuple[str, Callable[[Row], Any]]


def _of(key: str) -> Callable[[Row], Any]:
    """The cell of `key`, empty where the row does not know it."""
    return lambda row: row.get(key, "")


ORDER_COLUMNS: tuple[Column, ...] = (
    ("time (UTC)", lambda row: _time(row, "created_ns")),
    ("strategy", _of("strategy")),
    ("contract", _of("contract")),
    ("side", _of("side")),
    ("filled", lambda row: f"{row['filled']}/{row['size']}"),
    ("type", _of("type")),
    ("role", _of("role")),
    ("price", _price),
    ("state", _of("state")),
    ("reason", _of("reason")),
)
POSITION_COLUMNS: tuple[Column, ...] = (
    ("contract", _of("contract")),
    ("net", lambda row: f"{row['net']:+d}"),
    ("average", _of("average")),
    ("unrealised", _of("unrealised")),
    ("stop at venue", _of("stop")),
    ("target", _of("target")),
)
TRADE_COLUMNS: tuple[Column, ...] = (
    ("time (UTC)", lambda row: _time(row, "utc_ns")),
    ("strategy", _of("strategy")),
    ("contract", _of("contract")),
    ("side", _of("side")),
    ("size", _of("size")),
    ("price", _of("price")),
    ("fees", _of("fees")),
    ("gross", _of("gross")),
    ("", lambda row: "voided" if row["voided"] else ""),
)


def _table(rows: Sequence[Row], columns: Sequence[Column], empty: str) -> str:
    if not rows:
        return empty
    cells = [[name for name, _ in columns], *([str(value(row)) for _, value in columns] for row in rows)]
    widths = [max(len(line[i]) for line in cells) for i in range(len(columns))]
    return "\n".join("  ".join(map(str.ljust, line, widths)).rstrip() for line in cells)

"""The page as text: one snapshot in, named pieces of HTML out. Pure: no request, no clock, no file.

The same pieces make the first paint and the live stream, so that nothing is drawn twice in two languages. A
*slot* is a section that changes when something happens; a *cell* lies inside a slot and changes with the
price. The stream sends only what changed, and a moving price costs a few dozen bytes. Every text from outside
goes through `_text`.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from decimal import Decimal
from html import escape

from app.engine.snapshot import (
    AccountView,
    FeedView,
    OrderView,
    PositionView,
    Snapshot,
    StorageView,
    StrategyLine,
    UpdateView,
)
from app.web import chart, words

ORDERS_SHOWN = 14  # of the snapshot's 50: what fits one screen beside the rest
EVENTS_SHOWN = 14
LIVE_STATES = frozenset({"pending", "sent", "unknown", "suspended", "working"})
UNKNOWN = '<span class="none">unknown</span>'


@dataclass(slots=True)
class Parts:
    """`slots` and `cells` map a name to HTML, `flags` are plain words for style sheet and script."""

    slots: dict[str, str] = field(default_factory=dict)
    cells: dict[str, str] = field(default_factory=dict)
    flags: dict[str, str] = field(default_factory=dict)

    def cell(self, name: str, html: str) -> str:
        """Register a cell and return its place in the slot."""
        self.cells[name] = html
        return f'<span data-c="{_text(name)}"></span>'

    def changed(self, old: Parts) -> dict[str, dict[str, str]]:
        """What a reader of `old` needs, keyed s, c, f as the script expects; {} when nothing."""
        pairs = {"s": (self.slots, old.slots), "c": (self.cells, old.cells), "f": (self.flags, old.flags)}
        news = {key: {k: v for k, v in new.items() if seen.get(k) != v} for key, (new, seen) in pairs.items()}
        return {key: changes for key, changes in news.items() if changes}


def fill(template: str, parts: Parts) -> str:
    """The whole page: slots and cells set into `template`, flags as data attributes of the body."""
    filled = re.sub(r'data-s="(\w+)">', lambda m: m[0] + parts.slots.get(m[1], ""), template)
    filled = re.sub(r'data-c="([^"]+)">', lambda m: m[0] + parts.cells.get(m[1], ""), filled)
    flags = "".join(f' data-{name}="{_text(value)}"' for name, value in parts.flags.items())
    return filled.replace("<body", "<body" + flags, 1)


def sound(view: Snapshot) -> bool:
    """Whether the venue is there and its word agrees with the books: else everything is as last known."""
    return view.link_up and view.synced


def render(view: Snapshot, history: Mapping[str, Sequence[float]], confirmed_ns: int = 0) -> Parts:
    """Everything on the page. `history` holds recent last prices by symbol for the picture.

    `confirmed_ns` is the market time of the newest picture that was `sound`, 0 = none yet.
    """
    parts = Parts()
    parts.flags = _flags(view)
    since = "" if sound(view) else _last_known(confirmed_ns)
    parts.slots = {
        "top": _top(parts, view),
        "state": _state(view),
        "today": _today(parts, view) + since,
        "account": _account(parts, view.account),
        "feeds": "".join(_feed(parts, feed) for feed in view.feeds) or _nothing("no market data asked for"),
        "chart": _chart(view, history),
        "strategies": "".join(_strategy(s) for s in view.strategies) or _nothing("no strategy is configured"),
        "positions": _positions(parts, view) + since,
        "orders": _orders(view.orders),
        "events": _events(view),
        "foot": _foot(view),
    }
    return parts


def render_locked(view: Snapshot) -> Parts:
    """What anybody may see while a password is set: the trading state, as `/healthz` tells it too."""
    state = f'<h1 class="state" id="state">{_text(words.STATES.get(view.state, view.state))}</h1>'
    return Parts(slots={"state": state}, flags=_flags(view))


def _flags(view: Snapshot) -> dict[str, str]:
    codes = {reason.code for reason in view.reasons}
    return {
        "state": view.state,
        "goal": view.goal.goal,
        "pending": "yes" if view.goal.pending else "no",
        "stopped": "yes" if codes & {"halt", "flatten", "switch", "not_armed"} else "no",
        "flattened": "yes" if "flatten" in codes else "no",
        "known": "now" if sound(view) else "before",
        "unwritten": view.journal,
        "version": view.version,
    }


def _top(parts: Parts, view: Snapshot) -> str:
    mode = "" if view.mode == "live" else f'<span class="chip">{_text(view.mode)}</span>'
    label = "New York" if view.clock == "system" else "New York, simulated"
    clock = parts.cell("clock", _text(words.day_and_time(view.utc_ns)))
    return f'{mode}<span class="clock num">{clock} <small>{label}</small></span>'


def _state(view: Snapshot) -> str:
    reasons = "".join(f"<li>because {_text(words.because(r))}</li>" for r in view.reasons)
    doing = words.pursuit(view.goal)
    name = words.STATES.get(view.state, view.state)
    calm = "<li>strategies may open positions within the limits</li>" if not reasons else ""
    return f'<h1 class="state" id="state">{_text(name)}</h1><ul class="why">{reasons or calm}</ul>' + (
        f'<p class="pursuit">{_text(doing)}</p>' if doing else ""
    )


def _today(parts: Parts, view: Snapshot) -> str:
    today = view.today
    if today is None:
        return f'<p class="big">{UNKNOWN}</p><p class="sub">today\'s fills are still being read</p>'
    rows = (
        ("gross", _pnl(today.gross)),
        ("fees", _money(_negated(today.fees))),
        ("realised", _pnl(str(Decimal(today.gross) - Decimal(today.fees)))),
        ("unrealised", _pnl(today.unrealised)),
    )
    facts = _facts((name, parts.cell(f"t.{name}", html)) for name, html in rows)
    counts = _count(today.trades, "closed trade")
    counts += f", {_count(today.contracts, 'contract')}" if today.contracts else ""
    net = parts.cell("t.net", _pnl(today.net))
    return f'<p class="big num">{net}</p>{facts}<p class="sub">{counts} on {_text(today.trade_date)}</p>'


def _account(parts: Parts, account: AccountView | None) -> str:
    if account is None:
        return _nothing("the account has not been read yet")
    barred = "" if account.can_trade else ' <span class="chip bad">may not trade</span>'
    equity = parts.cell("a.equity", _money(account.equity))
    distance = parts.cell("a.distance", _money(account.floor_distance))
    daily = f"of {_money(account.daily_limit)}" if account.daily_limit else "none on this account"
    facts = (("balance", _money(account.balance)), ("equity", equity), ("above the floor", distance))
    return (
        f'<p class="name">{_text(account.name)}{barred}</p>{_facts(facts)}'
        + _gauge("daily loss", daily, account.daily_loss_used)
        + _gauge("maximum loss", f"floor {_money(account.floor)}", account.maximum_loss_used)
    )


def _gauge(name: str, limit: str, used: int) -> str:
    """How deep the account is loaded: a bar with marks at 75 % (alarm) and 90 % (reducing)."""
    used = max(0, min(100, used))
    level = "bad" if used >= 90 else "warn" if used >= 75 else "good"
    return (
        f'<div class="gauge {level}"><p><span>{name}</span> <small>{limit}</small> '
        f'<b class="num">{used} %</b></p>'
        f'<svg width="100%" height="10" role="img" aria-label="{name}: {used} % used">'
        '<rect class="track" width="100%" height="6" y="2" rx="3"/>'
        f'<rect class="used" width="{used}%" height="6" y="2" rx="3"/>'
        '<line x1="75%" x2="75%" y1="0" y2="10"/><line x1="90%" x2="90%" y1="0" y2="10"/></svg></div>'
    )


def _feed(parts: Parts, feed: FeedView) -> str:
    key = f"f.{feed.symbol}"
    last = parts.cell(key, _price(feed.last))
    spread = parts.cell(key + ".ba", f"{_price(feed.bid)} × {_price(feed.ask)}")
    aged = parts.cell(key + ".age", words.age(feed.age_ms))
    stale = " stale" if feed.stale else ""
    return (
        f'<p class="feed num{stale}"><b>{_text(feed.symbol)}</b> <span class="last">{last}</span>'
        f'<small class="spread">{spread}</small><small class="age">{aged}</small></p>'
    )


def _chart(view: Snapshot, history: Mapping[str, Sequence[float]]) -> str:
    symbol = next((s.symbol for s in view.strategies), next((f.symbol for f in view.feeds), ""))
    picture = chart.draw(history.get(symbol, ()), _levels(view, symbol))
    return picture or _nothing("the picture starts with the first prices")


def _levels(view: Snapshot, symbol: str) -> list[chart.Level]:
    levels: list[tuple[str, str, str]] = []
    for strategy in (s for s in view.strategies if s.symbol == symbol):
        levels += [
            ("range", f"range {k}", strategy.facts[k]) for k in ("high", "low") if strategy.facts.get(k)
        ]
    for position in (p for p in view.positions if p.symbol == symbol):
        levels.append(("average", "average entry", position.average))
    for order in (o for o in view.orders if o.symbol == symbol and o.state in LIVE_STATES):
        levels.append((order.role, f"{order.role} {order.side}", order.stop or order.limit))
    return [
        chart.Level(kind, name, float(text), _price(text)) for kind, name, text in levels if _is_number(text)
    ]


def _strategy(line: StrategyLine) -> str:
    shown = {name: value for name, value in line.facts.items() if value and name not in ("phase", "why")}
    facts = _facts((name.replace("_", " "), _fact(value)) for name, value in shown.items())
    contract = f'<p class="sub id">{_text(line.contract)}</p>'
    phase = f'<span class="chip">{_text(line.facts["phase"])}</span>' if line.facts.get("phase") else ""
    why = f'<p class="sub">{_text(line.facts["why"])}</p>' if line.facts.get("why") else ""
    waiting = "" if line.ready else '<span class="chip">not ready</span>'
    return (
        f'<article><p class="name">{_text(line.name.replace("_", " "))} <small>{_text(line.symbol)}</small>'
        f"{phase}{waiting}"
        f'<span class="right num">{_pnl(line.net_today)} '
        f"<small>realised, {_count(line.trades_today, 'closed trade')}</small></span></p>"
        f"{why}{facts}{contract}</article>"
    )


def _positions(parts: Parts, view: Snapshot) -> str:
    now = sound(view)
    return "".join(_position(parts, p, now) for p in view.positions) or _nothing("flat")


def _last_known(confirmed_ns: int) -> str:
    """The line below figures that the venue does not confirm at this moment."""
    when = words.time_of_day(confirmed_ns) if confirmed_ns else "never since the start"
    return f'<p class="sub known">last known, not as of now: last confirmed {when}</p>'


def _position(parts: Parts, position: PositionView, now: bool) -> str:
    """`now` False: the venue is away, so its stop is a memory and not a fact."""
    side, mark = ("long", "buy") if position.net > 0 else ("short", "sell")
    unrealised = parts.cell(f"p.{position.contract}", _pnl(position.unrealised))
    if position.stop:
        mood, place = ("good", "at the venue") if now else ("old", "when last confirmed")
        stop = f'<span class="chip {mood}">stop {_price(position.stop)} {place}</span>'
    else:
        stop = f'<span class="chip bad">no stop {"at the venue" if now else "when last confirmed"}</span>'
    target = f'<span class="chip">target {_price(position.target)}</span>' if position.target else ""
    owners = ", ".join(f"{name.replace('_', ' ')} {size:+d}" for name, size in position.by_strategy.items())
    return (
        f'<article class="position"><p class="name"><b class="{mark}">{side} {abs(position.net)}</b> '
        f'{_text(position.symbol)} <small class="num">at {_price(position.average)}</small>'
        f'<span class="right num">{unrealised}</span></p><p class="chips num">{stop}{target}</p>'
        f'<p class="sub">{_text(owners)}</p></article>'
    )


def _orders(orders: Sequence[OrderView]) -> str:
    rows = "".join(_order(order) for order in orders[:ORDERS_SHOWN])
    more = (
        f'<p class="sub">and {len(orders) - ORDERS_SHOWN} more: plimsoll orders</p>'
        if len(orders) > ORDERS_SHOWN
        else ""
    )
    head = "<tr><th>time</th><th>order</th><th>price</th><th>for</th><th>state</th></tr>"
    return (
        f"<table><thead>{head}</thead><tbody>{rows}</tbody></table>{more}"
        if rows
        else _nothing("no orders today")
    )


def _order(order: OrderView) -> str:
    none = "market" if order.type == "market" else "—"
    price = " / ".join(_price(p) for p in (order.stop, order.limit) if p) or none
    done = f" {order.filled}/{order.size}" if order.filled and order.filled != order.size else ""
    live = "live" if order.state in LIVE_STATES else "past"
    reason = f' title="{_text(order.reason)}"' if order.reason else ""
    return (
        f'<tr class="{live}"><td class="num when">{words.time_of_day(order.created_ns)}</td>'
        f'<td><b class="{_text(order.side)}">{_text(order.side)} {order.size}</b> {_text(order.symbol)}'
        f' <small>{_text(order.type.replace("_", " "))}</small></td><td class="num">{price}</td>'
        f"<td>{_text(order.role)} <small>{_text(order.strategy.replace('_', ' '))}</small></td>"
        f'<td{reason}><span class="chip s-{_text(order.state)}">{_text(order.state)}{done}</span></td></tr>'
    )


def _events(view: Snapshot) -> str:
    rows = "".join(
        f'<li class="{_text(event.level)}"><time class="num">{words.time_of_day(event.utc_ns)}</time>'
        f"<span>{_text(event.text)}</span></li>"
        for event in view.events[:EVENTS_SHOWN]
    )
    return f"<ol>{rows}</ol>" if rows else _nothing("nothing yet")


def _foot(view: Snapshot) -> str:
    journal = f'<b class="bad">cannot be written: {_text(view.journal)}</b>' if view.journal else "written"
    link = "connected" if view.link_up else f'<b class="bad">down {_text(words.once(view.link_detail))}</b>'
    switch = _text(words.switch(view.panel, view.board))
    facts: Iterable[tuple[str, str]] = (
        ("venue", link),
        ("books", "agree with the venue" if view.synced else '<b class="bad">not compared yet</b>'),
        ("journal", journal),
        ("switch", switch),
        ("session", "open" if view.session_open else "closed"),
        ("compiled modules", _twins(view)),
        ("version", _text(view.version)),
        *((("disk", _storage(view.storage)),) if words.storage(view.storage) else ()),
        *((("update", _update(view.update)),) if words.update(view.update) else ()),
    )
    return "".join(f"<span><i>{name}</i> {value}</span>" for name, value in facts)


def _storage(disk: StorageView) -> str:
    """The disk; loud where it needs attention."""
    text = _text(words.storage(disk))
    return f'<b class="bad">{text}</b>' if disk.troubles else text


def _update(update: UpdateView) -> str:
    """What the updater does; loud where a release did not stay, or cannot come."""
    text = _text(words.update(update))
    return f'<b class="bad">{text}</b>' if (update.failed or update.waits) and not update.doing else text


def _twins(view: Snapshot) -> str:
    """How they run; loud where one differed from its pure twin, which runs in its place."""
    text = _text(words.twins(view.native))
    return f'<b class="bad">{text}</b>' if "exception" in text else text


def _facts(pairs: Iterable[tuple[str, str]]) -> str:
    """Names with their values; the values are HTML already."""
    rows = "".join(f"<div><dt>{_text(name)}</dt><dd>{html}</dd></div>" for name, html in pairs)
    return f'<dl class="facts num">{rows}</dl>'


def _fact(value: str) -> str:
    """A strategy's number as it is, an average cut to two places."""
    long = _is_number(value) and len(value.partition(".")[2]) > 4
    return _price(f"{Decimal(value):.2f}" if long else value)


def _nothing(text: str) -> str:
    return f'<p class="none">{_text(text)}</p>'


def _count(number: int, word: str) -> str:
    return f"{number} {word}{'' if number == 1 else 's'}"


def _is_number(text: str) -> bool:
    return bool(re.fullmatch(r"-?\d{1,12}(\.\d{1,9})?", text))


def _price(text: str) -> str:
    """Grouped by thousands with the digits it came with; an em dash when there is none."""
    if not _is_number(text):
        return _text(text) or "—"
    whole, point, digits = text.partition(".")
    return f"{int(whole):,}{point}{digits}"


def _money(text: str) -> str:
    """Two places, grouped, with a true minus sign."""
    return _amount(text, "") if _is_number(text) else UNKNOWN


def _pnl(text: str) -> str:
    """Money with its sign and colour."""
    if not _is_number(text):
        return UNKNOWN
    sign = "neg" if text.startswith("-") else "pos" if Decimal(text) else "zero"
    return f'<b class="{sign}">{_amount(text, "+" if sign == "pos" else "")}</b>'


def _amount(text: str, plus: str) -> str:
    value = f"{abs(Decimal(text)):,.2f}"
    minus = text.startswith("-") and value.strip("0.,") != ""
    return ("\u2212" if minus else plus) + value


def _negated(text: str) -> str:
    return text.removeprefix("-") if text.startswith("-") else f"-{text}" if text.strip("0.") else text


def _text(text: object) -> str:
    return escape(str(text), quote=True)

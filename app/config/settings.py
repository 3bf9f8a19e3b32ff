"""Every setting there is: one struct a section, every key with its type, unit, bounds and default.

Only shapes and the rules that bind one key to another (`check`) live here; `loading` reads them.
Defaults are the safe choice: simulate, loopback, no strategy, no resume, a bracket on every entry.
`systemd/plimsoll.toml` documents each key for the owner; a test holds the two equal.
"""

from __future__ import annotations

from collections.abc import Iterator
from decimal import Decimal
from ipaddress import ip_address
from pathlib import Path
from typing import Annotated, Any, Literal, TypeAlias
from urllib.parse import SplitResult, urlsplit

from msgspec import Meta, Struct

from app.errors import SettingsError

LIVE_WORDS = "I accept"  # what `live` must say, letter by letter, before real money moves
SIMULATOR = "127.0.0.1:8090"  # where `plimsoll simulate` listens unless told otherwise
DAY_MINUTES = 24 * 60
MOST_ACCOUNT_ID = 2**31 - 1  # the venue's ids are 32-bit


def _integer(low: int, high: int, unit: str) -> Any:
    return Meta(ge=low, le=high, description=unit)


def _decimal(low: str, high: str, unit: str) -> Any:
    """Bounds of an exact decimal. msgspec has none for Decimal, so `loading` holds them."""
    return Meta(description=unit, extra={"ge": Decimal(low), "le": Decimal(high)})


Symbol: TypeAlias = Annotated[
    str, Meta(pattern=r"^[A-Z0-9]{1,6}\Z", description="exchange ticker such as ES")
]
Url: TypeAlias = Annotated[
    str, Meta(min_length=1, max_length=300, description="URL without user, query or fragment")
]
TimeOfDay: TypeAlias = Annotated[
    str, Meta(pattern=r"^([01][0-9]|2[0-3]):[0-5][0-9]\Z", description="time of day as HH:MM")
]
HostName: TypeAlias = Annotated[
    str, Meta(pattern=r"^[A-Za-z0-9.:\[\]-]{1,253}\Z", description="host name or address")
]
Contracts: TypeAlias = Annotated[int, Meta(ge=0, le=1_000, description="contracts")]
Twin: TypeAlias = Literal["compiled", "shadow", "pure"]
Points: TypeAlias = Annotated[Decimal, _decimal("0", "100000", "points of the price; 0 = off")]


class _Section(Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """A table of the settings file."""


class TopstepX(_Section, frozen=True):
    """`[topstepx]`: the venue. `accounts` empty in simulate or shadow = the first account the venue shows."""

    rest_url: Url = f"http://{SIMULATOR}"
    user_hub_url: Url = f"http://{SIMULATOR}/hubs/user"
    market_hub_url: Url = f"http://{SIMULATOR}/hubs/market"
    user_name: Annotated[str, Meta(max_length=100, description="login name")] = ""
    api_key_file: Path = Path("/etc/plimsoll/credentials/topstepx.key")
    accounts: Annotated[
        tuple[Annotated[int, Meta(ge=1, le=MOST_ACCOUNT_ID, description="account number")], ...],
        Meta(max_length=20),
    ] = ()
    symbols: Annotated[tuple[Symbol, ...], Meta(min_length=1, max_length=10)] = ("ES",)
    pool_limit: Annotated[int, _integer(2, 100, "connections")] = 100
    tag_prefix: Annotated[
        str, Meta(pattern=r"^[A-Za-z0-9][A-Za-z0-9._-]{0,31}\Z", description="letters, digits, . _ -")
    ] = "Plimsoll-v1.0"
    live_data: bool = False
    skip_negotiation: bool = True


class Risk(_Section, frozen=True):
    """`[risk]`: the owner's limits. What belongs to the account (loss limits, size) is in its own file."""

    max_contracts: dict[Symbol, Contracts] = {}
    default_max_contracts: Contracts = 1
    max_order_contracts: Annotated[int, _integer(1, 1_000, "contracts of one order")] = 10
    collar_ticks: Annotated[int, _integer(1, 10_000, "ticks from the market")] = 400
    max_quote_age_ms: Annotated[int, _integer(50, 60_000, "milliseconds")] = 2_000
    approval_life_ms: Annotated[int, _integer(10, 5_000, "milliseconds")] = 500
    orders_per_minute: Annotated[int, _integer(1, 160, "orders a minute")] = 30
    orders_per_day: Annotated[int, _integer(1, 100_000, "orders a trading day")] = 500
    duplicate_window_ms: Annotated[int, _integer(100, 3_600_000, "milliseconds")] = 10_000
    alarm_percent: Annotated[int, _integer(1, 100, "percent of a loss limit")] = 75
    reducing_percent: Annotated[int, _integer(1, 100, "percent of a loss limit")] = 90
    slippage_reserve_ticks: Annotated[int, _integer(0, 1_000, "ticks for each open contract")] = 4
    stop_deadline_ms: Annotated[int, _integer(100, 60_000, "milliseconds")] = 2_000
    min_bracket_ticks: Annotated[int, _integer(4, 1_000, "ticks")] = 4
    require_bracket: bool = True


class OvernightRange(_Section, frozen=True):
    """`[strategy.overnight_range]`. Decimals are exact; every `0 = off` is the default."""

    enabled: bool = False
    symbol: Symbol = "ES"
    contracts: Annotated[int, _integer(1, 1_000, "contracts")] = 1
    range_start: TimeOfDay = "18:00"
    range_end: TimeOfDay = "09:30"
    window_end: TimeOfDay = "15:45"
    grace_minutes: Annotated[int, _integer(0, 60, "minutes after range_end")] = 5
    minimum_bars: Annotated[int, _integer(1, DAY_MINUTES, "one-minute bars")] = 10
    atr_bars: Annotated[int, _integer(2, 200, "bars")] = 14
    atr_minutes: Annotated[int, _integer(1, 60, "minutes")] = 5
    stop_atr: Annotated[Decimal, _decimal("0.05", "20", "multiples of the ATR")] = Decimal("1.25")
    target_atr: Annotated[Decimal, _decimal("0.05", "50", "multiples of the ATR")] = Decimal("2")
    entry_offset_ticks: Annotated[int, _integer(0, 1_000, "ticks beyond the range")] = 1
    zones: bool = False
    zone_inner: Annotated[Decimal, _decimal("0.01", "5", "fraction of half the daily ATR")] = Decimal("0.5")
    zone_outer: Annotated[Decimal, _decimal("0.01", "5", "fraction of half the daily ATR")] = Decimal("0.618")
    use_daily_atr: bool = False
    daily_atr_days: Annotated[int, _integer(2, 40, "trading days")] = 14
    range_min_points: Points = Decimal(0)
    range_max_points: Points = Decimal(0)
    gap_max_points: Points = Decimal(0)
    atr_min_points: Points = Decimal(0)
    atr_max_points: Points = Decimal(0)
    breakeven_points: Points = Decimal(0)
    breakeven_offset_ticks: Annotated[int, _integer(0, 1_000, "ticks in favour of the position")] = 0


class Strategies(_Section, frozen=True):
    """`[strategy.*]`: one table a strategy."""

    overnight_range: OvernightRange = OvernightRange()


class Web(_Section, frozen=True):
    """`[web]`: the page. Who binds another host than loopback checks that a password is set."""

    host: HostName = "127.0.0.1"
    port: Annotated[int, _integer(0, 65_535, "TCP port; 0 = any free one")] = 8080
    allowed_hosts: Annotated[tuple[HostName, ...], Meta(max_length=20)] = ()


class OnTrip(_Section, frozen=True):
    """`[board.on_trip]`: what the switch makes each desk do."""

    futures: Literal["flat", "no_entries"] = "flat"


class Board(_Section, frozen=True):
    """`[board]`: the kill switch. `required` False lets the software stand-in take its place."""

    required: bool = True
    mode: Literal["owner", "guest", "serial", "virtual"] = "owner"
    device: Path = Path("/dev/ttyHS1")
    baud: Annotated[int, _integer(57_600, 1_000_000, "bits a second")] = 115_200
    router: Path = Path("/var/run/arduino-router.sock")
    link_flatten_after_s: Annotated[int, _integer(1, 3_600, "seconds of silence")] = 30
    resume: bool = False
    leds: bool = True
    on_trip: OnTrip = OnTrip()


class Notify(_Section, frozen=True):
    """`[notify]`: who is told when nobody looks. Without a url nobody is; a token_file may be missing."""

    url: Annotated[str, Meta(max_length=300, description='https URL, or "" for nobody')] = ""
    token_file: Path = Path("/etc/plimsoll/notify.token")


class Backup(_Section, frozen=True):
    """`[backup]`: with a passphrase_file every backup is sealed. `plimsoll backup` reads it, nothing else."""

    passphrase_file: Annotated[str, Meta(max_length=300, description='path, or "" for none')] = ""


class Update(_Section, frozen=True):
    """`[update]`: where releases come from. The updater reads it, the service only checks it."""

    url: Annotated[str, Meta(max_length=300, description='https URL of a repository, or "" for none')] = ""
    automatic: bool = False
    root_file: Annotated[str, Meta(max_length=300, description='path, or "" for the release\'s own')] = ""


class Native(_Section, frozen=True):
    """`[native]`: how each compiled module runs; `native.modes` says which can be in shadow."""

    fanout: Twin = "compiled"
    fixed: Twin = "compiled"
    frames: Twin = "compiled"
    gate: Twin = "compiled"
    indicators: Twin = "compiled"
    market: Twin = "compiled"
    matching: Twin = "compiled"
    minutes: Twin = "compiled"
    orders: Twin = "compiled"
    sequences: Twin = "compiled"
    wire: Twin = "compiled"
    shadow_every: Annotated[int, _integer(1, 1_000_000, "calls of a module in shadow")] = 1_000


class Settings(_Section, frozen=True):
    """The whole file. Paths are absolute once loaded."""

    mode: Literal["simulate", "shadow", "live"] = "simulate"
    live: Annotated[str, Meta(max_length=40, description=f'"" or "{LIVE_WORDS}"')] = ""
    dev: bool = False
    clock: Literal["system", "simulator"] = "system"
    data_dir: Path = Path("/var/lib/plimsoll")
    account_file: Path = Path("/etc/plimsoll/account.toml")
    topstepx: TopstepX = TopstepX()
    risk: Risk = Risk()
    strategy: Strategies = Strategies()
    web: Web = Web()
    board: Board = Board()
    notify: Notify = Notify()
    backup: Backup = Backup()
    update: Update = Update()
    native: Native = Native()

    def check(self) -> None:
        """Check the rules that bind one key to another. Raises SettingsError for the first that is broken."""
        for rule in (_urls, _mode, _accounts, _risk, _strategy, _board, _notify, _update, _native):
            rule(self)


def is_loopback(host: str) -> bool:
    """Whether only this machine can reach `host` (a name or address without a port)."""
    if host.lower() == "localhost":
        return True
    try:
        return ip_address(host.strip("[]")).is_loopback
    except ValueError:
        return False


def _venue_urls(settings: Settings) -> Iterator[tuple[str, SplitResult]]:
    for name in ("rest_url", "user_hub_url", "market_hub_url"):
        key = f"topstepx.{name}"
        try:
            url = urlsplit(getattr(settings.topstepx, name))
            if url.hostname and (url.port is None or url.port):
                yield key, url
                continue
        except ValueError:
            pass
        raise SettingsError(key, "is not a URL; write it like https://api.topstepx.com")


def _urls(settings: Settings) -> None:
    for key, url in _venue_urls(settings):
        schemes = ("http", "https") if key.endswith("rest_url") else ("http", "https", "ws", "wss")
        if url.scheme not in schemes:
            raise SettingsError(
                key, f"begins with {url.scheme or 'nothing'}://, allowed: {', '.join(schemes)}"
            )
        if url.username is not None or url.password is not None or url.query or url.fragment:
            raise SettingsError(key, "holds a user, a query or a fragment; secrets belong in api_key_file")
        if url.scheme in ("http", "ws") and not is_loopback(url.hostname or ""):
            raise SettingsError(
                key, f"{url.hostname} without encryption; use https or wss beyond this machine"
            )


def _mode(settings: Settings) -> None:
    outside = next((key for key, url in _venue_urls(settings) if not is_loopback(url.hostname or "")), "")
    if outside and settings.mode == "simulate":
        raise SettingsError(
            outside, 'mode = "simulate" talks to this machine only; write a 127.0.0.1 URL or change mode'
        )
    if outside and settings.clock == "simulator":
        raise SettingsError("clock", f'"simulator" needs every venue URL on this machine, {outside} is not')
    if settings.mode == "live" and settings.live != LIVE_WORDS:
        raise SettingsError(
            "live", f'mode = "live" trades real money; write live = "{LIVE_WORDS}" if you mean it'
        )
    if settings.live not in ("", LIVE_WORDS):
        raise SettingsError("live", f'must be "" or "{LIVE_WORDS}"')


def _accounts(settings: Settings) -> None:
    accounts, symbols = settings.topstepx.accounts, settings.topstepx.symbols
    if settings.mode == "live" and not accounts:
        raise SettingsError(
            "topstepx.accounts", 'mode = "live" needs the account numbers to trade, as [12345]'
        )
    for key, values in (("topstepx.accounts", accounts), ("topstepx.symbols", symbols)):
        if len(set(values)) != len(values):
            raise SettingsError(key, "names something twice")
    if "-strategy-" in settings.topstepx.tag_prefix:
        raise SettingsError("topstepx.tag_prefix", 'must not contain "-strategy-", which ends it in a tag')


def _risk(settings: Settings) -> None:
    risk = settings.risk
    if risk.alarm_percent > risk.reducing_percent:
        raise SettingsError(
            "risk.alarm_percent", f"{risk.alarm_percent} is above reducing_percent {risk.reducing_percent}"
        )


def _strategy(settings: Settings) -> None:
    key, own = "strategy.overnight_range", settings.strategy.overnight_range
    if own.zone_outer < own.zone_inner:
        raise SettingsError(f"{key}.zone_outer", f"{own.zone_outer} is below zone_inner {own.zone_inner}")
    for name in ("range", "atr"):
        low, high = getattr(own, f"{name}_min_points"), getattr(own, f"{name}_max_points")
        if high and low > high:
            raise SettingsError(f"{key}.{name}_min_points", f"{low} is above {name}_max_points {high}")
    if not own.range_end < own.window_end:
        raise SettingsError(f"{key}.window_end", f"{own.window_end} is not after range_end {own.range_end}")
    if own.range_start == own.range_end:
        raise SettingsError(f"{key}.range_start", f"{own.range_start} is range_end too: the range is empty")
    if own.enabled and own.symbol not in settings.topstepx.symbols:
        raise SettingsError(f"{key}.symbol", f"{own.symbol} is not in topstepx.symbols; add it there")


def _board(settings: Settings) -> None:
    if settings.mode == "live" and settings.board.required and settings.board.mode == "virtual":
        raise SettingsError(
            "board.mode",
            '"virtual" is a board in software, which protects no real money; connect one, '
            "or write board.required = false to trade without a switch",
        )


def _notify(settings: Settings) -> None:
    check_notify(settings.notify)


def check_notify(notify: Notify) -> None:
    """Raises SettingsError for a URL to which no message should go."""
    example = "https://ntfy.sh/a-topic-only-you-know"
    _outside("notify.url", notify.url, example, "a token belongs in notify.token_file")


def _update(settings: Settings) -> None:
    _outside("update.url", settings.update.url, "https://example.org/plimsoll", "releases need no secret")


def _outside(key: str, text: str, example: str, hint: str) -> None:
    """A URL beyond this machine is encrypted and holds no secret; "" is none."""
    if not text:
        return
    try:
        url = urlsplit(text)
        known = url.hostname and (url.port is None or url.port) and url.scheme in ("http", "https")
        (url.hostname or "").encode("idna")  # as whoever connects does
    except ValueError:
        known = False
    if not known or not text.isascii() or not text.isprintable() or " " in text:
        raise SettingsError(key, f"is not a URL; write it like {example}")
    if url.username is not None or url.password is not None or url.fragment:
        raise SettingsError(key, f"holds a user or a fragment; {hint}")
    if url.scheme == "http" and not is_loopback(url.hostname or ""):
        raise SettingsError(key, f"{url.hostname} without encryption; use https beyond this machine")


def _native(settings: Settings) -> None:
    for name in settings.native.__struct_fields__:
        if getattr(settings.native, name) == "pure" and not settings.dev:
            raise SettingsError(f"native.{name}", '"pure" is for development and needs dev = true')

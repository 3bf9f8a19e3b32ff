"""Settings: every mistake is one line that names the key, what was found and what is allowed."""

from __future__ import annotations

from decimal import Decimal
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from app.config import Settings, is_loopback, load, load_file
from app.config.loading import FILE_LIMIT
from app.errors import SettingsError

BASE = Path("/etc/plimsoll")
NIGHT = "[strategy.overnight_range]\n"
REAL = """[topstepx]
rest_url = "https://api.topstepx.com"
user_hub_url = "https://rtc.topstepx.com/hubs/user"
market_hub_url = "wss://rtc.topstepx.com/hubs/market"
"""


def problem(text: str) -> str:
    with pytest.raises(SettingsError) as error:
        load(text, BASE)
    assert error.value.exit_code == 2
    return str(error.value).removeprefix("setting ")


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("prot = 1", "prot; is unknown; known here: mode, live, dev, "),
        ("[web]\nprot = 1", "web.prot; is unknown; did you mean port?"),
        (NIGHT + "stop_atrs = 1", "strategy.overnight_range.stop_atrs; is unknown; did you mean stop_atr?"),
        ("[strategy.mean_reversion]", "strategy.mean_reversion; is unknown; "),
        ('mode = "real"', 'mode; found "real", allowed: "live" or "shadow" or "simulate"'),
        ("dev = 1", "dev; found 1, allowed: true or false"),
        ("web = 1", "web; found 1, allowed: a table"),
        ("[web]\nport = true", "web.port; found true, allowed: a whole number from 0 to 65535 (TCP port; "),
        ("[web]\nport = 80.0", "web.port; found 80.0, allowed: a whole number from 0 to 65535"),
        ('[web]\nport = "80"', 'web.port; found "80", allowed: a whole number'),
        ("[web]\nhost = 'a b'", 'web.host; found "a b", allowed: a text in quotes (host name or address)'),
        ("data_dir = 1", "data_dir; found 1, allowed: a path in quotes"),
        ("data_dir = ''", 'data_dir; found "", allowed: a path in quotes'),
        ("[topstepx]\nsymbols = []", "topstepx.symbols; found [], allowed: a list of 1 to 10, each a text"),
        ("[topstepx]\nsymbols = ['ES', 'nq']", 'topstepx.symbols[1]; found "nq", allowed: a text in quotes'),
        ("[topstepx]\naccounts = [1, 1]", "topstepx.accounts; names something twice"),
        (
            "[risk.max_contracts]\nES = 1\nNQ = -1",
            "risk.max_contracts.NQ; found -1, allowed: a whole number from 0",
        ),
        (
            "[risk.max_contracts]\nes = 1",
            "risk.max_contracts.es; the name must be a text in quotes (exchange",
        ),
        (
            NIGHT + "stop_atr = nan",
            "strategy.overnight_range.stop_atr; found NaN, allowed: a number from 0.05 to 20",
        ),
        (
            NIGHT + "stop_atr = 1e9",
            "strategy.overnight_range.stop_atr; found 1E+9, allowed: a number from 0.05",
        ),
        (
            NIGHT + "stop_atr = 'x'",
            'strategy.overnight_range.stop_atr; found "x", allowed: a number from 0.05',
        ),
        (
            NIGHT + "stop_atr = 1.0000001",
            "strategy.overnight_range.stop_atr; found 1.0000001, allowed: at most 6",
        ),
        (
            NIGHT + "range_end = '9:30'",
            'strategy.overnight_range.range_end; found "9:30", allowed: a text in quotes',
        ),
        ("x", "file; is not TOML: "),
        ("x = 1e99999999999999999999", "file; is not TOML: "),
        ("[risk]\nalarm_percent = 91", "risk.alarm_percent; 91 is above reducing_percent 90"),
        (NIGHT + "zone_inner = 0.7", "strategy.overnight_range.zone_outer; 0.618 is below zone_inner 0.7"),
        (
            NIGHT + "range_min_points = 2\nrange_max_points = 1",
            "strategy.overnight_range.range_min_points; 2 is above",
        ),
        (
            NIGHT + "window_end = '09:30'",
            "strategy.overnight_range.window_end; 09:30 is not after range_end 09:30",
        ),
        (NIGHT + "range_start = '09:30'", "strategy.overnight_range.range_start; 09:30 is range_end too"),
        (
            NIGHT + "enabled = true\nsymbol = 'NQ'",
            "strategy.overnight_range.symbol; NQ is not in topstepx.symbols",
        ),
        ("[native]\nmarket = 'pure'", 'native.market; "pure" is for development and needs dev = true'),
        ("[native]\nmarket = 'fast'", "native.market; "),
        ("[native]\nshadow_every = 0", "native.shadow_every; "),
        ("[topstepx]\ntag_prefix = 'a-strategy-b'", "topstepx.tag_prefix; must not contain"),
        ('[topstepx]\ntag_prefix = "a\\n"', "topstepx.tag_prefix; found"),
        (
            "[topstepx]\nrest_url = 'ws://127.0.0.1'",
            "topstepx.rest_url; begins with ws://, allowed: http, https",
        ),
        ("[topstepx]\nrest_url = 'http://'", "topstepx.rest_url; is not a URL; write it like https://"),
        ("[topstepx]\nrest_url = 'http://127.0.0.1:99999'", "topstepx.rest_url; is not a URL"),
        ("[topstepx]\nrest_url = 'http://u:p@127.0.0.1'", "topstepx.rest_url; holds a user"),
        ("mode = 'live'", 'live; mode = "live" trades real money; write live = "I accept" if you mean it'),
        ("mode = 'live'\nlive = 'i accept'", "live; "),
        ("live = 'yes'", 'live; must be "" or "I accept"'),
        ("mode = 'live'\nlive = 'I accept'", 'topstepx.accounts; mode = "live" needs the account numbers'),
        (REAL, 'topstepx.rest_url; mode = "simulate" talks to this machine only'),
        (
            "mode = 'shadow'\nclock = 'simulator'\n" + REAL,
            'clock; "simulator" needs every venue URL on this machine',
        ),
        (
            "mode = 'shadow'\n" + REAL.replace("https://api", "http://api"),
            "topstepx.rest_url; api.topstepx.com without",
        ),
    ],
)
def test_names_the_key_and_what_is_allowed(text: str, message: str) -> None:
    assert problem(text).startswith(message)


def test_accepts_the_real_venue_only_when_told_so() -> None:
    assert load("mode = 'shadow'\n" + REAL, BASE).mode == "shadow"
    live = load("mode = 'live'\nlive = 'I accept'\n" + REAL + "accounts = [1234567]\n", BASE)
    assert live.topstepx.accounts == (1234567,)


@pytest.mark.parametrize("text", ["1.25", '"1.25"', "1.250000"])
def test_reads_decimals_exactly_from_numbers_and_texts(text: str) -> None:
    settings = load(f"{NIGHT}stop_atr = {text}\ntarget_atr = 3", BASE)
    assert settings.strategy.overnight_range.stop_atr == Decimal("1.25")
    assert settings.strategy.overnight_range.target_atr == Decimal(3)


def test_takes_relative_paths_from_the_folder_of_the_file(tmp_path: Path) -> None:
    file = tmp_path / "plimsoll.toml"
    file.write_text("data_dir = 'data'\naccount_file = '/a/b.toml'\n")
    settings = load_file(file)
    assert (settings.data_dir, settings.account_file) == (tmp_path / "data", Path("/a/b.toml"))


@pytest.mark.parametrize(
    ("content", "message"),
    [
        (b"\xff", "is not UTF-8 text"),
        (b"#" * (FILE_LIMIT + 1), "is longer than"),
        (None, "cannot be read: No such file"),
    ],
)
def test_refuses_a_file_it_cannot_read(tmp_path: Path, content: bytes | None, message: str) -> None:
    file = tmp_path / "plimsoll.toml"
    if content is not None:
        file.write_bytes(content)
    with pytest.raises(SettingsError, match=message):
        load_file(file)


def test_says_what_to_do_where_the_file_is_not_for_you(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def closed(*_: object) -> None:
        raise PermissionError(13, "Permission denied")

    monkeypatch.setattr(Path, "open", closed)
    with pytest.raises(SettingsError, match="you may not read it: use sudo"):
        load_file(tmp_path / "plimsoll.toml")


BOUNDED = [
    ("risk", name, low, high)
    for name, low, high in [
        ("default_max_contracts", 0, 1_000),
        ("max_order_contracts", 1, 1_000),
        ("collar_ticks", 1, 10_000),
        ("max_quote_age_ms", 50, 60_000),
        ("approval_life_ms", 10, 5_000),
        ("orders_per_minute", 1, 160),
        ("orders_per_day", 1, 100_000),
        ("duplicate_window_ms", 100, 3_600_000),
        ("reducing_percent", 1, 100),
        ("slippage_reserve_ticks", 0, 1_000),
        ("stop_deadline_ms", 100, 60_000),
        ("min_bracket_ticks", 4, 1_000),
    ]
]


@pytest.mark.parametrize(("section", "name", "low", "high"), BOUNDED)
def test_holds_each_bound_from_both_sides(section: str, name: str, low: int, high: int) -> None:
    for value in (low, high):
        document = f"[{section}]\nalarm_percent = 1\n{name} = {value}"
        assert getattr(load(document, BASE).risk, name) == value
    for value in (low - 1, high + 1):
        assert problem(f"[{section}]\n{name} = {value}").startswith(
            f"{section}.{name}; found {value}, allowed: "
        )


@pytest.mark.parametrize("host", ["127.0.0.1", "127.9.9.9", "::1", "[::1]", "localhost", "LOCALHOST"])
def test_knows_what_only_this_machine_can_reach(host: str) -> None:
    assert is_loopback(host)


@pytest.mark.parametrize(
    "host", ["", "0.0.0.0", "::", "10.0.0.1", "127.0.0.1.evil.example", "localhost.evil", "[", "127.1"]
)
def test_takes_every_other_host_for_the_outside(host: str) -> None:
    assert not is_loopback(host)


SCALARS = st.one_of(
    st.none().map(lambda _: "1979-05-27"),
    st.booleans().map(lambda value: str(value).lower()),
    st.integers().map(str),
    st.floats().map(repr),
    st.sampled_from(['"x"', "[]", "[1]", "{}", "{ES = 1}", "[[1]]", "'\u2028'"]),
)
PLACES = [f"{name}" for name in Settings.__struct_fields__] + [
    f"{section}.{name}"
    for section in ("topstepx", "risk", "web", "board", "native")
    for name in type(getattr(Settings(), section)).__struct_fields__
]


@given(st.sampled_from(PLACES), SCALARS)
def test_answers_any_value_of_any_key_with_settings_or_one_line(place: str, value: str) -> None:
    try:
        load(f"{place} = {value}", BASE)
    except SettingsError as error:
        assert "\n" not in str(error)
        assert len(str(error)) < 400

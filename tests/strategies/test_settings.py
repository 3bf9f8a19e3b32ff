"""Settings of strategies: read exactly, refused with the key and what to write instead."""

from __future__ import annotations

from dataclasses import fields
from datetime import time
from fractions import Fraction

import msgspec
import pytest

from app.config.settings import OvernightRange as FileSettings
from app.errors import SettingsError
from app.strategies import NAMES, build, settings_of
from app.strategies.overnight_range import OvernightRangeSettings
from app.strategies.settings import parse, written


def read(**values: object) -> OvernightRangeSettings:
    return parse(OvernightRangeSettings, "strategy.overnight_range", values)


def test_the_defaults_are_the_rule() -> None:
    s = read()
    assert (s.range_start, s.range_end, s.window_end) == (time(18), time(9, 30), time(15, 45))
    assert (s.minimum_bars, s.atr_bars, s.atr_minutes, s.contracts, s.entry_offset_ticks) == (10, 14, 5, 1, 1)
    assert (s.stop_atr, s.target_atr, s.min_stop_ticks) == (Fraction(5, 4), Fraction(2), 4)
    assert not s.zones
    assert not any((s.breakeven_points, s.range_min_points, s.range_max_points, s.gap_max_points))


def test_text_and_toml_values_read_the_same() -> None:
    typed = read(stop_atr=1.1, target_atr=3, zones=True, contracts=2, range_end="08:30")
    text = read(stop_atr="1.1", target_atr="3", zones="true", contracts="2", range_end="08:30")
    assert typed == text
    assert typed.stop_atr == Fraction(11, 10)


@pytest.mark.parametrize(
    ("values", "words"),
    [
        ({"stop_at": "1"}, "strategy.overnight_range.stop_at; unknown; known are symbol, contracts"),
        ({"contracts": 0}, "contracts; 0 is outside 1 to 1000"),
        ({"contracts": 1001}, "contracts; 1001 is outside 1 to 1000"),
        ({"contracts": "1.5"}, "contracts; '1.5' is not a whole number"),
        ({"contracts": True}, "contracts; True is not a whole number"),
        ({"min_stop_ticks": 3}, "min_stop_ticks; 3 is outside 4 to 1000"),
        ({"stop_atr": "nan"}, "stop_atr; 'nan' is not a decimal number"),
        ({"stop_atr": float("inf")}, "stop_atr; inf is not a decimal number"),
        ({"stop_atr": "0.04"}, "stop_atr; 0.04 is outside 0.05 to 20"),
        ({"zones": "yes"}, "zones; 'yes' is neither true nor false"),
        ({"range_end": "9:30"}, "range_end; '9:30' is not a New York time"),
        ({"range_end": "24:00"}, "range_end; '24:00' is not a New York time"),
        ({"window_end": "16:01"}, "window_end; 16:01 is outside"),
        ({"window_end": "09:30"}, "window_end; must be after range_end"),
        ({"range_start": "17:59"}, "range_start; must be 18:00 or later, or before range_end"),
        ({"zone_inner": "1", "zone_outer": "0.9"}, "zone_outer; must not be nearer than zone_inner"),
        ({"symbol": "es"}, "symbol; 'es' is not a ticker"),
    ],
)
def test_rejects_what_makes_no_sense_and_names_the_key(values: dict[str, object], words: str) -> None:
    with pytest.raises(SettingsError) as raised:
        read(**values)
    assert words in str(raised.value)


@pytest.mark.parametrize("start", ["18:00", "23:59", "00:00", "09:29"])
def test_accepts_every_night_within_the_session(start: str) -> None:
    assert read(range_start=start).range_start == time.fromisoformat(start)


@pytest.mark.parametrize("name", NAMES)
def test_every_setting_is_documented_with_its_unit_and_its_default_reads_back(name: str) -> None:
    for each in settings_of(name):
        assert each.meaning
        assert each.default
        build(name, {each.key: each.default})
        if each.low:
            assert each.unit, f"{each.key} has bounds and no unit"


def test_an_unknown_strategy_is_rejected_with_the_known_ones() -> None:
    with pytest.raises(SettingsError, match="known are overnight_range, sma_cross"):
        build("foo", {})
    with pytest.raises(SettingsError, match="known are overnight_range, sma_cross"):
        settings_of("foo")


@pytest.mark.parametrize(
    ("value", "text"),
    [(Fraction(618, 1000), "0.618"), (Fraction(2), "2"), (True, "true"), (time(9, 5), "09:05")],
)
def test_values_are_written_as_they_are_typed(value: object, text: str) -> None:
    assert written(value) == text


def test_the_settings_file_uses_the_same_words_and_defaults() -> None:
    file = {f.name: getattr(FileSettings(), f.name) for f in msgspec.structs.fields(FileSettings)}
    ours = {f.name: written(getattr(read(), f.name)) for f in fields(OvernightRangeSettings)}
    ours.pop("min_stop_ticks")  # the venue's number, not the owner's
    assert set(file) - {"enabled", "zone"} == set(ours)
    for key, default in ours.items():
        assert str(file[key]).lower() == default.lower(), key

"""The report's text: what `json.dumps` writes, made faster; times as ISO 8601 has them."""

from __future__ import annotations

import json
import random
from datetime import UTC, datetime, timedelta
from pathlib import Path

from hypothesis import given
from hypothesis import strategies as st

from app.backtest.replay import replay
from app.backtest.report import _rows, stamp
from tests.backtest.test_skipping import RICH, made

JSON_TEXT = st.one_of(st.text(), st.none(), st.integers(), st.sampled_from(["},\n      {", '"}', "\n"]))


def test_keeps_the_bytes_of_the_plain_encoder(tmp_path: Path) -> None:
    path = tmp_path / "made.csv"
    path.write_text(made(random.Random(3), 0.0, 3))
    report = replay(path, "ES", "sma_cross", RICH)
    assert report.trades
    assert report.as_json() == json.dumps(report.as_dict(), indent=2, ensure_ascii=True)
    flat = replay(path, "ES", "sma_cross", {"slow": "1000", **RICH, "contracts": "150"})
    assert not flat.trades
    assert flat.as_json() == json.dumps(flat.as_dict(), indent=2, ensure_ascii=True)


@given(st.lists(st.dictionaries(st.text(), JSON_TEXT, min_size=1)))
def test_keeps_whatever_a_row_says(rows: list[dict[str, object]]) -> None:
    assert f'{{\n  "rows": {_rows(rows)}\n}}' == json.dumps({"rows": rows}, indent=2)


@given(st.datetimes(datetime(1970, 1, 1), datetime(2100, 1, 1)))
def test_keeps_the_time_to_the_microsecond(moment: datetime) -> None:
    micros = (moment.replace(tzinfo=UTC) - datetime(1970, 1, 1, tzinfo=UTC)) // timedelta(microseconds=1)
    assert stamp(micros * 1_000 + 999) == moment.isoformat() + "Z"

"""`/metrics`: what it tells, in the form that Prometheus reads, and what it must not tell."""

from __future__ import annotations

import re
from dataclasses import replace

from app.engine.snapshot import StorageView
from app.web import metrics
from tests.web.pictures import ACTIVE, CLOSED, STOPPED

DISK = StorageView(5_000_000_000, 7_000_000, 12_000_000, 40_000_000, 20, 1, {"storage_wear": "about 90 %"})
LABEL = r'[a-z]+="(?:[^"\\\n]|\\[\\n"])*"'
LINE = re.compile(rf"plimsoll_[a-z_]+(\{{{LABEL}(,{LABEL})*\}})? [-0-9.e+]+")


def samples(text: str) -> dict[str, str]:
    lines = [line for line in text.splitlines() if not line.startswith("#")]
    return dict(line.rsplit(" ", 1) for line in lines)


def test_every_line_is_one_that_prometheus_reads() -> None:
    view = replace(ACTIVE, reasons=(CLOSED, STOPPED), storage=DISK, version='1"\n\\')
    text = metrics.text(view)
    assert text.endswith("\n") and 'version="1\\"\\n\\\\"' in text
    for line in text.splitlines():
        assert line.startswith(("# HELP plimsoll_", "# TYPE plimsoll_")) or LINE.fullmatch(line), line
    names = re.findall(r"# TYPE (\w+) gauge", text)
    assert len(names) == len(set(names))


def test_tells_the_state_its_reasons_and_the_disk() -> None:
    found = samples(metrics.text(replace(ACTIVE, state="halted", reasons=(CLOSED, STOPPED), storage=DISK)))
    assert found['plimsoll_trading_state{state="halted"}'] == "1"
    assert found['plimsoll_trading_state{state="active"}'] == "0"
    assert found['plimsoll_reason{code="halt",kind="person"}'] == "1"
    assert found["plimsoll_storage_free_bytes"] == "5000000000"
    assert found['plimsoll_storage_written_day_bytes{by="service"}'] == "12000000"
    assert found['plimsoll_storage_written_day_bytes{by="machine"}'] == "40000000"
    assert found["plimsoll_storage_worn_percent"] == "20"
    assert found['plimsoll_storage_trouble{code="storage_wear"}'] == "1"


def test_leaves_out_what_is_not_known() -> None:
    text = metrics.text(replace(ACTIVE, feeds=(), storage=StorageView()))
    assert "-1" not in text and "_bytes" not in text and "feed_age" not in text


def test_tells_nothing_of_the_account_its_orders_and_positions() -> None:
    text = metrics.text(replace(ACTIVE, reasons=(replace(STOPPED, scope="1001"),)))
    assert ACTIVE.account is not None and ACTIVE.positions and ACTIVE.orders
    for secret in ("1001", ACTIVE.account.balance, ACTIVE.account.name, ACTIVE.positions[0].average, "ES"):
        assert secret not in text

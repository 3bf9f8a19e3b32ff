"""The runner: every promised job, one failing job stops no other, what it writes and compares; untimed."""

from __future__ import annotations

import importlib
import json
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

from tests.bench import run
from tests.guards import PROGRAM_PATIENCE, ROOT

PROMISED = (
    "bars_coarsen", "ticks_to_bars", "trade_update", "quote_frame", "risk_check", "order_body", "sequences",
    "wire_encode", "wire_decode", "replay_year", "broadcast",
)  # fmt: skip


def test_offers_every_job_that_was_promised() -> None:
    assert set(PROMISED) <= set(run.JOBS) and len(set(run.JOBS)) == len(run.JOBS)


@pytest.mark.parametrize("job", run.JOBS)
def test_every_job_can_be_loaded_and_measures(job: str) -> None:
    assert callable(importlib.import_module(f"tests.bench.{job}").measure)


@pytest.mark.parametrize("job", sorted(set(PROMISED) - {"replay_year"}))
def test_every_job_side_by_side_has_a_peer_in_c_and_in_go(job: str) -> None:
    folder = ROOT / "tests" / "bench"
    source = (folder / f"{job}.py").read_text()
    for language in ("c", "go"):
        assert f"compile_{language}(" in source
        assert any(name in (job, job.partition("_")[0]) for name in _peers(folder / language))


def _peers(folder: Path) -> set[str]:
    return {path.stem for path in folder.iterdir()}


def test_refuses_a_job_it_does_not_know() -> None:
    command = [sys.executable, "tests/bench/run.py", "no_such_job"]
    done = subprocess.run(
        command, cwd=ROOT, capture_output=True, text=True, timeout=PROGRAM_PATIENCE, check=False
    )
    assert done.returncode == 2 and "no job no_such_job; there are " in done.stderr


def ran(monkeypatch: pytest.MonkeyPatch, rows: dict[str, list[Any]], *arguments: str) -> int:
    monkeypatch.setattr(sys, "argv", ["run.py", *rows, *arguments])
    monkeypatch.setattr(run, "_run", lambda job: rows[job])
    return run.main()


def test_writes_its_rows_as_a_list(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    row = {"job": "order_body", "pure_ns": 4.0, "cython_ns": 2.0, "c_ns": 1.0, "go_ns": 8.0, "ratio_go": 0.25}
    file = tmp_path / "out.json"
    assert ran(monkeypatch, {"order_body": [row]}, "--json", str(file)) == 0
    assert json.loads(file.read_text()) == [row]


def test_reports_what_drifted_and_says_so_when_nothing_did(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    file = tmp_path / "before.json"
    file.write_text('[{"job": "order_body", "ratio_go": 0.25}]')
    for ratio, words in ((0.29, "nothing drifted"), (0.31, "order_body ratio_go: 0.25 -> 0.31 (+24%)")):
        rows: list[Any] = [{"job": "order_body", "ratio_go": ratio}]
        assert ran(monkeypatch, {"order_body": rows}, "--compare", str(file)) == 0
        assert words in capsys.readouterr().out


def test_a_job_that_fails_leaves_a_row_that_says_so(monkeypatch: pytest.MonkeyPatch) -> None:
    def dies(*_: object, **__: object) -> subprocess.CompletedProcess[str]:
        return subprocess.CompletedProcess([], 3, stdout="half a line")

    monkeypatch.setattr(subprocess, "run", dies)
    assert run._run("order_body") == [
        {"job": "order_body", "failed": "exit code 3; its last words are above"}
    ]


def test_a_job_that_takes_too_long_leaves_a_row_too(monkeypatch: pytest.MonkeyPatch) -> None:
    def hangs(*_: object, **__: object) -> subprocess.CompletedProcess[str]:
        raise subprocess.TimeoutExpired("job", 1)

    monkeypatch.setattr(subprocess, "run", hangs)
    assert run._run("order_body") == [{"job": "order_body", "failed": f"longer than {run.JOB_SECONDS} s"}]

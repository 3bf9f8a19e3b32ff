"""The fuzzer: kept corpus on both twins, planted offences, half a minute a target with AddressSanitizer."""

from __future__ import annotations

import importlib
import os
import shutil
from types import ModuleType

import pytest

from tests.native.fuzz import run

SECONDS = int(os.environ.get("PLIMSOLL_FUZZ_SECONDS", "30"))  # for each target


@pytest.fixture(scope="module")
def clang() -> None:
    if shutil.which("clang") is None:
        pytest.skip("no clang: the twins are not fuzzed (apt install clang, or CI=1 as root)")


@pytest.mark.parametrize("name", run.TWINS)
def test_the_twins_agree_on_the_kept_corpus_and_the_seeds(name: str) -> None:
    target = importlib.import_module(f"tests.native.fuzz.{name}")
    inputs = [*run.kept(name), *target.SEEDS.values()]
    assert len(inputs) > len(target.SEEDS)
    for data in inputs:
        target.check(data)


@pytest.mark.parametrize("name", run.TWINS)
def test_a_twin_that_differs_is_found_by_the_seeds(name: str, monkeypatch: pytest.MonkeyPatch) -> None:
    target = importlib.import_module(f"tests.native.fuzz.{name}")
    monkeypatch.setattr(target, f"{name}_c", Wrong(getattr(target, f"{name}_c")))
    if name == "orders":
        monkeypatch.setattr(target, "TWINS", (target.TWINS[0], Wrong(target.TWINS[1])))
    with pytest.raises(AssertionError):
        for data in target.SEEDS.values():
            target.check(data)


class Wrong:
    """A twin that is right until it answers."""

    def __init__(self, twin: ModuleType) -> None:
        self._twin = twin

    def __getattr__(self, name: str) -> object:
        if name in ("place", "modify", "cancel", "cbor_decode"):
            return lambda *_: b"wrong"
        if name == "Reader":
            return lambda contracts, _limit: self._twin.Reader(contracts, 1)
        return getattr(self._twin, name)


@pytest.mark.long
@pytest.mark.usefixtures("clang")
@pytest.mark.parametrize("offence", ["", "disagreement", "overrun"])
def test_a_planted_offence_is_a_crash_and_nothing_else_is(
    offence: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("PLIMSOLL_FUZZ_OFFENCE", offence)
    done = run.fuzz("planted", 1, "tests.native.fuzz.planted")
    words = {
        "": "stat::number_of_executed_units",
        "disagreement": "AssertionError: planted",
        "overrun": "heap-buffer-overflow",
    }
    assert words[offence] in done.stderr
    assert (done.returncode == 0) == (offence == "")


@pytest.mark.long
@pytest.mark.usefixtures("clang")
@pytest.mark.parametrize("name", run.TARGETS)
def test_nothing_is_found_in_half_a_minute(name: str) -> None:
    done = run.fuzz(name, SECONDS)
    assert done.returncode == 0, done.stderr[-4_000:]

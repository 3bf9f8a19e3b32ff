"""How the native modules run, on the page and in words."""

from __future__ import annotations

from dataclasses import replace

import pytest

from app.web import words
from app.web.page import render
from tests.web.pictures import ACTIVE

COMPILED = {"gate": "compiled", "market": "compiled", "wire": "compiled"}


@pytest.mark.parametrize(
    ("modes", "said"),
    [
        (COMPILED, "compiled"),
        (COMPILED | {"market": "shadow"}, "compiled; shadow: market"),
        (
            COMPILED | {"market": "shadow", "gate": "shadow", "wire": "pure (exception)"},
            "pure (exception): wire; shadow: gate, market",
        ),
        (dict.fromkeys(COMPILED, "pure"), "pure: gate, market, wire"),
        ({}, "compiled"),
    ],
)
def test_says_how_modules_run(modes: dict[str, str], said: str) -> None:
    assert words.twins(modes) == said


def test_shows_them_and_loudly_an_exception() -> None:
    foot = render(replace(ACTIVE, native=COMPILED), {}).slots["foot"]
    assert "<i>compiled modules</i> compiled</span>" in foot
    foot = render(replace(ACTIVE, native=COMPILED | {"wire": "pure (exception)"}), {}).slots["foot"]
    assert '<b class="bad">compiled; pure (exception): wire</b>' in foot

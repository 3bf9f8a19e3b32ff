"""A small picture of the price against its levels, as SVG text. Pure; floats are for drawing only.

Coordinates are percentages, so that text keeps its size on a phone and no inline style is needed (the content
security policy forbids them). Only the price line is stretched.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from html import escape
from typing import NamedTuple

PLOT_WIDTH = 78  # percent of the width; the rest holds the prices of the levels
MARGIN = 8.0  # percent of the height kept free above and below
LABEL_GAP = 10.0  # percent of the height between two labels
LEVELS_MAX = 8
POINTS_MAX = 240  # one every 5 s: the last 20 minutes


class Level(NamedTuple):
    """A horizontal line: `kind` is its CSS class (range, entry, stop, target, average)."""

    kind: str
    label: str
    price: float
    text: str


def draw(points: Sequence[float], levels: Sequence[Level]) -> str:
    """The picture, "" when there is nothing to draw. `points` are evenly spaced, newest last."""
    shown = list(dict.fromkeys(levels))[:LEVELS_MAX]
    prices = [*points, *(level.price for level in shown)]
    if not points or not prices:
        return ""
    low, high = min(prices), max(prices)
    span = (high - low) or 1.0

    def height(price: float) -> float:
        return round(MARGIN + (high - price) / span * (100 - 2 * MARGIN), 1)

    body = _band(shown, height) + "".join(_line(level, height(level.price)) for level in shown)
    body += _labels(shown, height) + _curve(points, height) + _dot(height(points[-1]))
    return (
        f'<svg class="chart" width="100%" height="100%" role="img" aria-label="{_spoken(shown)}">{body}</svg>'
    )


def _spoken(levels: Sequence[Level]) -> str:
    return escape("price against " + ", ".join(f"{level.label} {level.text}" for level in levels), quote=True)


def _band(levels: Sequence[Level], height: Callable[[float], float]) -> str:
    edges = sorted(height(level.price) for level in levels if level.kind == "range")
    if len(edges) < 2:
        return ""
    tall = round(edges[-1] - edges[0], 1)
    return f'<rect class="band" x="0" y="{edges[0]}%" width="{PLOT_WIDTH}%" height="{tall}%"/>'


def _line(level: Level, y: float) -> str:
    return f'<line class="{level.kind}" x1="0" x2="{PLOT_WIDTH}%" y1="{y}%" y2="{y}%"/>'


def _labels(levels: Sequence[Level], height: Callable[[float], float]) -> str:
    """Name and price to the right of each line, pushed apart where two would overlap."""
    text, lowest = "", 0.0
    ordered = sorted(levels, key=lambda level: -level.price)
    room = 100 - LABEL_GAP * len(ordered)
    for index, level in enumerate(ordered):
        y = min(max(height(level.price), lowest + LABEL_GAP), room + LABEL_GAP * (index + 1) - 2)
        lowest = y
        text += f'<text class="{level.kind}" x="{PLOT_WIDTH + 1}%" y="{y + 2:.1f}%">{escape(level.text)}'
        text += f' <tspan class="what">{escape(level.label)}</tspan></text>'
    return text


def _curve(points: Sequence[float], height: Callable[[float], float]) -> str:
    last = max(1, len(points) - 1)
    path = " ".join(f"{round(i / last * 100, 1):g},{height(p):g}" for i, p in enumerate(points))
    return (
        f'<svg width="{PLOT_WIDTH}%" height="100%" viewBox="0 0 100 100" preserveAspectRatio="none">'
        f'<polyline class="price" points="{path}"/></svg>'
    )


def _dot(y: float) -> str:
    return f'<circle class="now" cx="{PLOT_WIDTH}%" cy="{y}%" r="3.5"/>'

# cython: boundscheck=False, wraparound=False, initializedcheck=False, overflowcheck=False
"""Sequences of portfolio actions: every one up to a depth, scored, the best kept.

Source of both twins: the build compiles this very file, typed by ``sequences_c.pxd``, to
``native.sequences_c``; ``sequences_run.pyx`` wraps ``search`` to run without the interpreter's lock. Here is
enumeration and score. Which actions are worth trying, and what a merit is made of, belongs to the planner.

A sequence is a choice of actions in their given order (sales first, then), no security twice, cash never
negative after any step, no position ever negative. The empty sequence is doing nothing and is ranked like any
other. ``total`` being cash and portfolio before trading, the one yard for all sequences, a score is::

    merit weight * sum(value * merit) / total
    + for securities, countries and groups:  weight * max(0, 1 - mean(|value / total - target|) / scale)
    - cost weight * fees / total

Deviations are summed in whole micro-units, exact in any order: a step adds its difference to the sums of the
prefix it extends and is undone without a trace. The linear part is float64 and summed from left to right. So
no sequence is simulated from the start, and each has the bits that a simulation from the start would give it.
The compiled twin checks no index: those of the caller are checked on the way in, and the pure twin, whose
arrays do check, walks through the same ones.
"""

from __future__ import annotations

from array import array
from collections.abc import Sequence
from math import comb, inf

# One owner's portfolio; the bounds keep sums of micro-units inside int64 and one total exact in float64.
MAX_SECURITIES = 500
MAX_PARTS = 100  # countries, or groups
MAX_ACTIONS = 64
MAX_DEPTH = 8
MAX_KEPT = 1000
MAX_MICRO = 10**15
# A search cannot be interrupted; this many sequences take about half a second on a desktop's core.
MAX_SEQUENCES = 50_000_000
# Merits, weights and scales are numbers around 1; far larger or smaller ones are a mistake in units.
MAX_FACTOR = 1e6
MIN_SCALE = 1e-6
_STRIDE = MAX_DEPTH  # places of a kept path; again, as a C integer in the compiled twin

WEIGHTS = (0.6, 0.1, 0.15, 0.15, 1.0)  # merit, securities, countries, groups, cost
SCALES = (0.2, 0.3, 0.3)  # mean deviation of securities, countries, groups that earns nothing


class Portfolio:
    """What is held and what it should look like, in parallel arrays.

    One entry a security: ``values`` in micro-units, ``countries`` and ``groups`` its index into their
    targets (``array('q')``), ``merits`` what a share of 1 would earn, ``security_targets`` (``array('d')``).
    One entry a country or group: ``country_targets``, ``group_targets`` (``array('d')``). Targets are shares
    of the total, 0 to 1; cash is what they leave. All is kept as tuples. Raises ValueError for what does not
    fit together.
    """

    __slots__ = (
        "cash_micro",
        "countries",
        "country_targets",
        "group_targets",
        "groups",
        "merits",
        "scales",
        "security_targets",
        "total_micro",
        "values",
        "weights",
    )

    def __init__(
        self,
        cash_micro: int,
        values: array[int],
        countries: array[int],
        groups: array[int],
        merits: array[float],
        security_targets: array[float],
        country_targets: array[float],
        group_targets: array[float],
        weights: Sequence[float] = WEIGHTS,
        scales: Sequence[float] = SCALES,
    ) -> None:
        size = _bounded("values", values, MAX_SECURITIES)
        country_count = _bounded("country_targets", country_targets, MAX_PARTS)
        group_count = _bounded("group_targets", group_targets, MAX_PARTS)
        self.values = _checked("values", values, "q", size, 0, MAX_MICRO)
        self.countries = _checked("countries", countries, "q", size, 0, country_count - 1)
        self.groups = _checked("groups", groups, "q", size, 0, group_count - 1)
        self.merits = _checked("merits", merits, "d", size, -MAX_FACTOR, MAX_FACTOR)
        self.security_targets = _checked("security_targets", security_targets, "d", size, 0.0, 1.0)
        self.country_targets = _checked("country_targets", country_targets, "d", country_count, 0.0, 1.0)
        self.group_targets = _checked("group_targets", group_targets, "d", group_count, 0.0, 1.0)
        self.weights = _checked("weights", array("d", weights), "d", 5, 0.0, MAX_FACTOR)
        self.scales = _checked("scales", array("d", scales), "d", 3, MIN_SCALE, MAX_FACTOR)
        self.cash_micro = _whole("cash_micro", cash_micro, 0, MAX_MICRO)
        self.total_micro = _whole("total", cash_micro + sum(self.values), 1, MAX_MICRO)


class Actions:
    """What may be done, in the order in which a sequence does it, in parallel ``array('q')``.

    ``securities`` indexes the portfolio's; ``changes`` is what the security's value gains (a purchase) or
    loses (a sale, below 0) and cash the other way round, in micro-units; ``fees`` is paid from cash besides,
    never negative. All is kept as tuples. Raises ValueError for what does not fit together.
    """

    __slots__ = ("changes", "fees", "securities")

    def __init__(self, securities: array[int], changes: array[int], fees: array[int]) -> None:
        size = _bounded("securities", securities, MAX_ACTIONS)
        self.securities = _checked("securities", securities, "q", size, 0, MAX_SECURITIES - 1)
        self.changes = _checked("changes", changes, "q", size, -MAX_MICRO, MAX_MICRO)
        self.fees = _checked("fees", fees, "q", size, 0, MAX_MICRO)


def search(portfolio: Portfolio, actions: Actions, depth: int, k: int) -> list[tuple[float, tuple[int, ...]]]:
    """Return the ``k`` best sequences of at most ``depth`` actions, best first: score and action indexes.

    Of equal scores the shorter sequence is first, then the one whose indexes come first; depth 0 scores doing
    nothing. Raises ValueError for a depth, a ``k`` or a number of sequences out of bounds, and for an action
    on a security that the portfolio lacks.
    """
    plan = prepare(portfolio, actions, depth, k)
    plan.walk()
    return plan.ranked()


def prepare(portfolio: Portfolio, actions: Actions, depth: int, k: int) -> Search:
    """Return the search, checked and ready to ``walk``; raises what ``search`` raises."""
    _whole("depth", depth, 0, MAX_DEPTH)
    _whole("k", k, 1, MAX_KEPT)
    if any(security >= len(portfolio.values) for security in actions.securities):
        raise ValueError("sequences: an action on a security that the portfolio lacks")
    possible = [index for index in range(len(actions.changes)) if _possible(portfolio, actions, index)]
    if sum(comb(len(possible), size) for size in range(depth + 1)) > MAX_SEQUENCES:
        raise ValueError(f"sequences: more than {MAX_SEQUENCES} of them; take fewer actions or less depth")
    return Search(portfolio, actions, array("q", possible), depth, k)


class Search:
    """One run: columns of the possible actions, the state of the current prefix, the best so far."""

    __slots__ = (
        "cash",
        "cash_changes",
        "changes",
        "count",
        "countries",
        "country_gaps",
        "country_rate",
        "country_weight",
        "depth",
        "floor",
        "gains",
        "group_gaps",
        "group_rate",
        "group_weight",
        "groups",
        "kept",
        "kept_paths",
        "kept_scores",
        "kept_sizes",
        "labels",
        "limit",
        "linear",
        "path",
        "securities",
        "security_gaps",
        "security_rate",
        "security_weight",
        "taken",
    )

    def __init__(
        self, portfolio: Portfolio, actions: Actions, labels: array[int], depth: int, k: int
    ) -> None:
        self.depth = depth
        self._take_portfolio(portfolio)
        self._take_actions(portfolio, actions, labels)
        self.path = array("q", bytes(8 * MAX_DEPTH))
        self.limit = k
        self.kept = 0
        self.floor = -inf
        self.kept_scores = array("d", bytes(8 * k))
        self.kept_sizes = array("q", bytes(8 * k))
        self.kept_paths = array("q", bytes(8 * k * MAX_DEPTH))

    def _take_portfolio(self, portfolio: Portfolio) -> None:
        """Set the state of the empty prefix, and what a micro-unit of deviation costs."""
        total = portfolio.total_micro
        merit_weight, security_weight, country_weight, group_weight, _ = portfolio.weights
        self.cash = portfolio.cash_micro
        self.linear = merit_weight * _merit(portfolio.values, portfolio.merits) / total
        self.security_gaps = _gaps(
            portfolio.security_targets, total, range(len(portfolio.values)), portfolio.values
        )
        self.country_gaps = _gaps(portfolio.country_targets, total, portfolio.countries, portfolio.values)
        self.group_gaps = _gaps(portfolio.group_targets, total, portfolio.groups, portfolio.values)
        self.taken = array("q", bytes(8 * len(portfolio.values)))
        self.security_weight = security_weight
        self.country_weight = country_weight
        self.group_weight = group_weight
        self.security_rate = security_weight / (portfolio.scales[0] * len(self.security_gaps) * total)
        self.country_rate = country_weight / (portfolio.scales[1] * len(self.country_gaps) * total)
        self.group_rate = group_weight / (portfolio.scales[2] * len(self.group_gaps) * total)

    def _take_actions(self, portfolio: Portfolio, actions: Actions, labels: array[int]) -> None:
        """Lay out the possible actions, and what each adds to the linear part of a score."""
        total = portfolio.total_micro
        merit_weight, cost_weight = portfolio.weights[0], portfolio.weights[4]
        self.count = len(labels)
        self.labels = labels
        self.securities = array("q", [actions.securities[index] for index in labels])
        self.changes = array("q", [actions.changes[index] for index in labels])
        self.cash_changes = array("q", [-actions.changes[index] - actions.fees[index] for index in labels])
        self.countries = array("q", [portfolio.countries[security] for security in self.securities])
        self.groups = array("q", [portfolio.groups[security] for security in self.securities])
        gains = array("d")
        for index in labels:
            merit = portfolio.merits[actions.securities[index]]
            gain = merit_weight * merit * actions.changes[index] - cost_weight * actions.fees[index]
            gains.append(gain / total)
        self.gains = gains

    def walk(self) -> None:
        """Visit every sequence; needs no interpreter and never fails. Once per search."""
        security_gap = _width(self.security_gaps)
        country_gap = _width(self.country_gaps)
        group_gap = _width(self.group_gaps)
        score = self.linear
        score += _above(self.security_weight - security_gap * self.security_rate)
        score += _above(self.country_weight - country_gap * self.country_rate)
        score += _above(self.group_weight - group_gap * self.group_rate)
        self._offer(score, 0)
        if self.depth > 0:
            self._extend(0, 0, self.cash, security_gap, country_gap, group_gap, self.linear)

    def _extend(
        self,
        first: int,
        size: int,
        cash: int,
        security_gap: int,
        country_gap: int,
        group_gap: int,
        linear: float,
    ) -> None:
        """Put each action from ``first`` on behind the prefix of ``size`` actions whose sums are given."""
        for action in range(first, self.count):
            security = self.securities[action]
            left = cash + self.cash_changes[action]
            if left < 0 or self.taken[security]:
                continue
            change = self.changes[action]
            country = self.countries[action]
            group = self.groups[action]
            was_security = self.security_gaps[security]
            was_country = self.country_gaps[country]
            was_group = self.group_gaps[group]
            securities = security_gap + _magnitude(was_security + change) - _magnitude(was_security)
            countries = country_gap + _magnitude(was_country + change) - _magnitude(was_country)
            groups = group_gap + _magnitude(was_group + change) - _magnitude(was_group)
            grown = linear + self.gains[action]
            score = grown
            score += _above(self.security_weight - securities * self.security_rate)
            score += _above(self.country_weight - countries * self.country_rate)
            score += _above(self.group_weight - groups * self.group_rate)
            self.path[size] = action
            if score >= self.floor:
                self._offer(score, size + 1)
            if size + 1 < self.depth:
                self.taken[security] = 1
                self.country_gaps[country] = was_country + change
                self.group_gaps[group] = was_group + change
                self._extend(action + 1, size + 1, left, securities, countries, groups, grown)
                self.group_gaps[group] = was_group
                self.country_gaps[country] = was_country
                self.taken[security] = 0

    def _offer(self, score: float, size: int) -> None:
        """Keep the path of ``size`` actions if it is among the best.

        The walk meets sequences of one size in the order of their indexes: of equal ones the earlier stays.
        """
        place = self.kept
        while place > 0 and self._beats(score, size, place - 1):
            place -= 1
        if place == self.limit:
            return
        last = self.kept if self.kept < self.limit else self.limit - 1
        for index in range(last, place, -1):
            self._move(index - 1, index)
        self.kept_scores[place] = score
        self.kept_sizes[place] = size
        for step in range(size):
            self.kept_paths[place * _STRIDE + step] = self.path[step]
        self.kept = last + 1
        if self.kept == self.limit:
            self.floor = self.kept_scores[self.limit - 1]

    def _beats(self, score: float, size: int, place: int) -> bool:
        if score == self.kept_scores[place]:
            return size < self.kept_sizes[place]
        return score > self.kept_scores[place]

    def _move(self, source: int, target: int) -> None:
        self.kept_scores[target] = self.kept_scores[source]
        self.kept_sizes[target] = self.kept_sizes[source]
        for step in range(_STRIDE):
            self.kept_paths[target * _STRIDE + step] = self.kept_paths[source * _STRIDE + step]

    def ranked(self) -> list[tuple[float, tuple[int, ...]]]:
        """Return what was kept, best first, with the caller's action indexes."""
        found = []
        for place in range(self.kept):
            path = []
            for step in range(self.kept_sizes[place]):
                path.append(self.labels[self.kept_paths[place * _STRIDE + step]])
            found.append((self.kept_scores[place], tuple(path)))
        return found


def _above(value: float) -> float:
    return value if value > 0.0 else 0.0


def _magnitude(value: int) -> int:
    return value if value >= 0 else -value


def _width(gaps: array[int]) -> int:
    """Return the sum of the deviations, in micro-units."""
    total = 0
    for index in range(len(gaps)):
        total += _magnitude(gaps[index])
    return total


def _merit(values: Sequence[int], merits: Sequence[float]) -> float:
    total = 0.0
    for value, merit in zip(values, merits, strict=True):
        total += value * merit
    return total


def _gaps(targets: Sequence[float], total: int, parts: Sequence[int], values: Sequence[int]) -> array[int]:
    """Return, for each part, what it holds less what it should hold, in micro-units (half to even)."""
    gaps = array("q", [-round(target * total) for target in targets])
    for part, value in zip(parts, values, strict=True):
        gaps[part] += value
    return gaps


def _possible(portfolio: Portfolio, actions: Actions, index: int) -> bool:
    """Whether the position would stay at 0 or above: no other action of a sequence touches it."""
    return portfolio.values[actions.securities[index]] + actions.changes[index] >= 0


def _bounded(name: str, values: array[int] | array[float], most: int) -> int:
    if len(values) > most:
        raise ValueError(f"sequences: {name} has more than {most} entries")
    return len(values)


def _checked(name: str, values: array, kind: str, size: int, least: float, most: float) -> tuple:
    """Return what the array holds; ValueError unless it has that type and size, and all is within bounds."""
    if type(values) is not array or values.typecode != kind:
        raise ValueError(f"sequences: {name} must be array({kind!r})")
    if len(values) != size:
        raise ValueError(f"sequences: {name} needs {size} entries, not {len(values)}")
    for value in values:
        _within(name, value, least, most)
    return tuple(values)


def _whole(name: str, value: int, least: int, most: int) -> int:
    if type(value) is not int:
        raise ValueError(f"sequences: {name} must be a whole number")
    _within(name, value, least, most)
    return value


def _within(name: str, value: float, least: float, most: float) -> None:
    if not least <= value <= most:
        raise ValueError(f"sequences: {name} must be within {least} and {most}, not {value}")

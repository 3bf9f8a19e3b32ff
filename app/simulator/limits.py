"""The venue's request budgets: rolling windows per token, on monotonic time."""

from __future__ import annotations

from collections import OrderedDict, deque
from dataclasses import dataclass

NS = 1_000_000_000
TOKENS_KEPT = 1_000  # tokens with a window; the one unused for longest is forgotten first


@dataclass(frozen=True, slots=True)
class Budget:
    """`requests` in any `window_ns`."""

    name: str
    requests: int
    window_ns: int


HISTORY = Budget("history", 50, 30 * NS)
REST = Budget("rest", 200, 60 * NS)


class RateLimits:
    """Counts what was admitted; a refused request costs nothing."""

    def __init__(self) -> None:
        self._windows: OrderedDict[tuple[str, str], deque[int]] = OrderedDict()

    def admit(self, token: str, budget: Budget, mono_ns: int) -> bool:
        """Count one request of `token`, or say that its budget is spent."""
        window = self._windows.setdefault((token, budget.name), deque())
        self._windows.move_to_end((token, budget.name))
        if len(self._windows) > TOKENS_KEPT:
            self._windows.popitem(last=False)
        while window and window[0] <= mono_ns - budget.window_ns:
            window.popleft()
        if len(window) >= budget.requests:
            return False
        window.append(mono_ns)
        return True

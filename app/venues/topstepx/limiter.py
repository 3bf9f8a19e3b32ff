"""The venue's rate limits, kept on our side (facts 1.2), with a share that only kill traffic may use.

Pure: time comes in as monotonic nanoseconds. Two rolling windows, each a log of the moments at which a
request was granted. A rolling window also satisfies a fixed one, and nobody outside knows which of the two
the venue keeps.

    requests in the window     0 ............. 160 ........ 185 ........ 200
    GENERAL                    granted         refused
    KILL_READ                  granted ................... refused
    KILL                       granted ................................ refused

Counting all traffic against the lower limits leaves the reserve whole whatever has used the rest. Reads that
follow a cancel or a close stop 15 short of the end, so that they can never starve the cancels themselves.
"""

from __future__ import annotations

from collections import deque
from datetime import UTC
from email.utils import parsedate_to_datetime
from enum import IntEnum

NS = 1_000_000_000
SKEW_NS = NS  # our window is this much longer: the venue counts arrivals, and requests may bunch on the way
REST_LIMIT, REST_PERIOD_NS = 200, 60 * NS
RESERVE = 40  # of the 200, for cancels, closes and their reads
CANCEL_RESERVE = 15  # of the 40, for cancels and closes alone
HISTORY_LIMIT, HISTORY_PERIOD_NS = 50, 30 * NS
RETRY_AFTER_NS = 60 * NS  # when a 429 does not say: the length of the venue's window
RETRY_AFTER_MAX_NS = 600 * NS  # longer than any window: a larger figure is a mistake
PROBE_NS = NS  # after a 429 to kill traffic itself: one more try a second rather than silence for a minute


class Lane(IntEnum):
    """Who asks. A larger value goes first and may use more of the budget."""

    GENERAL = 0
    KILL_READ = 1
    KILL = 2


class Window:
    """At most `limit` grants in any `period_ns`; a lane may be held to fewer."""

    def __init__(self, limit: int, period_ns: int) -> None:
        self.limit, self.period_ns = limit, period_ns
        self._granted: deque[int] = deque(maxlen=limit)

    def wait_ns(self, now_ns: int, limit: int) -> int:
        """How long until a request fits below `limit`; 0 = now."""
        while self._granted and self._granted[0] <= now_ns - self.period_ns:
            self._granted.popleft()
        excess = len(self._granted) - limit
        return 0 if excess < 0 else self._granted[excess] + self.period_ns - now_ns

    def grant(self, now_ns: int) -> None:
        self._granted.append(now_ns)


_LANE_LIMITS = {
    Lane.GENERAL: REST_LIMIT - RESERVE,
    Lane.KILL_READ: REST_LIMIT - CANCEL_RESERVE,
    Lane.KILL: REST_LIMIT,
}


class Limiter:
    """Both budgets of one token. The venue does not count login, validation and ping."""

    def __init__(self) -> None:
        self._rest = Window(REST_LIMIT, REST_PERIOD_NS + SKEW_NS)
        self._history = Window(HISTORY_LIMIT, HISTORY_PERIOD_NS + SKEW_NS)
        self._rest_until = dict.fromkeys(Lane, 0)
        self._history_until = 0

    def take(self, now_ns: int, lane: Lane = Lane.GENERAL) -> int:
        """Count one request and return 0, or count nothing and return the nanoseconds to wait."""
        wait = max(self._rest.wait_ns(now_ns, _LANE_LIMITS[lane]), self._rest_until[lane] - now_ns)
        if wait > 0:
            return wait
        self._rest.grant(now_ns)
        return 0

    def take_history(self, now_ns: int) -> int:
        """The same for one history request."""
        wait = max(self._history.wait_ns(now_ns, HISTORY_LIMIT), self._history_until - now_ns)
        if wait > 0:
            return wait
        self._history.grant(now_ns)
        return 0

    def refused(self, now_ns: int, retry_after_ns: int, lane: Lane = Lane.GENERAL) -> None:
        """The venue answered 429. General traffic waits as told; kill traffic if hit itself, to probe."""
        self._rest_until[Lane.GENERAL] = max(self._rest_until[Lane.GENERAL], now_ns + retry_after_ns)
        if lane is not Lane.GENERAL:
            self._rest_until[lane] = max(self._rest_until[lane], now_ns + min(retry_after_ns, PROBE_NS))

    def refused_history(self, now_ns: int, retry_after_ns: int) -> None:
        self._history_until = max(self._history_until, now_ns + retry_after_ns)


def retry_after_ns(header: str | None, wall_ns: int) -> int:
    """The wait a `Retry-After` asks for, seconds or date; 60 s when it cannot be read, 600 s at most."""
    text = (header or "").strip()
    if text.isascii() and text.isdigit() and len(text) < 10:
        wait = int(text) * NS
    else:
        wait = _until_date(text, wall_ns)
    return min(max(wait, NS), RETRY_AFTER_MAX_NS)


def _until_date(text: str, wall_ns: int) -> int:
    try:
        moment = parsedate_to_datetime(text)
        return int(moment.replace(tzinfo=moment.tzinfo or UTC).timestamp()) * NS - wall_ns
    except (ValueError, IndexError, TypeError, OverflowError):
        return RETRY_AFTER_NS

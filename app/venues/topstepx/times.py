"""Every time-out and interval of the client, each with its reason. Values only; tests inject shorter ones."""

from __future__ import annotations

from dataclasses import dataclass

from app.clock import MS, NS

MINUTE_NS = 60 * NS
HOUR_NS = 60 * MINUTE_NS


@dataclass(frozen=True, slots=True)
class Times:
    """Durations in monotonic nanoseconds."""

    connect_ns: int = 5 * NS  # TCP and TLS: 0.2 s in practice, while connect time-outs of the host are known
    read_ns: int = 15 * NS  # a whole read; the venue answers in 0.1 s, history pages of 5,000 bars in a few
    order_ns: int = (
        10 * NS
    )  # place, modify: an answer this late is worth less than starting the look-up by tag
    kill_ns: int = 5 * NS  # cancel, close and their reads are repeated anyway, so they give up sooner
    ping_ns: int = 5 * NS
    retries_ns: tuple[int, ...] = (250 * MS, NS)  # before the second and third attempt of a read
    wait_ns: int = 65 * NS  # the longest a read waits for the rate budget: one window and its skew

    token_life_ns: int = 20 * HOUR_NS  # tokens live 24 h; renew at 20 h ...
    token_margin_ns: int = 45 * MINUTE_NS  # ... or when 45 min are left, whichever comes first
    token_fresh_ns: int = MINUTE_NS  # both hubs reconnect together: one new token serves both
    login_refused_ns: int = (
        5 * MINUTE_NS
    )  # a refused login waits longest: repeating it may lock the owner out

    hub_ping_ns: int = 15 * NS  # facts 2.1: the framework's defaults
    hub_silence_ns: int = 30 * NS
    hub_tick_ns: int = 5 * NS  # how often both are looked at
    hub_open_ns: int = 10 * NS  # connect, negotiate, handshake and subscriptions: the vendor's own time-out
    hub_close_ns: int = 500 * MS  # for the closing handshake of a socket that is given up anyway
    hub_life_ns: int = 22 * HOUR_NS  # rebuilt before the token it was opened with expires
    hub_stable_ns: int = 30 * NS  # a connection that lived this long starts the back-off anew
    hub_delays_ns: tuple[int, ...] = (0, 2 * NS, 10 * NS, 30 * NS)  # the vendor's own, the last one for ever

    resync_ns: int = 2 * NS  # after a user event that was not understood: read again, but not on every one
    roll_ns: int = HOUR_NS  # how often the active contracts are asked for


TIMES = Times()

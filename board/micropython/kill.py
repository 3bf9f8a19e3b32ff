"""The switch of a MicroPython board: normally closed contacts, sampled every millisecond.

The first open sample is an opening, whatever follows; only the release is debounced. Two channels that differ
for longer than a switch's contacts may are a fault of the wiring. No pins here: samples and times come in.
"""

from app.mcu import messages

RELEASE_MS = 100  # closed this long without an open sample counts as closed: switches bounce
DISCREPANCY_MS = 50  # two channels may differ this long: contacts of one switch do not move together
FRESH_MS = 20  # between samples: time when nobody looked for longer is not time closed


class Contacts:
    """What the samples say. Before the first sample every contact counts as open."""

    def __init__(self, two_channels: bool) -> None:
        self.all = messages.CONTACT_A | messages.CONTACT_B if two_channels else messages.CONTACT_A
        self.closed = 0  # bits of the closed channels, as last sampled
        self.sampled_ms = 0
        self._closed_ms = 0  # for how long every sample was closed, as far as it was looked at
        self._differing_ms: int | None = None  # since when the channels differ

    def sample(self, closed: int, now_ms: int) -> bool:
        """Take the contacts as they are; True when the switch just opened."""
        was_closed = self.closed == self.all
        elapsed_ms = now_ms - self.sampled_ms
        self.closed = closed & self.all
        self.sampled_ms = now_ms
        is_closed = self.closed == self.all
        if is_closed and was_closed:
            self._closed_ms += max(0, min(elapsed_ms, FRESH_MS))
        else:
            self._closed_ms = 0
        if is_closed or self.closed == 0:
            self._differing_ms = None
        elif self._differing_ms is None:
            self._differing_ms = now_ms
        return was_closed and not is_closed

    def released(self) -> bool:
        """Whether every sample was closed for long enough."""
        return self._closed_ms >= RELEASE_MS

    def contradict(self, now_ms: int) -> bool:
        """Whether the channels have differed for too long."""
        return self._differing_ms is not None and now_ms - self._differing_ms > DISCREPANCY_MS

"""An approval cannot be forged, changed or used late."""

from __future__ import annotations

import pytest

from app.errors import Ours
from app.risk.approved import Action, Approved
from app.risk.limits import NS
from tests.risk.views import ES, MONO, entry, exit_of, gate, view

EXPIRES = MONO + NS // 2
FRESH = 2 * NS


def entered() -> Approved:
    return gate().place(entry(), view())


def exited() -> Approved:
    return gate().place(exit_of(), view(positions={ES: 1}))


def test_rejects_a_forgery() -> None:
    with pytest.raises(Ours):
        Approved(
            "seal", Action.PLACE, entry(), b"", epoch=0, expires_mono_ns=0, max_quote_age_ns=0, exposing=False
        )


@pytest.mark.parametrize("name", [*Approved.__slots__, "anything"])
def test_rejects_a_change(name: str) -> None:
    with pytest.raises(Ours):
        setattr(entered(), name, 1)


@pytest.mark.parametrize(
    ("mono", "epoch", "age", "why"),
    [
        (MONO, 3, 0, ""),
        (EXPIRES, 3, FRESH, ""),
        (EXPIRES + 1, 3, 0, "approval expired"),
        (MONO, 4, 0, "halted after approval"),
        (MONO, 3, FRESH + 1, "quote went stale"),
        (MONO, 3, None, "quote went stale"),
    ],
)
def test_an_entry_leaves_in_time_unhalted_and_on_a_fresh_quote(
    mono: int, epoch: int, age: int | None, why: str
) -> None:
    assert entered().withheld(mono, epoch, age) == why


@pytest.mark.parametrize(("mono", "why"), [(MONO, ""), (EXPIRES, ""), (EXPIRES + 1, "approval expired")])
def test_an_exit_leaves_through_a_halt_but_not_late(mono: int, why: str) -> None:
    assert exited().withheld(mono, 99, None) == why

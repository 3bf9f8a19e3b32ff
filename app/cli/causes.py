"""The cause that matters among those that a task group collected."""

from __future__ import annotations

from app.errors import PlimsollError


def first_cause(error: BaseException) -> BaseException:
    """The first of ours inside task groups, because it says what to do; else the first of all."""
    while isinstance(error, BaseExceptionGroup):
        ours = error.subgroup(PlimsollError)
        error = (ours or error).exceptions[0]
    return error

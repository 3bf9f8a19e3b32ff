"""The strategy without a wish has every hook of the engine's protocol, and none of them says anything."""

from __future__ import annotations

import inspect
from typing import Any, cast

from app.engine.ports import Strategy
from app.strategies.quiet import Quiet


def test_answers_every_hook_with_nothing() -> None:
    quiet, hooks = Quiet(), [n for n, _ in inspect.getmembers(Strategy, inspect.isfunction) if n[0] != "_"]
    assert {"on_bar", "on_fill", "on_refused", "next_time", "state", "restore", "facts"} <= set(hooks)
    for name in hooks:
        hook = getattr(quiet, name)
        arguments = [cast(Any, None)] * len(inspect.signature(hook).parameters)
        assert not hook(*arguments)
        assert ["self", *inspect.signature(hook).parameters] == _parameters(getattr(Strategy, name))


def _parameters(function: Any) -> list[str]:
    return list(inspect.signature(function).parameters)

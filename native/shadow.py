"""A module in shadow: the compiled twin answers, and one call in so many runs the pure twin beside it.

Whatever a twin remembers it gives away and takes back, by the same two methods in both::

    state() -> tuple        plain values, and other objects of the package that have a state
    restore(tuple) -> None  on an object that ``__new__`` made and nothing else touched

So before a call that is compared, a copy of all that takes part is made as objects of the pure twin, both
twins run, and result, error (type and text), and the state of everything afterwards must be equal: floats to
the bit, NaN to NaN. A difference is told to the listener. In a module of `modes.REFUSING` the listener
raises, which refuses the order; elsewhere the copies take the place of the originals, and the pure twin goes
on from the very call that differed.

Nothing of ``app`` is imported: who listens is told by `listen`. Everything here belongs to the loop's thread.
"""

from __future__ import annotations

import functools
import importlib
import logging
from array import array
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass
from reprlib import Repr
from types import FunctionType, ModuleType
from typing import Any, ClassVar, TypeAlias

from native.modes import REFUSING, NativeError

TEXT_LIMIT = 2_000  # characters of arguments or of a result that a difference keeps: an order is some 500
VALUE_LIMIT = 900  # characters of one value in it
MOST_UNTOLD = 20  # differences kept for a listener that comes later: one a module, and as many refusals

# Answers that need no clothes: most calls give one of these.
_PLAIN = frozenset({int, bool, float, str, bytes, type(None)})

_brief = Repr()
_brief.maxtuple = _brief.maxlist = _brief.maxarray = 24
_brief.maxstring = _brief.maxother = _brief.maxlong = VALUE_LIMIT

log = logging.getLogger("native")


@dataclass(frozen=True, slots=True)
class Difference:
    """One call whose twins disagreed; texts of at most TEXT_LIMIT characters."""

    module: str
    function: str
    arguments: str
    compiled: str
    pure: str


class Differs(NativeError):
    """The twins of a module that orders depend on disagree, and nobody listens who could refuse the order."""

    exit_code = 1


Listener: TypeAlias = Callable[[Difference], None]
Path: TypeAlias = tuple[str, ...]  # a function's name, or a class and its method


class _Told:
    """Who hears of differences. While one is being told nothing is compared: telling may call the twins."""

    def __init__(self) -> None:
        self.listener: Listener | None = None
        self.untold: list[Difference] = []
        self.telling = False

    def tell(self, difference: Difference) -> None:
        """Raises what the listener raises; Differs where an order depends on it and there is none."""
        log.error("native.%s: the twins differ: %s", difference.module, difference)
        if self.listener is None:
            if len(self.untold) < MOST_UNTOLD:
                self.untold.append(difference)
            if difference.module in REFUSING:
                raise Differs(f"native.{difference.module}: the twins of {difference.function} differ")
            return
        self.telling = True
        try:
            self.listener(difference)
        finally:
            self.telling = False


_told = _Told()
# Compiled objects that were given up, by identity, with the pure ones in their place. Keeping the former
# keeps their identity theirs. It holds what lived when a module fell back, no more.
_moved: dict[int, tuple[Any, Any]] = {}


def listen(listener: Listener | None) -> list[Difference]:
    """Tell ``listener`` of differences from now on (None: nobody); returns those that nobody heard yet."""
    untold, _told.untold = _told.untold, []
    _told.listener = listener
    return untold


# -- values of both twins ----------------------------------------------------------------------------------


def is_stateful(value: object) -> bool:
    """Whether ``value`` is an object of a twin that has a state."""
    kind = type(value)
    return kind.__module__.startswith("native.") and hasattr(kind, "restore")


def copied(value: Any, suffix: str, memo: dict[int, tuple[Any, Any]]) -> Any:
    """``value``, every stateful object in it as one of the twin ``_c`` or ``_py``; ``memo`` keeps pairs."""
    if type(value) is tuple:
        return tuple([copied(each, suffix, memo) for each in value])
    if not is_stateful(value):
        return value
    if id(value) in memo:
        return memo[id(value)][1]
    module = type(value).__module__.rpartition("_")[0] + suffix
    kind = getattr(importlib.import_module(module), type(value).__name__)
    copy = kind.__new__(kind)
    memo[id(value)] = value, copy
    copy.restore(copied(value.state(), suffix, memo))
    return copy


def seen(value: Any) -> Any:
    """``value`` as something to compare: equal for both twins when they mean the same, to the bit."""
    kind = type(value)
    if kind is float:
        return "float", "nan" if value != value else value.hex()
    if kind in (tuple, list):
        return (kind.__name__, *map(seen, value))
    if kind is dict:
        return ("dict", *((seen(key), seen(each)) for key, each in value.items()))
    if kind is array or kind is memoryview:
        return (kind.__name__, *map(seen, value.tolist()))
    if kind.__module__.startswith("native.") and not issubclass(kind, BaseException):
        if hasattr(kind, "restore"):
            return kind.__name__, seen(value.state())
        if hasattr(kind, "fields"):
            return kind.__name__, seen(value.fields())
    return kind.__name__, value


def _where(left: Any, right: Any, path: str = "") -> tuple[str, Any, Any]:
    """The first place where two values of `seen` part, and what stands there."""
    if type(left) is tuple and type(right) is tuple and len(left) == len(right):
        for at, (one, other) in enumerate(zip(left, right, strict=True)):
            if one != other:
                return _where(one, other, f"{path}[{at}]")
    return path, left, right


def _shown(value: Any) -> str:
    text = _brief.repr(value)
    return text if len(text) <= TEXT_LIMIT else text[: TEXT_LIMIT - 1] + "…"


@dataclass(slots=True)
class _Outcome:
    """What a call came to."""

    value: Any = None
    error: Exception | None = None

    @staticmethod
    def of(call: Callable[..., Any], args: Iterable[Any], named: dict[str, Any]) -> _Outcome:
        try:
            return _Outcome(call(*args, **named))
        except Exception as error:  # the twins must raise alike, whatever it is
            return _Outcome(error=error)

    def seen(self) -> Any:
        if self.error is not None:
            return "raised", type(self.error).__name__, str(self.error)
        return seen(self.value)

    def given(self) -> Any:
        if self.error is not None:
            raise self.error
        return self.value


# -- the module --------------------------------------------------------------------------------------------


class Shadowed:
    """An object of a module in shadow: it has the one that answers, the compiled or later the pure one."""

    __slots__ = ("_native",)
    _shadow: ClassVar[Shadow]

    def __init__(self, *args: Any, **named: Any) -> None:
        self._native = self._shadow.run((type(self).__name__,), None, args, named)

    def __getattr__(self, name: str) -> Any:
        """What is no method: read from the one that answers. It is compared as a part of the state."""
        if name[0] == "_":
            raise AttributeError(name)
        return self._shadow.dressed(getattr(self._shadow.current(self), name), ())


class Shadow:
    """The names of one module in shadow. ``fallen`` True: the pure twin answers alone from now on."""

    def __init__(
        self, name: str, compiled: ModuleType, pure: ModuleType, every: int, fall_back: Callable[[str], None]
    ) -> None:
        self.name, self.every = name, every
        self.compiled, self.pure = compiled, pure
        self.fallen = False
        self._fall_back = fall_back
        self._left = every
        self._kinds: dict[str, type[Shadowed]] = {}

    def names(self) -> dict[str, Any]:
        """The compiled twin's names, with functions and stateful classes wrapped. The rest is data."""
        found = {key: value for key, value in vars(self.compiled).items() if key[0] != "_"}
        for key, value in vars(self.pure).items():
            if key[0] == "_" or getattr(value, "__module__", "") != self.pure.__name__:
                continue
            if isinstance(value, FunctionType):
                found[key] = self._function(value, (key,))
            elif isinstance(value, type) and hasattr(value, "restore"):
                found[key] = self._kinds[key] = self._class(value)
        return found

    def _function(self, source: Callable[..., Any], path: Path) -> Callable[..., Any]:
        @functools.wraps(source)
        def call(*args: Any, **named: Any) -> Any:
            return self.dressed(self.run(path, None, args, named), (*args, *named.values()))

        return call

    def _method(self, source: Callable[..., Any], path: Path) -> Callable[..., Any]:
        @functools.wraps(source)
        def call(owner: Shadowed, *args: Any, **named: Any) -> Any:
            value = self.run(path, owner, args, named)
            return value if type(value) in _PLAIN else self.dressed(value, (owner, *args, *named.values()))

        return call

    def _class(self, source: type) -> type[Shadowed]:
        own: dict[str, Any] = {"__slots__": (), "__doc__": source.__doc__, "_shadow": self}
        for name, value in vars(source).items():
            path = source.__name__, name
            if isinstance(value, staticmethod):
                own[name] = staticmethod(self._function(value.__func__, path))
            elif isinstance(value, FunctionType) and _is_called(name):
                own[name] = self._method(value, path)
        parent = source.__base__
        base = self._kinds.get(parent.__name__, Shadowed) if parent is not None else Shadowed
        return type(source.__name__, (base,), own)

    # -- calls

    def run(self, path: Path, owner: Shadowed | None, args: tuple[Any, ...], named: dict[str, Any]) -> Any:
        """Call what the owner, or the module without one, has at ``path``; the twin's own answer."""
        self._left -= 1
        if self._left <= 0 and self._is_due():
            return self._compared(path, owner, args, named)
        for each in args:
            if isinstance(each, Shadowed):
                args = tuple(map(_bare, args))
                break
        if named:
            named = {key: _bare(each) for key, each in named.items()}
        return self._target(path, owner)(*args, **named)

    def _target(self, path: Path, owner: Shadowed | None) -> Callable[..., Any]:
        if owner is None:
            return _at(self.pure if self.fallen else self.compiled, path)
        return _at(self.current(owner) if self.fallen else owner._native, path[1:])

    def current(self, each: Shadowed) -> Any:
        """The object that answers for ``each``."""
        if self.fallen and type(each._native).__module__ == self.compiled.__name__:
            each._native = copied(each._native, "_py", _moved)
        return each._native

    def dressed(self, value: Any, known: Iterable[Any]) -> Any:
        """``value``; an object with a state as the one of ``known`` that has it, or in clothes of its own."""
        if not is_stateful(value):
            return value
        for each in known:
            if isinstance(each, Shadowed) and each._native is value:
                return each
        kind = self._kinds.get(type(value).__name__)
        if kind is None:
            return value
        dress = kind.__new__(kind)
        dress._native = value
        return dress

    def _is_due(self) -> bool:
        """Begin to count anew; whether a call can be compared at all now."""
        self._left = self.every
        return not self.fallen and not _told.telling

    def _compared(
        self, path: Path, owner: Shadowed | None, args: tuple[Any, ...], named: dict[str, Any]
    ) -> Any:
        """Run both; the compiled twin's outcome when they agree."""
        plain = [tuple(each) if hasattr(each, "__next__") else _bare(each) for each in args]
        words = {key: _bare(each) for key, each in named.items()}
        shown = _shown((*plain, *words.items()))
        memo: dict[int, tuple[Any, Any]] = {}
        call = self._target(path, owner)
        beside = self.pure if owner is None else copied(owner._native, "_py", memo)
        copies = [copied(each, "_py", memo) for each in plain]
        wordy = {key: copied(each, "_py", memo) for key, each in words.items()}
        answer = _Outcome.of(call, plain, words)
        second = _Outcome.of(_at(beside, path if owner is None else path[1:]), copies, wordy)
        where, one, other = _where(tuple(_ends(answer, memo, 0)), tuple(_ends(second, memo, 1)))
        if one == other:
            return answer.given()
        told = Difference(self.name, ".".join(path), shown, _shown((where, one)), _shown((where, other)))
        self._differ(told, memo)
        return second.given()

    def _differ(self, difference: Difference, memo: dict[int, tuple[Any, Any]]) -> None:
        """Raises what the listener does; the order that depends on it is refused so."""
        if self.name not in REFUSING:
            _moved.update(memo)
            self._fall_back(self.name)
        _told.tell(difference)


def _ends(outcome: _Outcome, memo: dict[int, tuple[Any, Any]], at: int) -> Iterator[Any]:
    """The outcome, then the states of what took part: the originals (``at`` 0) or their copies (1)."""
    yield outcome.seen()
    for pair in memo.values():
        yield seen(pair[at])


def _bare(value: Any) -> Any:
    return value._shadow.current(value) if isinstance(value, Shadowed) else value


def _at(place: Any, path: Path) -> Any:
    """What ``place``, a module or an object, has at ``path``."""
    for name in path:
        place = getattr(place, name)
    return place


def _is_called(name: str) -> bool:
    """Whether a class's function is one that others call, and no part of this machinery."""
    return name == "__len__" or (name[0] != "_" and name not in ("state", "restore"))

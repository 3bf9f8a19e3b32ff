"""Every mistake in a settings file as one line that names the key, what was found and what is allowed.

Works on any struct of this package: the types themselves say what is allowed, so no message can go stale.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from decimal import Decimal
from difflib import get_close_matches
from typing import Any, get_args, get_type_hints

import msgspec
from msgspec import inspect

from app.errors import SettingsError, clean

DECIMAL_PLACES = 6  # digits after the point: the scale of micro-units
VALUE_SHOWN = 60  # characters of a wrong value kept in the message
SUGGEST_ABOVE = 0.6  # similarity (0 to 1) from which another key is worth suggesting

Convert = Callable[[Any, Any], Any]


def reject_unknown(table: Any, shape: Any, prefix: str = "") -> None:
    """Raise SettingsError for the first key of `table` that `shape` does not have."""
    if not isinstance(table, dict):
        return
    for key, value, kind in _children(table, shape):
        if kind is None:
            known = list(get_type_hints(_plain(shape)))
            raise SettingsError(prefix + clean(key, VALUE_SHOWN), f"is unknown; {_suggestion(key, known)}")
        reject_unknown(value, kind, f"{prefix}{key}.")


def reject_wrong(value: Any, kind: Any, convert: Convert, key: str = "") -> None:
    """Raise SettingsError for the innermost value that `convert` refuses; return when it refuses none."""
    try:
        convert(value, kind)
        return
    except msgspec.ValidationError:
        pass
    for name, child, child_kind in _children(value, kind):
        reject_wrong(
            child, child_kind, convert, f"{key}{name}" if name[:1] == "[" else f"{key}.{name}".strip(".")
        )
    raise _missing(value, kind, key) or _wrong_key(value, kind, convert, key) or _wrong(value, kind, key)


def reject_decimals(struct: msgspec.Struct, prefix: str = "") -> None:
    """Raise SettingsError for the first decimal out of its bounds: msgspec has no bounds for those."""
    for key, hint in get_type_hints(type(struct), include_extras=True).items():
        value = getattr(struct, key)
        if isinstance(value, Decimal):
            _check_decimal(prefix + key, value, hint)
        elif isinstance(value, msgspec.Struct):
            reject_decimals(value, f"{prefix}{key}.")
        elif isinstance(value, dict):
            for name, entry in value.items():
                if isinstance(entry, msgspec.Struct):
                    reject_decimals(entry, f"{prefix}{key}.{name}.")


def _plain(kind: Any) -> Any:
    """`kind` without its bounds."""
    return get_args(kind)[0] if hasattr(kind, "__metadata__") else kind


def _children(value: Any, kind: Any) -> Iterator[tuple[str, Any, Any]]:
    """Name, value and type of every entry below `value`; the type None marks a key the struct lacks."""
    plain = _plain(kind)
    if isinstance(value, dict) and isinstance(plain, type) and issubclass(plain, msgspec.Struct):
        hints = get_type_hints(plain, include_extras=True)
        yield from ((key, entry, hints.get(key)) for key, entry in value.items())
    elif isinstance(value, dict) and getattr(plain, "__origin__", None) is dict:
        yield from ((key, entry, get_args(plain)[1]) for key, entry in value.items())
    elif isinstance(value, list) and getattr(plain, "__origin__", None) is tuple:
        yield from ((f"[{place}]", entry, get_args(plain)[0]) for place, entry in enumerate(value))


def _suggestion(key: str, known: list[str]) -> str:
    near = get_close_matches(key, known, n=1, cutoff=SUGGEST_ABOVE)
    return f"did you mean {near[0]}?" if near else f"known here: {', '.join(known)}"


def _missing(value: Any, kind: Any, key: str) -> SettingsError | None:
    plain = _plain(kind)
    if isinstance(value, dict) and isinstance(plain, type) and issubclass(plain, msgspec.Struct):
        for field in inspect.type_info(plain).fields:  # type: ignore[attr-defined]
            if field.required and field.name not in value:
                return SettingsError(f"{key}.{field.name}", f"is missing; write {allowed(field.type)}")
    return None


def _wrong_key(value: Any, kind: Any, convert: Convert, key: str) -> SettingsError | None:
    """The first name of a map that is not of the map's key type."""
    plain = _plain(kind)
    if isinstance(value, dict) and getattr(plain, "__origin__", None) is dict:
        for name in value:
            try:
                convert({name: None}, dict[get_args(plain)[0], None])  # type: ignore[misc]
            except msgspec.ValidationError:
                name_type = inspect.type_info(get_args(plain)[0])
                return SettingsError(
                    f"{key}.{clean(name, VALUE_SHOWN)}", f"the name must be {allowed(name_type)}"
                )
    return None


def _wrong(value: Any, kind: Any, key: str) -> SettingsError:
    return SettingsError(key or "file", f"found {_shown(value)}, allowed: {allowed(inspect.type_info(kind))}")


def _shown(value: Any) -> str:
    if isinstance(value, dict):
        return "a table"
    if isinstance(value, bool):
        return str(value).lower()
    return clean(f'"{value}"' if isinstance(value, str) else value, VALUE_SHOWN)


def allowed(kind: inspect.Type) -> str:
    """What a value of this type may be, for a person: "a whole number from 1 to 160 (orders a minute)"."""
    unit, extra = "", {}
    if isinstance(kind, inspect.Metadata):
        unit, extra = (kind.extra_json_schema or {}).get("description", ""), kind.extra or {}
        kind = kind.type
    words = _words(kind, extra)
    return f"{words} ({unit})" if unit else words


def _words(kind: inspect.Type, extra: Mapping[str, Any]) -> str:
    match kind:
        case inspect.BoolType():
            return "true or false"
        case inspect.IntType(ge=low, le=high):
            return "a whole number" + _range(low, high)
        case inspect.DecimalType():
            return "a number" + _range(extra.get("ge"), extra.get("le"))
        case inspect.LiteralType(values=values):
            return " or ".join(f'"{value}"' for value in values)
        case inspect.CustomType():
            return "a path in quotes"
        case inspect.DateType():
            return "a date such as 2026-11-20"
        case inspect.StructType() | inspect.DictType():
            return "a table"
        case inspect.VarTupleType(item_type=item, min_length=least, max_length=most):
            return f"a list of {least or 0} to {most}, each {allowed(item)}"
        case inspect.UnionType(types=types):
            return allowed(types[0])
        case _:
            return "a text in quotes"


def _range(low: object, high: object) -> str:
    if low is None:
        return ""
    return f" from {low} to {high}" if high is not None else f" of at least {low}"


def _check_decimal(key: str, number: Decimal, hint: Any) -> None:
    info = inspect.type_info(hint)
    info = info if isinstance(info, inspect.Metadata) else getattr(info, "types", (info,))[0]
    extra = getattr(info, "extra", None) or {}
    exponent = number.as_tuple().exponent
    if not number.is_finite() or not extra["ge"] <= number <= extra["le"]:
        raise SettingsError(key, f"found {_shown(number)}, allowed: {allowed(info)}")
    if isinstance(exponent, int) and exponent < -DECIMAL_PLACES:
        raise SettingsError(
            key, f"found {_shown(number)}, allowed: at most {DECIMAL_PLACES} digits after the point"
        )

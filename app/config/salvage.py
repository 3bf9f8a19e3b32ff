"""What can still be read of a settings file that is wrong elsewhere: the page, whom to tell, the data folder.

For safe mode alone. It never raises: what cannot be read, or is out of bounds, is as if it were not there.
"""

from __future__ import annotations

import os
import tomllib
from dataclasses import dataclass
from pathlib import Path
from typing import Any, TypeVar

import msgspec

from app.config.loading import read_text
from app.config.settings import Notify, Settings, Web, check_notify
from app.errors import SettingsError

STATE_FOLDER = "STATE_DIRECTORY"  # where systemd made the folder, when the file does not say

T = TypeVar("T", bound=msgspec.Struct)


@dataclass(frozen=True, slots=True)
class Salvaged:
    """Each as the file says, or by default."""

    web: Web
    notify: Notify
    data_dir: Path


def salvage(file: Path) -> Salvaged:
    """What is right in `file`."""
    document, base = _document(file), file.absolute().parent
    web, notify = _section(document.get("web"), Web, base), _section(document.get("notify"), Notify, base)
    try:
        check_notify(notify)
    except SettingsError:
        notify = Notify()
    return Salvaged(web, notify, _data_dir(document.get("data_dir"), base))


def _document(file: Path) -> dict[str, Any]:
    try:
        return tomllib.loads(read_text(file))
    except (SettingsError, ValueError, RecursionError):
        return {}


def _section(table: Any, shape: type[T], base: Path) -> T:
    """Key by key, so that a wrong one does not hide the right ones."""

    def path_below(kind: type, value: Any) -> Path:
        if kind is not Path or not isinstance(value, str) or not value or "\0" in value:
            raise ValueError("a path is needed")
        return base / value

    def convert(part: dict[str, Any]) -> T:
        return msgspec.convert(part, shape, dec_hook=path_below)

    kept: dict[str, Any] = {}
    for key in shape.__struct_fields__:
        if isinstance(table, dict) and key in table:
            try:
                convert({key: table[key]})
            except msgspec.ValidationError:
                continue
            kept[key] = table[key]
    return convert(kept)


def _data_dir(named: Any, base: Path) -> Path:
    if isinstance(named, str) and named and "\0" not in named:
        return base / named
    made = os.environ.get(STATE_FOLDER, "").partition(":")[0]
    return Path(made) if made else Settings().data_dir

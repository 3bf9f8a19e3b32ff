"""What can still be read of a settings file that is wrong elsewhere: where the page is, where the data are.

For safe mode alone. It never raises: what cannot be read, or is out of bounds, is as if it were not there.
"""

from __future__ import annotations

import os
import tomllib
from pathlib import Path
from typing import Any

import msgspec

from app.config.loading import read_text
from app.config.settings import Settings, Web
from app.errors import SettingsError

STATE_FOLDER = "STATE_DIRECTORY"  # where systemd made the folder, when the file does not say


def salvage(file: Path) -> tuple[Web, Path]:
    """The `[web]` section and the data folder, each as the file says or by default."""
    document = _document(file)
    return _web(document.get("web")), _data_dir(document.get("data_dir"), file.absolute().parent)


def _document(file: Path) -> dict[str, Any]:
    try:
        return tomllib.loads(read_text(file))
    except (SettingsError, ValueError, RecursionError):
        return {}


def _web(table: Any) -> Web:
    """Key by key, so that a wrong one does not hide the right ones."""
    kept: dict[str, Any] = {}
    for key in Web.__struct_fields__:
        if isinstance(table, dict) and key in table:
            try:
                msgspec.convert({key: table[key]}, Web)
            except msgspec.ValidationError:
                continue
            kept[key] = table[key]
    return msgspec.convert(kept, Web)


def _data_dir(named: Any, base: Path) -> Path:
    if isinstance(named, str) and named and "\0" not in named:
        return base / named
    made = os.environ.get(STATE_FOLDER, "").partition(":")[0]
    return Path(made) if made else Settings().data_dir

"""Where things are: the settings file, the data folder, the demo's home. Reads two keys of the settings."""

from __future__ import annotations

import os
import tomllib
from argparse import Namespace
from pathlib import Path
from typing import Any

from app.errors import NOT_YOURS, SettingsError

CONFIG = Path("/etc/plimsoll/plimsoll.toml")
CONFIG_VARIABLE = "PLIMSOLL_CONFIG"
HOME_VARIABLE = "PLIMSOLL_HOME"


def config_file(arguments: Namespace) -> Path:
    """--config, $PLIMSOLL_CONFIG or the installed one."""
    return arguments.config or Path(os.environ.get(CONFIG_VARIABLE) or CONFIG)


def demo_home() -> Path:
    """$PLIMSOLL_HOME or the user's own data folder."""
    named = os.environ.get(HOME_VARIABLE)
    if named:
        return Path(named).absolute()
    base = os.environ.get("XDG_DATA_HOME") or Path.home() / ".local" / "share"
    return Path(base) / "plimsoll" / "demo"


def data_dir(arguments: Namespace) -> Path:
    """--data-dir, else the settings' own, else the demo's where nothing is installed."""
    if arguments.data_dir:
        return Path(arguments.data_dir).absolute()
    file = config_file(arguments)
    if not file.exists() and not arguments.config:
        return demo_home() / "data"
    try:
        return file.absolute().parent / Path(_settings(file).get("data_dir", "/var/lib/plimsoll"))
    except (ValueError, TypeError) as error:
        raise SettingsError("data_dir", f"in {file}: {error}") from None


def passphrase_file(arguments: Namespace) -> Path | None:
    """What `backup.passphrase_file` names in the settings, None where they name none or there are none."""
    file = config_file(arguments)
    if not file.exists():
        return None
    section = _settings(file).get("backup", {})
    named = section.get("passphrase_file", "") if isinstance(section, dict) else None
    if not isinstance(named, str):
        raise SettingsError("backup.passphrase_file", f'in {file}: a path, or "" for none')
    return file.absolute().parent / named if named else None


def _settings(file: Path) -> dict[str, Any]:
    """The settings as TOML has them, unchecked: one wrong key must not keep anybody from a backup."""
    try:
        return tomllib.loads(file.read_text(encoding="utf-8"))
    except tomllib.TOMLDecodeError as error:
        raise SettingsError("--config", f"{file} is not TOML: {error}") from None
    except PermissionError:
        raise SettingsError("--config", f"{file}: {NOT_YOURS}") from None
    except (OSError, ValueError) as error:
        problem = error.strerror if isinstance(error, OSError) else error
        raise SettingsError("--config", f"{file} cannot be read: {problem}") from None

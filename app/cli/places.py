"""Where things are: the settings file, the data folder, the demo's home. Reads one key of the settings."""

from __future__ import annotations

import os
import tomllib
from argparse import Namespace
from pathlib import Path

from app.errors import SettingsError

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
        text = file.read_text(encoding="utf-8")
    except (OSError, ValueError) as error:
        problem = error.strerror if isinstance(error, OSError) else error
        raise SettingsError("--config", f"{file} cannot be read: {problem}") from None
    try:
        named = tomllib.loads(text).get("data_dir", "/var/lib/plimsoll")
        return file.absolute().parent / Path(named)
    except tomllib.TOMLDecodeError as error:
        raise SettingsError("--config", f"{file} is not TOML: {error}") from None
    except (ValueError, TypeError) as error:
        raise SettingsError("data_dir", f"in {file}: {error}") from None

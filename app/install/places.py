"""Where everything of an installed appliance lies, below a root; whose it is; and how it is written.

The one list of paths, owners and modes: installer, doctor and uninstaller read it, nobody else names a path.
"""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

USER = "plimsoll"
UPDATE_USER = "plimsoll-update"
ROOT = "root"
GROUPS = ("dialout",)  # joined where it exists: serial ports
ACCOUNT_LIMIT = 1_048_576  # bytes of /etc/passwd or /etc/group
KEY_MODE = 0o600
SETTINGS_MODE = 0o640  # they may hold a secret: an ntfy topic, the address of a webhook
OWN_UNITS = "plimsoll"  # every unit of ours begins with it


@dataclass(frozen=True, slots=True)
class Folder:
    """One folder below the root: its mode, the user it belongs to, and the group where it is another's."""

    path: str
    mode: int
    owner: str = ROOT
    shared_with: str = ""

    @property
    def group(self) -> str:
        return self.shared_with or self.owner


FOLDERS = (
    Folder("opt/plimsoll", 0o755),
    Folder("opt/plimsoll/releases", 0o755),
    Folder("opt/plimsoll/updaters", 0o755),
    Folder("opt/plimsoll/root", 0o755),  # empty: what the service sees is bound into it
    # With the group's mark: what root's editor makes anew there still belongs to the service's group.
    Folder("etc/plimsoll", 0o2755, ROOT, USER),
    Folder("etc/plimsoll/credentials", 0o700),
    Folder("var/lib/plimsoll", 0o700, USER),
    Folder("var/lib/plimsoll/backups", 0o700, USER),
    Folder("var/lib/plimsoll-update", 0o755),
    Folder("var/lib/plimsoll-update/downloads", 0o755, UPDATE_USER),
)


@dataclass(frozen=True, slots=True)
class Places:
    """The paths below `root`, which is / on a machine that is its own."""

    root: Path

    @property
    def home(self) -> Path:
        return self.root / "opt/plimsoll"

    @property
    def etc(self) -> Path:
        return self.root / "etc/plimsoll"

    @property
    def settings(self) -> Path:
        return self.etc / "plimsoll.toml"

    @property
    def accounts(self) -> Path:
        return self.etc / "account.toml"

    @property
    def key(self) -> Path:
        return self.etc / "credentials/topstepx.key"

    @property
    def data(self) -> Path:
        return self.root / "var/lib/plimsoll"

    @property
    def update(self) -> Path:
        return self.root / "var/lib/plimsoll-update"

    @property
    def units(self) -> Path:
        return self.root / "etc/systemd/system"

    @property
    def rules(self) -> Path:
        return self.root / "etc/udev/rules.d"

    @property
    def command(self) -> Path:
        return self.root / "usr/local/bin/plimsoll"

    def shown(self, path: Path) -> str:
        """`path` as it is called on the machine itself."""
        return f"/{path.relative_to(self.root)}" if path.is_relative_to(self.root) else str(path)


def user_id(places: Places, name: str) -> tuple[int, int] | None:
    """User and group id of `name`, from the root's own list; None when there is no such user."""
    for fields in _lines(places.root / "etc/passwd"):
        if len(fields) > 3 and fields[0] == name and fields[2].isdigit() and fields[3].isdigit():
            return int(fields[2]), int(fields[3])
    return (0, 0) if name == ROOT else None


def members(places: Places, group: str) -> list[str] | None:
    """Who is listed in `group`; None when there is no such group."""
    for fields in _lines(places.root / "etc/group"):
        if len(fields) > 3 and fields[0] == group:
            return fields[3].split(",")
    return None


def _lines(file: Path) -> list[list[str]]:
    try:
        with file.open("rb") as stream:
            text = stream.read(ACCOUNT_LIMIT).decode(errors="replace")
    except OSError:
        return []
    return [line.split(":") for line in text.splitlines()]

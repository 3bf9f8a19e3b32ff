"""What of a release goes where systemd and udev look, and the drop-ins that follow from the settings.

Units are copied as they are, so that one that was edited by hand can be told by comparing bytes. What depends
on this machine's settings (the page's address, a board at a USB port) stands in drop-ins of ours, marked as
made; drop-ins of the owner are nobody's business.
"""

from __future__ import annotations

from collections.abc import Iterator
from ipaddress import IPv4Address, IPv6Address, ip_address
from pathlib import Path
from typing import TypeAlias

from app.config import Settings
from app.errors import SettingsError
from app.install import machine
from app.install.host import Door
from app.install.places import Places

Address: TypeAlias = IPv4Address | IPv6Address

SHIPPED = "systemd"  # the folder in a release
UNIT_KINDS = frozenset({".service", ".socket", ".timer", ".path", ".target"})
RULES = ".rules"
UDEV = "run/udev/control"  # there while it runs
LISTEN = "plimsoll.socket.d/10-listen.conf"
SAFE = "plimsoll-safe.socket.d/10-listen.conf"  # the safe page answers where the page did
BOARD = "plimsoll.service.d/10-board.conf"
RESTART = "plimsoll.service.d/10-restart.conf"
ASKING = tuple(f"plimsoll-{what}.service.d/10-page.conf" for what in ("confirm", "failed", "switch"))
OURS = (LISTEN, SAFE, BOARD, RESTART, *ASKING)
# Started by others: by a failure, by a timer, by the service that needs them. All the rest is enabled.
FIRST = ("plimsoll.socket", "plimsoll.service")
MADE = "# Made from /etc/plimsoll/plimsoll.toml by plimsoll install and plimsoll setup: change it there.\n"
USB_BOARD = """\
[Service]
# A board at a USB port comes and goes, so the service must see devices as they are: exposure 1.4, not 1.1.
PrivateDevices=no
DeviceAllow=char-ttyACM rw
DeviceAllow=char-ttyUSB rw
SupplementaryGroups=dialout
"""
DIRECT_SINCE = 254  # the systemd that calls OnFailure= at every end, and knows how to be told not to
DIRECT = """\
# Made by plimsoll install for this systemd.
[Service]
# A restart is no failure: only when no further one is allowed plimsoll-failed decides.
RestartMode=direct
"""
COMMAND = """\
#!/bin/sh
# plimsoll, of the release that is in use. Written by plimsoll install.
exec /usr/bin/python3 -sEB /opt/plimsoll/current/__main__.py "$@"
"""


def shipped(release: Path, places: Places) -> Iterator[tuple[Path, Path]]:
    """Each unit and rule of a release, with the place it goes to."""
    for path in sorted((release / SHIPPED).iterdir()):
        if path.suffix in UNIT_KINDS:
            yield path, places.units / path.name
        elif path.suffix == RULES:
            yield path, places.rules / path.name


def to_enable(release: Path) -> list[str]:
    """The units that have an [Install] section, the page's socket and the service first."""
    units = (path for path in sorted((release / SHIPPED).iterdir()) if path.suffix in UNIT_KINDS)
    names = [path.name for path in units if "\n[Install]" in path.read_text(encoding="utf-8")]
    return sorted(names, key=lambda name: FIRST.index(name) if name in FIRST else len(FIRST))


def read_again(places: Places, host: Door) -> None:
    """systemd and udev read their files anew. Without udev (a container) no device waits."""
    host.run("systemctl", "daemon-reload")
    if not host.live or (places.root / UDEV).exists():
        host.run("udevadm", "control", "--reload")
        host.run("udevadm", "trigger", "--subsystem-match=tty", "--subsystem-match=leds", "--action=add")


def lasts(name: str) -> bool:
    """Whether a unit runs on once it was started; the other services do their work at boot and end."""
    return name in FIRST or not name.endswith(".service")


def drop_ins(settings: Settings, root: Path) -> dict[str, str]:
    """Our drop-ins by their path below the units' folder; "" = must not be there. Raises SettingsError."""
    systemd = machine.systemd_version(root)
    usb = settings.board.required and settings.board.mode == "serial"
    address = _address(settings)
    listen, asking = _listen(address, settings.web.port), _asking(address)
    return {
        LISTEN: listen,
        SAFE: listen,
        **dict.fromkeys(ASKING, asking),
        BOARD: MADE + USB_BOARD if usb else "",
        RESTART: DIRECT if systemd >= DIRECT_SINCE else "",
    }


def _address(settings: Settings) -> Address:
    """Where the page is. Raises SettingsError for a name."""
    host = settings.web.host
    try:
        return ip_address("127.0.0.1" if host.lower() == "localhost" else host.strip("[]"))
    except ValueError:
        advice = "write 127.0.0.1, 0.0.0.0 for your network, or an address of this machine"
        raise SettingsError("web.host", f"systemd listens on addresses, {host} is a name; {advice}") from None


def _listen(address: Address, port: int) -> str:
    if not port:
        raise SettingsError(
            "web.port", "0 is any port, and nobody would find the page; write one, such as 8080"
        )
    where = f"[{address}]:{port}" if address.version == 6 else f"{address}:{port}"
    return f"{MADE}[Socket]\nListenStream=\nListenStream={where}\n"


def _asking(address: Address) -> str:
    """For those that ask the page whether a release is well: loopback alone would hide a page on one address,
    and every release would be taken back.
    """
    if address.is_loopback or address.is_unspecified:
        return ""
    return f"{MADE}[Service]\nIPAddressAllow={address}\n"

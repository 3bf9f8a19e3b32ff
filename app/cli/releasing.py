"""`plimsoll release`: keys, signed releases and the repository, on a developer's machine."""

from __future__ import annotations

import getpass
from argparse import ArgumentParser, Namespace
from pathlib import Path

from app.clock import SystemClock
from app.errors import Refused

WHATS = {
    "init": "make keys (root 2 of 3, targets, snapshot, timestamp) and an empty repository",
    "sign": "add releases to the targets",
    "withdraw": "take releases out of the targets",
    "publish": "sign snapshot and timestamp: makes it known; also renews what would expire",
    "rotate": "replace the key of a role; a device that knows only the old one follows",
}
BOARDS = ("generic", "uno-q")
ROLES = ("root", "targets", "snapshot", "timestamp")


def add_arguments(parser: ArgumentParser) -> None:
    """The options of `plimsoll release`."""
    parser.add_argument(
        "what", choices=WHATS, help="; ".join(f"{name}: {text}" for name, text in WHATS.items())
    )
    parser.add_argument(
        "subject", nargs="*", metavar="FILE|ROLE", help="releases to sign; the role to rotate"
    )
    parser.add_argument(
        "--repository", type=Path, required=True, metavar="DIR", help="the folder to be served"
    )
    parser.add_argument(
        "--keys",
        type=Path,
        action="append",
        required=True,
        metavar="DIR",
        help="where keys lie; may be repeated",
    )
    parser.add_argument(
        "--passphrase-file", type=Path, metavar="FILE", help="its first line, instead of being asked"
    )
    parser.add_argument(
        "--board", action="append", metavar="NAME", help=f"a release's boards ({', '.join(BOARDS)})"
    )
    parser.add_argument("--min-from", default="0", metavar="VERSION", help="lowest version it installs over")
    parser.add_argument("--lost", default="", metavar="ID", help="begin of the root key's id to replace")


def run(arguments: Namespace) -> int:
    """Do it. Raises Refused, OSError."""
    try:
        from app.update.release import Repository
    except ImportError:
        hint = "on a developer's machine: pip install 'plimsoll[release]'"
        raise Refused("release.tools", "signing needs cryptography and tuf", hint=hint) from None
    passphrases = _Passphrases(arguments.passphrase_file, twice=arguments.what in ("init", "rotate"))
    repository = Repository(arguments.repository, arguments.keys, passphrases.of, SystemClock())
    if arguments.what == "init":
        print(f"Embed {repository.init()} as app/update/root.json; keep the root keys apart and offline.")
    elif arguments.what == "publish":
        repository.publish()
    for subject in arguments.subject:
        if arguments.what == "sign":
            print(f"Signed {repository.sign(Path(subject), arguments.board or BOARDS, arguments.min_from)}.")
        elif arguments.what == "withdraw":
            repository.withdraw(subject)
        elif arguments.what == "rotate" and subject in ROLES:
            repository.rotate(subject, arguments.lost)
        else:
            raise Refused(
                "release.subject", subject, hint=f"plimsoll release {arguments.what} takes none such"
            )
    return 0


class _Passphrases:
    """Asked once for each file, or read from one."""

    def __init__(self, file: Path | None, twice: bool) -> None:
        self._file, self._twice = file, twice
        self._known: dict[str, bytes] = {}

    def of(self, name: str) -> bytes:
        if self._file is not None:
            return self._file.read_bytes().split(b"\n", 1)[0]
        if name not in self._known:
            given = getpass.getpass(f"Passphrase of {name}: ")
            if self._twice and given != getpass.getpass("Once more: "):
                raise Refused("release.passphrase", "the two differ")
            self._known[name] = given.encode()
        return self._known[name]

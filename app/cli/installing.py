"""`plimsoll install`, `uninstall`, `setup` and `doctor`: what the owner is asked and told.

What is done is in `app.install`; here it gets the parts of other packages it needs.
"""

from __future__ import annotations

import getpass
import json
import os
import socket
import sqlite3
import urllib.error
import urllib.request
from argparse import Namespace
from contextlib import suppress
from pathlib import Path
from typing import Any

import native
from app.cli import client, offline
from app.clock import SystemClock
from app.config import load_file
from app.errors import PlimsollError, Refused, SettingsError, clean
from app.install import answers, doctor, removal, steps
from app.install.host import Door, Host, Image
from app.install.places import Places
from app.ops import backups
from app.ops.exposure import LIVE_STATES
from app.update.artifact import ARTIFACT_VARIABLE, cache
from app.web.claim import CODE_FILE, SetupCode
from app.web.login import PASSWORD_FILE

PAGE_S = 5.0  # for one answer of this machine's own page
ANSWER_LIMIT = 65_536  # bytes of it that are read
SIGNS = {doctor.OK: "ok", doctor.LOOK: "look", doctor.BAD: "BAD"}


def install(arguments: Namespace) -> int:
    """From the artifact's file onto this machine, or below --root."""
    places, host = _where(arguments)
    file = arguments.artifact or os.environ.get(ARTIFACT_VARIABLE)
    if not file:
        raise Refused(
            "install.artifact", hint="run the file itself (./plimsoll-... install), or name it: --artifact"
        )
    file = Path(file).absolute()
    manifest = steps.prepare(places, host, file, lambda: _exposure(places))
    print(f"Installing {manifest.name} for {manifest.arch}.")
    steps.run(
        steps.Install(places, host, SystemClock(), file, manifest, _make_code, _claimed),
        lambda step, done: print(f"  {step:16} {done or 'unchanged'}", flush=True),
    )
    _told(host)
    print(f"\nThe page: {address(places)}")
    if answers.has_key(places):
        print("Look after it with: sudo plimsoll doctor")
    else:
        print("Now tell it about your account: sudo plimsoll setup")
    return 0


def uninstall(arguments: Namespace) -> int:
    """The way back. Data and settings stay, unless --purge is confirmed."""
    places, host = _where(arguments)
    removal.require(_exposure(places), arguments.with_open_positions)
    if arguments.purge and not arguments.yes:
        _confirm(
            "This deletes the journal, all backups, the settings and the key. Type purge to go on: ", "purge"
        )
    removal.run(
        removal.Removal(places, host, arguments.purge, None if arguments.root else cache()),
        lambda step, done: print(f"  {step:22} {done or 'nothing to do'}", flush=True),
    )
    _told(host)
    kept = removal.kept(places)
    print(f"Kept: {', '.join(kept)}" if kept else "Nothing was kept.")
    return 0


def setup(arguments: Namespace) -> int:
    """Ask, show, write; then the service starts again with it."""
    places, host = _where(arguments)
    if not places.settings.exists():
        raise Refused("setup.missing", places.shown(places.settings), hint="run the installer first")
    given = (
        answers.read(arguments.answers)
        if arguments.answers
        else answers.interview(_ask, answers.has_key(places))
    )
    plan = answers.plan(given, places)
    print("This will be written:", *(f"  {line}" for line in plan.changes), sep="\n")
    if not arguments.answers and not arguments.yes:
        _confirm("Write it? Type yes: ", "yes")
    answers.write(plan, places, host)
    changed = steps.drop_ins(places)
    code = _code_again(places)
    print(_restarted(places, host, changed))
    if code:
        print(f"The page's one-time code is now {code} (for 10 minutes from this start)")
    _told(host)
    print(f"The page: {address(places)}")
    return 0


def examine(arguments: Namespace) -> int:
    """The doctor's table; 1 when something is bad."""
    root = (arguments.root or Path("/")).absolute()
    places = Places(root)
    host = Image() if arguments.root else Host()
    patient = doctor.Patient(
        *(places, host, SystemClock(), _native),
        *(lambda: _journal(places), lambda: _backup(places), _page, _health),
    )
    found = list(doctor.examine(patient))
    if arguments.json:
        rows = [{"check": name, **finding._asdict()} for name, finding in found]
        print(json.dumps({"well": _well(found), "checks": rows}, indent=2))
    else:
        for name, finding in found:
            print(f"{SIGNS[finding.state]:4}  {name:14}  {finding.words}")
            if finding.fix and finding.state != doctor.OK:
                print(f"{'':22}-> {finding.fix}")
    return 0 if _well(found) else 1


def address(places: Places) -> str:
    """Where a browser finds the page, by the settings."""
    try:
        web = load_file(places.settings).web
    except SettingsError:
        return "see plimsoll doctor: the settings are wrong"
    if web.host not in ("0.0.0.0", "::"):
        return f"http://{web.host}:{web.port}/"
    return f"http://{_name(places)}.local:{web.port}/"


def _name(places: Places) -> str:
    """The machine's own name, an image's by its file."""
    try:
        named = (places.root / "etc/hostname").read_text(encoding="utf-8").strip()
    except (OSError, ValueError):
        named = ""
    return clean(named or socket.gethostname(), 64).lower()


def _where(arguments: Namespace) -> tuple[Places, Door]:
    """This machine, which only root may change, or an image below --root."""
    if arguments.root:
        root = arguments.root.absolute()
        if not root.is_dir():
            raise Refused("install.root", root, hint="it must be a folder with a system in it")
        return Places(root), Image()
    if os.geteuid():
        raise Refused("install.root", hint="this changes the system: run it with sudo")
    return Places(Path("/")), Host()


def _told(host: Door) -> None:
    if isinstance(host, Image) and host.left:
        print("\nLeft for the machine itself:", *(f"  {line}" for line in host.left), sep="\n")


def _make_code(data: Path) -> str:
    return SetupCode(data / CODE_FILE, SystemClock()).make()


def _claimed(data: Path) -> str:
    if (data / PASSWORD_FILE).exists():
        return "password"
    return "code" if (data / CODE_FILE).exists() else ""


def _code_again(places: Places) -> str:
    """A new code where there is no password yet and the installer's is over: whoever took his time with the
    questions would else find a page that nobody may claim.
    """
    if _claimed(places.data) == "password" or SetupCode(places.data / CODE_FILE, SystemClock()).waits():
        return ""
    return _make_code(places.data)


def _exposure(places: Places) -> str:
    """Why the service must not be stopped now, "" = it may. What cannot be told counts as a reason."""
    folder = _data(places)
    try:
        if not (folder / "state.db").exists():
            return ""
        told_of = offline.read if _in_safe_mode(folder) else _told_of  # safe mode has no word of its own
        told = {**told_of(folder, "positions"), **told_of(folder, "orders")}
    except (PlimsollError, OSError, sqlite3.Error) as error:
        return f"whether a position is open cannot be told: {clean(error)}"
    held = [f"{each['net']:+d} {each['contract']}" for each in told["positions"] if each["net"]]
    if held:
        return f"{', '.join(held)} is open"
    working = [each["contract"] for each in told["orders"] if each["state"] in LIVE_STATES]
    return f"an order in {', '.join(dict.fromkeys(working))} may still be filled" if working else ""


def _data(places: Places) -> Path:
    """Where the journal lies: by the settings, an image's and a broken settings file's at the usual place."""
    with suppress(SettingsError):
        if places.root == Path("/"):
            return load_file(places.settings).data_dir
    return places.data


def _told_of(folder: Path, command: str) -> dict[str, Any]:
    """The service's word, else the journal's."""
    return client.ask(folder, command) or offline.read(folder, command)


def _in_safe_mode(folder: Path) -> bool:
    """A page and a command port answer, but nothing is traded and no position is watched. Of a service that
    gives no answer it is not known.
    """
    with suppress(PlimsollError):
        return "safe" in (client.ask(folder, "status") or {})
    return False


def _restarted(places: Places, host: Door, changed: str) -> str:
    """Start again with the new settings, unless that would leave a position alone for a moment. In safe mode
    it is alone until then.
    """
    later = "It holds at the next start: sudo systemctl restart plimsoll"
    why = "" if _in_safe_mode(_data(places)) else _exposure(places)
    if why:
        return f"{why}. {later}"
    if changed:
        host.run("systemctl", "daemon-reload")
    host.says(
        "systemctl", "reset-failed", "plimsoll.service", "plimsoll.socket"
    )  # what failed before is mended now
    host.run("systemctl", "--no-block", "restart", "plimsoll.socket", "plimsoll.service")
    return "The service starts again with it."


def _ask(question: answers.Question, problem: str) -> str:
    """One answer from the terminal; the key is not shown."""
    if problem:
        print(f"  {problem}")
    usual = f" [{question.usual}]" if question.usual else ""
    prompt = f"{question.words}{usual}: "
    try:
        return getpass.getpass(prompt) if question.kind == "secret" else input(prompt)
    except EOFError:
        raise Refused("setup.answers", hint="nobody answers here: give a file, --answers FILE") from None


def _confirm(prompt: str, word: str) -> None:
    """Raises Refused unless `word` is typed."""
    try:
        said = input(prompt)
    except EOFError:
        said = ""
    if said.strip() != word:
        raise Refused("confirm", hint="nothing was changed")


def _native() -> str:
    try:
        native.require_compiled(dev=False)
    except native.NativeError as error:
        return str(error)
    return ""


def _journal(places: Places) -> str:
    if not (places.data / "state.db").exists():
        return ""  # nothing was traded yet
    try:
        offline.read(places.data, "status")
    except (PlimsollError, OSError, sqlite3.Error) as error:
        return clean(error)
    return ""


def _backup(places: Places) -> str:
    return dict(backups.troubles(places.data, SystemClock().wall_ns())).get("backup_failed", "")


def _page(url: str) -> int:
    """Its HTTP status."""
    return _asked(url)[0]


def _health(url: str) -> dict[str, Any]:
    """The JSON object there, {} for anything else."""
    try:
        told = json.loads(_asked(url)[1])
    except (ValueError, RecursionError):
        return {}
    return told if isinstance(told, dict) else {}


def _asked(url: str) -> tuple[int, bytes]:
    """Status and body of this machine's own page, so no proxy stands between. Raises OSError."""
    opener = urllib.request.build_opener(urllib.request.ProxyHandler({}))
    try:
        with opener.open(url, timeout=PAGE_S) as answer:
            return int(answer.status), answer.read(ANSWER_LIMIT)
    except urllib.error.HTTPError as error:
        with error:
            return error.code, error.read(ANSWER_LIMIT)


def _well(found: list[tuple[str, doctor.Finding]]) -> bool:
    return all(finding.state != doctor.BAD for _, finding in found)

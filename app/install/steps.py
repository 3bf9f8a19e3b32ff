"""`plimsoll install`: the table of its steps, and how each is made again after an interruption.

Each step looks before it acts and says "" when there was nothing to do, so a second run changes nothing and
the run after a power cut goes on where the first one ended: files and folders get their names last, whole.
The owner's files are never overwritten.
"""

from __future__ import annotations

import hashlib
import os
import shutil
import stat
import tomllib
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, replace
from pathlib import Path

from app import durable
from app.clock import Clock
from app.config import load, load_file
from app.errors import Refused, SettingsError, Theirs
from app.install import machine, units
from app.install.edit import keys, with_values
from app.install.host import Door
from app.install.places import (
    FOLDERS,
    GROUPS,
    KEY_MODE,
    ROOT,
    SETTINGS_MODE,
    UPDATE_USER,
    USER,
    Folder,
    Places,
    members,
    user_id,
)
from app.update import artifact, locks, state, switch
from app.update.artifact import Damaged, Manifest

SAMPLES = ("plimsoll.toml", "account.toml")
SHIPPED_SUFFIX = ".shipped"  # the settings as the release has them, beside the owner's
LAN = "0.0.0.0"  # a fresh appliance has no screen: its page must be found from the network
SAMPLE_LIMIT = 262_144  # bytes


@dataclass(frozen=True, slots=True)
class Install:
    """One installation. `make_code(data folder)` makes and returns a one-time code; `claimed(data folder)`
    says whether a password, or a code that waits, is there already.
    """

    places: Places
    host: Door
    clock: Clock
    file: Path
    manifest: Manifest
    make_code: Callable[[Path], str]
    claimed: Callable[[Path], str]

    @property
    def release(self) -> Path:
        return self.places.home / switch.RELEASES / self.manifest.name

    def owner(self, name: str) -> tuple[int, int]:
        """Raises Theirs when the user is not there and should be."""
        found = user_id(self.places, name)
        if found is None and self.host.live:
            raise Theirs("/etc/passwd", f"has no user {name}, though one was just made")
        return found or (0, 0)


Step = tuple[str, Callable[[Install], str]]


def run(job: Install, say: Callable[[str, str], None]) -> None:
    """Every step in order; `say(step, what was done)`, "" = nothing. Raises the first failure: the steps
    before it stay done, and the next run goes on. Raises Refused while an updater is at work.
    """
    with _open_to_read():
        job.places.update.mkdir(parents=True, exist_ok=True)
        with locks.alone(job.places.update):
            for name, step in STEPS:
                say(name, step(job))


@contextmanager
def _open_to_read() -> Iterator[None]:
    """A hardened machine's root makes what nobody else can read; who runs the service must. Keys say their
    mode themselves.
    """
    before = os.umask(0o022)
    try:
        yield
    finally:
        os.umask(before)


def prepare(places: Places, host: Door, file: Path, running: Callable[[], str] = lambda: "") -> Manifest:
    """What `file` is, once this machine was found fit for it. `running` says why the service must not be
    restarted now, "" = it may. Raises Refused, Theirs; nothing was changed.
    """
    try:
        manifest = artifact.manifest_of(file)
    except (Damaged, OSError) as error:
        raise Theirs(str(file), error) from None
    machine.require(machine.look(places.root, host.live), manifest)
    now = switch.linked(places.home)
    _check_journal(places, manifest)
    ota, problem = state.load(places.update, now)
    if ota.trial and not problem:
        raise Refused("install.update", f"{ota.trial} is on trial", hint="wait until the update has ended")
    if now and now != manifest.name and (why := running()):
        raise Refused("install.exposed", why, hint="close it first, or use plimsoll update, which waits")
    return manifest


def _check_journal(places: Places, manifest: Manifest) -> None:
    """Raises Refused for a release that cannot open what the one that is installed leaves behind."""
    try:
        data = durable.read(places.home / switch.CURRENT / artifact.MANIFEST, artifact.MANIFEST_LIMIT)
        there = artifact.parse_manifest(data)
    except (OSError, Damaged):
        return
    if manifest.schema and manifest.schema < there.schema_oldest:
        words = f"{there.name} keeps journals that {manifest.name} cannot open"
        raise Refused("install.schema", words, hint="take a newer file, or plimsoll restore an older backup")


def _users(job: Install) -> str:
    made = []
    for name in (USER, UPDATE_USER):
        if user_id(job.places, name) is None:
            home = "/var/lib/plimsoll" if name == USER else "/nonexistent"
            kind = ("--system", "--user-group", "--no-create-home", "--home-dir", home)
            job.host.run("useradd", *kind, "--shell", "/usr/sbin/nologin", name)
            made.append(f"user {name}")
    for group in GROUPS:
        listed = members(job.places, group)
        if listed is not None and USER not in listed:
            job.host.run("usermod", "--append", "--groups", group, USER)
            made.append(f"group {group}")
    return ", ".join(made)


def _folders(job: Install) -> str:
    return ", ".join(filter(None, (_folder(job, folder) for folder in FOLDERS)))


def _folder(job: Install, wanted: Folder) -> str:
    """By a handle on the folder itself: one of them lies in the service's own, which may put a link, or
    anything else, into its place between two looks.
    """
    folder = job.places.root / wanted.path
    changed = not folder.is_dir()
    folder.mkdir(parents=True, exist_ok=True)
    try:
        handle = os.open(folder, os.O_RDONLY | os.O_DIRECTORY | os.O_NOFOLLOW | os.O_CLOEXEC)
    except OSError:
        raise Theirs(f"/{wanted.path}", "is a link; the installer does not follow it") from None
    try:
        owner = job.owner(wanted.owner)[0], job.owner(wanted.group)[1]
        changed |= job.host.own(folder, owner, f"{wanted.owner}:{wanted.group}", handle)
        if stat.S_IMODE(os.fstat(handle).st_mode) != wanted.mode:
            os.fchmod(handle, wanted.mode)
            changed = True
    finally:
        os.close(handle)
    return f"/{wanted.path}" if changed else ""


def _unpack(job: Install) -> str:
    """A release folder that is not as its manifest says (an edited file, a bad disk) is unpacked anew; what
    somebody who was killed had begun to unpack goes.
    """
    for begun in job.release.parent.glob(".*"):
        shutil.rmtree(begun)
    if switch.is_whole(job.release):
        return ""
    try:
        switch.add(job.places.home, job.file, job.manifest.name)
    except Damaged as error:
        raise Theirs(str(job.file), error) from None
    return job.manifest.name


def _link(job: Install) -> str:
    now = switch.linked(job.places.home)
    if now == job.manifest.name:
        return ""
    switch.switch(job.places.home, job.manifest.name)
    return f"{now} -> {job.manifest.name}" if now else job.manifest.name


def _has_updater(home: Path) -> bool:
    copied = switch.linked(home, switch.UPDATER)
    return bool(copied) and switch.is_whole(home / switch.UPDATERS / copied)


def _updater(job: Install) -> str:
    """The updater's own copy is made here once, and again where it is damaged: it cannot mend itself. A
    committed update replaces it.
    """
    said = ""
    if not _has_updater(job.places.home):
        switch.copy_updater(job.places.home, job.manifest.name)
        said = "its own copy"
    ota, _ = state.load(job.places.update, job.manifest.name)
    if (job.places.update / state.FILE).exists() and ota.good != job.manifest.name:
        bad = tuple(name for name in ota.bad if name != job.manifest.name)
        state.save(
            job.places.update, replace(ota, good=job.manifest.name, previous=ota.good, bad=bad, window_s=0)
        )
        said = "takes this release as good"
    return said


def _units(job: Install) -> str:
    written = [
        target.name
        for source, target in units.shipped(job.release, job.places)
        if _put(target, durable.read(source, SAMPLE_LIMIT))
    ]
    if _put(job.places.command, units.COMMAND.encode(), 0o755):
        written.append("the command plimsoll")
    return ", ".join(written)


def _settings(job: Install) -> str:
    """The commented settings, where there are none; of what a newer release brings the owner is told."""
    told = []
    for name in SAMPLES:
        own, kept = job.places.etc / name, job.places.etc / (name + SHIPPED_SUFFIX)
        sample = durable.read(job.release / units.SHIPPED / name, SAMPLE_LIMIT)
        if not own.exists():
            _put(own, _fresh(name, sample), SETTINGS_MODE if name == SAMPLES[0] else 0o644)
            told.append(name)
        elif name == SAMPLES[0]:
            told += [f"new in {name}: {key}" for key in _new_keys(kept, sample)]
        _put(kept, sample)  # last: until then the next run tells of new keys again
    return ", ".join([*told, *_closed(job)])


def _closed(job: Install) -> Iterator[str]:
    """The settings, also those of an older installation, for root and the service's group alone. Who put a
    link into their place looks after what it leads to.
    """
    file = job.places.settings
    if file.is_symlink():
        return
    changed = job.host.own(file, (job.owner(ROOT)[0], job.owner(USER)[1]), f"{ROOT}:{USER}")
    if stat.S_IMODE(file.stat().st_mode) != SETTINGS_MODE:
        file.chmod(SETTINGS_MODE)
        changed = True
    if changed:
        yield f"{file.name} for {ROOT} and the group {USER} alone"


def _fresh(name: str, sample: bytes) -> bytes:
    """The first settings file: the page on the network, where it asks for the one-time code."""
    text = sample.decode()
    return with_values(text, "web", {"host": LAN}).encode() if name == SAMPLES[0] else sample


def _new_keys(kept: Path, sample: bytes) -> list[str]:
    try:
        known = set(keys(tomllib.loads(durable.read(kept, SAMPLE_LIMIT).decode())))
    except (OSError, ValueError):
        return []
    return [key for key in keys(tomllib.loads(sample.decode())) if key not in known]


def _credentials(job: Install) -> str:
    """An empty key, in the place and with the rights of the one to come; that it is empty, the page tells."""
    made = not job.places.key.exists()
    if made:
        durable.write(job.places.key, b"", KEY_MODE)
    closed = stat.S_IMODE(job.places.key.stat().st_mode) & 0o077
    if closed:
        job.places.key.chmod(KEY_MODE)
    owned = job.host.own(job.places.key, job.owner(ROOT), f"{ROOT}:{ROOT}")
    return job.places.key.name if made or closed or owned else ""


def drop_ins(places: Places) -> str:
    """Our drop-ins as the settings want them. Wrong settings keep those there are: the service starts its
    safe page where the page was.
    """
    try:
        wanted = units.drop_ins(load_file(places.settings), places.root)
    except SettingsError as error:
        for name, text in units.drop_ins(load(f'web.host = "{LAN}"', Path("/")), places.root).items():
            if text and not (places.units / name).exists():
                _put(places.units / name, text.encode())
        return f"not changed, for the settings are wrong: {error}"
    changed = []
    for name, text in wanted.items():
        target = places.units / name
        if text and _put(target, text.encode()):
            changed.append(name)
        elif not text and target.exists():
            target.unlink()
            durable.flush(target.parent)
            changed.append(f"{name} removed")
    return ", ".join(changed)


def _reload(job: Install) -> str:
    """What was read is remembered, for a run that was interrupted between writing and reading. Devices that
    are there already get their new owner by the trigger.
    """
    mark, now = job.places.update / "read", _digest(job)
    if _marked(mark) == now and not _stale(job):
        return ""
    units.read_again(job.places, job.host)
    durable.write(mark, now.encode())
    return "systemd and udev read them"


def _stale(job: Install) -> bool:
    """Whether systemd holds a unit that is not the one on disk: somebody edited it, and it was put right."""
    if not job.host.live:
        return False
    names = units.to_enable(job.release)
    return "=yes" in job.host.run("systemctl", "show", "--property=NeedDaemonReload", *names)


def _digest(job: Install) -> str:
    """Of everything that systemd and udev read of us, as it lies there."""
    ours = [target for _, target in units.shipped(job.release, job.places)]
    ours += [path for path in (job.places.units / name for name in units.OURS) if path.exists()]
    contents = b"".join(hashlib.sha256(durable.read(path, SAMPLE_LIMIT)).digest() for path in ours)
    return hashlib.sha256(contents).hexdigest()


def _code(job: Install) -> str:
    """Made anew until the service was enabled: whoever was interrupted before that has not read it."""
    claimed = job.claimed(job.places.data)
    if claimed == "password":
        return ""
    enabled = not job.host.live or job.host.says("systemctl", "is-enabled", "--quiet", units.FIRST[1])
    if claimed == "code" and enabled:
        return ""
    return f"{job.make_code(job.places.data)} (shown once; type it on the page within 10 minutes)"


def _enable(job: Install) -> str:
    names = units.to_enable(job.release)
    missing = [name for name in names if not job.host.says("systemctl", "is-enabled", "--quiet", name)]
    if missing:
        job.host.run("systemctl", "enable", *missing)
    return ", ".join(missing)


def _start(job: Install) -> str:
    """A service that runs another release, or from before a change of its units, is started again."""
    if not job.host.live:
        return ""
    lasting = [name for name in units.to_enable(job.release) if units.lasts(name)]
    wanted = [name for name in lasting if not _runs(job.host, name)]
    mark = job.places.update / "installed"
    fresh = _marked(mark) != job.manifest.name
    if fresh or wanted:
        job.host.says("systemctl", "reset-failed", *units.FIRST)  # what failed before is mended now
    if fresh and units.FIRST[1] not in wanted:
        job.host.run("systemctl", "--no-block", "restart", *units.FIRST)
    if wanted:
        job.host.run("systemctl", "--no-block", "start", *wanted)
    if fresh:
        durable.write(mark, job.manifest.name.encode())
    return ", ".join(wanted) or (f"{units.FIRST[1]} again" if fresh else "")


def _runs(host: Door, unit: str) -> bool:
    """Whether it runs or is on its way: the service is ready only once the venue has answered."""
    said = host.run("systemctl", "show", "--property=ActiveState", "--value", unit)
    return said.strip() in ("active", "activating", "reloading")


def _marked(mark: Path) -> str:
    try:
        return durable.read(mark, 200).decode(errors="replace")
    except OSError:
        return ""


def _put(target: Path, data: bytes, mode: int = 0o644) -> bool:
    """Write a file whole, unless it has these bytes and this mode already."""
    try:
        same = durable.read(target, SAMPLE_LIMIT) == data and stat.S_IMODE(target.stat().st_mode) == mode
    except OSError:
        same = False
    if not same:
        target.parent.mkdir(parents=True, exist_ok=True)
        durable.write(target, data, mode)
        target.chmod(mode)  # whatever the caller's umask took away
    return not same


STEPS: tuple[Step, ...] = (
    ("users", _users),
    ("folders", _folders),
    ("release", _unpack),
    ("settings", _settings),
    ("credentials", _credentials),
    ("units", _units),
    ("drop-ins", lambda job: drop_ins(job.places)),
    ("current release", _link),
    ("updater", _updater),
    ("reload", _reload),
    ("one-time code", _code),
    ("start at boot", _enable),
    ("start", _start),
)

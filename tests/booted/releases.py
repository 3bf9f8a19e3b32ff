"""Releases to update to: this checkout's own artifact with another version and, where asked, a planted
defect; and the signed repository that offers them, served on the machine itself.

A planted updater can also be ended at one of its numbered steps: whoever writes the step's name into `CUT`
has the updater kill itself there, or stop there until the plug is pulled.
"""

from __future__ import annotations

import hashlib
import json
import shutil
import zipfile
from pathlib import Path

from tests.booted.machine import Machine
from tests.update.repositories import published

PYTHON = "3.13"  # of Debian 13
URL, SITE, ROOT_FILE = "http://127.0.0.1:8001", "/srv/releases", "/etc/plimsoll/root.json"
SERVER = f"""\
[Unit]
Description=The repository
[Service]
ExecStart=/usr/bin/python3 -m http.server 8001 --bind 127.0.0.1 --directory {SITE}
[Install]
WantedBy=multi-user.target
"""
CUT = "/var/lib/plimsoll-update/cut"
COMPOSE, NOTIFY, RUN = "app/compose.py", "app/ops/notify.py", "app/update/run.py"
READY = "            ready(service)\n"
STEP = "        self._on_step(step)\n"
CUTTING = f"""

def _cut(step: Step) -> None:
    import os

    order = Path({CUT!r})
    if order.exists() and order.read_text().split()[:1] == [step.name]:
        number = {{"kill": 9, "stop": 19}}[order.read_text().split()[1]]
        order.unlink()
        os.kill(os.getpid(), number)
"""
ENDING_LATE = """

async def _end_late() -> None:
    import os

    while '"outcome": "committed"' not in Path("/var/lib/plimsoll-update/status.json").read_text():
        await asyncio.sleep(0.1)
    os._exit(1)
"""
ENDING_AFTER_A_CUT = """
import os

_here, _kept = Path("/run/plimsoll/begun"), Path("/var/lib/plimsoll/begun")
if _kept.exists() and not _here.exists():
    os._exit(1)
_here.touch()
_kept.touch()
"""
Edit = tuple[str, str, str]  # a file, what stands in it once ("" = its end), what takes its place
DEFECTS: dict[str, tuple[Edit, ...]] = {
    "ends at its start": ((COMPOSE, "", "\nimport os\n\nos._exit(1)\n"),),
    "is never ready": (
        (
            NOTIFY,
            '    """Send "READY=1"',
            '    words = tuple(word for word in words if word != "READY=1")\n    """Send "READY=1"',
        ),
    ),
    "hangs once it is ready": ((COMPOSE, READY, READY + '            __import__("time").sleep(600)\n'),),
    "ends once it was kept": (
        (COMPOSE, READY, READY + "            late = asyncio.ensure_future(_end_late())  # noqa\n"),
        (COMPOSE, "", ENDING_LATE),
    ),
    "ends at its start after a power cut": ((COMPOSE, "", ENDING_AFTER_A_CUT),),
}
SCHEMA, MIGRATION = "app/store/schema/__init__.py", "app/store/schema/state_{0}_to_{1}.sql"
UPDATER: tuple[Edit, ...] = ((RUN, STEP, STEP + "        _cut(step)\n"), (RUN, "", CUTTING))


def release(artifact: Path, folder: Path, version: str, *edits: Edit, says: str = "", **head: object) -> Path:
    """`artifact` as `version`, changed by `edits`; its page `says` another version when asked. `head` changes
    the manifest.
    """
    with zipfile.ZipFile(artifact) as archive:
        inside = {name: archive.read(name) for name in archive.namelist()}
    manifest = json.loads(inside.pop("manifest.json")) | {"pythons": [PYTHON]}
    others = [
        name for name in inside if "cpython-3" in name and f"cpython-{PYTHON.replace('.', '')}" not in name
    ]
    for name in others:  # half of the bytes, which this system does not need
        del inside[name]
    old = f'VERSION = "{manifest["version"]}"'
    for name, before, after in ((COMPOSE, old, f'VERSION = "{says or version}"'), *UPDATER, *edits):
        inside[name] = edited(inside.get(name, b"").decode(), before, after).encode()
        for compiled in _compiled(name, inside):
            del inside[compiled]
    listed = {name: [hashlib.sha256(data).hexdigest(), len(data)] for name, data in inside.items()}
    file = folder / f"plimsoll-{version}-linux-{manifest['arch']}"
    with zipfile.ZipFile(file, "w", zipfile.ZIP_DEFLATED, compresslevel=1) as made:
        made.writestr("manifest.json", json.dumps({**manifest, "version": version, "files": listed, **head}))
        for name, data in inside.items():
            made.writestr(name, data)
    return file


def migrating(schema: int) -> tuple[Edit, ...]:
    """What takes the journal from `schema` one version ahead, and takes nothing away."""
    last = f'sql("state_{schema - 1}_to_{schema}")'
    step = f'sql("state_{schema}_to_{schema + 1}")'
    added = "ALTER TABLE audit ADD COLUMN planted TEXT;\n"
    return ((SCHEMA, last, f"{last}, {step}"), (MIGRATION.format(schema, schema + 1), "", added))


def edited(text: str, before: str, after: str) -> str:
    """Raises AssertionError where the code is no longer as the defect needs it."""
    assert not before or text.count(before) == 1, f"{before!r} is {text.count(before)} times there"
    return text.replace(before, after) if before else text + after


def _compiled(name: str, names: object) -> list[str]:
    folder, _, module = name.removesuffix(".py").rpartition("/")
    assert isinstance(names, dict)
    return [each for each in names if each.startswith(f"{folder}/__pycache__/{module}.cpython")]


def plant_updater(machine: Machine) -> None:
    """The updater's own copy on a stopped machine learns to end itself; what it runs stays as it is."""
    for copy in (machine.root / "opt/plimsoll/updaters").iterdir():
        for name, before, after in UPDATER:
            file = copy / name
            file.write_text(edited(file.read_text(), before, after))
            for compiled in (file.parent / "__pycache__").glob(f"{file.stem}.cpython*"):
                compiled.unlink()


class Shelf:
    """A repository in `folder`, served by `machine` to itself."""

    def __init__(self, machine: Machine, folder: Path) -> None:
        self._machine, self.repository = machine, published(folder)
        machine.write("/etc/systemd/system/repository.service", SERVER)
        wants = machine.root / "etc/systemd/system/multi-user.target.wants"
        wants.mkdir(parents=True, exist_ok=True)
        (wants / "repository.service").symlink_to("../repository.service")
        machine.write(ROOT_FILE, self.repository.root.decode())
        self.put()

    def offer(self, file: Path) -> str:
        """Sign `file` and put it on the shelf; its name."""
        name = self.repository.tool.sign(file, ("generic",))
        self.repository.tool.publish()
        self.put()
        return name

    def withdraw(self, file: Path) -> None:
        self.repository.tool.withdraw(file.name)
        self.repository.tool.publish()
        self.put()

    def put(self) -> None:
        """What is served is what the repository has."""
        site = self._machine.root / SITE.lstrip("/")
        for path in self.repository.folder.rglob("*"):
            target = site / path.relative_to(self.repository.folder)
            if path.is_file() and (not target.exists() or "metadata" in path.parts):
                target.parent.mkdir(parents=True, exist_ok=True)
                shutil.copyfile(path, target)

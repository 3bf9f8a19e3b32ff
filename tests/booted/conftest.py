"""What booted tests share: the artifact and the systems; without them the tests are skipped, saying why."""

from __future__ import annotations

import os
from collections.abc import Iterator
from pathlib import Path
from typing import NamedTuple

import pytest

from tests import bundled
from tests.booted import roots
from tests.booted.appliance import SERVICE, Appliance
from tests.booted.outcomes import Outcomes

HERE = Path(__file__).parent
kept = Outcomes()


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """A booted machine takes seconds: all of these belong to the long suite."""
    for item in items:
        if HERE in item.path.parents:
            item.add_marker(pytest.mark.long)


@pytest.fixture(scope="session")
def artifact(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The file to install, of this checkout."""
    if os.uname().machine != "x86_64":
        pytest.skip("built natively for x86_64 only")
    return bundled.build(tmp_path_factory.mktemp("artifact"))


@pytest.fixture(scope="session")
def trixie() -> Path:
    """Debian 13, to be copied by a Machine."""
    return _system("trixie")


@pytest.fixture(scope="session")
def bookworm() -> Path:
    """Debian 12, to be copied by a Machine."""
    return _system("bookworm")


def _system(suite: str) -> Path:
    try:
        return roots.root(suite)
    except roots.UnavailableError as error:
        pytest.skip(str(error))


class Installed(NamedTuple):
    """A stopped machine's root to copy; what was printed on the way, and how the page answered a stranger on
    the LAN before the first password was set.
    """

    root: Path
    said: dict[str, str]
    answered: dict[str, int]


@pytest.fixture(scope="session")
def installing(trixie: Path, artifact: Path, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Installed]:
    """Debian 13 with the artifact installed twice, set up with the simulator, claimed, and shut down."""
    folder = tmp_path_factory.mktemp("installed")
    with Appliance(trixie, folder) as box:
        box.boot()
        said = {"install": box.install(artifact)}
        said["page"] = box.page()[1]
        said["again"] = box.install(artifact)
        said["setup"] = box.set_up()
        said["doctor"] = box.plimsoll("doctor", check=False)
        answered = box.stranger()
        box.claim(said["install"])
        box.stop()
        yield Installed(box.root, said, answered)


@pytest.fixture(scope="session")
def installed(installing: Installed) -> Path:
    """The root of an installed appliance, to be copied by an Appliance."""
    return installing.root


@pytest.fixture(scope="module")
def running(
    installed: Path, tmp_path_factory: pytest.TempPathFactory, request: pytest.FixtureRequest
) -> Iterator[Appliance]:
    """An installed appliance of the module's own, booted."""
    with Appliance(installed, tmp_path_factory.mktemp(request.module.__name__.rpartition("_")[2])) as machine:
        machine.boot()
        yield machine


@pytest.fixture
def box(running: Appliance) -> Appliance:
    """The same with its service ready, whatever the test before did."""
    running.systemctl("reset-failed")
    running.systemctl("start", SERVICE)
    running.ready()
    return running


@pytest.fixture(scope="session")
def outcomes() -> Iterator[Outcomes]:
    """What each fault led to; printed with the summary and written to `build/booted.txt`."""
    yield kept


def pytest_terminal_summary(terminalreporter: pytest.TerminalReporter) -> None:
    if kept.rows:
        terminalreporter.section("faults on a booted machine")
        terminalreporter.write(kept.table())
        kept.write()

"""What booted tests share: the artifact and the systems; without them the tests are skipped, saying why."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from tests import bundled
from tests.booted import roots

HERE = Path(__file__).parent


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

"""Fixtures of tests that start the whole service: its simulator, its settings, systemd's notify socket.

A test module takes those it needs by name: ``url, file = service.url, service.file``.
"""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from app import demo
from tests.activation import Systemd
from tests.cli.background import in_background, simulating


@pytest.fixture(scope="module")
def url() -> Iterator[str]:
    """A simulator for all tests of a module."""
    with in_background(simulating) as (_, address):
        yield address


@pytest.fixture
def file(tmp_path: Path, url: str) -> Path:
    """Settings of a service on that simulator; pure twins will do."""
    settings = demo.write_settings(tmp_path, url, 0, keep=False)
    settings.write_text(f"dev = true\n{settings.read_text()}")
    return settings


@pytest.fixture
def home(file: Path) -> Path:
    """The folder of those settings."""
    return file.parent


@pytest.fixture
def systemd(tmp_path: Path) -> Iterator[Systemd]:
    made = Systemd(tmp_path)
    yield made
    made.close()

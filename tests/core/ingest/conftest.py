"""A store and spools of its own for each test."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.core.backends import ENGINES
from tests.core.ingest.world import World


@pytest.fixture(params=ENGINES)
def world(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[World]:
    world = World.made(tmp_path, request.param)
    yield world
    world.restart_writers()
    world.opened.close()

"""A store and spools of its own for each test."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import timedelta

import pytest

from tests.core.ingest.conftest import world
from tests.core.ingest.world import NOON, World
from tests.events.hold_node import Node

__all__ = ["node", "world"]


@pytest.fixture
def node(world: World) -> Iterator[Node]:
    world.now = NOON + timedelta(minutes=1)
    made = Node(world)
    yield made
    made.releasing.close()

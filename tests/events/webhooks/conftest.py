"""A gateway and a receiver of its own for each test."""

from __future__ import annotations

import os
from collections.abc import Iterator
from pathlib import Path

import pytest

from .receiver import Receiver, receiving
from .world import Hooked


@pytest.fixture(autouse=True)
def _no_variables(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in [name for name in os.environ if name.startswith("GATEPOST_")]:
        monkeypatch.delenv(name)


@pytest.fixture
def hooked(tmp_path: Path) -> Iterator[Hooked]:
    made = Hooked.made(tmp_path)
    yield made
    made.node.restart_writers()


@pytest.fixture
def receiver() -> Iterator[Receiver]:
    with receiving() as served:
        yield served

"""What the command's tests share: a store of their own, and no settings from outside."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from .command import Gatepost, make


@pytest.fixture(autouse=True)
def _no_variables(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in [name for name in os.environ if name.startswith("GATEPOST_")]:
        monkeypatch.delenv(name)


@pytest.fixture
def gatepost(tmp_path: Path) -> Gatepost:
    return make(tmp_path)

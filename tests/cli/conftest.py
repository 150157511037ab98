"""The fixture of the command's tests."""

from __future__ import annotations

from pathlib import Path

import pytest

from .command import Gatepost, make


@pytest.fixture
def gatepost(tmp_path: Path) -> Gatepost:
    return make(tmp_path)


@pytest.fixture(autouse=True)
def _no_variables(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("GATEPOST_CONFIG", raising=False)

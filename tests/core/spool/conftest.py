"""A stream's folder for each test."""

from __future__ import annotations

from pathlib import Path

import pytest


@pytest.fixture
def stream(tmp_path: Path) -> Path:
    folder = tmp_path / "mail"
    folder.mkdir()
    return folder

from __future__ import annotations

from collections.abc import Iterator

import pytest

from .asking import Dashboard, dashboard


@pytest.fixture(scope="module")
def api(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Dashboard]:
    """A dashboard for the tests of a module."""
    with dashboard(tmp_path_factory.mktemp("dashboard")) as running:
        yield running

"""A real store for the tests of this folder."""

from __future__ import annotations

import pytest

from tests.core.stores import Store, make_store


@pytest.fixture(scope="module")
def store(tmp_path_factory: pytest.TempPathFactory) -> Store:
    return make_store(tmp_path_factory.mktemp("store"))

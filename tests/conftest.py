"""What holds for every test: property tests are judged by what they find, not by a busy machine's clock.

Where CI is set, each property is tried on the same examples every time, so that a change is judged by
itself; elsewhere on new ones, which is how new faults are found.
"""

from __future__ import annotations

import os

import pytest
from hypothesis import HealthCheck, settings
from xdist.remote import Producer
from xdist.scheduler import LoadScopeScheduling

from .steps import World

_AUTOMATIC = bool(os.environ.get("CI"))
settings.register_profile(
    "gatepost",
    deadline=None,
    derandomize=_AUTOMATIC,
    database=None if _AUTOMATIC else settings.get_profile("default").database,
    suppress_health_check=[HealthCheck.too_slow],
)
settings.load_profile("gatepost")


class _Halves(LoadScopeScheduling):  # type: ignore[misc]
    """Two processes share the suite: tests with containers, which mostly wait, and all others.

    Each goes through its half in its own order, as one process alone would: `script/test` without arguments.
    """

    def _split_scope(self, nodeid: str) -> str:
        return "containers" if nodeid.startswith("tests/ansible/") else "others"


def pytest_xdist_make_scheduler(config: pytest.Config, log: Producer) -> LoadScopeScheduling:
    return _Halves(config, log)


@pytest.fixture(scope="session")
def world() -> World:
    """Copies of our modules that count their steps."""
    return World()

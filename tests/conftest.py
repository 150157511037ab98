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


class _Folders(LoadScopeScheduling):  # type: ignore[misc]
    """Processes share the suite by folders: `script/test` without arguments.

    Each goes through a folder's tests in their own order, as one process alone would, and then takes the next
    folder: by name, so that the first is that of the containers (ansible), which mostly wait. The plug-in's
    own order is by the number of tests, and would leave the containers to the end.
    """

    def _split_scope(self, nodeid: str) -> str:
        _, *folders, _ = nodeid.partition("::")[0].split("/")
        return folders[0] if folders else "those of no folder"


def pytest_xdist_make_scheduler(config: pytest.Config, log: Producer) -> LoadScopeScheduling:
    config.option.loadscopereorder = False
    return _Folders(config, log)


@pytest.fixture(scope="session")
def world() -> World:
    """Copies of our modules that count their steps."""
    return World()

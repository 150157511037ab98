"""The order in which events are shown."""

from __future__ import annotations

from itertools import permutations

import pytest

from gatepost_cli.timeline import ordered
from gatepost_core.store.events import Event
from tests.core.ingest.world import NOON

HAPPENED = ("accepted", "held", "released", "delivered")


@pytest.mark.parametrize("told", list(permutations(HAPPENED)))
def test_what_a_log_tells_of_one_second_is_shown_as_it_must_have_happened(told: tuple[str, ...]) -> None:
    events = [Event(type_, NOON, type_, "m", "", 1, 1, {}, "node", 1, "gpx", (), {}) for type_ in told]
    assert tuple(one.type for one in ordered(events)) == HAPPENED

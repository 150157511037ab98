"""What is told of a message, by what became of each of its recipients."""

from __future__ import annotations

import pytest

from gatepost_core.domain import outcomes


@pytest.mark.parametrize(
    ("states", "told"),
    [
        ([], "accepted"),
        (["accepted", "delivered"], "accepted"),  # the last one is still on its way
        (["delivered", "delivered"], "delivered"),
        (["delivered", "deferred", "accepted"], "deferred"),
        (["failed", "delivered", "deferred"], "failed"),
        (["delivered", "of a newer release"], "delivered"),
    ],
)
def test_a_message_is_told_by_its_worst_recipient(states: list[str], told: str) -> None:
    assert outcomes.status(states) == told


def test_every_state_that_an_event_leads_to_has_its_place() -> None:
    assert set(outcomes.STATE_AFTER.values()) | {outcomes.ACCEPTED} == set(outcomes.STATES)

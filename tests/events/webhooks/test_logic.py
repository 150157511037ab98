"""Signatures, the schedule, and who may send when: without a network or a store."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

import pytest
from hypothesis import given
from hypothesis import strategies as st
from standardwebhooks import Webhook, WebhookVerificationError

from gatepost_core.store.webhooks import endpoints
from gatepost_events.webhooks import schedule, signing
from gatepost_events.webhooks.slots import Slots, Standing
from tests.steps import World, assert_linear

NOW = datetime(2026, 11, 28, 12, 0, tzinfo=UTC)


def test_the_reference_library_takes_what_is_signed_by_either_secret() -> None:
    old, new, other = (endpoints.new_secret() for _ in range(3))
    body = '{"grüße": 1}'.encode()
    fields = dict(signing.headers([old, new], "evt", datetime.now(UTC), body))
    for secret in (old, new):
        assert Webhook(secret).verify(body, fields) == {"grüße": 1}
    with pytest.raises(WebhookVerificationError):
        Webhook(other).verify(body, fields)
    with pytest.raises(WebhookVerificationError):
        Webhook(new).verify(body + b" ", fields)


def test_a_signature_is_the_one_that_the_reference_library_makes() -> None:
    secret, at = endpoints.new_secret(), datetime.now(UTC)
    fields = signing.headers([secret], "evt", at, b"{}")
    assert fields["webhook-signature"] == Webhook(secret).sign("evt", at, "{}")


def test_attempts_are_made_as_svix_makes_them() -> None:
    waits = []
    for attempts in range(1, 9):
        again = schedule.next_at(attempts, NOW)
        waits.append(None if again is None else (again - NOW).total_seconds())
    assert waits == [5, 300, 1800, 7200, 18_000, 36_000, 36_000, None]


@pytest.mark.parametrize(
    ("status", "field", "seconds"),
    [
        (429, "120", 120),
        (503, " 7200 ", 7200),
        (503, "Sat, 28 Nov 2026 12:10:00 GMT", 600),
        (503, "Sat, 28 Nov 2026 11:00:00 GMT", 0),  # past
        (429, "999999999999999999999", 36_000),
        (500, "120", 0),
        (200, "120", 0),
        (429, "", 0),
        (429, "soon", 0),
        (429, "-5", 0),
        (429, "\u0663", 0),
        (429, "1e9", 0),
        (429, "9" * 100_000, 36_000),
        (503, "Mon, 01 Jan 2024 00:00:00 +99999999999999", 0),
        (503, "Mon, 01 Jan 99999999999999999999 00:00", 0),
        (503, "01 Jan 2024 99999999999:00:00 GMT", 0),
        (503, "Mon, 99 Jan 2024 00:00:00 GMT", 0),
    ],
)
def test_an_endpoint_may_ask_to_be_left_alone_for_a_while(status: int, field: str, seconds: int) -> None:
    asked = schedule.asked_wait(status, field, NOW)
    assert asked == timedelta(seconds=seconds)
    again = schedule.next_at(1, NOW, asked)
    assert again is not None
    assert again - NOW == max(asked, timedelta(seconds=5))


@given(st.text(alphabet="MonJaGT0129,:+-. \u0663", max_size=60))
def test_any_words_of_an_endpoint_are_a_wait_within_the_schedule(field: str) -> None:
    assert timedelta(0) <= schedule.asked_wait(503, field, NOW) <= schedule.DELAYS[-1]


def test_what_an_endpoint_asks_for_is_read_in_linear_time() -> None:
    world = World("email")
    read = world.load("gatepost_events.webhooks.schedule").asked_wait
    for unit in ("9", " ", "(", "Mon, ", "01 Jan 2024 ", ":", "+9", "-", "\u0663"):
        for end in ("", "GMT"):
            assert_linear(
                world,
                lambda size, unit=unit, end=end: unit * size + end,  # type: ignore[misc]
                lambda text: read(503, text, NOW),
            )


@pytest.mark.parametrize(
    ("status", "failures", "since", "off"),
    [
        (500, 8, NOW - timedelta(days=5), True),
        (500, 8, NOW - timedelta(days=5, seconds=-1), False),
        (0, 7, NOW - timedelta(days=30), False),
        (410, 1, NOW, True),
        (404, 100, NOW - timedelta(days=1), False),
        (500, 8, None, False),
    ],
)
def test_an_endpoint_is_switched_off_after_days_without_success(
    status: int, failures: int, since: datetime | None, off: bool
) -> None:
    assert bool(schedule.off_reason(status, failures, since, NOW)) is off


def test_one_endpoint_has_a_few_requests_at_once_and_one_that_fails_has_one() -> None:
    slots = Slots(100, 4)
    assert [slots.free("a", one) for one in Standing] == [4, 1]
    slots.take("a", Standing.WELL, 3)
    assert [slots.free("a", one) for one in Standing] == [1, 0]
    for _ in range(3):
        slots.done("a")
    assert (slots.free("a", Standing.WELL), slots.under_way) == (4, 0)


def test_those_that_fail_never_take_the_place_of_those_that_are_well() -> None:
    slots = Slots(20, 4)
    for number in range(100):
        doubtful = Standing.DOUBTFUL
        slots.take(f"{number}", doubtful, slots.free(f"{number}", doubtful))
    assert slots.under_way == 10
    assert slots.free("fails too", Standing.DOUBTFUL) == 0
    assert slots.free("well", Standing.WELL) == 4


def test_whoever_was_served_longest_ago_is_next() -> None:
    slots = Slots(100, 4)
    for one in ("a", "b", "c", "a"):
        slots.take(one, Standing.WELL, 1)
    assert slots.in_turn(["a", "b", "c", "new"]) == ["new", "b", "c", "a"]
    slots.forget(["c"])
    assert slots.in_turn(["a", "b", "c"]) == ["c", "b", "a"]

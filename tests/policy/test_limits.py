"""The look at limits: an early refusal, from counts that may be a second old."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import UTC, datetime

import pytest

from gatepost_core.domain import Decision, Mode, StoreUnavailable
from gatepost_core.domain.limits import Allowance, Bucket, Charges, CountersDamaged, Defaults, Want, limits
from gatepost_policy.limits import LimitsLook
from tests.core.making import credential

NOW = datetime(2026, 11, 28, 5, 30, tzinfo=UTC).timestamp()


class Counters:
    """Has what it is told by a word in the counter's key; counts how often it is asked."""

    def __init__(self, **has: int) -> None:
        self.has = has
        self.asked = 0
        self.fault: StoreUnavailable | None = None

    def look(self, wants: Sequence[Want]) -> list[list[Bucket]]:
        self.asked += 1
        if self.fault is not None:
            raise self.fault
        return [[Bucket(want.start, self.has.get(want.key.split()[1], 0))] for want in wants]


class Asked:
    """A look at a credential with these limits, at the time of ``clock``."""

    def __init__(self, *texts: str, account: str = "", for_good: bool = False, **has: int) -> None:
        self.counters = Counters(**has)
        self.clock = 0.0
        allowance = Allowance(limits(texts), limits([account] if account else []))
        self.credential = credential(allowance=allowance)
        self.look = LimitsLook(
            Charges(Defaults()), self.counters, for_good=for_good, clock=lambda: self.clock, now=lambda: NOW
        )

    def __call__(self, **attributes: str) -> str:
        refused: Decision | None = self.look.refusal(self.credential, attributes)
        return "" if refused is None else str(refused)


def test_who_has_no_limits_costs_the_counters_nothing() -> None:
    asked = Asked()
    assert asked() == ""
    assert asked.counters.asked == 0


def test_a_limit_that_is_used_up_is_said_with_its_use_and_its_end() -> None:
    text = "Credential gp1 is limited to 5 messages an hour and has used 5; "
    assert Asked("5/hour", messages=4)() == ""
    assert Asked("5/hour", messages=5)() == f"451 4.7.1 {text}try again after 2026-11-28T06:00:00Z"
    assert (
        Asked("5/hour", for_good=True, messages=5)() == f"550 5.7.1 {text}it resets at 2026-11-28T06:00:00Z"
    )


def test_of_several_limits_the_one_is_said_that_has_room_last() -> None:
    said = Asked("5/hour", "5/day", "9/month", account="5/day", messages=5)()
    assert "Credential gp1 is limited to 5 messages a day" in said
    assert (
        "Account acme is limited to 5 messages a month and has used 6"
        in Asked(account="5/month", messages=6)()
    )


@pytest.mark.parametrize(
    ("attributes", "said"),
    [
        ({"recipient_count": "0", "size": "0"}, ""),
        ({"recipient_count": "3"}, "has used 8, and this message has 3;"),
        (
            {"recipient_count": "11"},
            "550 5.5.3 Credential gp1 is limited to 10 recipients a day, and this message",
        ),
        (
            {"size": "995"},
            "451 4.7.1 Credential gp1 is limited to 1,000 bytes a day and has used 8, and this",
        ),
        (
            {"size": "1001"},
            "552 5.3.4 Credential gp1 is limited to 1,000 bytes a day, and this message has 1,001",
        ),
        ({"size": "9" * 40, "recipient_count": "-3"}, ""),
        ({"size": "\u0663", "recipient_count": "x"}, ""),
    ],
)
def test_recipients_and_bytes_count_as_far_as_they_are_known(attributes: dict[str, str], said: str) -> None:
    asked = Asked("recipients=10/day", "bytes=1K/day", recipients=8, bytes=8)
    assert said in asked(**attributes)
    assert bool(said) == bool(asked(**attributes))


def test_counts_are_good_for_a_second_and_asked_for_anew_after_it() -> None:
    asked = Asked("5/hour", "9/day", messages=4)
    assert [asked() for _ in range(10)] == [""] * 10
    asked.counters.has["messages"] = 5
    asked.clock = 0.99
    assert asked() == ""
    assert asked.counters.asked == 1
    asked.clock = 1.0
    assert asked().startswith("451 4.7.1")
    assert asked.counters.asked == 2


def test_counters_that_cannot_be_read_are_no_permit_and_damaged_ones_the_milter_mends() -> None:
    asked = Asked("5/hour")
    asked.counters.fault = StoreUnavailable("locked")
    with pytest.raises(StoreUnavailable, match="locked"):
        asked()
    asked.counters.fault = CountersDamaged("malformed")
    assert asked() == ""


def test_a_sandbox_is_held_to_its_own_limits_and_not_to_its_account_s() -> None:
    asked = Asked("9/hour", account="5/hour", messages=5)
    assert asked().startswith("451 4.7.1 Account acme")
    asked.credential = credential(allowance=asked.credential.allowance, mode=Mode.SANDBOX)
    assert asked() == ""

"""What stands in the way of a held message by the time at which it is to be released."""

from __future__ import annotations

from dataclasses import replace
from datetime import timedelta
from typing import Any

import pytest

from gatepost_core.domain import Mode, Rules, State
from gatepost_core.domain.limits import Allowance, Charges, Defaults, limits
from gatepost_core.domain.rules import hours
from gatepost_core.domain.suppressing import Reason, Suppression
from tests.core.ingest.world import NOON, numbered
from tests.events.hold_node import ANNA, BEN, Node


@pytest.mark.parametrize(
    ("state", "changes", "reason"),
    [
        ("gone", None, "credential gpx does not exist any more"),
        ("anew", {"id": 99}, "credential gpx does not exist any more"),
        ("disabled", {"state": State.DISABLED}, "credential disabled: gpx"),
        ("expired", {"expires_at": NOON}, "credential expired: gpx"),
    ],
)
def test_whose_credential_may_not_send_any_more_stays_held(
    node: Node, state: str, changes: dict[str, object] | None, reason: str
) -> None:
    del state
    record = node.held()
    known = node.directory.known
    assert known is not None
    node.directory.known = None if changes is None else replace(known, **changes)  # type: ignore[arg-type]
    node.ask(record)
    node.releasing.step()
    assert (node.found(record), node.asked) == (("stays", reason), [])
    node.ask(record, "drop")
    node.releasing.step()
    assert (node.found(record), len(node.asked)) == (("done", ""), 1)


@pytest.mark.parametrize("tag", ["", "a"])
def test_a_message_with_a_recipient_who_is_suppressed_by_now_stays_held_and_names_him(
    node: Node, tag: str
) -> None:
    record = node.held()
    node.directory.suppressed = [Suppression(3, BEN, Reason.BOUNCE, NOON, tag=tag)]
    node.ask(record)
    node.releasing.step()
    state, note = node.found(record)
    assert (state, node.asked) == ("stays", [])
    assert note == f"<{BEN}> is suppressed since 2026-11-27T12:00:00Z, reason bounce"


@pytest.mark.parametrize(
    ("limit", "used", "reason"),
    [
        ("recipients=1/day", 0, "Credential gpx is limited to 1 recipient a day, and this message has 2"),
        ("bytes=99/day", 0, "Credential gpx is limited to 99 bytes a day, and this message has 100"),
        ("2/day", 3, "credential gpx is limited to 2 messages a day and has used 3"),
    ],
)
def test_a_limit_that_was_set_or_lowered_since_stands_in_the_way(
    node: Node, limit: str, used: int, reason: str
) -> None:
    record = node.held()
    known = node.directory.known
    assert known is not None
    wide = replace(known, allowance=Allowance(own=limits(("10/day",))))
    counters = node.opened()
    for number in range(used):
        wants = [one.want for one in Charges(Defaults()).of(wide, node.world.now.timestamp())]
        assert counters.take(numbered(100 + number).id, wants) is not None
    counters.close()
    node.directory.known = replace(known, allowance=Allowance(own=limits((limit,))))
    node.ask(record)
    node.releasing.step()
    state, note = node.found(record)
    assert (state, node.asked) == ("stays", [])
    assert note.startswith(reason)


def test_what_was_to_go_by_itself_stays_where_its_credential_was_put_into_mode_hold(node: Node) -> None:
    first, second = node.held(1), node.held(2)
    node.holds(mode=Mode.HOLD)
    node.ask(first, by="schedule")
    node.ask(second)
    node.releasing.step()
    assert node.found(first) == ("stays", "credential gpx is in mode hold by now")
    assert node.found(second) == ("done", "")


@pytest.mark.parametrize("by", ["schedule", "root"])
def test_a_rule_that_was_made_since_stands_in_the_way(node: Node, by: str) -> None:
    record = node.held()
    node.holds(rules=Rules(denied_recipients=(BEN,)))
    node.ask(record, by=by)
    node.releasing.step()
    said = f"Recipient <{BEN}> is denied to credential gpx, by its rule {BEN}"
    assert (node.found(record), node.asked) == (("stays", said), [])


def test_outside_its_credential_s_hours_nothing_goes_by_itself_and_what_somebody_releases_does(
    node: Node,
) -> None:
    first, second = node.held(1), node.held(2)
    node.holds(rules=Rules(hours=hours.read(["Fri 12:02-18:00"])))
    node.ask(first, by="schedule")
    node.ask(second)
    node.releasing.step()
    state, why = node.found(first)
    assert (state, node.found(second)) == ("open", ("done", ""))
    assert "2026-11-27T12:02" in why
    node.world.now += timedelta(minutes=2)
    node.releasing.step()
    assert node.found(first) == ("done", "")


@pytest.mark.parametrize(
    ("rules", "reason"),
    [
        ({"recipients": (ANNA,)}, f"Recipient <{BEN}> is not among those that credential gpx may send to"),
        ({"denied_recipients": (BEN,)}, f"Recipient <{BEN}> is denied to credential gpx, by its rule {BEN}"),
        (
            {"max_recipients": 1},
            "Credential gpx may send a message to 1 recipients at most, and this one has 2",
        ),
        ({"max_size": 99}, "Credential gpx may send messages of 99 bytes at most, and this one has 100"),
    ],
)
def test_whoever_releases_outside_its_credential_s_hours_decides_about_the_hour_alone(
    node: Node, rules: dict[str, Any], reason: str
) -> None:
    record = node.held()
    node.holds(rules=Rules(hours=hours.read(["Fri 13:00-18:00"]), **rules))
    node.ask(record)
    node.releasing.step()
    assert (node.found(record), node.asked) == (("stays", reason), [])

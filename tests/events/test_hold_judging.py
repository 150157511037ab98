"""What stands in the way of a held message by the time at which it is to be released."""

from __future__ import annotations

import sqlite3
from contextlib import closing
from dataclasses import replace
from datetime import timedelta
from typing import Any

import pytest

from gatepost_core.domain import Claim, Mode, Rules, State, WallMode
from gatepost_core.domain.limits import Allowance, Charges, Defaults, limits
from gatepost_core.domain.rules import hours
from gatepost_core.domain.suppressing import Reason, Suppression
from gatepost_core.store.holding.held import held
from tests.core.ingest.test_settling import events, logged, recipient
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
    node.step()
    assert (node.found(record), node.asked) == (("stays", reason), [])
    node.ask(record, "drop")
    node.step()
    assert (node.found(record), len(node.asked)) == (("done", ""), 1)


@pytest.mark.parametrize("tag", ["", "a"])
def test_a_message_with_a_recipient_who_is_suppressed_by_now_stays_held_and_names_him(
    node: Node, tag: str
) -> None:
    record = node.held()
    node.directory.suppressed = [Suppression(3, BEN, Reason.BOUNCE, NOON, tag=tag)]
    node.ask(record)
    node.step()
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
    node.step()
    state, note = node.found(record)
    assert (state, node.asked) == ("stays", [])
    assert note.startswith(reason)


def test_what_was_to_go_by_itself_stays_where_its_credential_was_put_into_mode_hold(node: Node) -> None:
    first, second = node.scheduled(1), node.held(2)
    node.holds(mode=Mode.HOLD)
    node.ask(second)
    node.step()
    assert node.found(first) == ("stays", "credential gpx is in mode hold by now")
    assert node.found(second) == ("done", "")
    # Nobody looks at the answer to the first.
    told = [detail for type_, _, detail in events(node.world) if type_ == "held"][2:]
    assert told == [{"source": "release", "reason": "credential gpx is in mode hold by now"}]


def test_why_a_message_stays_held_is_told_once_and_changes_nothing_about_it(node: Node) -> None:
    record = node.scheduled()
    node.holds(state=State.DISABLED)
    settle = "UPDATE hold_orders SET state = 'open', done_at = NULL"
    for _ in range(2):  # as after a crash between the two
        node.step()
        assert node.found(record)[0] == "stays"
        with closing(sqlite3.connect(node.world.journal)) as other, other:
            other.execute(settle)
    assert [type_ for type_, *_ in events(node.world)] == ["held", "held"]
    assert node.world.rows("SELECT reason, ended_at FROM holdings") == [("mode hold", None)]
    logged(node.world, record, "released", "", after=59)
    node.holds(state=State.ACTIVE, mode=Mode.SANDBOX)
    node.step()
    assert [type_ for type_, *_ in events(node.world)].count("held") == 3
    assert recipient(node.world)[0] == "queued"
    with node.world.backend.journal() as connection:
        assert list(held(connection, 10)) == []


@pytest.mark.parametrize("scheduled", [True, False])
def test_a_rule_that_was_made_since_stands_in_the_way(node: Node, *, scheduled: bool) -> None:
    record = node.held(scheduled=scheduled)
    node.holds(rules=Rules(denied_recipients=(BEN,)))
    if not scheduled:
        node.ask(record)
    node.step()
    said = f"Recipient <{BEN}> is denied to credential gpx, by its rule {BEN}"
    assert (node.found(record), node.asked) == (("stays", said), [])


def test_outside_its_credential_s_hours_nothing_goes_by_itself_and_what_somebody_releases_does(
    node: Node,
) -> None:
    first, second = node.scheduled(1), node.held(2)
    node.holds(rules=Rules(hours=hours.read(["Fri 12:02-18:00"])))
    node.ask(second)
    node.step()
    state, why = node.found(first)
    assert (state, node.found(second)) == ("open", ("done", ""))
    assert "2026-11-27T12:02" in why
    node.world.now += timedelta(minutes=2)
    node.step()
    assert node.found(first) == ("done", "")


def test_what_waits_for_its_hour_is_looked_at_then_and_once_an_hour(node: Node) -> None:
    record = node.scheduled()
    node.holds(rules=Rules(hours=hours.read(["Fri 15:30-18:00"])))
    looks = []
    while node.found(record)[0] == "open":
        looks += [(node.world.now.hour, node.world.now.minute) for _ in node.step()]
        node.world.now += timedelta(minutes=1)
    assert looks == [(12, 1), (13, 1), (14, 1), (15, 1), (15, 30)]


@pytest.mark.parametrize(
    ("changes", "senders", "claimed", "reason"),
    [
        ({}, ("a.test",), "", "Sender address <bounce@example.test> is not allowed for credential gpx"),
        (
            {"sender": ""},
            ("a.test",),
            "",
            "From header address <shop@example.test> is not allowed for credential gpx",
        ),
        (
            {"header_from": ""},
            ("example.test",),
            "",
            "The From header holds no address that can be read, and credential gpx is held to its senders",
        ),
        (
            {},
            (),
            "example.test",
            "Sender address <bounce@example.test> is of a domain that another account registered; credential "
            "gpx may not use it",
        ),
        (
            {"header_sender": ("a@example.test", "x@b.test")},
            ("example.test",),
            "",
            "Sender header address <x@b.test> is not allowed for credential gpx",
        ),
        (
            {"header_sender": ("x@b.test",)},
            (),
            "b.test",
            "Sender header address <x@b.test> is of a domain that another account registered; credential gpx "
            "may not use it",
        ),
        (
            {"header_from": "me@a.test, you@b.test"},
            (),
            "b.test",
            "From header address <you@b.test> is of a domain that another account registered; credential gpx "
            "may not use it",
        ),
    ],
)
@pytest.mark.parametrize("mode", list(WallMode))
def test_whose_senders_are_not_his_any_more_stays_held(
    node: Node, changes: dict[str, Any], senders: tuple[str, ...], claimed: str, reason: str, mode: WallMode
) -> None:
    record = node.held(**changes)
    node.holds(rules=Rules(senders=senders))
    node.directory.mode = mode
    if claimed:
        node.directory.claimed = [Claim(claimed, frozenset({99}), frozenset())]
    node.ask(record)
    node.step()
    passes = claimed and mode is WallMode.REPORT
    assert node.found(record) == (("done", "") if passes else ("stays", reason))


def test_a_comma_in_a_quoted_local_part_makes_no_other_sender_of_it(node: Node) -> None:
    record = node.held(header_sender=('"a, b"@example.test',))
    node.holds(rules=Rules(senders=("example.test",)))
    node.ask(record)
    node.step()
    assert node.found(record) == ("done", "")


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
    node.step()
    assert (node.found(record), node.asked) == (("stays", reason), [])

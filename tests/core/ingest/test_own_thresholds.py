"""An account's own thresholds of suspension, above what the settings say."""

from __future__ import annotations

import sqlite3
from contextlib import closing

import pytest

from gatepost_core.domain import StoreUnavailable
from gatepost_core.domain.limits.suspending import Cause, OwnThresholds, Threshold, read_threshold
from gatepost_core.store import accounts, database_file

from .test_suspender import BOUNCES, Node
from .world import World

WHY = "7 of 100 recipients in 24 hours bounced for good, 7 %, more than {} %"


@pytest.fixture
def unset(world: World) -> Node:
    """Two accounts, where the settings suspend nobody."""
    return Node(world, {})


def own(node: Node, name: str, least: int | None = None, **pairs: tuple[float, float]) -> None:
    of = {Cause(cause.replace("_", "-")): Threshold(*pair) for cause, pair in pairs.items()}
    with node.world.backend.directory(write=True) as connection:
        accounts.change(connection, name, suspension=OwnThresholds(least, of))


def test_an_account_is_held_to_its_own_and_its_neighbour_to_the_settings(world: World) -> None:
    node = Node(world, BOUNCES)
    own(node, "one", bounces=(0, 50))
    own(node, "two", bounces=(0, 5))
    for number in (1, 2):
        node.reported(node.sent(100, number)[:7])
    assert node.done() == [("two", "suspended", WHY.format(5))]
    own(node, "one")  # as the settings say again: judged at once, though nothing was sent since
    assert node.done() == [("one", "warned", WHY.format(4))]


def test_where_the_settings_suspend_nobody_an_account_may_have_it_and_what_it_sent_before_counts(
    unset: Node,
) -> None:
    unset.reported(unset.sent(100)[:7])
    unset.reported(unset.sent(100, 2)[:7])
    assert unset.done() == []
    own(unset, "one", bounces=(2, 5))
    assert unset.done() == [("one", "suspended", WHY.format(5))]


def test_bursts_of_new_recipients_are_counted_for_the_account_that_has_a_threshold(unset: Node) -> None:
    own(unset, "two", new_recipients=(0, 30))
    unset.sent(40)
    unset.sent(31, 2)
    why = "31 recipients in an hour to whom its account had not written before, more than 30"
    assert unset.done() == [("two", "suspended", why)]


def test_an_account_of_few_recipients_may_have_shares_that_say_something(world: World) -> None:
    node = Node(world, BOUNCES)
    own(node, "one", least=10)
    for number in (1, 2):
        node.reported(node.sent(10, number)[:5])
    assert [name for name, *_ in node.done()] == ["one"]


def test_what_a_newer_release_has_kept_is_not_taken_for_none(unset: Node) -> None:
    own(unset, "one", bounces=(2, 5))
    with closing(sqlite3.connect(database_file(unset.world.settings.url))) as other, other:
        other.execute("""UPDATE accounts SET suspension = '{"moods": [1, 2]}' WHERE name = 'one'""")
    with pytest.raises(StoreUnavailable, match="thresholds of suspension that this release does not know"):
        unset.done()


@pytest.mark.parametrize(
    ("text", "found"),
    [
        ("4:8", Threshold(4, 8)),
        ("8", Threshold(0, 8)),
        ("0.1:never", Threshold(0.1, 0)),
        ("never", Threshold(0, 0)),
        (" NEVER:0.3 ", Threshold(0, 0.3)),
    ],
)
def test_a_threshold_is_read_as_people_write_it(text: str, found: Threshold) -> None:
    assert read_threshold(Cause.COMPLAINTS, text) == found


@pytest.mark.parametrize(
    ("cause", "text", "said"),
    [
        (Cause.BOUNCES, "101", "'101' is no threshold; expected WARN:SUSPEND, or SUSPEND alone, per cent of"),
        (Cause.BOUNCES, "-1", "'-1' is no threshold"),
        (Cause.BOUNCES, "4:", "'4:' is no threshold"),
        (Cause.BOUNCES, "4:8:9", "'4:8:9' is no threshold"),
        (Cause.BOUNCES, "1e1", "'1e1' is no threshold"),
        (Cause.BOUNCES, "\u0664", "is no threshold"),
        (Cause.BOUNCES, "9:8", "'9:8': a warning at 9 is above 8, which suspends"),
        (Cause.NEW_RECIPIENTS, "1.5", "'1.5' is no threshold; expected .* numbers of recipients"),
        (Cause.NEW_RECIPIENTS, "9" * 4_000, "is no threshold"),
    ],
)
def test_what_is_no_threshold_says_what_may_stand_there(cause: Cause, text: str, said: str) -> None:
    with pytest.raises(ValueError, match=said):
        read_threshold(cause, text)

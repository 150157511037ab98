"""From events to suppressions: each once, whatever is killed, restored or removed meanwhile."""

from __future__ import annotations

import sqlite3
from collections.abc import Callable, Iterator
from contextlib import closing
from dataclasses import replace
from datetime import datetime, timedelta
from typing import Any

import pytest

from gatepost_core.domain import MessageRecord, Mode, Options, StoreUnavailable, ids, spooled
from gatepost_core.domain.suppressing import Reason, Suppression, Terms, hashed
from gatepost_core.spool import Entry
from gatepost_core.store import accounts, credentials, suppressions
from gatepost_core.store.sqlite import suppressing, suppressing_events
from gatepost_core.store.sqlite.suppressing import Suppressor

from .world import NOON, RECORD, World, accepted, numbered

HARD = {"class": "mailbox", "permanent": True, "source": "dsn", "reply": "550 5.1.1 no such user"}
ANNA, BEN = "anna@one.example.net", "ben@two.example.net"


def told(
    type_: str,
    record: MessageRecord,
    recipient: str = ANNA,
    at: datetime = NOON,
    detail: dict[str, Any] = HARD,
) -> Entry:
    content = spooled.event(type_, record.id, recipient, at, detail)
    number = ids.to_bytes(ids.new(int(at.timestamp() * 1000)))
    return Entry(number, spooled.VERSION, spooled.EVENT, content)


class Node:
    """A world with an account, and a follower that may be started anew."""

    def __init__(self, world: World) -> None:
        self.world = world
        self.clock = 0.0
        self.follower = self.started()
        with world.backend.directory(write=True) as connection:
            for name in ("one", "two", "three"):  # RECORD is of the third
                accounts.add(connection, name, NOON - timedelta(days=1))

    def started(self) -> Suppressor:
        settings = self.world.settings
        return Suppressor(
            settings.url,
            settings.journal,
            Terms(timedelta(days=30)),
            clock=lambda: self.clock,
            now=lambda: self.world.now,
        )

    def crash(self) -> None:
        """Go on with another process: what was not committed is not there."""
        self.follower._forget()
        self.follower = self.started()

    def take(self, *entries: Entry) -> tuple[Suppression, ...]:
        """Have entries taken into the journal; return what is suppressed by then."""
        if entries:
            self.world.write(*entries)
            self.world.take()
        found: tuple[Suppression, ...] = ()
        while True:
            done = self.follower.step()
            found += done.suppressed
            if not done.more:
                return found

    def all(self) -> list[tuple[str, str, str]]:
        with self.world.backend.directory() as connection:
            listed = list(suppressions.walk(connection, suppressions.Wanted(), 1_000))
        return sorted((one.account, one.suppression.address, one.suppression.reason.value) for one in listed)

    def lift(self, address: str) -> None:
        with self.world.backend.directory(write=True) as connection:
            suppressions.lift(connection, "three", address, NOON + timedelta(hours=1))

    def commits(self) -> int:
        """Return SQLite's count of changes of the directory."""
        with closing(sqlite3.connect(self.world.settings.url.removeprefix("sqlite:///"))) as database:
            return int(database.execute("SELECT total(sequence) FROM event_positions").fetchone()[0])


@pytest.fixture
def node(world: World) -> Iterator[Node]:
    node = Node(world)
    yield node
    node.follower.close()


def single(number: int = 1, **changes: Any) -> MessageRecord:
    return numbered(number, recipients=("Anna@One.example.net",), **changes)


def test_a_hard_bounce_is_followed_once_and_says_where_it_comes_from(node: Node) -> None:
    record = single()
    (found,) = node.take(accepted(record), told("bounced", record))
    assert (found.address, found.message, found.detail) == (ANNA, record.id, "550 5.1.1 no such user")
    assert node.all() == [("three", ANNA, "bounce")]
    assert node.take() == ()
    node.crash()
    assert node.take() == ()


def test_each_kind_of_event_that_suppresses_does(node: Node) -> None:
    one, two, three = single(1), numbered(2, recipients=(BEN,)), numbered(3, recipients=("carol@x.example",))
    node.take(
        *map(accepted, (one, two, three)),
        told("failed", one, detail={"class": "mailbox", "permanent": True, "source": "log"}),
        told("complaint", two, BEN, detail={"feedback_type": "abuse"}),
        told("unsubscribed", three, "carol@x.example", detail={"scope": "credential"}),
    )
    assert node.all() == [
        ("three", ANNA, "bounce"),
        ("three", BEN, "complaint"),
        ("three", "carol@x.example", "unsubscribe"),
    ]


@pytest.mark.parametrize(
    "spoil",
    [
        pytest.param(lambda r: (accepted(r), told("bounced", r, "x@x.example")), id="not its recipient"),
        pytest.param(lambda r: (accepted(r), told("bounced", r, "")), id="names nobody"),
        pytest.param(lambda r: (accepted(replace(r, mode=Mode.SANDBOX)), told("bounced", r)), id="sandbox"),
        pytest.param(
            lambda r: (accepted(r), told("bounced", r, at=NOON + timedelta(days=31))), id="too old a message"
        ),
        pytest.param(
            lambda r: (accepted(r), told("bounced", r, detail={**HARD, "class": "policy"})), id="policy"
        ),
        pytest.param(lambda r: (accepted(replace(r, account_id=99)), told("bounced", r)), id="no account"),
    ],
)
def test_forged_old_and_other_reports_suppress_nobody(
    node: Node, spoil: Callable[[MessageRecord], tuple[Entry, ...]]
) -> None:
    assert node.take(*spoil(single())) == ()
    assert node.all() == []


def test_a_report_about_one_of_several_counts_only_where_our_log_shows_the_delivery(node: Node) -> None:
    record = numbered(1)
    forged = told("delivered", record, ANNA, detail={"source": "dsn"})  # a report, not our log
    assert node.take(accepted(record), forged, told("bounced", record, ANNA)) == ()
    ours = told("delivered", record, BEN, detail={"relay": "mx.two.example.net", "reply": "250 ok"})
    (found,) = node.take(ours, told("bounced", record, BEN))
    assert found.address == BEN


def test_one_that_was_lifted_is_not_brought_back_by_events_read_again(node: Node) -> None:
    record = single()
    node.take(accepted(record), told("bounced", record))
    node.lift(ANNA)
    with node.world.backend.directory(write=True) as connection:
        connection.exec_driver_sql("DELETE FROM event_positions")  # as in a backup of before
    node.crash()
    assert node.take() == ()
    assert node.all() == []
    again = told("bounced", record, at=NOON + timedelta(hours=2))
    assert [one.address for one in node.take(again)] == [ANNA]


def test_an_account_that_got_the_number_of_a_removed_one_is_not_held_to_its_bounces(node: Node) -> None:
    record = single()
    with node.world.backend.directory(write=True) as connection:
        accounts.remove(connection, "three")
        assert accounts.add(connection, "new", NOON + timedelta(hours=1)).id == RECORD.account_id
    assert node.take(accepted(record), told("bounced", record)) == ()


def test_suppressions_go_with_their_account(node: Node) -> None:
    record = single()
    node.take(accepted(record), told("bounced", record))
    with node.world.backend.directory(write=True) as connection:
        accounts.remove(connection, "three")
    assert node.all() == []


def test_nothing_is_committed_for_events_that_suppress_nobody_but_how_far_it_is_now_and_then(
    node: Node,
) -> None:
    node.take(accepted(single(1)))
    assert node.commits() == 0
    node.clock = suppressing.KEEP_SECONDS
    node.take(accepted(single(2)))
    assert node.commits() > 0


def test_a_step_looks_at_so_many_events_and_goes_on(node: Node, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(suppressing_events, "_LOOKED", 3)
    monkeypatch.setattr(suppressing_events, "_AT_ONCE", 2)
    records = [numbered(number, recipients=(f"r{number}@x.example",)) for number in range(10)]
    node.take(
        *map(accepted, records),
        *(told("bounced", one, one.recipients[0]) for one in records),
    )
    assert [address for _, address, _ in node.all()] == sorted(one.recipients[0] for one in records)


def test_a_crash_before_the_commit_has_the_same_events_read_again(
    node: Node, monkeypatch: pytest.MonkeyPatch
) -> None:
    record = single()

    def crash(*_: object) -> None:
        raise sqlite3.OperationalError("disk I/O error")

    with monkeypatch.context() as patch:
        patch.setattr(suppressing, "_values", crash)
        with pytest.raises(StoreUnavailable):
            node.take(accepted(record), told("bounced", record))
    assert node.all() == []
    assert [one.address for one in node.take()] == [ANNA]


def test_a_journal_that_was_restored_and_tells_the_same_again_changes_nothing(node: Node) -> None:
    record = single()
    node.world.write(accepted(record))
    node.world.take()
    node.world.copy("before.db")
    node.take(told("bounced", record))
    node.lift(ANNA)
    node.crash()  # nobody may have it open for that
    node.world.restore("before.db")
    node.world.now += timedelta(hours=2)
    node.world.take()  # from the spool, with another number
    assert node.take() == ()
    assert node.all() == []


def test_a_report_that_comes_before_our_log_is_read_waits_for_it_also_over_a_crash(node: Node) -> None:
    record = numbered(1)
    assert node.take(accepted(record), told("bounced", record, BEN), told("bounced", record, ANNA)) == ()
    node.crash()
    (found,) = node.take(told("delivered", record, BEN.upper(), detail={"relay": "mx", "reply": "250 ok"}))
    assert (found.address, found.reason.value) == (BEN, "bounce")
    node.crash()
    assert node.take(told("delivered", record, ANNA, detail={"source": "dsn"})) == ()
    assert [address for _, address, _ in node.all()] == [BEN]


def test_a_report_waits_for_days_and_then_no_more(node: Node) -> None:
    record = numbered(1)
    node.take(accepted(record), told("bounced", record, BEN))
    node.world.now += suppressing.WAITS + timedelta(minutes=1)
    other = single(2)
    node.take(accepted(other), told("bounced", other))
    ours = told("delivered", record, BEN, at=node.world.now, detail={"relay": "mx"})
    assert node.take(ours) == ()


def test_what_another_release_or_a_stranger_writes_holds_up_nobody(node: Node) -> None:
    odd, long = single(1), numbered(2, recipients=(f"{'x' * 400}@x.example",))
    node.take(
        accepted(odd),
        accepted(long),
        told("bounced", odd, detail={"class": ["mailbox"], "permanent": {"x": 1}, "reply": 7}),
        told("bounced", long, long.recipients[0]),
        told("complaint", odd, detail={"feedback_type": None, "reply": "x" * 900}),
    )
    assert node.all() == [("three", ANNA, "complaint")]
    with closing(sqlite3.connect(node.world.journal)) as journal, journal:
        journal.execute("UPDATE messages SET mode = 'shadow'")
    assert node.take(told("bounced", long, long.recipients[0], at=NOON + timedelta(hours=3))) == ()


def test_an_unsubscribe_is_about_tags_where_its_credential_says_so(node: Node) -> None:
    with node.world.backend.directory(write=True) as connection:
        for name, scope in (("gpx", "tag"), ("gpy", "credential")):
            credentials.add(
                connection,
                account="three",
                username=name,
                derived=None,
                now=NOON,
                options=Options(unsubscribe_scope="tag" if scope == "tag" else "credential"),
            )
    tagged, other = single(1, tags=("news", "march")), single(2, username="gpy", tags=("news",))
    without = numbered(3, tags=(), recipients=(BEN,))
    entries = [told("unsubscribed", one, one.recipients[0], detail={}) for one in (tagged, other, without)]
    found = node.take(*map(accepted, (tagged, other, without)), *entries)
    assert sorted((one.address, one.credential, one.tag) for one in found) == [
        (ANNA, "gpx", "march"),
        (ANNA, "gpx", "news"),
        (ANNA, "gpy", ""),
        (BEN, "gpx", ""),
    ]


def test_an_address_that_was_forgotten_is_not_written_again(node: Node) -> None:
    record = single()
    entry = Suppression(3, ANNA, Reason.MANUAL, NOON - timedelta(hours=1))
    with node.world.backend.directory(write=True) as connection:
        suppressions.put(connection, [entry], NOON)
        suppressions.forget(connection, ANNA)
    (found,) = node.take(accepted(record), told("bounced", record))
    assert (found.address, found.detail, found.reason) == (hashed(ANNA), "", Reason.BOUNCE)
    assert node.all() == [("three", hashed(ANNA), "bounce")]


def test_an_opt_out_of_a_message_that_is_gone_counts_for_its_credential(node: Node) -> None:
    with node.world.backend.directory(write=True) as connection:
        made = [
            credentials.add(connection, account="three", username=name, derived=None, now=at)
            for name, at in (("gpx", NOON - timedelta(hours=2)), ("later", NOON + timedelta(hours=2)))
        ]
    gone, other = single(1), single(2)
    detail = {"scope": "credential", "how": "page"}
    late = [
        told(
            "unsubscribed", gone, "Anna@one.example.net", detail=detail | {"credential_id": str(made[0].id)}
        ),
        told("unsubscribed", other, BEN, detail=detail | {"credential_id": str(made[1].id)}),  # another's now
        told("unsubscribed", other, BEN, detail=detail),
        told("unsubscribed", other, BEN, detail=detail | {"credential_id": "99"}),
        told("unsubscribed", other, BEN, detail=detail | {"credential_id": "x"}),
    ]
    assert node.take(*late) == ()  # the record may be on its way
    node.world.now += timedelta(minutes=11)
    node.clock += 61
    (found,) = node.take()
    assert (found.address, found.credential, found.reason.value) == (ANNA, "gpx", "unsubscribe")
    node.clock += 61
    assert node.take() == ()
    node.crash()
    assert node.take() == ()

"""From events to suspensions: each once, whatever is killed meanwhile, and never by somebody else's doing."""

from __future__ import annotations

import itertools
import threading
from collections.abc import Iterable
from concurrent.futures import ThreadPoolExecutor
from contextlib import closing
from dataclasses import replace
from datetime import timedelta
from typing import Any

import pytest

from gatepost_core.domain import MessageRecord, Mode, State, StoreUnavailable, ids
from gatepost_core.domain.limits.suspending import Action, Cause, Suspension, Threshold, Thresholds
from gatepost_core.spool import Entry
from gatepost_core.store import accounts, credentials
from gatepost_core.store.claims import grants
from gatepost_core.store.credentials import suspensions
from gatepost_core.store.sqlite.suspending import suspender
from gatepost_core.store.sqlite.suspending.counting import Counting
from gatepost_core.store.sqlite.suspending.suspender import Suspender

from .test_suppressor import told
from .world import NOON, World, accepted, numbered

LOG = {"class": "mailbox", "permanent": True, "source": "log", "reply": "550 5.1.1 no such user"}
DSN = {**LOG, "source": "dsn"}
PROVEN = {"source": "arf", "feedback_type": "abuse", "proof": "verp"}
BOUNCES = {Cause.BOUNCES: Threshold(4, 8)}
DAY = timedelta(days=1)


class Node:
    """Two accounts with a credential each, ``one`` (1) and ``two`` (2), and a follower."""

    def __init__(self, world: World, of: dict[Cause, Threshold], least: int = 100) -> None:
        self.world, self.numbers = world, itertools.count(1)
        self.thresholds = Thresholds(DAY, least, of)
        self.follower = self.started()
        with world.backend.directory(write=True) as connection:
            for name in ("one", "two"):
                accounts.add(connection, name, NOON - DAY)
        self.make("one")
        self.make("two")

    def make(self, name: str) -> None:
        with self.world.backend.directory(write=True) as connection:
            credentials.add(connection, account=name, username=name, derived=None, now=self.world.now - DAY)

    def started(self) -> Suspender:
        settings = self.world.settings
        ingester = self.world.ingester()
        made = Suspender(
            settings.url, ingester, self.thresholds, journal=settings.journal, now=lambda: self.world.now
        )
        self.world.opened.callback(made.close)
        return made

    def message(self, number: int = 1, *recipients: str, **changes: Any) -> MessageRecord:
        own = next(self.numbers)
        addresses = recipients or (f"r{own}@example.org",)
        at = {"created_at": self.world.now, "id": ids.new(int(self.world.now.timestamp() * 1000) + own)}
        whose = {"credential_id": number, "account_id": number, "username": ("one", "two")[number - 1]}
        return replace(numbered(own), recipients=addresses, **{**at, **whose, **changes})

    def sent(self, times: int, number: int = 1, **changes: Any) -> list[MessageRecord]:
        """Have messages to new recipients taken; return their records."""
        records = [self.message(number, **changes) for _ in range(times)]
        self.take(map(accepted, records))
        return records

    def reported(
        self, records: Iterable[MessageRecord], type_: str = "failed", detail: dict[str, Any] = LOG
    ) -> None:
        """Have it told of the first recipient of each."""
        now = self.world.now
        self.take([told(type_, one, one.recipients[0], now, detail) for one in records])

    def take(self, entries: Iterable[Entry]) -> None:
        self.world.write(*entries)
        self.world.take(1_000)

    def done(self) -> list[tuple[str, str, str]]:
        """Follow to the end; return what was done: user names, what, and why."""
        found: list[tuple[str, Suspension]] = []
        while True:
            step = self.follower.step()
            found += step.suspensions
            if not step.more:
                return [(name, one.action.value, str(one)) for name, one in found]

    def state(self, name: str) -> State:
        with self.world.backend.directory() as connection:
            return credentials.get(connection, name).state

    def lift(self, name: str) -> list[Suspension]:
        with self.world.backend.directory(write=True) as connection:
            lifted = suspensions.lift(connection, credentials.get(connection, name), self.world.now, "root")
            credentials.change(connection, name, state=State.ACTIVE)
        return lifted

    def events(self) -> list[Any]:
        query = "SELECT json_extract(detail, '$.action') FROM events WHERE type = 'suspended' ORDER BY id"
        return [action for (action,) in self.world.rows(query)]


@pytest.fixture
def node(world: World) -> Node:
    return Node(world, BOUNCES)


def test_a_credential_is_warned_then_suspended_once_each_and_says_why(node: Node) -> None:
    records = node.sent(200)
    node.reported(records[:8])
    assert node.done() == []  # exactly 4 %
    node.reported(records[8:9])
    why = "9 of 200 recipients in 24 hours bounced for good, 4.5 %, more than 4 %"
    assert node.done() == [("one", "warned", why)]
    node.reported(records[9:16])
    assert node.done() == []
    node.reported(records[16:17])
    why = "17 of 200 recipients in 24 hours bounced for good, 8.5 %, more than 8 %"
    assert node.done() == [("one", "suspended", why)]
    node.reported(records[17:40])
    assert node.done() == []
    assert (node.state("one"), node.state("two")) == (State.DISABLED, State.ACTIVE)
    assert node.events() == ["warned", "suspended"]
    with closing(node.world.backend.reader()) as reader:
        credential = reader.credential("one")
    assert credential is not None
    assert str(credential.suspension) == why
    assert credential.suspension is not None
    assert credential.suspension.message == records[16].id
    with node.world.backend.directory() as connection:
        assert [one.suspension for one in credentials.list_all(connection)] == [credential.suspension, None]


def test_few_recipients_say_nothing_until_there_are_enough(node: Node) -> None:
    node.reported(node.sent(99))
    assert node.done() == []
    node.sent(1)
    assert [action for _, action, _ in node.done()] == ["suspended"]


def test_what_is_older_than_the_window_counts_no_more(node: Node) -> None:
    node.reported(node.sent(100)[:7])
    assert len(node.done()) == 1
    node.world.now += DAY + timedelta(minutes=10)
    records = node.sent(100)
    assert node.done() == []
    node.reported(records[:5])
    assert [action for _, action, _ in node.done()] == ["warned"]  # a warning is good for a window


@pytest.mark.parametrize("cut", ["_do", "_tell", "_told"])
def test_whatever_a_crash_cuts_off_is_taken_up_and_done_once(
    node: Node, cut: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    node.reported(node.sent(100)[:20])

    def crash(*_: object) -> None:
        raise StoreUnavailable("killed")

    with monkeypatch.context() as patch:
        if cut == "_told":
            patch.setattr(suspender, "_TOLD", "no SQL")
        else:
            patch.setattr(Suspender, cut, crash)
        with pytest.raises(StoreUnavailable):
            node.follower.step()
    node.follower = node.started()
    assert [action for _, action, _ in node.done()] == ["suspended"]
    node.follower = node.started()
    assert node.done() == []
    assert node.events() == ["suspended"]
    assert node.world.rows("SELECT sum(bounces), sum(recipients) FROM sender_counts") == [(20, 100)]


def test_lifted_by_hand_it_counts_anew_and_reports_of_before_count_for_nothing(node: Node) -> None:
    before = node.sent(200)
    node.reported(before[:20])
    assert len(node.done()) == 1
    node.world.now += timedelta(minutes=1)
    assert [one.action for one in node.lift("one")] == [Action.SUSPENDED]
    assert node.lift("one") == []
    node.reported(before[20:120])
    records = node.sent(100)
    assert node.done() == []
    node.reported(records[:9])
    assert [action for _, action, _ in node.done()] == ["suspended"]
    with node.world.backend.directory() as connection:
        past = suspensions.history(connection, credentials.get(connection, "one"))
    assert [one.lifted_by for one in past] == ["", "root"]


def test_a_credential_with_the_number_of_one_that_was_removed_has_nothing_of_it(node: Node) -> None:
    node.reported(node.sent(300, 2)[:20])
    node.done()
    records = node.sent(100, 2)
    node.world.now += timedelta(seconds=1)
    with node.world.backend.directory(write=True) as connection:
        credentials.remove(connection, "two")
        made = credentials.add(connection, account="one", username="three", derived=None, now=node.world.now)
    assert made.id == 2
    node.reported(records)
    assert node.done() == []
    assert node.state("three") is State.ACTIVE


def test_what_fails_of_one_account_or_of_a_sandbox_is_nothing_to_another(node: Node) -> None:
    node.sent(100)
    node.reported(node.sent(100, 2)[:50])
    node.reported(node.sent(100, mode=Mode.SANDBOX))
    assert [name for name, _, _ in node.done()] == ["two"]
    assert node.state("one") is State.ACTIVE


COMPLAINTS = {Cause.COMPLAINTS: Threshold(0, 0.3)}


def test_complaints_count_with_a_proof_each_recipient_once(world: World) -> None:
    node = Node(world, COMPLAINTS)
    records = node.sent(1_000)
    for proof in ("none", "", "said so"):
        node.reported(records[:50], "complaint", {**PROVEN, "proof": proof})
    node.take([told("complaint", one, "anna@one.example.net", NOON, PROVEN) for one in records[50:100]])
    again = [node.message(1, "one@example.org") for _ in range(50)]
    node.take(map(accepted, again))
    node.reported(again, "complaint", PROVEN)
    assert node.done() == []
    node.reported(records[100:103], "complaint", PROVEN)
    ((name, action, why),) = node.done()
    assert (name, action) == ("one", "suspended")
    assert why == "4 of 1,050 recipients in 24 hours complained, 0.381 %, more than 0.3 %"


@pytest.mark.parametrize(
    ("cause", "type_", "detail"),
    [
        (Cause.BOUNCES, "bounced", DSN),
        (Cause.BOUNCES, "failed", DSN),
        (Cause.COMPLAINTS, "complaint", PROVEN),
    ],
)
def test_one_of_several_recipients_reports_for_nobody(
    world: World, cause: Cause, type_: str, detail: dict[str, Any]
) -> None:
    node = Node(world, {cause: Threshold(0, 1)})
    several = [node.message(1, f"a{one}@example.org", f"b{one}@example.org") for one in range(100)]
    node.take(map(accepted, several))
    node.reported(several, type_, detail)
    assert node.done() == []
    node.reported(node.sent(10), type_, detail)
    assert len(node.done()) == 1


def test_a_signature_of_a_domain_that_others_may_use_proves_nothing(world: World) -> None:
    node = Node(world, COMPLAINTS)
    by_domain = {**PROVEN, "proof": "dkim"}
    with world.backend.directory(write=True) as connection:
        grants.grant(connection, "example.test", "two", NOON, own=("example.test",))
    node.reported(node.sent(100), "complaint", by_domain)
    assert node.done() == []
    with world.backend.directory(write=True) as connection:
        grants.revoke(connection, "example.test", "two")
    node.reported(node.sent(100), "complaint", by_domain)
    assert [name for name, _, _ in node.done()] == ["one"]


def test_what_happened_while_it_was_off_counts_for_the_window_alone(node: Node) -> None:
    node.sent(1)
    assert node.done() == []
    node.reported(node.sent(200))  # not looked at
    node.world.now += 2 * DAY
    node.follower = node.started()
    assert node.done() == []
    node.reported(node.sent(100)[:5])
    assert [action for _, action, _ in node.done()] == ["warned"]


def test_with_all_off_nothing_is_counted(world: World) -> None:
    node = Node(world, {})
    node.reported(node.sent(100))
    assert node.done() == []
    assert world.count("sender_counts") == 0


def test_a_recipient_that_a_message_names_often_is_one(node: Node) -> None:
    node.take([accepted(node.message(1, *["r@example.org", "R@Example.Org"] * 500))])
    node.reported(node.sent(98)[:10])
    assert node.done() == []  # 99 recipients say nothing yet
    node.sent(1)
    why = "10 of 100 recipients in 24 hours bounced for good, 10 %, more than 8 %"
    assert node.done() == [("one", "suspended", why)]


@pytest.mark.parametrize("bad", [0, 20])
def test_a_lowered_threshold_and_a_restart_judge_the_window_before_now(node: Node, bad: int) -> None:
    node.thresholds = replace(node.thresholds, of={Cause.BOUNCES: Threshold(0, 50)})
    node.follower = node.started()
    node.reported(node.sent(100)[:40])
    assert node.done() == []
    node.world.now += timedelta(hours=20)
    node.reported(node.sent(200)[: bad or 2])
    assert node.done() == []
    node.world.now += timedelta(hours=20)  # the first are of 40 hours ago, the others of 20
    node.thresholds = replace(node.thresholds, of=BOUNCES)
    node.follower = node.started()
    why = "20 of 200 recipients in 24 hours bounced for good, 10 %, more than 8 %"
    assert node.done() == ([("one", "suspended", why)] if bad else [])


def test_two_processes_that_count_at_once_count_each_event_once(
    node: Node, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A node whose end is not known yet and the one that takes its place, or two nodes of one store."""
    both = threading.Barrier(2, timeout=60)
    look, met = Counting.look, threading.local()

    def together(*given: Any) -> Any:
        seen = look(*given)
        if not hasattr(met, "once"):  # what each does first, each does at the same time
            met.once = both.wait()
        return seen

    monkeypatch.setattr(Counting, "look", together)
    node.reported(node.sent(100)[:7])
    other = node.started()

    def follow(follower: Suspender) -> int:
        done = 0
        while True:
            step = follower.step()
            done += len(step.suspensions)
            if not step.more:
                return done

    with ThreadPoolExecutor(2) as pool:
        done = list(pool.map(follow, (node.follower, other)))
    assert node.world.rows("SELECT sum(recipients), sum(bounces) FROM sender_counts") == [(100, 7)]
    assert (sum(done), node.events(), node.state("one")) == (1, ["warned"], State.ACTIVE)

"""What is asked for of held messages their own node carries out: once, later, or not at all with a reason."""

from __future__ import annotations

import socket
import sqlite3
import threading
from collections.abc import Callable, Iterator
from contextlib import closing
from dataclasses import replace
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest

from gatepost_core.domain import Credential, MessageRecord, Mode, Rules, State, StoreError, StoreUnavailable
from gatepost_core.domain.limits import Allowance, Charges, Counters, Defaults, limits
from gatepost_core.domain.rules import hours
from gatepost_core.domain.suppressing import Reason, Suppression
from gatepost_core.serving.asking import NoAnswer
from gatepost_core.store import open_counters
from gatepost_core.store.holding import orders
from gatepost_core.store.holding.held import held
from gatepost_events.holding import helper, verbs
from gatepost_events.holding.judging import Limits
from gatepost_events.holding.queue import HoldQueue
from gatepost_events.holding.releasing import Helper, Releasing
from gatepost_events.holding.verbs import Answer, Order, Result, Verb
from tests.core.ingest.test_holding import held_by_us
from tests.core.ingest.world import NOON, RECORD, World, accepted, numbered
from tests.core.making import credential

ANNA, BEN = "anna@one.example.net", "ben@two.example.net"


class Directory:
    """One credential, and whom its account has suppressed."""

    def __init__(self) -> None:
        self.known: Credential | None = credential(id=RECORD.credential_id, username=RECORD.username)
        self.suppressed: list[Suppression] = []

    def credential(self, username: str) -> Credential | None:
        assert username == RECORD.username
        return self.known

    def suppressions(self, account_id: int, credential: str, keys: object) -> list[Suppression]:
        del account_id, credential, keys
        return [one for one in self.suppressed if not one.tag]

    def suppressed_by_tag(
        self, account_id: int, credential: str, tags: object, keys: object
    ) -> list[Suppression]:
        del account_id, credential, tags, keys
        return [one for one in self.suppressed if one.tag]

    def close(self) -> None:
        """Nothing is open."""


class Node:
    """A node with held messages, and a helper that answers as it is told."""

    def __init__(self, world: World) -> None:
        self.world = world
        self.directory = Directory()
        self.answers: list[Answer | NoAnswer] = []
        self.asked: list[Order] = []
        self.releasing = self.of("node")

    def of(self, name: str) -> Releasing:
        holder = self.world.backend.holder(name)
        counting = Limits(Charges(Defaults()), self.opened())
        return Releasing(holder, self.directory, counting, self._answer, lambda: self.world.now)

    def opened(self) -> Counters:
        return open_counters(self.world.folder / "counters.db", self.world.settings.journal)

    def _answer(self, order: Order) -> Answer:
        self.asked.append(order)
        answer = self.answers.pop(0) if self.answers else Answer(Result.DONE)
        if isinstance(answer, NoAnswer):
            raise answer
        return answer

    def held(self, number: int = 1) -> MessageRecord:
        record = numbered(number, recipients=(ANNA, BEN))
        self.world.write(accepted(record), held_by_us(record))
        self.world.take()
        return record

    def ask(self, record: MessageRecord, verb: str = "release", by: str = "root") -> None:
        with self.world.backend.journal(write=True) as connection:
            orders.ask(connection, record.id, verb, by, self.world.now)

    def holds(self, **changes: Any) -> None:
        """Change the credential."""
        assert self.directory.known is not None
        self.directory.known = replace(self.directory.known, **changes)

    def found(self, record: MessageRecord) -> tuple[str, str]:
        with self.world.backend.journal() as connection:
            one = orders.asked(connection, [record.id])[record.id]
        return one.state, one.note


@pytest.fixture
def node(world: World) -> Iterator[Node]:
    world.now = NOON + timedelta(minutes=1)
    made = Node(world)
    yield made
    made.releasing.close()


def test_an_order_is_carried_out_once_by_the_message_s_own_node(node: Node) -> None:
    record = node.held()
    node.ask(record)
    other = node.of("other")
    assert other.step() == []
    other.close()
    assert [one.state for one in node.releasing.step()] == ["done"]
    assert node.releasing.step() == []
    assert node.asked == [Order(Verb.RELEASE, record.queue_id)]
    assert node.found(record) == ("done", "")
    with node.world.backend.journal() as connection:
        assert list(held(connection, 10)) == []  # known also where no mail log is read


def test_what_is_not_held_cannot_be_released(node: Node) -> None:
    record = numbered(1)
    node.world.write(accepted(record))
    node.world.take()
    with pytest.raises(StoreError, match="is not held; its status is accepted"):
        node.ask(record)


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


def test_what_cannot_be_done_is_tried_again_and_hinders_no_other_order(node: Node) -> None:
    first, second = node.held(1), node.held(2)
    node.ask(first)
    node.ask(second)
    node.answers = [NoAnswer("nobody listens")]
    assert [one.state for one in node.releasing.step()] == [None, "done"]
    assert node.found(first) == ("open", "nobody listens")
    assert node.releasing.step() == []
    node.world.now += timedelta(seconds=6)
    node.answers = [Answer(Result.FAILED, "postsuper ended with status 1")]
    node.releasing.step()
    assert node.found(first) == ("open", "postsuper ended with status 1")


@pytest.mark.parametrize(("sent", "state"), [(True, ("done", "")), (False, ("gone", "it is in no queue"))])
def test_what_left_the_hold_queue_was_done_by_us_only_if_the_helper_may_have_heard_of_it(
    node: Node, sent: bool, state: tuple[str, str]
) -> None:
    record = node.held()
    node.ask(record, "drop")
    node.answers = [NoAnswer("no answer in time", sent=sent), Answer(Result.ABSENT, "it is in no queue")]
    node.releasing.step()
    node.world.now += timedelta(seconds=6)
    node.releasing.step()
    assert node.found(record) == state


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


def test_what_is_not_in_the_hold_queue_any_more_is_told_so(node: Node) -> None:
    record = node.held()
    node.ask(record)
    node.answers = [Answer(Result.ABSENT, "it is in the deferred queue")]
    node.releasing.step()
    assert node.found(record) == ("gone", "it is in the deferred queue")


@pytest.mark.parametrize(
    ("line", "order"),
    [
        (b"release 4jc55B3rFXzLKxN", Order(Verb.RELEASE, "4jc55B3rFXzLKxN")),
        (b"drop 0123456789", Order(Verb.DROP, "0123456789")),
        (b"ping", Order(Verb.PING)),
    ],
)
def test_orders_are_read_as_they_are_written(line: bytes, order: Order) -> None:
    assert verbs.read_order(line) == order
    assert verbs.write_order(order) == line + b"\n"


def test_an_answer_is_one_line_of_ascii_whatever_postfix_said() -> None:
    line = verbs.write_answer(Answer(Result.FAILED, "a\nb\0 ü" + "x" * 10_000))
    assert line.count(b"\n") == 1
    assert len(line) < verbs.ANSWER_MOST
    assert verbs.read_answer(line.rstrip()).result is Result.FAILED


def answering(line: bytes) -> Callable[[socket.socket], None]:
    def serve(listener: socket.socket) -> None:
        connection, _ = listener.accept()
        with connection:
            connection.recv(100)
            connection.sendall(line)

    return serve


@pytest.mark.parametrize("line", [b"sure\n", b"\n", b"\xff\n", b"x" * 5_000, b""])
def test_an_answer_that_is_not_understood_is_none(tmp_path: object, line: bytes) -> None:
    path = f"{tmp_path}/s"
    with closing(socket.socket(socket.AF_UNIX)) as listener:
        listener.bind(path)
        listener.listen()
        thread = threading.Thread(target=answering(line), args=(listener,))
        thread.start()
        with pytest.raises(NoAnswer):
            Helper(f"unix:{path}")(Order(Verb.RELEASE, "4jc55B3rFXzLKxN"))
        thread.join()


def test_whoever_says_nothing_is_not_waited_for() -> None:
    here, there = socket.socketpair()
    with here, there:
        there.sendall(b"release 4jc55B3rFXz")
        with pytest.raises(TimeoutError):
            helper.serve(here, lambda order: pytest.fail(str(order)), seconds=0.05)


def test_a_journal_that_cannot_be_read_is_a_fault_that_passes(node: Node) -> None:
    record = node.held()
    node.ask(record)
    with closing(sqlite3.connect(node.world.journal)) as other:
        other.execute("ALTER TABLE hold_orders RENAME TO away")
        with pytest.raises(StoreUnavailable):
            node.releasing.step()
        other.execute("ALTER TABLE away RENAME TO hold_orders")
    assert [one.state for one in node.releasing.step()] == ["done"]


def test_a_check_before_an_upgrade_looks_for_postfix_s_commands(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    assert helper.main(["--check"]) == 0
    assert capsys.readouterr().out == "gatepost-hold: the configuration is good\n"
    monkeypatch.setattr(helper, "PATH", "/nowhere")
    assert helper.main(["--check"]) == 0  # the role installs Postfix after the daemons
    assert "postcat, postsuper, postqueue: not in /nowhere" in capsys.readouterr().out


@pytest.mark.parametrize(
    ("why", "result"), [("No such file or directory", Result.ABSENT), ("Permission denied", Result.FAILED)]
)
def test_a_queue_file_that_cannot_be_read_is_a_fault_and_no_absence(
    tmp_path: Path, why: str, result: Result
) -> None:
    postcat = tmp_path / "postcat"
    postcat.write_text(
        f"#!/bin/sh\necho 'postcat: fatal: open queue file 4jc55B3rFXzLKxN: {why}' >&2\nexit 1\n"
    )
    postcat.chmod(0o755)
    answer = HoldQueue(programs=str(tmp_path)).carry_out(Order(Verb.RELEASE, "4jc55B3rFXzLKxN"))
    assert answer.result is result

"""Who does not get a message for a tag that it has, on a real store, and what is kept of that."""

from __future__ import annotations

import json
from dataclasses import replace
from datetime import UTC, datetime
from pathlib import Path

import pytest

from gatepost_core import spool
from gatepost_core.domain import Options, Reject, StoreUnavailable, ids, spooled
from gatepost_core.domain.rules import UNREADABLE
from gatepost_core.domain.suppressing import Reason, Suppression
from gatepost_core.settings import SpoolSettings
from gatepost_core.store import credentials, suppressions
from gatepost_milter.holding import Hold
from gatepost_milter.judge import Accepted, Verdict
from gatepost_milter.libmilter.records import Records
from gatepost_milter.transaction import Transaction
from tests.core.stores import Store
from tests.milter.test_judge import judge, readers, store

__all__ = ["readers", "store"]

NOW = datetime(2026, 1, 1, 12, 0, tzinfo=UTC)
ANNA = Suppression(1, "anna@example.org", Reason.UNSUBSCRIBE, NOW, credential="alice", tag="news")


def suppress(store: Store, *entries: Suppression) -> None:
    with store.writing() as connection:
        suppressions.put(connection, entries, NOW)


def sent(store: Store, *recipients: bytes, tags: bytes | None = b" march, news") -> Verdict:
    transaction = Transaction("alice", b"<shop@example.test>")
    for recipient in recipients or (b"<Anna@Example.org>", b"<ben@example.org>"):
        transaction.add_recipient(recipient)
    transaction.add_header("From", b" shop@example.test")
    if tags is not None:
        transaction.add_header("X-Gatepost-Tags", tags)
    transaction.add_body(b"Hello\r\n")
    return judge(store).decide(transaction, "4Q1")


def taken_out(verdict: Verdict) -> list[str]:
    assert isinstance(verdict, Accepted)
    return sorted(verdict.suppressed)


def test_who_wants_no_mail_with_a_tag_is_taken_out_of_a_message_that_has_it(store: Store) -> None:
    suppress(store, ANNA)
    verdict = sent(store)
    assert taken_out(verdict) == ["Anna@Example.org"]
    assert isinstance(verdict, Accepted)
    assert verdict.record.recipients == ("Anna@Example.org", "ben@example.org")
    assert taken_out(sent(store, tags=b" march")) == []
    assert taken_out(sent(store, tags=None)) == []


def test_a_domain_counts_for_all_its_recipients_and_each_is_named_once(store: Store) -> None:
    suppress(store, replace(ANNA, address="*.example.org"))
    many = [f"<r{number}@mail.example.org>".encode() for number in range(250)]
    verdict = sent(store, b"<carol@example.net>", *many, *many)
    assert len(taken_out(verdict)) == 250


def test_a_message_of_which_nobody_is_left_is_refused_with_how_to_lift_it(store: Store) -> None:
    suppress(store, ANNA)
    verdict = sent(store, b"<anna@example.org>")
    assert isinstance(verdict, Reject)
    assert str(verdict).startswith("550 5.7.1 No recipient is left: <anna@example.org> is suppressed")
    assert str(verdict).endswith("remove anna@example.org --account acme --credential alice --tag news")


@pytest.mark.parametrize(
    "other",
    [
        replace(ANNA, credential="bob"),
        replace(ANNA, tag="may"),
        replace(ANNA, expires_at=NOW),
        replace(ANNA, address="anna@example.net"),
        replace(ANNA, removed_at=NOW),
    ],
)
def test_what_is_of_others_or_over_takes_nobody_out(store: Store, other: Suppression) -> None:
    suppress(store, other)
    assert taken_out(sent(store)) == []


def test_an_opt_out_takes_nobody_out_of_mail_that_was_asked_for(store: Store) -> None:
    suppress(store, ANNA)
    with store.writing() as connection:
        credentials.change(connection, "alice", options=Options(transactional=True))
    assert taken_out(sent(store)) == []


def test_a_message_is_not_sent_where_it_cannot_be_known_who_wants_it(store: Store) -> None:
    with store.writing() as connection:
        connection.exec_driver_sql("DROP TABLE suppressions")
    with pytest.raises(StoreUnavailable):
        sent(store)
    assert isinstance(sent(store, tags=None), Accepted)


@pytest.mark.parametrize(
    ("senders", "kept"),
    [
        ([], None),
        (["a@example.net", "b@example.net"], ["a@example.net", "b@example.net"]),
        (['"a, b"@example.net'], ['"a, b"@example.net']),
        (["a@example.net", "b" * 3_000], ["a@example.net", UNREADABLE]),
        (["b" * 3_000], [UNREADABLE]),
    ],
)
def test_whom_sender_names_is_on_disk_where_the_message_is_held(
    store: Store, tmp_path: Path, senders: list[str], kept: list[str] | None
) -> None:
    verdict = sent(store)
    assert isinstance(verdict, Accepted)
    (tmp_path / "milter").mkdir()
    records = Records(tmp_path / "milter", SpoolSettings())
    records(verdict.record, {}, Hold("a reason"), senders)
    records(verdict.record, {}, None, senders)
    records.close()
    (batch,) = spool.read(tmp_path / "milter", {}, 10)
    (held,) = [spooled.read_event(one.content) for one in batch.entries if one.kind == spooled.EVENT]
    assert json.loads(held.detail).get("header_sender") == kept


def test_each_who_is_taken_out_is_an_event_on_disk_beside_the_record(store: Store, tmp_path: Path) -> None:
    suppress(store, ANNA)
    verdict = sent(store)
    assert isinstance(verdict, Accepted)
    folder = tmp_path / "spool" / "milter"
    folder.mkdir(parents=True)
    records = Records(folder, SpoolSettings())
    records(verdict.record, verdict.suppressed)
    records.close()
    (batch,) = spool.read(folder, {}, 10)
    record, event = batch.entries
    assert (record.kind, event.kind) == (spooled.ACCEPTED, spooled.EVENT)
    told = spooled.read_event(event.content)
    assert (told.type, told.message, told.recipient) == ("suppressed", verdict.record.id, "Anna@Example.org")
    assert told.detail == (
        '{"scope":"tag","tag":"news","reason":"unsubscribe","since":"2026-01-01T12:00:00Z"}'
    )
    assert ids.time_of(ids.from_bytes(event.id)) == ids.time_of(verdict.record.id)

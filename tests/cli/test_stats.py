"""``gatepost stats`` and ``gatepost event export``: what was counted, and all that happened."""

from __future__ import annotations

import csv
import io
import json
from collections.abc import Iterator
from dataclasses import replace
from datetime import datetime, timedelta
from typing import Any

import pytest

from gatepost_core.domain import MessageRecord, ids, spooled
from gatepost_core.spool import Entry
from tests.core.ingest.world import NOON, RECORD, World, accepted, fill, milliseconds, numbered

from .command import Gatepost
from .sent import world


@pytest.fixture
def node(gatepost: Gatepost) -> Iterator[World]:
    node = world(gatepost)
    yield node
    node.restart_writers()


def told(type_: str, record: MessageRecord, recipient: str, at: datetime = NOON, **detail: Any) -> Entry:
    content = spooled.event(type_, record.id, recipient, at, detail)
    return Entry(ids.to_bytes(ids.new(milliseconds(at))), spooled.VERSION, spooled.EVENT, content)


def fate(node: World) -> None:
    """Have two messages of one credential, and one of another; what became of them."""
    one, two = (
        numbered(1, account_id=1, username="gpx"),
        numbered(2, account_id=1, username="gpx", tags=("a",)),
    )
    other = numbered(3, account_id=2, credential_id=8, username="gpy", recipients=("c@three.example.net",))
    node.write(accepted(one), accepted(two), accepted(other))
    node.write(
        told("bounced", one, "anna@one.example.net", NOON, **{"class": "mailbox"}),
        told("bounced", two, "anna@one.example.net", NOON, **{"class": "full"}),
        told("delivered", two, "ben@two.example.net", NOON + timedelta(hours=3)),
        told("clicked", one, "", verdict="person", url="https://example.org/"),
        told("clicked", one, "", verdict="scanner", url="https://example.org/"),
    )
    node.take()


def by(gatepost: Gatepost, *words: str) -> dict[str, dict[str, Any]]:
    found = gatepost("stats", "--json", *words).data
    return {next(iter(one.values())): one for one in found}


def test_counts_of_credentials_tell_classes_and_who_clicked(gatepost: Gatepost, node: World) -> None:
    fate(node)
    found = by(gatepost)
    assert list(found) == ["gpx", "gpy"]
    assert found["gpx"] == {
        "credential": "gpx", "recipients": 4, "accepted": 2, "delivered": 1, "deferred": 0,
        "failed": 0, "bounced": 2, "complaint": 0, "opened": 0, "clicked": 2, "unsubscribed": 0,
        "kinds": {"bounced": {"mailbox": 1, "full": 1}, "clicked": {"person": 1, "scanner": 1}},
    }  # fmt: skip
    text = gatepost("stats").out
    assert "2 (full 1, mailbox 1)" in text
    assert "2 (by machines 1)" in text


def test_counts_of_tags_and_domains_and_of_a_part(gatepost: Gatepost, node: World) -> None:
    fate(node)
    assert {key: one["accepted"] for key, one in by(gatepost, "--by", "tag").items()} == {"a": 3, "ü": 2}
    domains = by(gatepost, "--by", "domain", "--credential", "gpx")
    assert {key: one["bounced"] for key, one in domains.items()} == {
        "one.example.net": 2,
        "two.example.net": 0,
    }
    assert list(by(gatepost, "--account", "acme")) == ["gpx"]
    assert by(gatepost, "--since", "2026-11-27T14:00")["gpx"]["accepted"] == 0
    assert by(gatepost, "--until", "2026-11-27T14:00")["gpx"]["delivered"] == 0
    assert by(gatepost, "--since", "2026-11-28") == {}
    assert gatepost("stats", "--account", "nobody").code == 3


def test_an_export_is_csv_or_an_object_a_line(gatepost: Gatepost, node: World) -> None:
    fate(node)
    rows = list(csv.DictReader(io.StringIO(gatepost("event", "export").out)))
    assert len(rows) == 8
    bounced = [row for row in rows if row["type"] == "bounced"]
    assert {json.loads(row["detail"])["class"] for row in bounced} == {"mailbox", "full"}
    assert json.loads(bounced[0]["tags"])
    assert bounced[0]["account"] == "acme"
    lines = gatepost("event", "export", "--format", "jsonl", "--type", "clicked").out.splitlines()
    assert [json.loads(line)["detail"]["verdict"] for line in lines].count("person") == 1
    assert gatepost("event", "export", "--json", "--type", "clicked").out.splitlines() == lines
    assert gatepost("event", "export", "--type", "complaint").out.splitlines() == [",".join(rows[0])]


def test_what_a_message_says_stays_in_its_cell(gatepost: Gatepost, node: World) -> None:
    record = replace(RECORD, tags=('a,"b"\nc',), account_id=1)
    node.write(accepted(record))
    node.take()
    (row,) = csv.DictReader(io.StringIO(gatepost("event", "export").out))
    assert json.loads(row["tags"]) == ['a,"b"\nc']


def test_many_events_are_exported_in_pieces(gatepost: Gatepost, node: World) -> None:
    fill(node, range(1_700))
    node.take(2_000)
    assert len(gatepost("event", "export", "--format", "jsonl").out.splitlines()) == 1_700

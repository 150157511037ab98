"""``gatepost event list``: what happened to messages, and what happens now, each event once."""

from __future__ import annotations

import json
import signal
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import replace
from datetime import timedelta

import pytest

from gatepost_core.domain import ids
from gatepost_core.store import paging
from tests.core.ingest.world import NOON, RECORD, World, accepted, event, fill, milliseconds, numbered
from tests.waiting import until

from .command import Gatepost
from .sent import ago, world


@pytest.fixture
def node(gatepost: Gatepost) -> Iterator[World]:
    node = world(gatepost)
    yield node
    node.restart_writers()


def types(gatepost: Gatepost, *words: str) -> list[str]:
    result = gatepost("event", "list", "--json", *words)
    assert result.err == ""
    return [told["type"] for told in result.data]


def test_an_event_tells_what_happened_to_which_message_of_whom(gatepost: Gatepost, node: World) -> None:
    record = replace(RECORD, account_id=1, username="gpx")
    node.write(accepted(record), event("bounced", record, "anna@one.example.net", NOON + timedelta(hours=1)))
    node.take()
    told = gatepost("event", "list", "--json").data[0]
    assert list(told) == [
        "id", "time", "type", "message", "recipient", "credential", "account", "tags", "metadata", "detail",
    ]  # fmt: skip
    assert told == {
        "id": told["id"],
        "time": "2026-11-27T13:00:00Z",
        "type": "bounced",
        "message": record.id,
        "recipient": "anna@one.example.net",
        "credential": "gpx",
        "account": "acme",
        "tags": ["a", "ü"],
        "metadata": {"order": "1"},
        "detail": {"text": "told"},
    }
    first, second = gatepost("event", "list", "--limit", "1").out.splitlines()
    assert first.split("\t") == ["time", "type", "message", "recipient", "credential", "detail"]
    assert second.split("\t")[1:3] == ["bounced", record.id]


def test_events_are_found_by_message_type_credential_and_time(gatepost: Gatepost, node: World) -> None:
    for number, name in enumerate(("one", "two", "three")):
        at = ago(3600 * (3 - number) + 60)
        record = replace(
            RECORD,
            id=ids.new(milliseconds(at)),
            created_at=at,
            username=name,
            queue_id=name,
            message_id=f"<{name}@x>",
        )
        node.write(
            accepted(record),
            event(("delivered", "failed", "deferred")[number], record, at=at + timedelta(seconds=5)),
        )
    node.take()
    assert types(gatepost) == ["deferred", "accepted", "failed", "accepted", "delivered", "accepted"]
    for name in ("one", "one@x", "<one@x>"):
        assert types(gatepost, "--message", name) == ["delivered", "accepted"]
    assert types(gatepost, "--message", "one", "--type", "accepted") == ["accepted"]
    assert types(gatepost, "--type", "failed", "--type", "deferred") == ["deferred", "failed"]
    assert types(gatepost, "--credential", "two") == ["failed", "accepted"]
    assert types(gatepost, "--since", "90m") == ["deferred", "accepted"]
    assert types(gatepost, "--until", "150m", "--type", "delivered") == ["delivered"]
    missed = gatepost("event", "list", "--message", "four", "--json")
    assert (missed.code, "no message 'four'" in missed.error) == (3, True)


@pytest.mark.parametrize(
    ("words", "told"),
    [
        (("--type", "not delivered"), "'not delivered' is no type of event"),
        (("--follow", "--until", "1h"), "--follow has no end"),
        (("--follow", "--after", "2" * 21), "--follow has no end"),
    ],
)
def test_what_cannot_be_asked_for_is_refused(gatepost: Gatepost, words: tuple[str, ...], told: str) -> None:
    result = gatepost("event", "list", "--json", *words)
    assert (result.code, told in result.error) == (2, True)


def test_a_search_that_gives_up_goes_on_from_where_it_was(
    gatepost: Gatepost, node: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    fill(node, range(10_000))
    node.write(accepted(numbered(-5, username="rare")))
    node.take(20_000)
    monkeypatch.setattr(paging, "PATIENCE", -1.0)
    found: list[str] = []
    cursor: tuple[str, ...] = ()
    runs = 0
    while True:
        result = gatepost("event", "list", "--json", "--credential", "rare", *cursor)
        found += [told["credential"] for told in result.data]
        runs += 1
        if not result.err:
            break
        cursor = ("--after", json.loads(result.err)["after"])
    assert (found, runs) == (["rare"], 10_001 // paging._WINDOW_LEAST + 1)


@contextmanager
def following(gatepost: Gatepost, *words: str) -> Iterator[subprocess.Popen[str]]:
    command = [
        sys.executable,
        "-m",
        "gatepost_cli",
        "--config",
        str(gatepost.config),
        "event",
        "list",
        "--follow",
    ]
    with subprocess.Popen(
        [*command, *words], stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True
    ) as process:
        try:
            yield process
        finally:
            if process.poll() is None:
                process.kill()


def messages_of(process: subprocess.Popen[str], number: int) -> list[str]:
    assert process.stdout is not None
    return [json.loads(process.stdout.readline())["message"] for _ in range(number)]


def test_whoever_follows_gets_each_event_once_from_every_node(gatepost: Gatepost, node: World) -> None:
    """Some come while the first are printed, some with ids of long ago, from a node that was away."""
    before = fill(node, range(30))
    other = node.another()
    node.take()
    with following(gatepost, "--json", "--limit", "5") as process:
        expected = [one.id for one in before[-5:]]
        assert messages_of(process, 5) == expected
        expected.clear()
        for number in range(1, 9):
            place, name = (node, "node") if number % 2 else (other, "another")
            records = [numbered((-1) ** number * 1000 * number + one) for one in range(300)]
            place.write(*map(accepted, records))
            ingester = place.ingester(name)
            ingester.take(place.batches(ingester, 300))
            ingester.close()
            expected += [record.id for record in records]
        found = messages_of(process, len(expected))
        assert sorted(found) == sorted(expected)
        process.send_signal(signal.SIGINT)
        assert process.communicate(timeout=30) == ("", "")
        assert process.returncode == 0


def test_only_what_is_asked_for_is_followed(gatepost: Gatepost, node: World) -> None:
    record = numbered(1, queue_id="QX", account_id=1)
    node.write(accepted(record))
    node.take()
    with following(gatepost, "--message", "QX", "--type", "failed") as process:
        other = fill(node, range(2, 5))
        for one in (*other, record):
            node.write(event("delivered", one), event("failed", one))
        until(lambda: process.poll() is None, "the command to run")
        node.take()
        assert process.stdout is not None
        line = process.stdout.readline().rstrip("\n").split("\t")
        assert line[1:] == ["failed", record.id, "anna@one.example.net", "gpx", '{"text": "told"}']
        process.send_signal(signal.SIGINT)
        assert process.communicate(timeout=30) == ("", "")


def test_following_ends_when_nobody_reads_on_though_nothing_happens(gatepost: Gatepost, node: World) -> None:
    fill(node, range(3))
    node.take()
    with following(gatepost, "--json") as process:
        assert process.stdout is not None
        assert process.stderr is not None
        messages_of(process, 3)
        process.stdout.close()
        assert process.wait(timeout=30) == 0
        assert process.stderr.read() == ""


def test_a_store_that_is_away_for_a_while_is_followed_on(gatepost: Gatepost, node: World) -> None:
    fill(node, range(3))
    node.take()
    with following(gatepost, "--json") as process:
        messages_of(process, 3)
        assert process.stderr is not None
        away = node.journal.with_suffix(".away")
        node.journal.rename(away)
        assert "does not exist" in json.loads(process.stderr.readline())["note"]
        away.rename(node.journal)
        more = fill(node, range(3, 6))
        node.take()
        assert messages_of(process, 3) == [record.id for record in more]

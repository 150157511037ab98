"""``gatepost message list`` and ``show``: found by what an operator knows, and never silently incomplete."""

from __future__ import annotations

import json
import os
import threading
from collections.abc import Iterator
from dataclasses import replace
from datetime import datetime, timedelta
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import pytest

from gatepost_core.domain import MessageRecord, ids
from gatepost_core.store import paging
from tests.core.ingest.world import NOON, RECORD, World, accepted, event, fill, milliseconds, used

from .command import Gatepost, Result, make
from .sent import ago, world

_NOBODY = 65534


def one(at: datetime, **changes: Any) -> MessageRecord:
    return replace(RECORD, id=ids.new(milliseconds(at)), created_at=at, **changes)


@pytest.fixture
def node(gatepost: Gatepost) -> Iterator[World]:
    node = world(gatepost)
    yield node
    node.restart_writers()


@pytest.fixture
def some(node: World) -> World:
    """Thirty messages, a minute apart from noon on."""
    for number in range(30):
        record = one(
            NOON + timedelta(minutes=number),
            queue_id=f"Q{number}",
            username=f"gp{number % 2}",
            header_from=f"a{number % 3}@from{number % 2}.test",
            recipients=(f"R{number % 5}@to{number % 3}.test",),
            subject=f"Order {number}",
            tags=("odd",) if number % 2 else (),
            message_id=f"<{number}@example.test>",
        )
        node.write(accepted(record))
        if number % 10 == 3:
            node.write(
                event("bounced", record, record.recipients[0], record.created_at + timedelta(seconds=5))
            )
    node.take()
    return node


def listed(gatepost: Gatepost, *words: str) -> list[int]:
    result = gatepost("message", "list", "--json", "--limit", "100", *words)
    assert result.err == ""
    return [int(message["queue_id"][1:]) for message in result.data]


@pytest.mark.usefixtures("some")
@pytest.mark.parametrize(
    ("words", "expected"),
    [
        ("--from a1@from1.test", [25, 19, 13, 7, 1]),
        ("--from from1.test --until 2026-11-27T12:04", [3, 1]),
        ("--to R2@to1.test", [22, 7]),
        ("--to to1.test --since 2026-11-27T12:25", [28, 25]),
        ("--subject order:1 --credential gp1", [19, 17, 15, 13, 11, 1]),
        ("--tag odd --since 2026-11-27T12:26", [29, 27]),
        ("--status bounced", [23, 13, 3]),
        ("--status accepted --until 2026-11-27T13:05+01:00", [4, 2, 1, 0]),
        ("--credential nobody", []),
    ],
)
def test_messages_are_found_by_what_is_known_of_them(
    gatepost: Gatepost, words: str, expected: list[int]
) -> None:
    assert listed(gatepost, *[word.replace(":1", " 1") for word in words.split(" ")]) == expected


def test_spans_count_back_from_now(gatepost: Gatepost, node: World) -> None:
    node.write(*[accepted(one(ago(minutes * 60), queue_id=f"Q{minutes}")) for minutes in (200, 100, 10)])
    node.take()
    assert listed(gatepost, "--since", "2h") == [10, 100]
    assert listed(gatepost, "--since", "1d", "--until", "90m") == [100, 200]


@pytest.mark.parametrize(
    ("words", "told"),
    [
        (("--since", "yesterday"), "'yesterday' is not a time; expected 2027-01-31"),
        (("--after", "12"), "'12' is no CURSOR; expected what a list said that it goes on with"),
        (("--status", "lost"), "'lost' is not one of 'delivered', 'accepted'"),
        (("--subject", "x" * 201), "is too long to be looked for; expected 200 characters"),
    ],
)
def test_what_cannot_be_looked_for_is_refused(gatepost: Gatepost, words: tuple[str, ...], told: str) -> None:
    result = gatepost("message", "list", "--json", *words)
    assert result.code == 2
    assert told in result.error


@pytest.mark.usefixtures("some")
def test_a_list_goes_on_after_its_last_line(gatepost: Gatepost) -> None:
    found: list[int] = []
    cursor: tuple[str, ...] = ()
    for _ in range(5):
        page = gatepost("message", "list", "--json", "--limit", "7", *cursor).data
        found += [int(message["queue_id"][1:]) for message in page]
        cursor = ("--after", page[-1]["id"].upper())
    assert found == list(range(29, -1, -1))


def test_a_search_that_gives_up_says_how_to_go_on_until_all_is_found(
    gatepost: Gatepost, node: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    """It looks at 200 messages at a time here, and at 10,000 in all."""
    fill(node, range(10_000))
    node.write(accepted(one(NOON, subject="Needle", queue_id="Q0")))
    node.take(20_000)
    monkeypatch.setattr(paging, "PATIENCE", -1.0)
    found: list[str] = []
    cursor: tuple[str, ...] = ()
    runs = 0
    while True:
        result = gatepost("message", "list", "--json", "--subject", "needle", *cursor)
        found += [message["subject"] for message in result.data]
        runs += 1
        if not result.err:
            break
        told = json.loads(result.err)
        assert told["note"].startswith("Searched back to 2026-11-27T12:00:0")
        cursor = ("--after", told["after"])
    assert (found, runs) == (["Needle"], 10_001 // paging._WINDOW_LEAST + 1)
    assert f"--after {cursor[1]}" not in gatepost("message", "list", "--subject", "Needle", *cursor).err
    assert "Go on with --after " in gatepost("message", "list", "--subject", "Needle").err


def test_a_list_without_a_search_never_gives_up(
    gatepost: Gatepost, node: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    fill(node, range(3_000))
    node.take(5_000)
    monkeypatch.setattr(paging, "PATIENCE", -1.0)
    result = gatepost("message", "list", "--json", "--limit", "2500", "--tag", "ü")
    assert (len(result.data), result.err) == (2500, "")


@pytest.mark.usefixtures("some")
def test_a_message_is_shown_by_any_name_with_what_became_of_it(gatepost: Gatepost) -> None:
    shown = gatepost("message", "show", "<13@example.test>", "--json").data
    for name in (shown["id"], "Q13", "13@example.test"):
        assert gatepost("message", "show", name, "--json").data == shown
    assert shown["status"] == "bounced"
    assert shown["recipients"] == ["R3@to1.test"]
    since = "2026-11-27T12:13:05Z"
    assert shown["recipient_states"] == [
        {"recipient": "R3@to1.test", "state": "bounced", "since": since, "class": "", "sources": ["report"]}
    ]
    assert [(told["type"], told["detail"]) for told in shown["events"]] == [
        ("accepted", {}),
        ("bounced", {"text": "told"}),
    ]
    text = gatepost("message", "show", "Q13").out
    assert "status\tbounced\n" in text
    assert "<R3@to1.test>\tbounced since 2026-11-27T12:13:05Z, told by report\n" in text
    assert "2026-11-27T12:13:05Z\tbounced R3@to1.test\n" in text


def test_a_list_says_by_how_much_the_store_is_behind(gatepost: Gatepost, node: World) -> None:
    node.write(accepted(one(ago(900), queue_id="Q1")))
    node.take()
    node.write(*[accepted(one(ago(seconds), queue_id="Q2")) for seconds in (600, 500, 400)])
    result = gatepost("message", "list")
    assert result.out.count("\n") == 2
    assert result.err.startswith("Note: the store is behind the spool by 3 entries (")
    assert "; the oldest has waited for 10 minutes. What was accepted since is not shown" in result.err
    told = json.loads(gatepost("message", "list", "--json").err)
    assert told["behind"]["entries"] == 3
    assert told["behind"]["bytes"] > 100
    assert 600 <= told["behind"]["seconds"] < 700
    assert "behind the spool by 3 entries" in gatepost("message", "show", "Q1").err
    missed = gatepost("message", "show", "Q2", "--json")
    assert missed.code == 3
    assert "no message 'Q2'" in missed.error
    assert "behind the spool by 3 entries" in missed.error
    node.take()
    assert gatepost("message", "list").err == ""
    assert gatepost("message", "show", "Q2").code == 0


def test_last_uses_of_credentials_that_wait_are_no_messages_that_are_missing(
    gatepost: Gatepost, node: World
) -> None:
    node.write(used(1, ago(900)))
    assert gatepost("message", "list").err == ""


def test_what_was_just_accepted_is_waited_for(
    gatepost: Gatepost, node: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The store takes it while the command looks; without that the command would have had to say so."""
    node.write(accepted(one(ago(0), queue_id="Q7")))
    monkeypatch.setattr("gatepost_cli.behind.PATIENCE", 60.0)
    results: list[Result] = []
    thread = threading.Thread(target=lambda: results.append(gatepost("message", "list", "--json")))
    thread.start()
    node.take()
    thread.join()
    assert [message["queue_id"] for message in results[0].data] == ["Q7"]
    assert results[0].err == ""


@pytest.mark.skipif(os.geteuid() != 0, reason="only root can take on another user")
def test_whoever_may_not_read_the_spool_is_told_nothing_of_it() -> None:
    with TemporaryDirectory() as folder:
        gatepost = make(Path(folder))
        node = world(gatepost)
        node.write(accepted(one(ago(900))))
        assert gatepost("message", "list").err != ""
        node.restart_writers()
        (Path(folder) / "spool").chmod(0)
        for path in (Path(folder), *(Path(folder) / "store").rglob("*"), Path(folder) / "store"):
            os.chown(path, _NOBODY, _NOBODY)
        os.seteuid(_NOBODY)
        try:
            result = gatepost("message", "list")
        finally:
            os.seteuid(0)
        assert (result.code, result.err) == (0, "")

"""``gatepost store prune``: messages older than they are to be kept go, and mail does not feel it."""

from __future__ import annotations

import os
import pty
import signal
import subprocess
import sys
from collections.abc import Iterator
from dataclasses import replace
from itertools import count
from pathlib import Path

import pytest

from gatepost_cli.pruning import Pace
from gatepost_core.domain import MessageRecord, ids
from gatepost_core.store.ingest.retention import Pruned
from tests.core.ingest.world import RECORD, World, accepted, milliseconds
from tests.waiting import until

from .command import Gatepost
from .sent import ago, world

DAY = 86_400


def of(days: float, account: int = 1) -> MessageRecord:
    at = ago(days * DAY)
    return replace(RECORD, id=ids.new(milliseconds(at)), created_at=at, account_id=account)


@pytest.fixture
def node(gatepost: Gatepost) -> Iterator[World]:
    node = world(gatepost)
    yield node
    node.restart_writers()


@pytest.fixture
def some(gatepost: Gatepost, node: World) -> World:
    """Two messages of each of two accounts: ten and a hundred days old."""
    assert gatepost("account", "add", "other").code == 0
    node.write(*[accepted(of(days, account)) for days in (10, 100) for account in (1, 2)])
    node.take()
    return node


def left(gatepost: Gatepost) -> list[tuple[int, int]]:
    """Return account and age in days of each message."""
    shown = gatepost("message", "list", "--json").data
    return sorted(
        (one["account_id"], round((milliseconds(ago(0)) / 1000 - _seconds(one["id"])) / DAY)) for one in shown
    )


def _seconds(number: str) -> float:
    return int.from_bytes(ids.to_bytes(number)[:6], "big") / 1000


@pytest.mark.usefixtures("some")
def test_each_account_s_messages_go_by_its_own_days(gatepost: Gatepost) -> None:
    assert gatepost("account", "set", "other", "--keep-days", "5").code == 0
    assert gatepost("store", "prune", "--dry-run", "--json").data == {"messages": 2, "dry_run": True}
    assert len(left(gatepost)) == 4
    pruned = gatepost("--set", "store.keep_days=30", "store", "prune", "--json").data
    assert (pruned["messages"], pruned["events"]) == (3, 3)
    assert left(gatepost) == [(1, 10)]
    assert "0 messages removed, with 0 events" in gatepost("store", "prune").out


@pytest.mark.usefixtures("some")
def test_days_for_this_time_count_for_everybody_and_only_once_it_is_said(gatepost: Gatepost) -> None:
    assert gatepost("account", "set", "other", "--keep-days", "0").code == 0
    refused = gatepost("store", "prune", "--older-than", "50", "--json")
    assert (refused.code, "give --yes to have it done" in refused.error) == (2, True)
    assert len(left(gatepost)) == 4
    assert gatepost("store", "prune", "--older-than", "50", "--yes", "--json").data["messages"] == 2
    assert left(gatepost) == [(1, 10), (2, 10)]
    assert gatepost("store", "prune", "--older-than", "0", "--yes").code == 2


def test_an_account_is_made_with_its_days_and_the_list_has_them(gatepost: Gatepost) -> None:
    assert gatepost("account", "add", "brief", "--keep-days", "7").code == 0
    listed = {one["name"]: one for one in gatepost("account", "list", "--json").data}
    assert (listed["brief"]["keep_days"], listed["acme"]["keep_days"]) == (7, 0)
    lines = gatepost("account", "list").out.splitlines()
    assert lines[0].endswith("\tmessages kept")
    assert {line.rpartition("\t")[2] for line in lines[1:]} == {"for 7 days", "for good"}


@pytest.fixture
def _interruptible() -> Iterator[None]:
    """Whoever runs the tests in a shell's background has Ctrl-C ignored, and the command inherited that."""
    before = signal.signal(signal.SIGINT, signal.default_int_handler)
    yield
    signal.signal(signal.SIGINT, before)


@pytest.mark.usefixtures("_interruptible")
def test_it_may_be_interrupted_and_goes_on_the_next_time(gatepost: Gatepost, node: World) -> None:
    """A bar shows how far it is; what is gone so far is committed."""
    for _ in range(10):
        node.write(*[accepted(of(50)) for _ in range(500)])
    node.take(20_000)

    def mail_flows() -> bool:
        node.write(accepted(of(0)))
        return True

    ours, theirs = pty.openpty()
    command = [sys.executable, "-m", "gatepost_cli", "--config", str(gatepost.config)]
    command += ["store", "prune", "--older-than", "30", "--yes"]
    environ = os.environ | {"TERM": "xterm", "COLUMNS": "80", "NO_COLOR": "1"}
    with subprocess.Popen(command, stdout=subprocess.PIPE, stderr=theirs, env=environ) as process:
        os.close(theirs)
        until(lambda: mail_flows() and node.count("messages") < 5_000, "a message to go")
        process.send_signal(signal.SIGINT)
        shown = b""
        while part := _read(ours):
            shown += part
        assert process.wait(60) == 130
    os.close(ours)
    assert b"/5000" in shown
    assert b"messages" in shown
    rest = node.count("messages")
    assert rest % 50 == 0
    assert gatepost("store", "prune", "--older-than", "30", "--yes", "--json").data["messages"] == rest
    assert node.count("messages") == node.count("events") == node.count("recipients") == 0


def _read(descriptor: int) -> bytes:
    try:
        return os.read(descriptor, 65536)
    except OSError:  # the other end is closed (EIO)
        return b""


def rests(spool: Path, act: object = None) -> list[float]:
    """Return the rests between batches that take a second each."""
    found: list[float] = []
    ticks = count()
    pace = Pace(spool, clock=lambda: float(next(ticks)), sleep=found.append)
    for _ in pace.paced([Pruned()] * 5):
        if callable(act):
            act()
    return found


def test_it_rests_for_most_of_the_time_while_mail_flows_and_not_while_none_does(node: World) -> None:
    flowing = rests(node.folder, lambda: node.write(accepted(of(0))))
    assert len(flowing) == 5
    assert min(flowing) >= 4.0
    assert len(rests(node.folder)) <= 1
    assert rests(node.folder / "none") == []

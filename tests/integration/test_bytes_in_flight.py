"""Many large messages at once: the milter holds what it may, tells the others to come again, and goes on."""

from __future__ import annotations

import re
import socket
from collections.abc import Iterator
from contextlib import ExitStack
from pathlib import Path
from typing import Any

import pytest

from gatepost_milter.editing.headers import Header
from gatepost_milter.editing.message import Message
from tests.integration.harness import SENDER
from tests.integration.lone import Lone, lone_milter
from tests.integration.processes import peak, reset_peak, resident
from tests.waiting import until

LARGEST = 1_000_000
TO = ["bob@example.org"]
SMALL = Message((Header(b"From", b" <alice@example.test>"),), b"x\r\n")
LARGE = Message(SMALL.headers, b"x" * 70 + b"\r\n" + b"A line of text.\r\n" * (900_000 // 17))
MANY_FIELDS = Message((*SMALL.headers, *[Header(b"X-A", b" " + b"a" * 1000)] * 900), b"x\r\n")


@pytest.fixture
def lone(tmp_path: Path) -> Iterator[Lone]:
    """One worker that may hold two megabytes, twice its largest message."""
    tables: dict[str, dict[str, Any]] = {
        "milter": {"workers": 1, "bytes_in_flight": 1, "metrics_listen": f"unix:{tmp_path}/metrics"},
        "postfix": {"message_size_limit": LARGEST},
    }
    with lone_milter(tmp_path, tables) as running:
        yield running


def held(lone: Lone) -> float:
    with socket.socket(socket.AF_UNIX) as client, client.makefile("rb") as answer:
        client.connect(str(lone.folder / "metrics"))
        client.sendall(b"GET /metrics HTTP/1.0\r\n\r\n")
        text = answer.read().decode()
    found = re.search(r"^gatepost_milter_held_bytes(?:\{[^}]*\})? (\S+)$", text, re.MULTILINE)
    return float(found[1]) if found else 0.0


def test_what_is_beyond_the_bound_comes_again_and_passes_when_there_is_room(lone: Lone) -> None:
    first, second = (lone.provision.credential({}) for _ in range(2))
    with lone.client(first) as one, lone.client(second) as other, lone.client(second) as small:
        begun = one.begin(LARGE, SENDER, TO)
        until(lambda: held(lone) > 800_000)
        for message in (LARGE, MANY_FIELDS):
            answer = other.send(message, SENDER, TO)
            assert (answer.action, answer.reply[:9]) == ("tempfail", "451 4.3.1")
        assert small.send(SMALL, SENDER, TO).action == "accept"
        assert one.end(LARGE, begun).action == "accept"
        until(lambda: held(lone) == 0)
        assert other.send(LARGE, SENDER, TO).action == "accept"


@pytest.mark.parametrize("how", ["abort", "close"])
def test_a_message_that_is_given_up_gives_its_bytes_back(lone: Lone, how: str) -> None:
    login = lone.provision.credential({})
    with lone.client(login) as one:
        one.begin(LARGE, SENDER, TO)
        until(lambda: held(lone) > 800_000)
        one.abort() if how == "abort" else one.close()
        until(lambda: held(lone) == 0)
        with lone.client(login) as other:
            assert other.send(LARGE, SENDER, TO).action == "accept"


def test_12_large_messages_at_once_take_a_bounded_part_of_their_bytes(tmp_path: Path) -> None:
    size, largest = 38_000_000, 40_960_000
    message = Message(SMALL.headers, b"A line of text.\r\n" * (size // 17))
    tables = {"milter": {"workers": 1, "bytes_in_flight": 1}, "postfix": {"message_size_limit": largest}}
    with lone_milter(tmp_path, tables) as lone, ExitStack() as stack:
        login = lone.provision.credential({})
        (worker,) = lone.workers()
        clients = [stack.enter_context(lone.client(login)) for _ in range(12)]
        clients[0].send(SMALL, SENDER, TO)
        before = resident(worker)
        reset_peak(worker)
        begun = [(client, client.begin(message, SENDER, TO)) for client in clients]
        answers = [client.end(message, queue_id) for client, queue_id in begun]
        needed = peak(worker) - before
        assert lone.workers() == [worker]
    print(f"12 messages of {size / 1e6:.0f} MB took {needed / 1e6:.0f} MB")
    assert [answer.action for answer in answers].count("accept") >= 1
    assert needed < 2 * largest + 3.5 * size

"""What a worker of gatepost-milter holds: flat over many messages, a bounded multiple of a large one.

Driven by the milter protocol directly, because Postfix would only make it slower.
"""

from __future__ import annotations

import multiprocessing
import threading
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from gatepost_stack.provision import ClientLogin
from tests.corpus.letters import letter
from tests.corpus.sunk import check, split
from tests.integration.harness import SENDER
from tests.integration.lone import ALL, Lone, lone_milter
from tests.integration.processes import all_pss

SESSIONS = 5
MANY = 100_000
RATED = 4_000
# Caches are bounded, and full before a third of the messages has passed; they are emptied and filled again,
# which is what this is. A leak of 100 bytes a message would be more.
GROWTH_MOST = 6_000_000


@pytest.fixture
def lone(tmp_path: Path) -> Iterator[Lone]:
    """One worker, so that every message passes through the same process."""
    with lone_milter(tmp_path, {"milter": {"workers": 1}}) as running:
        yield running


def send_letters(lone: Lone, login: ClientLogin, numbers: range, seen: Callable[[], None]) -> None:
    """Send letters in one session; every hundredth answer is held to what was sent."""
    with lone.client(login) as client:
        for number in numbers:
            answer = client.send(split(letter(number)), SENDER, ["bob@example.org"])
            assert answer.action == "accept", answer.reply
            if number % 100 == 0:
                check(number, answer.raw, ALL, images=lone.settings.images.directory)
            seen()


@pytest.mark.measurement
@pytest.mark.timeout(3600)
def test_100_000_messages_leave_a_worker_as_large_as_30_000_do(lone: Lone) -> None:
    login = lone.provision.credential(ALL)
    before, began = lone.workers(), time.monotonic()
    lock, count = threading.Lock(), [0]
    series: list[dict[int, int]] = []

    def seen() -> None:
        with lock:
            count[0] += 1
            if count[0] % 10_000 == 0:
                series.append(dict(all_pss(before)))
                sizes = " ".join(f"{size / 1e6:.1f}" for size in series[-1].values())
                print(
                    f"{count[0]} messages, {time.monotonic() - began:.0f} s, PSS in MB: {sizes}", flush=True
                )

    shares = [range(first, MANY, SESSIONS) for first in range(SESSIONS)]
    threads = [threading.Thread(target=send_letters, args=(lone, login, share, seen)) for share in shares]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert count[0] == MANY
    assert lone.workers() == before
    for pid in before:
        assert series[-1][pid] - series[2][pid] < GROWTH_MOST


def rate(folder: Path, workers: int) -> float:
    """Return the messages a second that so many workers answer to sessions in processes of their own."""
    with lone_milter(folder, {"milter": {"workers": workers}}) as lone:
        login = lone.provision.credential(ALL)
        began = time.monotonic()
        context = multiprocessing.get_context("fork")
        shares = [range(first, RATED, SESSIONS) for first in range(SESSIONS)]
        sessions = [context.Process(target=send_rated, args=(lone, login, share)) for share in shares]
        for session in sessions:
            session.start()
        for session in sessions:
            session.join()
        assert [session.exitcode for session in sessions] == [0] * SESSIONS
        return RATED / (time.monotonic() - began)


def send_rated(lone: Lone, login: ClientLogin, numbers: range) -> None:
    send_letters(lone, login, numbers, lambda: None)


@pytest.mark.measurement
def test_throughput_grows_with_workers(tmp_path: Path) -> None:
    rates = {}
    for workers in (1, 2):
        folder = tmp_path / str(workers)
        folder.mkdir()
        rates[workers] = rate(folder, workers)
    print("messages a second by workers: " + ", ".join(f"{n}: {one:.0f}" for n, one in rates.items()))
    assert rates[2] > 1.2 * rates[1]

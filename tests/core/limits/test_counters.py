"""Counting: all windows of a message or none, never more than a limit, whoever else counts at the moment."""

from __future__ import annotations

import multiprocessing
import os
import signal
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest

from gatepost_core.domain.limits import Counters, Want
from gatepost_core.domain.limits.verdicts import used

from .engines import ENGINES, message, sliding, want

Open = Callable[[], Counters]


@pytest.fixture(params=ENGINES)
def opened(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[Open]:
    """Return what opens the counters once more, as another process would."""
    all_of_them: list[Counters] = []

    def another() -> Counters:
        all_of_them.append(ENGINES[request.param](tmp_path))
        return all_of_them[-1]

    yield another
    for one in all_of_them:
        one.close()


@pytest.fixture
def counters(opened: Open) -> Counters:
    return opened()


def has(counters: Counters, *wants: Want) -> list[int]:
    return [used(buckets) for buckets in counters.look(wants)]


def test_as_many_pass_as_the_limit_says_and_the_next_takes_nothing(counters: Counters) -> None:
    assert [counters.take(message(), [want()]) for _ in range(6)] == [[0], [1], [2], [3], [4], None]
    assert has(counters, want()) == [5]


def test_a_message_takes_from_all_of_its_windows_or_from_none(counters: Counters) -> None:
    hour, day, account = (
        want(),
        want("c1.1.0 messages day", most=2),
        want("a1.0 bytes day", amount=30, most=100),
    )
    assert counters.take(message(), [hour, day, account]) == [0, 0, 0]
    assert counters.take(message(), [hour, day, account]) == [1, 1, 30]
    assert counters.take(message(), [hour, day, account]) is None
    assert has(counters, hour, day, account) == [2, 2, 60]
    # What has no room for one has room for another.
    assert counters.take(message(), [account]) == [60]
    assert counters.take(message(), [hour, account]) is None
    assert has(counters, hour, account) == [2, 90]


def test_a_message_that_takes_again_counts_once_and_is_told_so(counters: Counters, opened: Open) -> None:
    number = message()
    assert counters.take(number, [want()]) == [0]
    assert counters.take(number, [want()]) == []
    assert opened().take(number, [want()]) == []
    assert has(counters, want()) == [1]


def test_what_is_given_back_can_be_taken_by_another_and_is_given_back_once(
    counters: Counters, opened: Open
) -> None:
    number, wants = message(), [want(most=1), want("a1.0 bytes day", 700, 1000)]
    assert counters.take(number, wants) == [0, 0]
    assert counters.take(message(), wants) is None
    assert opened().give_back(number)
    assert not counters.give_back(number)
    assert not counters.give_back(message())
    assert has(counters, *wants) == [0, 0]
    assert counters.take(number, wants) == []  # a repetition that comes late
    assert counters.take(message(), wants) == [0, 0]


def test_a_refused_attempt_never_counts(counters: Counters) -> None:
    assert counters.take(message(), [want(amount=5)]) == [0]
    number = message()
    assert [counters.take(number, [want()]) for _ in range(50)] == [None] * 50
    assert has(counters, want()) == [5]
    assert not counters.give_back(number)


def test_what_slides_counts_as_long_as_its_time_and_no_longer(counters: Counters) -> None:
    assert counters.take(message(), [sliding(0, 3)]) == [0]
    assert counters.take(message(), [sliding(30, 2)]) == [3]
    assert counters.take(message(), [sliding(60)]) is None
    assert counters.take(message(), [sliding(61, 3)]) == [2]
    assert [bucket.used for bucket in counters.look([sliding(61)])[0]] == [2, 3]
    assert counters.take(message(), [sliding(90)]) is None
    assert counters.take(message(), [sliding(91, 2)]) == [3]


def test_windows_and_keys_are_counted_apart(counters: Counters) -> None:
    later = want(start=want().ends)
    assert counters.take(message(), [want(amount=5), sliding(0, 5)]) == [0, 0]
    assert counters.take(message(), [later, want("c1.10.0 messages hour"), want("c1.1.0 messages houri")])
    assert has(counters, want(), later, sliding(0)) == [5, 1, 5]


def test_a_reset_empties_what_begins_with_the_key_and_says_who_did_it(counters: Counters) -> None:
    own, neighbour = want("c1.1.0 messages hour"), want("c1.10.0 messages hour")
    counters.take(message(), [own, neighbour])
    assert counters.reset("c1.1.0 ", "ann") == 1
    assert counters.reset("c1.1.0 ", "bob") == 0
    assert [(one.by, one.counters) for one in counters.resets("c1.1.0 ")] == [("ann", 1), ("bob", 0)]
    assert counters.resets("c1.10.0 ") == []
    assert has(counters, own, neighbour) == [0, 1]
    assert counters.take(message(), [own]) == [0]


def test_a_hundred_who_take_at_once_get_exactly_what_there_is(opened: Open) -> None:
    wants = [want(most=500), want("a1.0 messages day", most=10_000), sliding(0, most=700)]
    several = [opened() for _ in range(4)]

    def take(number: int) -> int:
        return sum(several[number % 4].take(message(), wants) is not None for _ in range(10))

    with ThreadPoolExecutor(100) as crew:
        assert sum(crew.map(take, range(100))) == 500
    assert has(several[0], *wants) == [500, 500, 500]


def test_processes_that_are_killed_in_the_midst_leave_no_count_half_done(
    opened: Open,
) -> None:
    wants = [want(most=100_000), want("a1.0 messages day", most=100_000)]
    before = 0
    for _ in range(10):
        reading, writing = multiprocessing.Pipe(duplex=False)
        child = multiprocessing.get_context("fork").Process(
            target=_take_for_ever, args=(opened, wants, writing)
        )
        child.start()
        answers = [reading.recv() for _ in range(50)]
        os.kill(child.pid or 0, signal.SIGKILL)
        child.join()
        while reading.poll():
            answers.append(reading.recv())
        hour, day = has(opened(), *wants)
        assert hour == day
        assert len(answers) <= hour - before <= len(answers) + 1  # one may not have told any more
        before = hour


def _take_for_ever(opened: Open, wants: list[Want], writing: multiprocessing.connection.Connection) -> None:
    counters = opened()
    while True:
        assert counters.take(message(), wants)
        writing.send(True)

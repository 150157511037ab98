"""Calls that block: whoever waits is answered in time, and one user's trouble is not everybody's."""

from __future__ import annotations

import threading
import time
from collections.abc import Iterator

import pytest

from gatepost_sasl.authenticator import BackendUnavailable
from gatepost_sasl.backends.pool import DeadlinePool, NotAsked
from tests.waiting import until


class Hang:
    """A call that hangs until it is let go."""

    def __init__(self) -> None:
        self.release = threading.Event()

    def __call__(self) -> str:
        self.release.wait(30)
        return "late"


@pytest.fixture
def hang() -> Iterator[Hang]:
    made = Hang()
    yield made
    made.release.set()


def test_a_call_returns_what_it_returns_and_raises_what_it_raises() -> None:
    pool = DeadlinePool("test", 1, 1)
    assert pool.run(lambda: 7, 5, "a") == 7
    with pytest.raises(ZeroDivisionError):
        pool.run(lambda: 1 // 0, 5, "a")
    with pytest.raises(TimeoutError, match="its own"):
        pool.run(lambda: (_ for _ in ()).throw(TimeoutError("its own")), 5, "a")
    pool.close()


def test_a_call_that_hangs_is_left_behind_in_time_and_counted(hang: Hang) -> None:
    counted: list[int] = []
    abandoned: list[bool] = []
    pool = DeadlinePool("test", 4, 2, counted.append)
    began = time.monotonic()
    with pytest.raises(BackendUnavailable, match=r"no answer in 0.05 s"):
        pool.run(hang, 0.05, "a", lambda: abandoned.append(True))
    assert time.monotonic() - began < 20
    assert (pool.stuck, counted, abandoned) == (1, [1], [True])
    assert pool.run(lambda: "others", 5, "b") == "others"
    hang.release.set()
    until(lambda: not pool.stuck)
    assert counted == [1, -1]
    pool.close()


def test_one_user_gets_some_of_the_threads_only(hang: Hang) -> None:
    pool = DeadlinePool("test", 4, 2)
    for _ in range(2):
        with pytest.raises(BackendUnavailable, match="no answer"):
            pool.run(hang, 0.02, "wedged")
    with pytest.raises(NotAsked, match="earlier logins of this user"):
        pool.run(hang, 30, "wedged")
    assert pool.run(lambda: "fine", 5, "another") == "fine"
    hang.release.set()
    until(lambda: not pool.stuck)
    assert pool.run(lambda: "again", 5, "wedged") == "again"
    pool.close()


def test_when_all_threads_are_stuck_the_answer_comes_at_once(hang: Hang) -> None:
    pool = DeadlinePool("test", 2, 2)
    for user in ("a", "b"):
        with pytest.raises(BackendUnavailable):
            pool.run(hang, 0.02, user)
    began = time.monotonic()
    with pytest.raises(NotAsked, match="all 2 threads are stuck"):
        pool.run(lambda: 1, 30, "c")
    assert time.monotonic() - began < 20
    hang.release.set()
    pool.close()


def test_a_call_for_which_no_thread_is_free_is_never_made(hang: Hang) -> None:
    pool = DeadlinePool("test", 1, 1)
    made: list[bool] = []
    first = threading.Thread(target=lambda: pool.run(hang, 20, "a"))
    first.start()
    with pytest.raises(NotAsked, match="no thread was free"):
        pool.run(lambda: made.append(True), 0.05, "b")
    hang.release.set()
    first.join()
    assert pool.run(lambda: "next", 5, "b") == "next"
    assert made == []
    pool.close()


def test_a_burst_of_one_users_logins_waits_for_its_turn() -> None:
    pool = DeadlinePool("test", 4, 2)
    done: list[int] = []

    def login(number: int) -> None:
        pool.run(lambda: done.append(number), 10, "same")

    threads = [threading.Thread(target=login, args=(number,)) for number in range(40)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert sorted(done) == list(range(40))
    pool.close()


def test_a_wedged_thread_does_not_keep_the_pool_from_closing(hang: Hang) -> None:
    pool = DeadlinePool("test", 2, 2)
    with pytest.raises(BackendUnavailable):
        pool.run(hang, 0.02, "a")
    began = time.monotonic()
    pool.close(0.1)
    assert time.monotonic() - began < 20

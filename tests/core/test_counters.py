"""The shared table of counters: right among processes, bounded, and not to be reset by flooding it."""

from __future__ import annotations

import os
import threading
from collections.abc import Iterator

import pytest
from hypothesis import given
from hypothesis import strategies as st

from gatepost_core.serving.counting import SharedCounters

FORGET = 100.0
MANY = 1_000_000


@pytest.fixture
def table() -> Iterator[SharedCounters]:
    counters = SharedCounters(buckets=64)
    yield counters
    counters.close()


def add(table: SharedCounters, key: bytes, now: float = 0.0, inherit: int = MANY) -> int:
    return table.add(key, now, FORGET, inherit)


def count(table: SharedCounters, key: bytes, now: float = 0.0) -> int:
    return table.read(key, now, FORGET)[0]


@given(st.lists(st.tuples(st.sampled_from([b"", b"a", b"b", b"\xff\0"]), st.booleans()), max_size=30))
def test_counts_are_those_of_a_dictionary_while_there_is_room(events: list[tuple[bytes, bool]]) -> None:
    table, model = SharedCounters(buckets=64), dict[bytes, int]()
    for key, forget in events:
        if forget:
            table.clear(key)
            model.pop(key, None)
        else:
            model[key] = model.get(key, 0) + 1
            assert add(table, key) == model[key]
    assert all(count(table, key) == model.get(key, 0) for key in (b"", b"a", b"b", b"\xff\0"))
    table.close()


@given(st.lists(st.binary(max_size=300), max_size=20, unique=True))
def test_a_key_that_was_counted_is_never_told_to_be_untouched(keys: list[bytes]) -> None:
    table = SharedCounters(buckets=64)
    traces = {key: table.trace(key) for key in keys}
    assert all(trace() < 0 for trace in traces.values())
    for key in keys[::2]:
        add(table, key)
    assert all(traces[key]() >= 0 for key in keys[::2])
    for key in keys[::2]:
        table.clear(key)
    assert all(trace() < 0 for trace in traces.values())
    table.close()


def test_a_counter_is_forgotten_when_nothing_is_heard_of_it(table: SharedCounters) -> None:
    add(table, b"a", 0.0)
    add(table, b"a", 60.0)
    assert table.read(b"a", 159.9, FORGET) == (2, 60.0)
    assert table.read(b"a", 160.0, FORGET) == (0, 0.0)
    assert add(table, b"a", 160.0) == 1


def test_a_flood_of_other_keys_cannot_lower_a_counter() -> None:
    table = SharedCounters(buckets=4)
    for _ in range(10):
        add(table, b"guesser")
    for number in range(10_000):
        add(table, b"flood %d" % number, 1.0)
    assert count(table, b"guesser", 1.0) == 10 or add(table, b"guesser", 1.0) > 10
    table.close()


def test_a_newcomer_to_a_full_table_is_charged_no_more_than_it_may_inherit() -> None:
    table = SharedCounters(buckets=1)
    for number in range(8):
        for _ in range(50):
            add(table, b"%d" % number)
    assert add(table, b"newcomer", inherit=9) == 10
    table.close()


def test_what_is_forgotten_gives_its_place_without_its_count() -> None:
    table = SharedCounters(buckets=1)
    for number in range(8):
        add(table, b"%d" % number, 0.0 if number == 3 else 90.0)
    assert add(table, b"newcomer", 110.0) == 1
    assert count(table, b"4", 110.0) == 1
    table.close()


def test_events_of_many_processes_and_threads_are_all_counted(table: SharedCounters) -> None:
    children = []
    for _ in range(4):
        pid = os.fork()
        if pid == 0:
            threads = [
                threading.Thread(target=lambda: [add(table, b"key") for _ in range(250)]) for _ in range(2)
            ]
            for thread in threads:
                thread.start()
            for thread in threads:
                thread.join()
            os._exit(0)
        children.append(pid)
    assert [os.waitpid(pid, 0)[1] for pid in children] == [0] * 4
    assert count(table, b"key") == 2000


def test_a_process_killed_while_it_writes_does_not_lock_the_others_out(table: SharedCounters) -> None:
    reading, writing = os.pipe()
    pid = os.fork()
    if pid == 0:
        with table._locked():
            os.write(writing, b"x")
            threading.Event().wait()
    os.read(reading, 1)
    os.kill(pid, 9)
    os.waitpid(pid, 0)
    assert add(table, b"key") == 1
    os.close(reading)
    os.close(writing)

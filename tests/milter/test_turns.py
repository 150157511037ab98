"""Whose message is next: nobody's customer waits for another's queue, and each step costs the same."""

from __future__ import annotations

from collections import Counter

from hypothesis import given
from hypothesis import strategies as st

from gatepost_milter.libmilter.turns import OWN_MOST, PATIENCE, Task, Turns
from tests.steps import World, assert_linear


def nothing() -> None: ...


def taken(turns: Turns, now: float = 0.0) -> Task:
    task = turns.take(now)
    assert task is not None
    return task


def names(turns: Turns, most: int = 100) -> list[object]:
    """Return the owners in the order of their turns, each job ending before the next begins."""
    found: list[object] = []
    while len(found) < most and (task := turns.take(0.0)) is not None:
        found.append(task.owner.name)
        turns.end(task)
    return found


def test_owners_take_turns_however_many_jobs_one_has() -> None:
    turns = Turns()
    for name in ("a", "a", "a", "b", "b", "c"):
        turns.add(name, nothing)
    assert names(turns) == ["a", "b", "c", "a", "b", "a"]


def test_who_comes_behind_a_thousand_of_another_waits_for_one() -> None:
    turns = Turns()
    for _ in range(1_000):
        turns.add("many", nothing)
    running = taken(turns)
    turns.add("one", nothing)
    turns.end(running)
    assert names(turns, 2) == ["one", "many"]


def test_one_job_of_an_owner_runs_at_a_time_and_others_run_beside_it() -> None:
    turns = Turns()
    for name in ("a", "a", "b"):
        turns.add(name, nothing)
    first, second = taken(turns), taken(turns)
    assert [first.owner.name, second.owner.name] == ["a", "b"]
    assert turns.take(0.0) is None
    turns.end(first)
    assert taken(turns).owner.name == "a"


def test_a_job_that_only_waits_for_a_disk_or_a_process_holds_up_none_of_its_owners() -> None:
    turns = Turns()
    for _ in range(3):
        turns.add("a", nothing)
    first = taken(turns)
    turns.over(first)
    turns.over(first)  # is told twice where a job waits for a process, and then for the disk
    second = taken(turns)
    assert turns.take(0.0) is None
    turns.again(first)
    turns.end(second)
    assert turns.take(0.0) is None  # the first one computes again
    turns.end(first)
    assert taken(turns).waits is False


def test_who_comes_back_while_its_owner_stands_in_line_is_what_runs() -> None:
    turns = Turns()
    turns.add("a", nothing)
    first = taken(turns)
    turns.over(first)
    turns.add("a", nothing)
    turns.again(first)
    assert turns.take(0.0) is None
    turns.end(first)
    assert taken(turns).running


def test_the_first_of_an_owner_begins_at_once_where_nobody_stands_in_line() -> None:
    turns = Turns()
    first = turns.at_once("a", nothing, 0.0)
    assert first is not None
    assert turns.at_once("a", nothing, 0.0) is None
    turns.add("a", nothing)
    assert turns.take(0.0) is None
    turns.end(first)
    assert turns.at_once("b", nothing, 0.0) is None  # before what waits
    assert names(turns) == ["a"]


def test_an_owner_whose_jobs_take_long_gets_one_more_at_a_time_and_no_more_than_that() -> None:
    turns = Turns()
    waiting = [turns.add("a", nothing) for _ in range(OWN_MOST + 3)]
    owner, now = taken(turns).owner, 0.0
    turns.another(owner, PATIENCE / 2)
    assert turns.take(PATIENCE / 2) is None  # the one that runs may end soon
    for begun in range(2, OWN_MOST + 3):
        now += 1
        turns.another(owner, now)
        assert (turns.take(now) is not None) == (begun <= OWN_MOST)
        assert turns.take(now) is None
    assert sum(not task.waits for task in waiting) == OWN_MOST


def test_with_each_that_ends_an_owner_has_one_less_at_a_time() -> None:
    turns = Turns()
    for _ in range(4):
        turns.add("a", nothing)
    first = taken(turns)
    turns.another(first.owner, PATIENCE)
    second = taken(turns, PATIENCE)
    turns.end(second)
    assert turns.take(PATIENCE) is None
    turns.end(first)
    assert taken(turns, PATIENCE).running


def test_work_is_the_same_for_each_job_whatever_waits(world: World) -> None:
    module = world.load("gatepost_milter.libmilter.turns")

    def many_owners(count: int) -> None:
        turns = module.Turns()
        for number in range(count):
            turns.add(number, nothing)
        drained(turns)

    def many_jobs(count: int) -> None:
        turns = module.Turns()
        tasks = [turns.add(number % 3, nothing) for number in range(count)]
        for now, task in enumerate(tasks):
            turns.another(task.owner, now)
        drained(turns)

    def drained(turns: Turns) -> None:
        while (task := turns.take(0.0)) is not None:
            turns.over(task)
            turns.again(task)
            turns.end(task)
        assert len(turns) == 0

    assert_linear(world, lambda n: n, many_owners)
    assert_linear(world, lambda n: n, many_jobs)


STEPS = st.lists(st.tuples(st.sampled_from(["add", "at_once", "take", "over", "again", "end", "another"]),
                           st.integers(0, 5)), max_size=200)  # fmt: skip


@given(STEPS)
def test_in_any_order_of_things_each_job_has_its_turn_once_and_nothing_is_kept(
    steps: list[tuple[str, int]],
) -> None:
    turns = Turns()
    put: list[Task] = []
    begun: list[Task] = []
    ended = 0
    now = 0.0
    for what, number in steps:
        now += PATIENCE
        task = begun[number % len(begun)] if begun else None
        if what == "add":
            put.append(turns.add(number, nothing))
        elif what == "at_once":
            at_once = turns.at_once(number, nothing, now)
            begun += [at_once] if at_once else []
            put += [at_once] if at_once else []
        elif what == "take":
            next_one = turns.take(now)
            begun += [next_one] if next_one else []
        elif what == "another" and put:
            turns.another(put[number % len(put)].owner, now)
        elif task is not None and what == "over":
            turns.over(task)
        elif task is not None and what == "again":
            turns.again(task)
        elif task is not None and what == "end":
            begun.remove(task)
            turns.end(task)
            ended += 1
        counts = Counter(each.owner.name for each in begun)
        assert all(count <= OWN_MOST for count in counts.values())
        assert len(turns) == len({each.owner.name for each in [*begun, *put] if each in begun or each.waits})
    while begun or any(task.waits for task in put):
        next_one = turns.take(now)
        if next_one is None:
            next_one = begun.pop()
        elif next_one in begun:
            raise AssertionError("began twice")
        turns.end(next_one)
        ended += 1
    assert (ended, len(turns)) == (len(put), 0)

"""Taking with few questions: no numbers of quiet counters, several messages at once, sets of counters."""

from __future__ import annotations

import sqlite3
import threading
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import closing
from pathlib import Path

import pytest

from gatepost_core.domain import StoreUnavailable, ids
from gatepost_core.domain.limits import Charges, Defaults, Want, limits
from gatepost_core.domain.limits.verdicts import used
from gatepost_core.store.sqlite.counts.counters import TAKES_SECONDS, SqliteCounters
from gatepost_core.store.sqlite.counts.counting import SET_SECONDS
from tests.core.making import credential
from tests.waiting import until

from .engines import NOW, message, sliding, want

DAY = "a1.0 messages day"


@pytest.fixture
def file(tmp_path: Path) -> Path:
    return tmp_path / "counters" / "counters.db"


def opened(file: Path) -> SqliteCounters:
    return SqliteCounters(file, lambda _: [])


@pytest.fixture
def counters(file: Path) -> Iterator[SqliteCounters]:
    one = opened(file)
    yield one
    one.close()


def has(counters: SqliteCounters, *wants: Want) -> list[int]:
    return [used(buckets) for buckets in counters.look(wants)]


def took(file: Path) -> list[str]:
    with closing(sqlite3.connect(file)) as connection:
        return [row[0] for row in connection.execute("SELECT took FROM takes")]


def traced(counters: SqliteCounters) -> list[str]:
    """Return a list that each statement is added to."""
    statements: list[str] = []
    assert counters._connection is not None
    counters._connection.set_trace_callback(statements.append)
    return statements


def test_no_number_is_told_until_somebody_wants_to_know_it(counters: SqliteCounters, file: Path) -> None:
    found = [counters.take(message(), [want(), want(DAY, most=9)], [4, 8]) for _ in range(6)]
    assert found == [[], [], [], [3, 3], [4, 4], None]
    assert has(counters, want(), want(DAY)) == [5, 5]
    # In the next window it is quiet again; and to whom has not heard it yet.
    later = want(start=want().ends)
    assert counters.take(message(), [later], [4]) == []
    another = opened(file)
    assert another.take(message(), [want(most=6)], [4]) == [5]
    another.close()


@pytest.mark.parametrize("amount", [4, 5])
def test_what_is_much_by_itself_is_told_also_as_the_first_of_its_window(
    counters: SqliteCounters, amount: int
) -> None:
    assert counters.take(message(), [want(amount=amount)], [4]) == [0]


def test_of_what_slides_all_that_counts_is_looked_at(counters: SqliteCounters) -> None:
    assert counters.take(message(), [sliding(0, 3)], [4]) == [0]
    assert counters.take(message(), [sliding(30, 3)], [4]) is None


def test_a_quiet_take_that_is_repeated_counts_once_and_is_given_back(counters: SqliteCounters) -> None:
    numbers = [message() for _ in range(3)]
    for number in [*numbers, *numbers]:
        assert counters.take(number, [want(), want(DAY)], [4, 4]) == []
    assert has(counters, want(), want(DAY)) == [3, 3]
    assert [counters.give_back(number) for number in (*numbers, *numbers)] == [True] * 3 + [False] * 3
    assert has(counters, want(), want(DAY)) == [0, 0]


def test_a_quiet_message_costs_four_statements(counters: SqliteCounters) -> None:
    for _ in range(2):
        counters.take(message(), [want(), want(DAY)], [4, 4])
    statements = traced(counters)
    assert counters.take(message(), [want(), want(DAY)], [4, 4]) == []
    assert [one.partition(" ")[0] for one in statements] == ["BEGIN", "INSERT", "INSERT", "COMMIT"]


@pytest.mark.parametrize("quiet", [(), (400,)])
def test_a_hundred_who_take_at_once_get_exactly_what_there_is(file: Path, quiet: tuple[int, ...]) -> None:
    several = [opened(file) for _ in range(4)]

    def take(number: int) -> int:
        return sum(
            several[number % 4].take(message(), [want(most=500)], quiet) is not None for _ in range(10)
        )

    with ThreadPoolExecutor(100) as crew:
        assert sum(crew.map(take, range(100))) == 500
    assert has(several[0], want()) == [500]
    for one in several:
        one.close()


def together(counters: SqliteCounters, *wanted: list[Want]) -> list[list[int] | str | None]:
    """Have messages take that wait together; return what each got, in this order."""

    def take(wants: list[Want], number: str) -> list[int] | str | None:
        try:
            return counters.take(number, wants, [4] * len(wants))
        except StoreUnavailable as error:
            return str(error)

    with ThreadPoolExecutor(len(wanted)) as crew:
        with counters._turn:
            waiting = []
            for wants in wanted:
                waiting.append(crew.submit(take, wants, message()))
                until(lambda: len(counters._waiting) == len(waiting), "a message to wait")
        return [one.result(60) for one in waiting]


def test_messages_that_wait_together_take_in_one_transaction_and_who_has_no_room_leaves_nothing(
    counters: SqliteCounters, file: Path
) -> None:
    counters.keep()
    statements = traced(counters)
    assert together(counters, [want()], [want()], [want(DAY)]) == [[], [], []]
    assert [one for one in statements if one in ("BEGIN IMMEDIATE", "COMMIT")] == [
        "BEGIN IMMEDIATE",
        "COMMIT",
    ]
    # The account has room for one more; what the third would take of the credential's own is not taken.
    narrow = want(DAY, most=2)
    assert together(counters, [want()], [narrow], [want(), narrow], [want()]) == [[2], [1], None, [3]]
    assert has(counters, want(), narrow) == [4, 2]
    assert len(took(file)) == 6


def test_a_journal_that_one_message_needs_is_no_fault_of_those_that_wait_with_it(file: Path) -> None:
    def recount(_: Want) -> list[object]:
        raise StoreUnavailable("no journal")

    counters = SqliteCounters(file, recount)  # type: ignore[arg-type]
    counters.keep()
    assert together(counters, [want()], [want(start=0)], [want()]) == [[], "no journal", []]
    counters.close()


@pytest.mark.parametrize("quiet", [(), (900, 900)])
def test_what_several_messages_took_from_the_same_is_told_once_and_given_back_each(
    counters: SqliteCounters, file: Path, quiet: tuple[int, ...]
) -> None:
    wants = [want(most=1000), want(DAY, amount=30, most=1000)]
    numbers = [message() for _ in range(4)]
    for number in numbers:
        assert counters.take(number, wants, quiet) is not None
    assert sum(one.startswith("=") for one in took(file)) == 3
    for given, number in enumerate(reversed(numbers), 1):
        assert opened_and_closed(file, number)
        assert has(counters, *wants) == [4 - given, 30 * (4 - given)]


def opened_and_closed(file: Path, number: str) -> bool:
    """Give back as another process does."""
    with closing(opened(file)) as another:
        return another.give_back(number)


@pytest.mark.parametrize("quiet", [(), (5,)])
def test_a_set_that_was_not_kept_is_named_by_nobody(counters: SqliteCounters, quiet: tuple[int, ...]) -> None:
    counters.take(message(), [want(amount=4, most=5)], quiet)
    assert counters.take(message(), [want(amount=2, most=5)], quiet) is None  # it would have made the set
    number = message()
    assert counters.take(number, [want(most=5)], quiet) is not None
    assert counters.give_back(number)
    assert has(counters, want()) == [4]


def test_a_set_is_kept_as_long_as_a_take_may_name_it(file: Path) -> None:
    now = [float(NOW)]
    counters = SqliteCounters(file, lambda _: [], clock=lambda: now[0])

    def taken() -> str:
        number = ids.new(int(now[0] * 1000))
        assert counters.take(number, [want()], [4]) == []
        return number

    taken()
    taken()
    now[0] += SET_SECONDS - 1
    last = taken()
    now[0] += TAKES_SECONDS - 1  # of one millisecond, the end of an id decides which is older
    counters.keep()
    assert counters.give_back(last)
    assert has(counters, want()) == [2]
    now[0] += 2 * SET_SECONDS
    counters.keep()
    with closing(sqlite3.connect(file)) as connection:
        rows = [connection.execute(f"SELECT count(*) FROM {name}").fetchone() for name in ("takes", "sets")]  # noqa: S608
    assert rows == [(0,), (0,)]
    counters.close()


def test_a_file_of_the_release_before_goes_on_with_what_it_has(file: Path) -> None:
    file.parent.mkdir()
    number, start = message(), want().start
    with closing(sqlite3.connect(file)) as connection, connection:
        connection.executescript(
            "PRAGMA journal_mode = WAL; CREATE TABLE counts (key TEXT NOT NULL, start INTEGER NOT NULL, "
            "used INTEGER NOT NULL, ends INTEGER NOT NULL, PRIMARY KEY (key, start)) WITHOUT ROWID; "
            "CREATE TABLE takes (id BLOB PRIMARY KEY, took TEXT NOT NULL) WITHOUT ROWID; "
            "CREATE TABLE made (at INTEGER NOT NULL); INSERT INTO made VALUES (1); PRAGMA user_version = 2"
        )
        connection.execute("INSERT INTO counts VALUES (?, ?, 3, ?)", (want().key, start, want().ends))
        line = f"{want().key}\t{start}\t2"
        connection.execute("INSERT INTO takes VALUES (?, ?)", (ids.to_bytes(number), line))
    said: list[str] = []
    counters = SqliteCounters(file, lambda _: [], damaged=said.append)
    assert counters.take(message(), [want()]) == [3]
    assert counters.give_back(number)
    assert (has(counters, want()), said) == ([2], [])
    counters.close()


def test_each_limit_says_until_when_it_is_quiet() -> None:
    texts = ["500/hour:burst=50", "recipients=1/day", "bytes=1G/month:hold"]
    found = Charges(Defaults(limits(texts))).of(credential(), NOW)
    assert [(one.burst, one.quiet) for one in found] == [
        (False, 400),
        (True, 51),
        (False, 1),
        (False, 800_000_000),
    ]


def test_threads_that_wait_for_a_file_that_is_gone_all_hear_so(tmp_path: Path) -> None:
    (tmp_path / "counters").write_text("a file in the folder's place")
    counters = opened(tmp_path / "counters" / "counters.db")
    errors = list[str]()

    def take() -> None:
        try:
            counters.take(message(), [want()])
        except StoreUnavailable as error:
            errors.append(str(error))

    several = [threading.Thread(target=take) for _ in range(5)]
    for one in several:
        one.start()
    for one in several:
        one.join(60)
    assert len(errors) == 5

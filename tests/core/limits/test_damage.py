"""The file of counters: damaged, lost or locked, and counted anew from the journal."""

from __future__ import annotations

import itertools
import sqlite3
import threading
import time
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from contextlib import closing
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest

from gatepost_core.domain import Mode, StoreUnavailable, ids
from gatepost_core.domain.limits import Charges, Counters, CountersDamaged, Defaults, limits
from gatepost_core.domain.limits.verdicts import used
from gatepost_core.settings import StoreSettings
from gatepost_core.store import CountersReader, migrate, open_counters
from tests.core.journals import keep
from tests.core.making import MADE, credential
from tests.core.test_journal import RECORD

from .engines import message, want

NOW = datetime.now(UTC)


@pytest.fixture
def journal(tmp_path: Path) -> str:
    settings = StoreSettings(url=f"sqlite:///{tmp_path}/directory.db")
    migrate.upgrade(settings)
    return settings.journal


@pytest.fixture
def file(tmp_path: Path) -> Path:
    return tmp_path / "counters" / "counters.db"


def recorded(journal: str, ago: timedelta, **values: Any) -> None:
    at = NOW - ago
    number = ids.new(int(at.timestamp() * 1000))
    usual: dict[str, Any] = {"credential_id": 1, "account_id": 1, "queue_id": number}
    keep(journal, [replace(RECORD, id=number, created_at=at, **{**usual, **values})])


def zeroes(file: Path) -> None:
    size = file.stat().st_size
    with file.open("r+b") as opened:
        opened.seek(100)
        opened.write(b"\xa5" * (size - 100))


def no_database(file: Path) -> None:
    file.write_bytes(b"not a database at all " * 500)


def newer(file: Path) -> None:
    with sqlite3.connect(file) as connection:
        connection.execute("PRAGMA user_version = 99")
    connection.close()


@pytest.mark.parametrize("damage", [zeroes, no_database, newer])
def test_a_damaged_file_is_set_aside_with_one_line_and_counted_anew(
    damage: Callable[[Path], None], file: Path, journal: str
) -> None:
    said: list[str] = []
    counters = open_counters(file, journal, damaged=said.append)
    charges = Charges(
        Defaults(limits(["10/month:sliding", "bytes=1G/day:sliding", "recipients=1K/hour:sliding"]))
    )
    wants = [
        one.want for one in charges.of(credential(created_at=MADE), NOW.timestamp(), recipients=2, size=100)
    ]
    for _ in range(3):
        number = message()
        assert counters.take(number, wants) is not None
        recorded(journal, timedelta(seconds=1), size=100)
    counters.close()
    damage(file)
    with pytest.raises(CountersDamaged):
        CountersReader(file).look(wants) if damage is not newer else _damaged()
    again = [open_counters(file, journal, damaged=said.append) for _ in range(2)]
    assert [again[0].take(message(), wants), again[1].take(message(), wants)] == [[3, 300, 6], [4, 400, 8]]
    assert len(said) == 1
    assert f"{file}.damaged-" in said[0]
    assert len(list(file.parent.glob("*.damaged-*"))) == 1
    for one in again:
        one.close()


def _damaged() -> None:
    raise CountersDamaged("whoever only reads knows nothing of formats")


def test_a_file_that_is_replaced_while_it_is_open_is_opened_anew(file: Path, journal: str) -> None:
    counters, reader = open_counters(file, journal), None
    counters.take(message(), [want()])
    reader = CountersReader(file)
    assert used(reader.look([want()])[0]) == 1
    for path in file.parent.iterdir():
        path.unlink()
    assert counters.take(message(), [want()]) == [0]
    assert used(reader.look([want()])[0]) == 1
    counters.close()
    reader.close()


def test_only_what_the_counter_counts_is_counted_anew(file: Path, journal: str) -> None:
    made = NOW - timedelta(minutes=30)
    recorded(journal, timedelta(minutes=20))
    recorded(journal, timedelta(minutes=20), mode=Mode.SANDBOX)
    recorded(journal, timedelta(minutes=20), status="not-queued")
    recorded(journal, timedelta(minutes=20), credential_id=2)
    recorded(journal, timedelta(minutes=20), account_id=2)
    recorded(journal, timedelta(minutes=45))  # of another one, which had the number before
    recorded(journal, timedelta(minutes=90))
    defaults = Defaults(limits(["10/hour:sliding"]), limits(["10/hour:sliding"]))
    wants = [one.want for one in Charges(defaults).of(credential(created_at=made), NOW.timestamp())]
    counters = open_counters(file, journal)
    assert counters.take(message(), wants) == [2, 3]
    counters.close()


def test_nothing_is_counted_anew_that_is_in_the_file(file: Path, journal: str) -> None:
    counters = open_counters(file, journal)
    wants = [one.want for one in Charges(Defaults(limits(["10/month"]))).of(credential(), NOW.timestamp())]
    counters.take(message(), wants)
    recorded(journal, timedelta(seconds=0))
    assert [used(one) for one in counters.look(wants)] == [1]
    counters.reset(wants[0].key, "ann")
    counters.close()
    assert counters.take(message(), wants) == [0]
    counters.close()


def test_without_a_journal_what_has_to_be_counted_anew_is_not_guessed(file: Path, tmp_path: Path) -> None:
    counters = open_counters(file, f"sqlite:///{tmp_path}/gone.db")
    assert counters.take(message(), [want()]) == [0]
    with pytest.raises(StoreUnavailable, match=r"gone\.db"):
        counters.take(message(), [want(start=0)])
    counters.close()


def test_who_only_reads_makes_no_file_and_cannot_write(file: Path, journal: str) -> None:
    reader = CountersReader(file)
    with pytest.raises(StoreUnavailable, match=r"counters\.db"):
        reader.look([want()])
    assert not file.exists()
    counters = open_counters(file, journal)
    counters.keep()
    assert [path.stat().st_mode & 0o777 for path in sorted(file.parent.iterdir())] == [0o664] * 3
    assert reader.look([want()]) == [[]]
    counters.close()
    reader.close()


def test_a_lock_of_somebody_else_s_is_waited_for(file: Path, journal: str) -> None:
    counters = open_counters(file, journal)
    counters.keep()
    other = sqlite3.connect(file, isolation_level=None, check_same_thread=False)
    other.execute("BEGIN IMMEDIATE")
    threading.Timer(0.2, lambda: other.execute("COMMIT")).start()
    assert counters.take(message(), [want()]) == [0]
    counters.close()
    other.close()


def test_what_is_over_is_forgotten(file: Path, journal: str) -> None:
    clock = itertools.count(int(NOW.timestamp()), 0)
    counters = open_counters(file, journal)
    counters._clock = lambda: next(clock)
    past, now = want(start=0), want(start=int(NOW.timestamp()) // 3600 * 3600)
    counters.take(ids.new(1000), [past, now])
    counters.keep()
    assert [len(one) for one in counters.look([past, now])] == [0, 1]
    assert not counters.give_back(ids.new(1000))
    counters.close()


def test_all_who_need_the_file_at_once_when_there_is_none_get_it(tmp_path: Path, journal: str) -> None:
    """SQLite does not wait where two change a new file to its write-ahead log: one hears "locked"."""
    for turn in range(20):
        several = [open_counters(tmp_path / str(turn) / "counters.db", journal) for _ in range(8)]
        together = threading.Barrier(len(several))

        def take(one: Counters, together: threading.Barrier = together) -> list[int] | None:
            together.wait()
            return one.take(message(), [want(most=8)])

        with ThreadPoolExecutor(len(several)) as crew:
            before = list(crew.map(take, several))
        assert sorted(had for one in before for had in one or ()) == list(range(8))
        for one in several:
            one.close()


def test_one_who_waits_gets_the_file_between_others_that_come_again_and_again(
    file: Path, journal: str
) -> None:
    """It asks every few milliseconds; SQLite's own waiting would look ten times a second."""
    counters = open_counters(file, journal)
    counters.take(message(), [want(most=8)])
    with closing(sqlite3.connect(file, isolation_level=None, check_same_thread=False)) as other:
        looks: list[float] = []
        other.execute("BEGIN IMMEDIATE")
        free, clock = [False], time.monotonic

        def monotonic() -> float:
            """Count how often it asked, and let go after the twentieth time."""
            looks.append(clock())
            if len(looks) == 20 and not free[0]:
                free[0] = True
                other.execute("ROLLBACK")
            return clock()

        with pytest.MonkeyPatch.context() as patched:
            patched.setattr("gatepost_core.store.sqlite.counts.counters.time.monotonic", monotonic)
            assert counters.take(message(), [want(most=8)]) == [1]
    assert len(looks) == 20
    counters.close()

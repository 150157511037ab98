"""What every engine of a store offers, held over each: the same tests, whatever it keeps the store in."""

from __future__ import annotations

from pathlib import Path

import pytest
from sqlalchemy import Connection, select

from gatepost_core.domain import Conflict, NotFound, StoreError, StoreUnavailable
from gatepost_core.settings import StoreSettings
from gatepost_core.spool import Batch
from gatepost_core.store import accounts, events, messages, migrate
from gatepost_core.store.backend import DATABASES, Backend
from gatepost_core.store.ingest import lag, retention
from gatepost_core.store.ingest.retention import Kept
from gatepost_core.store.opening import open_backend
from gatepost_core.store.schema import journal
from tests.core.backends import ENGINES, made
from tests.core.ingest.world import NOON, RECORD, accepted, event, numbered

SEGMENT = bytes(range(16))


@pytest.fixture(params=ENGINES)
def settings(request: pytest.FixtureRequest, tmp_path: Path) -> StoreSettings:
    return ENGINES[request.param](tmp_path)


@pytest.fixture
def backend(settings: StoreSettings) -> Backend:
    return made(settings)


def names(backend: Backend) -> list[str]:
    with backend.directory() as connection:
        return [account.name for account in accounts.list_all(connection)]


def add(backend: Backend, *several: str) -> None:
    with backend.directory(write=True) as connection:
        for name in several:
            accounts.add(connection, name, NOON)


def test_a_store_is_made_once_and_then_stays_as_it_is(settings: StoreSettings) -> None:
    backend = open_backend(settings)
    for database in DATABASES:
        assert backend.revision(database) is None
        head = migrate.head(database)
        assert backend.upgrade(database) == (None, head)
        assert backend.upgrade(database) == (head, head)
        assert backend.revision(database) == head


def test_a_store_that_was_not_made_is_told_and_not_made_by_looking(settings: StoreSettings) -> None:
    backend = open_backend(settings)
    for look in (backend.directory, backend.journal, backend.transactions):
        with pytest.raises(StoreUnavailable, match="run 'gatepost store upgrade'"), look():
            pass
    reader, ingester = backend.reader(), backend.ingester("node")
    for ask in (lambda: reader.credential("x"), ingester.positions):
        with pytest.raises(StoreUnavailable):
            ask()
    assert backend.keeper().keep() != ""
    assert [backend.revision(database) for database in DATABASES] == [None, None]


def test_a_store_goes_back_to_an_older_schema_and_on_again(backend: Backend) -> None:
    head = migrate.head("journal")
    older = f"{int(head) - 1:04}"
    assert backend.downgrade("journal", older) == (head, older)
    with pytest.raises(StoreError, match="is not older"):
        backend.downgrade("journal", head)
    assert backend.upgrade("journal") == (older, head)
    with pytest.raises(NotFound):
        backend.downgrade("journal", "nothing")


def test_what_is_written_counts_when_it_is_whole_and_not_before(backend: Backend) -> None:
    with backend.directory(write=True) as connection:
        accounts.add(connection, "acme", NOON)
        assert names(backend) == []
    assert names(backend) == ["acme"]
    with pytest.raises(Conflict):
        add(backend, "other", "acme")
    assert names(backend) == ["acme"]


def test_whoever_reads_sees_what_others_commit_meanwhile(backend: Backend) -> None:
    with backend.directory() as connection:
        assert accounts.list_all(connection) == []
        with backend.directory(write=True) as writing:
            accounts.add(writing, "acme", NOON)
        assert len(accounts.list_all(connection)) == 1


def test_what_postfix_s_daemons_read_is_what_was_committed(backend: Backend) -> None:
    reader = backend.reader()
    assert reader.walls() is not None
    with backend.directory(write=True) as connection:
        accounts.add(connection, "acme", NOON)
    assert reader.credential("nobody") is None
    reader.close()
    keeper = backend.keeper()
    assert keeper.keep() == keeper.keep() == ""
    keeper.settle()
    keeper.close()
    assert keeper.keep() == ""
    keeper.close()


def batch(*numbers: int, end: int = 100) -> tuple[str, Batch]:
    return "milter", Batch(SEGMENT, [accepted(numbered(one)) for one in numbers], end, finished=False)


def test_entries_are_taken_once_with_how_far_they_go(backend: Backend) -> None:
    first = batch(1, 2)
    ingester = backend.ingester("node")
    assert ingester.take([first]).messages == 2
    assert ingester.positions() == {"milter": {SEGMENT: 100}}
    assert ingester.take([first]).messages == 0
    last = ("milter", Batch(SEGMENT, [], 200, finished=True))
    assert ingester.take([last]).stopped == {}
    assert ingester.finished() == {"milter": {SEGMENT}}
    ingester.close()
    again = backend.ingester("node")
    assert again.positions() == {"milter": {SEGMENT: 200}}
    another = backend.ingester("another")
    assert another.positions() == {}
    another.close()
    with backend.journal() as connection:
        assert len(messages.recent(connection, limit=10)) == 2
        until = {"milter": {SEGMENT: 200}}
        assert lag.reaches(lag.taken(connection, until), until)
    again.forget("milter", [SEGMENT])
    assert again.finished() == {}
    again.close()


def test_an_entry_that_no_release_wrote_stops_its_segment_alone(backend: Backend) -> None:
    unknown = accepted(numbered(2))._replace(kind=250)
    entries = [accepted(numbered(1)), unknown, accepted(numbered(3))]
    ingester = backend.ingester("node")
    taken = ingester.take(
        [
            ("milter", Batch(SEGMENT, entries, 100, finished=False)),
            ("milter", Batch(bytes(16), [accepted(numbered(4))], 50, finished=False)),
        ]
    )
    ingester.close()
    assert taken.messages == 2
    assert list(taken.stopped) == [("milter", SEGMENT)]


def test_lists_of_messages_and_events_go_on_from_page_to_page(backend: Backend) -> None:
    ingester = backend.ingester("node")
    ingester.take([batch(*range(50))])
    ingester.close()
    with backend.journal() as connection:
        everything = list(messages.each(connection, messages.Wanted(), 100))
        for wanted in (messages.Wanted(), messages.Wanted(to="one.example.net"), messages.Wanted(tag="ü")):
            page = messages.page(connection, wanted, 30)
            rest = messages.page(connection, wanted, 30, page.cursor)
            assert page.items + rest.items == everything
            assert (len(page.items), rest.cursor) == (30, "")
        assert [one.message for one in events.each(connection, events.Wanted(), 100)] == [
            record.id for record in everything
        ]
        found, _ = events.following(connection, {})
        assert [one.message for one in found] == [record.id for record in reversed(everything)]


def test_old_messages_go_in_transactions_of_their_own(backend: Backend) -> None:
    ingester = backend.ingester("node")
    ingester.take([batch(*range(120))])
    ingester.close()
    later = NOON.replace(year=2027)
    with backend.transactions() as begin:
        steps = [one.messages for one in retention.prune(begin, Kept(30, {}), later)]
    assert steps == [50, 100, 120]
    with backend.journal() as connection:
        for table in journal.tables.values():
            left = connection.execute(select(table).limit(1)).first()
            assert left is None or table.name in ("nodes", "positions", "rollups"), table.name


def test_whether_anything_has_an_end_is_known_from_settings_and_accounts(
    settings: StoreSettings, backend: Backend
) -> None:
    assert backend.keeps_for_good()
    assert not open_backend(settings.model_copy(update={"keep_days": 30})).keeps_for_good()
    with backend.directory(write=True) as connection:
        accounts.add(connection, "acme", NOON)
        accounts.change(connection, "acme", keep_days=5)
    assert not backend.keeps_for_good()


def test_a_copy_is_made_of_both_databases_and_holds_what_was_committed(
    backend: Backend, tmp_path: Path
) -> None:
    for database in DATABASES:
        target = tmp_path / f"{database}.copy"
        backend.copy(database, target)
        assert backend.schema_of(target) == migrate.head(database)
        target.write_bytes(target.read_bytes()[: target.stat().st_size // 2])
        with pytest.raises(StoreUnavailable):
            backend.schema_of(target)
    (tmp_path / "folder").mkdir()
    with pytest.raises(StoreUnavailable):
        backend.copy("journal", tmp_path / "folder")


def test_a_copied_journal_says_what_of_the_spool_it_has_all_of(backend: Backend, tmp_path: Path) -> None:
    ingester = backend.ingester("node")
    whole = ("milter", Batch(bytes(16), [], 50, finished=True))
    ingester.take([batch(1), whole])
    backend.copy("journal", tmp_path / "copy")
    assert backend.finished_in(tmp_path / "copy") == {bytes(16)}
    ingester.take([("milter", Batch(SEGMENT, [], 100, finished=True))])
    ingester.close()
    assert backend.finished_in(tmp_path / "copy") == {bytes(16)}


def test_a_store_says_where_it_is_and_whose(backend: Backend, tmp_path: Path) -> None:
    for database in DATABASES:
        assert backend.where(database)
        assert all(file.is_relative_to(tmp_path) for file in backend.files(database))
    assert backend.home.is_relative_to(tmp_path)


def test_a_fault_of_the_engine_is_a_store_that_is_unavailable(backend: Backend) -> None:
    for using in (backend.directory, backend.journal):
        with pytest.raises(StoreUnavailable), using() as connection:
            connection.exec_driver_sql("SELECT * FROM no_such_table")


def test_an_event_is_in_the_journal_with_its_message(backend: Backend) -> None:
    entries = [accepted(RECORD), event("held", RECORD)]
    ingester = backend.ingester("node")
    taken = ingester.take([("milter", Batch(SEGMENT, entries, 100, finished=False))])
    assert (taken.messages, taken.events, taken.pending) == (1, 1, 0)
    ingester.close()
    with backend.journal() as connection:
        assert state_of(connection) == ("held", ["held", "accepted"])


def state_of(connection: Connection) -> tuple[str, list[str]]:
    told = [one.type for one in events.each(connection, events.Wanted(message=RECORD.id), 10)]
    return messages.get(connection, RECORD.id).status, told

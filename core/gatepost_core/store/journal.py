"""Writing to the journal: message records that are on disk before the client hears 250.

One thread commits for a process: while one transaction is written, the records of other
sessions wait and go into the next one together (group commit), so a disk flush is shared.
A record that cannot be written fails its own future with StoreUnavailable.
"""

from __future__ import annotations

import queue
import threading
import time
from collections.abc import Callable
from concurrent.futures import Future
from typing import TYPE_CHECKING, Any, TypeAlias

from gatepost_core.model import MessageRecord, Mode
from gatepost_core.store.bulk import BulkInsert
from gatepost_core.store.errors import NotFound, StoreUnavailable, shown
from gatepost_core.store.locate import file_identity
from gatepost_core.store.sqlite import faults

if TYPE_CHECKING:
    from sqlalchemy import Connection

_BATCH = 200
# When commits follow close on each other, waiting a little puts more records into each (PostgreSQL's
# commit_delay). A client that sends one message after the other does not meet this.
_BUSY_SECONDS = 0.005
_GATHER_SECONDS = 0.003

Done: TypeAlias = Callable[[StoreUnavailable | None], None]
_Waiting: TypeAlias = tuple[MessageRecord, Done]


class JournalWriter:
    """Commits message records in groups. Threads submit; ``close`` writes what is left.

    May be made before a fork: its thread and its connection begin with the first record.
    """

    def __init__(self, url: str, *, synchronous: str = "full") -> None:
        self._url = url
        self._statement = BulkInsert(url, "messages", MessageRecord, synchronous=synchronous)
        self._file: tuple[int, int] | None = None
        self._queue: queue.SimpleQueue[_Waiting | None] = queue.SimpleQueue()
        self._starting = threading.Lock()
        self._thread: threading.Thread | None = None

    def put(self, record: MessageRecord, done: Done) -> None:
        """Commit a record soon; ``done`` is then called by the writer's thread, and must not raise.

        It gets None, or the reason why the record is not on disk.
        """
        self._queue.put((record, done))
        if self._thread is None:
            self._start()

    def submit(self, record: MessageRecord) -> Future[None]:
        """Return a future that is done once the record is committed."""
        future: Future[None] = Future()
        future.set_running_or_notify_cancel()  # it cannot be cancelled, so that its outcome can be set
        self.put(record, lambda error: future.set_exception(error) if error else future.set_result(None))
        return future

    def close(self) -> None:
        """Write what waits, then stop."""
        if self._thread is not None:
            self._queue.put(None)
            self._thread.join()
        self._statement.close()

    def _start(self) -> None:
        with self._starting:
            if self._thread is None:
                self._thread = threading.Thread(target=self._run, name="journal", daemon=True)
                self._thread.start()

    def _run(self) -> None:
        going, ended = True, 0.0
        while going:
            batch = [self._queue.get()]
            if time.monotonic() - ended < _BUSY_SECONDS:
                time.sleep(_GATHER_SECONDS)
            while len(batch) < _BATCH and not self._queue.empty():
                batch.append(self._queue.get_nowait())
            going = None not in batch
            self._commit([item for item in batch if item is not None])
            ended = time.monotonic()
            del batch  # what is to be called holds a message, and the next one may be long in coming

    def _commit(self, batch: list[_Waiting]) -> None:
        if not batch:
            return
        failure: StoreUnavailable | None = None
        try:
            self._insert([record for record, _ in batch])
        except StoreUnavailable as error:
            failure = error
        except Exception as error:  # noqa: BLE001 - whatever it was, each waiting session must hear of it
            failure = StoreUnavailable(repr(error))
        for _, done in batch:
            done(failure)

    def _insert(self, records: list[MessageRecord]) -> None:
        with faults(self._url):
            file = file_identity(self._url)
            if file != self._file:  # the connection may still hold the file that was replaced
                self._statement.close()
                self._file = file
            self._statement.run(records)


def recent(connection: Connection, *, limit: int, username: str | None = None) -> list[MessageRecord]:
    """Return the newest records first, at most ``limit``, of one credential if it is named."""
    from sqlalchemy import desc, select  # noqa: PLC0415 - for commands; the writer does without

    from gatepost_core.store.schema import messages  # noqa: PLC0415

    query = select(messages).order_by(desc(messages.c.id)).limit(limit)
    if username is not None:
        query = query.where(messages.c.username == username)
    return [_record(row._asdict()) for row in connection.execute(query)]


def get(connection: Connection, name: str) -> MessageRecord:
    """Return the record of a message id or a queue id. Raises NotFound."""
    from sqlalchemy import desc, select  # noqa: PLC0415 - for commands; the writer does without

    from gatepost_core.store.schema import messages  # noqa: PLC0415

    query = select(messages).where((messages.c.id == name) | (messages.c.queue_id == name))
    row = connection.execute(query.order_by(desc(messages.c.id))).first()
    if row is None:
        raise NotFound(f"no message {shown(name)}; expected a message id or Postfix's queue id")
    return _record(row._asdict())


def _record(row: dict[str, Any]) -> MessageRecord:
    for name in ("recipients", "tags", "features", "applied"):
        row[name] = tuple(row[name])
    row["mode"] = Mode(row["mode"])
    return MessageRecord(**row)

"""Writing to the journal: message records that are on disk before the client hears 250.

While one transaction is written, the records of other
sessions wait and go into the next one together (group commit), so a disk flush is shared. Sessions say when a
record of theirs is on its way, and a commit waits a moment for it.
A record that cannot be written fails its own future with StoreUnavailable.
"""

from __future__ import annotations

import json
import queue
import threading
import time
from collections.abc import Callable, Iterator
from typing import TYPE_CHECKING, Any, TypeAlias

from gatepost_core.domain.errors import NotFound, StoreUnavailable, shown
from gatepost_core.domain.model import MessageRecord, Mode
from gatepost_core.store.bulk import BulkInsert
from gatepost_core.store.locate import file_identity
from gatepost_core.store.sqlite import FAULTS, unavailable

if TYPE_CHECKING:
    from sqlalchemy import Connection

_BATCH = 200
_PAGE = 500
# What messages of doctor's probe are marked with; its credential is in sandbox mode.
PROBE_TAG = "gatepost-doctor"
# While others are about to bring a record, waiting a little puts more into each commit (PostgreSQL's
# commit_delay). Who is alone never waits.
_GATHER_SECONDS = 0.008
# A record that has not come after this is not waited for again: its message is large, or its client slow.
_SLOW_SECONDS = 0.1

Done: TypeAlias = Callable[[StoreUnavailable | None], None]
_Waiting: TypeAlias = tuple[MessageRecord, Done]


class JournalWriter:
    """Commits message records in groups. Threads ``put`` them; ``close`` writes what is left.

    One thread writes at a time: that which brought a record when nobody wrote, and while more comes, one of
    the writer's own. May be made before a fork: that thread and the connection begin when they are needed.
    """

    def __init__(self, url: str, *, synchronous: str = "full") -> None:
        self._url = url
        self._statement = BulkInsert(url, "messages", MessageRecord, synchronous=synchronous)
        self._file: tuple[int, int] | None = None
        self._waiting: list[_Waiting] = []
        # Taken by itself: a Condition's own way to do so is two more Python functions, for each record.
        self._lock = threading.Lock()
        self._changed = threading.Condition(self._lock)
        self._writing = False
        self._expected: dict[object, float] = {}
        self._all_here = threading.Event()
        self._turns: queue.SimpleQueue[bool] = queue.SimpleQueue()
        self._thread: threading.Thread | None = None

    def expect(self, sender: object) -> None:
        """Note that ``sender`` may bring a record soon: a commit waits for it, for some milliseconds."""
        self._expected[sender] = time.monotonic()

    def expect_no_more(self, sender: object) -> None:
        """Note that ``sender`` has brought its record, or brings none."""
        self._expected.pop(sender, None)

    def put(self, record: MessageRecord, done: Done, *, here: bool = False) -> None:
        """Commit a record soon; ``done`` is then called by the thread that wrote it, and must not raise.

        It gets None, or the reason why the record is not on disk. ``here``: when nobody writes, the calling
        thread does, which saves waking another; what came meanwhile is left to the writer's own thread.
        """
        with self._lock:
            self._waiting.append((record, done))
            if self._writing:
                if len(self._waiting) >= len(self._expected):
                    self._all_here.set()
                return
            self._writing = True
        if not here or self._commit_next():
            self._hand_over()

    def close(self) -> None:
        """Write what waits, then stop."""
        with self._changed:
            self._changed.wait_for(lambda: not self._writing)
        if self._thread is not None:
            self._turns.put(False)
            self._thread.join()
        self._statement.close()

    def _hand_over(self) -> None:
        """Have the writer's own thread go on. Called only by whoever is writing."""
        if self._thread is None:
            self._thread = threading.Thread(target=self._run, name="journal", daemon=True)
            self._thread.start()
        self._turns.put(True)

    def _run(self) -> None:
        while self._turns.get():
            while self._commit_next():
                pass

    def _commit_next(self) -> bool:
        """Write what waits, at most a batch. Says whether more has come; if not, nobody writes any more."""
        if len(self._waiting) < len(self._expected) and not self._all_here.wait(_GATHER_SECONDS):
            self._expect_no_slow_ones()
        with self._lock:
            self._all_here.clear()
            batch = self._waiting[:_BATCH]
            del self._waiting[:_BATCH]
        self._commit(batch)
        with self._lock:
            self._writing = bool(self._waiting)
            if not self._writing:
                self._changed.notify_all()
            return self._writing

    def _expect_no_slow_ones(self) -> None:
        slow = time.monotonic() - _SLOW_SECONDS
        for sender, since in list(self._expected.items()):
            if since < slow:
                self.expect_no_more(sender)

    def _commit(self, batch: list[_Waiting]) -> None:
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
        try:
            file = file_identity(self._url)
            if file != self._file:  # the connection may still hold the file that was replaced
                self._statement.close()
                self._file = file
            self._statement.run(records)
        except FAULTS as error:
            raise unavailable(self._url, error) from error


def recent(connection: Connection, *, limit: int, username: str | None = None) -> list[MessageRecord]:
    """Return the newest records first, at most ``limit``, of one credential if it is named."""
    return list(newest_first(connection, limit=limit, username=username))


def newest_first(
    connection: Connection, *, limit: int, username: str | None = None, probes: bool = True
) -> Iterator[MessageRecord]:
    """Yield the newest records first, as ``recent`` does; without ``probes``, not those of doctor's.

    They are read a page at a time, each from where the last ended, so that memory does not grow with
    ``limit``, and no read transaction, which would keep SQLite's log from being written back, waits for
    whoever takes them.
    """
    from sqlalchemy import Text, and_, desc, not_, select, type_coerce  # noqa: PLC0415 - see recent

    from gatepost_core.store.schema import messages  # noqa: PLC0415

    query = select(messages).order_by(desc(messages.c.id))
    if username is not None:
        query = query.where(messages.c.username == username)
    if not probes:
        tags = type_coerce(messages.c.tags, Text)
        query = query.where(
            not_(and_(messages.c.mode == Mode.SANDBOX.value, tags == json.dumps([PROBE_TAG])))
        )
    last: str | None = None
    while limit > 0:
        page = query if last is None else query.where(messages.c.id < last)
        rows = connection.execute(page.limit(min(limit, _PAGE))).all()
        for row in rows:
            yield _record(row._asdict())
        if len(rows) < min(limit, _PAGE):
            return
        limit -= len(rows)
        last = rows[-1].id


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

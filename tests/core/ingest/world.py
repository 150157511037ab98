"""A store, spools with real segments, and a way from the one to the other."""

from __future__ import annotations

import sqlite3
from collections.abc import Iterable
from contextlib import ExitStack, closing
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime, timedelta
from itertools import groupby
from pathlib import Path
from typing import Any

from gatepost_core.domain import MessageRecord, ids, spooled
from gatepost_core.domain.outcomes import Logged
from gatepost_core.settings import StoreSettings
from gatepost_core.spool import Entry, Writer, reader
from gatepost_core.store import database_file
from gatepost_core.store.backend import Backend
from gatepost_core.store.ingest.streams import STREAMS
from gatepost_core.store.opening import open_backend
from gatepost_core.store.sqlite.ingesting import Ingester
from gatepost_core.store.sqlite.taking import Taken
from tests.core.backends import ENGINES, made

SIZE = 1 << 20
NOON = datetime(2026, 11, 27, 12, 0, tzinfo=UTC)
RECORD = MessageRecord(
    id=ids.new(0),
    created_at=NOON,
    credential_id=7,
    username="gpx",
    queue_id="4XyZ123abc",
    sender="bounce@example.test",
    recipients=("Anna@One.example.net", "ben@two.example.net"),
    header_from="shop@example.test",
    subject="Grüße",
    size=100,
    size_after=2**40,
    tags=("a", "ü"),
    features=("inlinecss",),
    applied=("inlinecss",),
    skipped={"trackclicks": "signed message"},
    seconds={"inlinecss": 0.001},
    metadata={"order": "1"},
    account_id=3,
    message_id="<1@example.test>",
)


def milliseconds(at: datetime) -> int:
    return int(at.timestamp() * 1000)


def numbered(number: int, **changes: Any) -> MessageRecord:
    at = NOON + timedelta(milliseconds=number)
    record = replace(RECORD, id=ids.new(milliseconds(at)), created_at=at, queue_id=f"Q{number}")
    return replace(record, **changes)


def accepted(record: MessageRecord) -> Entry:
    return Entry(ids.to_bytes(record.id), spooled.VERSION, spooled.ACCEPTED, spooled.accepted(record))


def used(credential: int, at: datetime, ip: str = "192.0.2.1") -> Entry:
    content = spooled.used(credential, at, ip)
    return Entry(ids.to_bytes(ids.new(milliseconds(at))), spooled.VERSION, spooled.USED, content)


def event(
    type_: str, record: MessageRecord, recipient: str = "anna@one.example.net", at: datetime = NOON
) -> Entry:
    content = spooled.event(type_, record.id, recipient, at, {"text": "told"})
    return Entry(ids.to_bytes(ids.new(milliseconds(at))), spooled.VERSION, spooled.EVENT, content)


def fitting(entry: Entry) -> str:
    """Return the stream that may hold an entry; what no release writes is in the milter's."""
    type_ = (
        spooled.read_event(entry.content).type
        if entry.kind == spooled.EVENT and entry.content[1:2] == b'"'
        else ""
    )
    for name, holds in STREAMS.items():
        if entry.kind in holds.kinds and (not type_ or type_ in holds.types):
            return name
    return "milter"


@dataclass
class World:
    """A node: its store, its streams, its clock."""

    folder: Path
    settings: StoreSettings
    now: datetime = NOON
    writers: dict[str, Writer] = field(default_factory=dict)
    # What is to be closed at the end of the test.
    opened: ExitStack = field(default_factory=ExitStack)

    @classmethod
    def made(cls, folder: Path, engine: str = "sqlite") -> World:
        settings = ENGINES[engine](folder)
        made(settings)
        return cls(folder, settings)

    def another(self) -> World:
        """Return another node of the same store, with a spool of its own."""
        folder = self.folder / "another-node"
        folder.mkdir(exist_ok=True)
        return World(folder, self.settings, self.now)

    @property
    def backend(self) -> Backend:
        return open_backend(self.settings)

    @property
    def journal(self) -> Path:
        return database_file(self.settings.journal)

    def write(self, *entries: Entry, stream: str = "") -> None:
        """Append entries to streams that may hold them, or to the one that is named."""
        for name, of_it in groupby(entries, key=lambda entry: stream or fitting(entry)):
            self._append(name, *of_it)
        if not entries:
            self._append(stream or "milter")

    def _append(self, stream: str, *entries: Entry) -> None:
        if stream not in self.writers:
            (self.folder / stream).mkdir(exist_ok=True)
            self.writers[stream] = Writer(self.folder / stream, size=SIZE, most=64 * SIZE)
        self.writers[stream].append(*entries)

    def restart_writers(self) -> None:
        """End the present segments; what is written next goes to new ones."""
        for writer in self.writers.values():
            writer.close()
        self.writers.clear()

    def ingester(self, node: str = "node") -> Ingester:
        def clock() -> float:
            return self.now.timestamp()

        return Ingester(self.settings.journal, node, synchronous="normal", clock=clock)

    def batches(self, ingester: Ingester, most: int = 100) -> list[tuple[str, reader.Batch]]:
        """Read what each stream has beyond what is taken."""
        positions = ingester.positions()
        streams = sorted(path.name for path in self.folder.iterdir() if path.is_dir())
        return [
            (stream, batch)
            for stream in streams
            for batch in reader.read(self.folder / stream, positions.get(stream, {}), most)
        ]

    def take(self, most: int = 100) -> list[Taken]:
        """Take all there is, with an ingester that was just started."""
        ingester = self.ingester()
        taken = []
        while True:
            batches = self.batches(ingester, most)
            before = ingester.positions()
            taken.append(ingester.take(batches))
            if ingester.positions() == before:
                ingester.close()
                return taken

    def hear(self, logged: Logged) -> None:
        """Take what the mail log tells."""
        with closing(self.ingester()) as ingester:
            ingester.take((), logged)

    def rows(self, query: str, *values: object) -> list[Any]:
        with closing(sqlite3.connect(self.journal)) as connection:
            return connection.execute(query, values).fetchall()

    def count(self, table: str) -> int:
        return int(self.rows(f"SELECT count(*) FROM {table}")[0][0])  # noqa: S608

    def counted(self, kind: str, type_: str = "accepted") -> dict[str, tuple[int, int]]:
        """Return how many events and recipients are counted by each key, over all hours."""
        query = (
            "SELECT key, sum(count), sum(recipients) FROM rollups WHERE kind = ? AND type = ? GROUP BY key"
        )
        return {key: (count, recipients) for key, count, recipients in self.rows(query, kind, type_)}

    def copy(self, name: str) -> None:
        """Keep the journal as it is now."""
        with (
            closing(sqlite3.connect(self.journal)) as source,
            closing(sqlite3.connect(self.folder / name)) as target,
        ):
            source.backup(target)

    def restore(self, name: str) -> None:
        """Put the journal back as it was."""
        for suffix in ("-wal", "-shm"):
            self.journal.with_name(self.journal.name + suffix).unlink(missing_ok=True)
        self.journal.write_bytes((self.folder / name).read_bytes())


def fill(world: World, numbers: Iterable[int]) -> list[MessageRecord]:
    records = [numbered(number) for number in numbers]
    for at in range(0, len(records), 1000):  # as much as has room in a segment
        world.write(*[accepted(record) for record in records[at : at + 1000]])
    return records

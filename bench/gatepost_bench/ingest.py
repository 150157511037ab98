"""``python -m gatepost_bench.ingest``: entries from the spool into the store, a second of CPU.

Messages, messages and an event for each (it was delivered: by the spool, and by the mail log), and logins, in
a spool and a store of their own in a temporary folder; reading the spool is part of what is measured.
"""

from __future__ import annotations

import json
import tempfile
import time
from datetime import UTC, datetime
from pathlib import Path

import click

from gatepost_core.domain import MessageRecord, ids, spooled
from gatepost_core.domain.outcomes import Logged, Told
from gatepost_core.settings import StoreSettings
from gatepost_core.spool import Entry, Writer, reader
from gatepost_core.store import migrate
from gatepost_core.store.opening import open_backend

_SEGMENT = 8 * 1024**2
_ROOM = 1 << 40
_AT_ONCE = 200
_DETAIL = {
    "source": "log",
    "relay": "mx.example.org[192.0.2.1]:25",
    "status": "2.0.0",
    "reply": "250 2.0.0 Ok: queued as 4F2c1xyz",
    "delay": "0.26",
    "delays": "0.03/0.02/0.11/0.1",
    "attempt": 1,
}
_STREAM = {spooled.EVENT: "bounces", spooled.USED: "sasl", spooled.ACCEPTED: "milter"}
_STREAMS = tuple(_STREAM.values())
_LOGGED = "messages and the log's deliveries"
_WORK = ("messages", "messages and deliveries", _LOGGED, "logins")


@click.command()
@click.option("--entries", default=50_000, show_default=True, help="Of each kind of work.")
@click.option("--batch", default=2_000, show_default=True, help="Entries of a transaction.")
@click.option("--credentials", default=100, show_default=True, help="How many send.")
def main(entries: int, batch: int, credentials: int) -> None:
    """Measure how many entries the store takes in a second of CPU."""
    for work in _WORK:
        with tempfile.TemporaryDirectory() as folder:
            rate = measure(Path(folder), work, entries, batch, credentials)
        click.echo(f"{work}: {rate:,.0f} entries/s of CPU")


def slowest(entries: int = 50_000, batch: int = 2_000, credentials: int = 100) -> float:
    """Return the entries a second of CPU of the kind of work that takes longest."""
    rates = []
    for work in _WORK:
        with tempfile.TemporaryDirectory() as folder:
            rates.append(measure(Path(folder), work, entries, batch, credentials))
    return min(rates)


def measure(folder: Path, work: str, entries: int, batch: int, credentials: int) -> float:
    """Return the entries that are taken in a second of CPU time."""
    settings = StoreSettings(url=f"sqlite:///{folder}/directory.db")
    migrate.upgrade(settings)
    written = write(folder, work, entries, credentials)
    ingester = open_backend(settings).ingester("bench")
    ingester.positions()
    logged = _logged(folder, written) if work == _LOGGED else {}
    began = time.process_time()
    positions: dict[bytes, int] = {}
    taken = 0
    while taken < written:
        batches = [(name, one) for name in _STREAMS for one in reader.read(folder / name, positions, batch)]
        told = [logged[one.id] for _, batch in batches for one in batch.entries] if logged else []
        ingester.take(batches, Logged(f"file {taken}", told) if told else None)
        positions |= {one.segment: one.end for _, one in batches}
        taken += sum(len(one.entries) for _, one in batches)
    seconds = time.process_time() - began
    ingester.close()
    return (written + len(logged)) / seconds


def _logged(folder: Path, most: int) -> dict[bytes, Told]:
    """Return what the mail log tells of each record in the spool."""
    found: dict[bytes, Told] = {}
    positions: dict[bytes, int] = {}
    while len(found) < most:
        batches = list(reader.read(folder / "milter", positions, most))
        positions |= {batch.segment: batch.end for batch in batches}
        for entry in [one for batch in batches for one in batch.entries]:
            row = spooled.read_accepted(entry.id, entry.content).row
            at = int.from_bytes(entry.id[:6], "big") * 1000
            recipient = json.loads(row.recipients)[0]
            detail = _DETAIL | {"queue_id": row.queue_id}
            found[entry.id] = Told(row.queue_id, "delivered", recipient, at, detail, row.queue_id)
    return found


def write(folder: Path, work: str, entries: int, credentials: int) -> int:
    """Write entries to the streams that may hold them; return how many."""
    writers: dict[str, Writer] = {}
    for name in _STREAMS:
        (folder / name).mkdir()
        writers[name] = Writer(folder / name, size=_SEGMENT, most=_ROOM)
    count = 0
    for first in range(0, entries, _AT_ONCE):
        some: list[Entry] = []
        for number in range(first, first + _AT_ONCE):
            some += _entries(work, number, credentials)
        kept = some[: entries - count]
        for kind, name in _STREAM.items():
            of_it = [one for one in kept if one.kind == kind]
            if of_it:
                writers[name].append(*of_it)
        count += len(some[: entries - count])
        if count == entries:
            break
    for writer in writers.values():
        writer.close()
    return count


def _entries(work: str, number: int, credentials: int) -> list[Entry]:
    now = time.time_ns() // 1_000_000
    at = datetime.fromtimestamp(now / 1000, UTC)
    credential = number % credentials + 1
    if work == "logins":
        content = spooled.used(credential, at, "192.0.2.1")
        return [Entry(ids.to_bytes(ids.new(now)), spooled.VERSION, spooled.USED, content)]
    record = _record(number, credential, ids.new(now), at)
    found = [Entry(ids.to_bytes(record.id), spooled.VERSION, spooled.ACCEPTED, spooled.accepted(record))]
    if work == "messages and deliveries":
        content = spooled.event(
            "delivered", record.id, record.recipients[0], at, {"text": "250 2.0.0 Ok: queued"}
        )
        found.append(Entry(ids.to_bytes(ids.new(now)), spooled.VERSION, spooled.EVENT, content))
    return found


def _record(number: int, credential: int, name: str, at: datetime) -> MessageRecord:
    return MessageRecord(
        id=name,
        created_at=at,
        credential_id=credential,
        username=f"gp{credential:06}",
        queue_id=f"4Xy{number:08}",
        sender=f"bounce+{credential}@example.test",
        recipients=(f"reader{number * 7919 % 100_000}@domain{number % 500}.example.net",),
        header_from=f"shop{credential}@example.test",
        subject=f"Your order {number} has been sent",
        size=19_000,
        size_after=21_000,
        tags=("orders", f"campaign-{credential % 10}"),
        features=("inlinecss", "trackclicks", "trackopens"),
        applied=("inlinecss", "trackclicks", "trackopens"),
        skipped={},
        seconds={"inlinecss": 0.00123, "dkim": 0.00101},
        metadata={"order": str(number)},
        account_id=credential % 20 + 1,
        message_id=f"<{number}.{name}@example.test>",
    )


if __name__ == "__main__":
    main()

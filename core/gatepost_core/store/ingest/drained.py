"""Whether the store has all that the spool holds, as it must before an older release starts."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

from sqlalchemy import Connection, inspect, select

from gatepost_core import spool
from gatepost_core.store.schema import positions


def left(connection: Connection, directory: Path) -> Iterator[tuple[Path, str]]:
    """Yield each file below the spool's directory that the store has not all of, and what of it.

    What a writer appends meanwhile may be among it or not. A store of a release without a spool has taken
    nothing. Raises OSError.
    """
    taken: dict[str, dict[bytes, int]] = {}
    finished: set[bytes] = set()
    if inspect(connection).has_table(positions.name):
        for row in connection.execute(select(positions).where(positions.c.gone_at.is_(None))):
            taken.setdefault(row.stream, {})[bytes.fromhex(row.segment)] = row.offset
            finished |= {bytes.fromhex(row.segment)} if row.finished else set()
    for folder in spool.streams(directory):
        for batch in spool.read(folder, taken.get(folder.name, {}), 1, finished):
            if batch.entries or batch.fault:
                what = batch.fault or "has entries that the store has not"
                yield folder / f"{batch.segment.hex()}.segment", what

"""What a counter of a limit had, counted anew from the journal after the file of counters was lost.

The journal has what it has by then. Messages of a sandbox take nothing of an account's limits, and those that
turned out not to be queued nothing at all. For one counter all messages of its account in its window are read
once, by an index.
"""

from __future__ import annotations

import sqlite3
from contextlib import closing
from typing import Final
from urllib.parse import quote

from gatepost_core.domain import ids
from gatepost_core.domain.errors import StoreUnavailable
from gatepost_core.domain.limits import Bucket, Kind, Want
from gatepost_core.store.sqlite.driver import unavailable
from gatepost_core.store.sqlite.locate import database_file

_AMOUNTS: Final = {
    Kind.MESSAGES: "count(*)",
    Kind.RECIPIENTS: "sum(json_array_length(recipients))",
    Kind.BYTES: "sum(size)",
}
_COUNT: Final = (
    "SELECT max({start}, CAST(strftime('%s', created_at) AS INTEGER) / {part} * {part}) AS bucket, "
    "{amount} FROM messages WHERE account_id = ? AND id >= ? AND status <> 'not-queued' AND {whose} "
    "GROUP BY bucket"
)


class Recounting:
    """Reads a journal: called with a want, returns its counter's buckets. Raises StoreUnavailable."""

    def __init__(self, url: str) -> None:
        self._url = url

    def __call__(self, want: Want) -> list[Bucket]:
        """Return a counter's buckets, oldest first."""
        whose, kind, _, *ways = want.key.split(" ")
        if "burst" in ways:
            return []
        account, *credential, since = map(int, whose[1:].split("."))
        values = [account, _lowest(max(want.first, since)), *credential]
        condition = "credential_id = ?" if credential else "mode <> 'sandbox'"
        # A calendar window has one bucket; a sliding one those of the sixtieths of its period.
        sliding = want.first != want.start
        part = (want.start - want.first) // 60 if sliding else 1 << 40
        query = _COUNT.format(start=want.first, part=part, amount=_AMOUNTS[Kind(kind)], whose=condition)
        try:
            with closing(self._connected()) as connection:
                return [Bucket(*row) for row in connection.execute(query, values)]
        except (sqlite3.Error, OSError, StoreUnavailable) as error:
            raise unavailable(self._url, error) from error

    def _connected(self) -> sqlite3.Connection:
        return sqlite3.connect(f"file:{quote(str(database_file(self._url)))}?mode=ro", uri=True, timeout=5)


def _lowest(seconds: int) -> str:
    """Return the lowest id that a message of this second or later can have."""
    return ids.first(seconds * 1000)

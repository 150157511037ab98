"""What the journal knows of accepted messages: whether Postfix has them, as its log tells.

That a message is held its record says, before Postfix has it; and one that some recipient does not get for
a suppression has the state of that one. So the states of recipients are looked at that only the log, or a
report about a delivery, leads to.
"""

from __future__ import annotations

import json
import sqlite3
from collections.abc import Mapping, Sequence
from contextlib import closing
from typing import Final
from urllib.parse import quote

from gatepost_core.domain import outcomes
from gatepost_core.domain.limits.submissions import Fate
from gatepost_core.store.sqlite.driver import faults
from gatepost_core.store.sqlite.locate import database_file

_IN_QUEUE: Final = (outcomes.QUEUED, outcomes.DELIVERED, "deferred", "failed", "bounced")
_HAS: Final = "EXISTS (SELECT 1 FROM recipients WHERE message_id = messages.id AND state IN ({}))"
_COLUMNS: Final = ", ".join(
    _HAS.format(", ".join(map(repr, states))) for states in (_IN_QUEUE, (outcomes.NOT_QUEUED,), ("held",))
)
_FATES: Final = (
    f"SELECT id, queue_id, {_COLUMNS} FROM messages WHERE id IN (SELECT value FROM json_each(?)) AND "  # noqa: S608
    f"status != '{outcomes.ACCEPTED}'"
)


class SqliteFates:
    """Reads a journal, by its URL. For one thread."""

    def __init__(self, url: str) -> None:
        self._url = url

    def of(self, messages: Sequence[str]) -> Mapping[str, Fate]:
        """Return what is known of messages. Raises StoreUnavailable."""
        if not messages:
            return {}
        name = f"file:{quote(str(database_file(self._url)))}?mode=ro"
        with faults(self._url), closing(sqlite3.connect(name, uri=True, timeout=5)) as connection:
            rows = connection.execute(_FATES, (json.dumps(list(messages)),)).fetchall()
        return {
            number: Fate(queue_id, bool(queued), bool(refused), bool(held))
            for number, queue_id, queued, refused, held in rows
        }

    def close(self) -> None:
        """Nothing is open."""

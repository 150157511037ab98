"""Which messages have a Message-ID: read from the journal by SQLite's own driver, for what comes back."""

from __future__ import annotations

import json
import threading
from typing import Final, NamedTuple

from gatepost_core.store.sqlite.driver import connect, faults
from gatepost_core.store.sqlite.locate import file_identity

# Clients choose Message-IDs, and some give many messages the same.
_MOST: Final = 20
_ID_MOST: Final = 250
_PATIENCE: Final = 0.5
_QUERY: Final = (
    "SELECT id, credential_id, account_id, from_address, recipients FROM messages "
    "WHERE message_id = ? AND message_id != '' ORDER BY id DESC LIMIT ?"
)


class Referred(NamedTuple):
    """A message: its id, whose it is, the address in From in lower case, and its recipients."""

    id: str
    credential_id: int
    account_id: int
    author: str
    recipients: tuple[str, ...]


class References:
    """Reads the journal at a URL. For many threads; each question opens it, since they are rare."""

    def __init__(self, url: str) -> None:
        self._url = url
        self._lock = threading.Lock()

    def messages(self, message_id: str) -> list[Referred]:
        """Return the newest messages with a Message-ID, brackets included. Raises StoreUnavailable."""
        if not message_id or len(message_id) > _ID_MOST:
            return []
        with self._lock, faults(self._url):
            file_identity(self._url)  # where it is gone, SQLite is not to make an empty one
            connection = connect(self._url, patience=_PATIENCE)
            try:
                rows = connection.execute(_QUERY, (message_id, _MOST)).fetchall()
            finally:
                connection.close()
        return [
            Referred(one, credential, account or 0, author, tuple(json.loads(recipients)))
            for one, credential, account, author, recipients in rows
        ]

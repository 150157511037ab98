"""Whether there is work for which a daemon loads SQLAlchemy: what is old, webhooks. Told without it."""

from __future__ import annotations

from contextlib import closing

from gatepost_core.store.sqlite.driver import connect, faults
from gatepost_core.store.sqlite.locate import file_identity

_ASKED = "SELECT EXISTS (SELECT 1 FROM accounts WHERE keep_days > 0)"


def keeps_for_good(url: str, days: int) -> bool:
    """Say whether all accounts of the directory at ``url`` keep what they have for good.

    ``days``: the setting for those without days of their own; 0: for good. Raises StoreUnavailable.
    """
    if days:
        return False
    with faults(url), closing(connect(url)) as connection:
        return not connection.execute(_ASKED).fetchone()[0]


def has_webhooks(url: str) -> bool:
    """Say whether any account of the directory at ``url`` wants events sent. Raises StoreUnavailable."""
    query = "SELECT EXISTS (SELECT 1 FROM webhooks WHERE state = 'active')"
    with faults(url):
        file_identity(url)  # raises where there is no file: SQLite would make an empty one
        with closing(connect(url)) as connection:
            return bool(connection.execute(query).fetchone()[0])

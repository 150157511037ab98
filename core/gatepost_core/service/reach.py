"""What of the journal an actor sees: whose messages and events, and from when on.

The journal knows accounts by number. SQLite may give the number of one that was removed to the next: so of an
account's messages only those count that came after it was made.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime

from sqlalchemy import Connection

from gatepost_core.domain import MessageRecord, NotFound, shown
from gatepost_core.service.context import Context
from gatepost_core.store import accounts, messages


@dataclass(frozen=True, slots=True)
class Reach:
    """``account_id`` None: everybody's. ``names`` of accounts by their numbers, those that may be told."""

    account_id: int | None = None
    since: datetime | None = None
    names: Mapping[int, str] = field(default_factory=dict[int, str])

    def later(self, since: datetime | None) -> datetime | None:
        """Return the later one of a time and that from which on something is seen."""
        return max((one for one in (since, self.since) if one is not None), default=None)


def reach(context: Context, account: str | None = None) -> Reach:
    """Return what is seen of ``account``, or of all that the actor may see. Raises NotFound."""
    wanted = context.own(account)
    with context.store.directory() as connection:
        if wanted is None:
            return Reach(names={one.id: one.name for one in accounts.list_all(connection)})
        owner = accounts.get(connection, wanted)
    return Reach(owner.id, owner.created_at, {owner.id: owner.name})


def message(connection: Connection, seen: Reach, name: str) -> MessageRecord:
    """Return the newest message of any of its names that is seen. Raises NotFound."""
    record = messages.get(connection, name, seen.account_id)
    if seen.since is not None and record.created_at < seen.since:
        raise NotFound(f"no message {shown(name)}; expected a message id, Postfix's queue id or a Message-ID")
    return record

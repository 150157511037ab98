"""A change of the directory: one transaction, with its entry in the audit log and its idempotency key."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any

from sqlalchemy import Connection

from gatepost_core.service.context import Context
from gatepost_core.store.access import audit, repeats


@dataclass(slots=True)
class Change:
    """What is being done. ``now``: when; ``location``: where the thing is, as KIND/NAME."""

    context: Context
    connection: Connection
    now: datetime
    location: str = ""

    def note(
        self,
        action: str,
        name: str,
        account: str | None,
        before: Mapping[str, Any] | None = None,
        after: Mapping[str, Any] | None = None,
    ) -> None:
        """Write into the audit log what was done to which object, whose it is, and what of it changed.

        ``action`` is KIND.VERB, such as credential.add. Of ``before`` and ``after`` what is the same in both
        is left out.
        """
        if before is not None and after is not None:
            before, after = _differing(before, after), _differing(after, before)
        audit.note(
            self.connection,
            self.context.actor,
            self.now,
            keep=timedelta(days=self.context.settings.dashboard.audit_days),
            action=action,
            account=account,
            name=name,
            before=before,
            after=after,
        )
        self.location = f"{action.partition('.')[0]}s/{name}"


@contextmanager
def changing(context: Context) -> Iterator[Change]:
    """Open the directory for a change. Raises StoreUnavailable; Repeated, Conflict for a key used before."""
    now = context.now
    with context.store.directory(write=True) as connection:
        change = Change(context, connection, now)
        if context.once is not None:
            repeats.look(connection, context.once, now)
        yield change
        if context.once is not None:
            repeats.keep(connection, context.once, change.location, now)


def _differing(values: Mapping[str, Any], others: Mapping[str, Any]) -> dict[str, Any]:
    """Return those values that others have not, of objects within only what differs."""
    found: dict[str, Any] = {}
    for key, value in values.items():
        other = others.get(key)
        if isinstance(value, Mapping) and isinstance(other, Mapping):
            value = _differing(value, other)  # noqa: PLW2901
            if value:
                found[key] = value
        elif key not in others or value != other:
            found[key] = value
    return found

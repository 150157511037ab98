"""Statistics: how often what happened, by credential, tag or domain of recipients, from hourly counts.

Counts are made when events are stored (``ingest.hours``), so a year of mail is added up from its hours. What
a failure means, and who clicked, is part of the type: ``failed/mailbox``, ``clicked/person``.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from typing import Final, Literal

from sqlalchemy import Connection, func, select

from gatepost_core.store.schema import messages, rollups

By = Literal["credential", "tag", "domain"]
BYS: Final[tuple[By, ...]] = ("credential", "tag", "domain")
_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
_HOUR = timedelta(hours=1)


@dataclass(frozen=True, slots=True)
class Wanted:
    """What is counted. ``since`` and ``until`` count by whole hours (UTC); None for all there is.

    ``credential``: a user name, ``account_id``: an account; '' and None for all.
    """

    by: By
    since: datetime | None = None
    until: datetime | None = None
    credential: str = ""
    account_id: int | None = None


@dataclass(slots=True)
class Counts:
    """What was counted of one credential, tag or domain; '' is what had no room of its own.

    ``recipients``: those of the messages that were accepted. ``events``: numbers by type; ``kinds``: of a
    type by what it means (``failed``: classes; ``clicked``: person, proxy, scanner, unknown).
    """

    key: str
    recipients: int = 0
    events: dict[str, int] = field(default_factory=dict)
    kinds: dict[str, dict[str, int]] = field(default_factory=dict)

    def add(self, type_: str, count: int, recipients: int) -> None:
        """Add what was counted under a type."""
        whole, _, kind = type_.partition("/")
        self.events[whole] = self.events.get(whole, 0) + count
        if whole == "accepted":
            self.recipients += recipients
        if kind and count:  # 0: all of them are counted under something else by now
            kinds = self.kinds.setdefault(whole, {})
            kinds[kind] = kinds.get(kind, 0) + count


def read(connection: Connection, wanted: Wanted) -> list[Counts]:
    """Return what is counted, the one with the most messages first."""
    key = rollups.c.credential_id if wanted.by == "credential" else rollups.c.key
    query = select(key, rollups.c.type, func.sum(rollups.c.count), func.sum(rollups.c.recipients)).where(
        rollups.c.kind == wanted.by
    )
    if wanted.since is not None:
        query = query.where(rollups.c.hour >= (wanted.since - _EPOCH) // _HOUR)
    if wanted.until is not None:
        query = query.where(rollups.c.hour < -((_EPOCH - wanted.until) // _HOUR))
    if wanted.account_id is not None:
        query = query.where(rollups.c.account_id == wanted.account_id)
    if wanted.credential:
        query = query.where(rollups.c.credential_id.in_(_numbers(connection, wanted.credential)))
    found: dict[str, Counts] = {}
    rows = connection.execute(query.group_by(key, rollups.c.type)).all()
    names = _names(connection, {row[0] for row in rows}) if wanted.by == "credential" else {}
    for number, type_, count, recipients in rows:
        name = names.get(number, f"#{number}") if wanted.by == "credential" else str(number)
        found.setdefault(name, Counts(name)).add(type_, int(count), int(recipients))
    return sorted(found.values(), key=lambda one: (-one.events.get("accepted", 0), one.key))


def by_hour(
    connection: Connection, since: datetime, account_id: int | None, until: datetime
) -> dict[datetime, Counts]:
    """Return what is counted in each hour from ``since`` on to before ``until``, maybe of one account."""
    of_hour, count, reached = rollups.c.hour, func.sum(rollups.c.count), func.sum(rollups.c.recipients)
    query = select(of_hour, rollups.c.type, count, reached).where(
        rollups.c.kind == "credential",
        of_hour >= (since - _EPOCH) // _HOUR,
        of_hour < (until - _EPOCH) // _HOUR,
    )
    if account_id is not None:
        query = query.where(rollups.c.account_id == account_id)
    found: dict[datetime, Counts] = {}
    for hour, type_, number, recipients in connection.execute(query.group_by(of_hour, rollups.c.type)):
        found.setdefault(_EPOCH + hour * _HOUR, Counts("")).add(type_, int(number), int(recipients))
    return found


def _numbers(connection: Connection, username: str) -> list[int]:
    """Return the numbers of credentials that sent by a user name: one made anew has another."""
    query = select(messages.c.credential_id).where(messages.c.username == username).distinct()
    return list(connection.execute(query).scalars())


def _names(connection: Connection, numbers: Iterable[int]) -> dict[int, str]:
    """Return user names by numbers, as their newest messages have them."""
    found = {}
    for number in numbers:
        query = select(messages.c.username).where(messages.c.credential_id == number)
        name = connection.execute(query.order_by(messages.c.id.desc()).limit(1)).scalar()
        if name is not None:
            found[number] = name
    return found

"""Reading what is recorded of messages: one by any of its names, many by what is asked of them.

Functions on an open connection of the journal. What is asked with an index (credential, author, recipient,
tag, status, account, time) takes as long in a large journal as in a small one; what has none (the subject,
the domain of an author, a second condition) is looked for as ``paging`` says.
"""

from __future__ import annotations

import json
import math
import time
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass, fields, replace
from datetime import datetime
from functools import partial
from typing import Any, Final

from sqlalchemy import ColumnElement, Connection, Row, Text, desc, literal_column, not_, select, type_coerce

from gatepost_core.domain import MessageRecord, Mode
from gatepost_core.domain.errors import NotFound, StoreError, shown
from gatepost_core.domain.outcomes import ACCEPTED
from gatepost_core.store import paging
from gatepost_core.store.ingest.intake import domain_of, lookup_address
from gatepost_core.store.paging import EMPTY, PATIENCE, Leading, Page, Search, Walk
from gatepost_core.store.schema import messages, recipients, tags

# What messages of doctor's probe are marked with; its credential is in sandbox mode.
PROBE_TAG: Final = "gatepost-doctor"
# A longer text is in no subject, and would make each comparison long.
_TEXT_MOST: Final = 200
_FIELDS = tuple(field.name for field in fields(MessageRecord))
# The id is read first: it is where the next page begins.
_COLUMNS = [messages.c.id, *[messages.c[name] for name in _FIELDS if name != "id"]]


@dataclass(frozen=True, slots=True)
class Wanted:
    """Which messages are asked for; '' and None ask for nothing.

    ``credential``: a user name. ``sender``: the address in From, or a domain; ``to``: a recipient's address,
    or a domain. ``subject``: a part of it. ``since`` counts, ``until`` does not. Without ``probes`` those of
    doctor's are left out.
    """

    credential: str = ""
    sender: str = ""
    to: str = ""
    subject: str = ""
    tag: str = ""
    status: str = ""
    since: datetime | None = None
    until: datetime | None = None
    account_id: int | None = None
    probes: bool = True


@dataclass(frozen=True, slots=True)
class Recipient:
    """What became of one recipient: a state (``domain.outcomes``) since a time; None where nobody told.

    ``failure``: the class of a failure, else ''; ``sources``: who told, of log and report.
    """

    address: str
    state: str
    since: datetime | None
    failure: str = ""
    sources: tuple[str, ...] = ()


def page(
    connection: Connection,
    wanted: Wanted,
    limit: int,
    cursor: str = "",
    *,
    patience: float = PATIENCE,
    clock: Callable[[], float] = time.monotonic,
) -> Page[MessageRecord]:
    """Return the newest messages that are asked for, at most ``limit``, and where to go on.

    ``cursor``: that of the page before. Raises StoreError for what cannot be looked for.
    """
    if not _search(replace(wanted, probes=True)).rest:
        patience = math.inf  # hardly anything is passed over
    found = paging.page(connection, _search(wanted), limit, cursor, patience=patience, clock=clock)
    return Page([_record(row) for row in found.items], found.cursor, found.stopped)


def walk(connection: Connection, wanted: Wanted, limit: int, cursor: str = "") -> Walk[MessageRecord]:
    """Return the newest messages that are asked for, at most ``limit``, as they are found."""
    return Walk(partial(page, connection, wanted, patience=paging.PATIENCE), limit, cursor)


def each(connection: Connection, wanted: Wanted, limit: int) -> Iterator[MessageRecord]:
    """Yield the newest messages that are asked for, at most ``limit``, however long it takes."""
    return iter(Walk(partial(page, connection, wanted, patience=math.inf), limit))


def recent(connection: Connection, *, limit: int, username: str | None = None) -> list[MessageRecord]:
    """Return the newest records first, at most ``limit``, of one credential if it is named."""
    return list(each(connection, Wanted(credential=username or ""), limit))


def get(connection: Connection, name: str, account_id: int | None = None) -> MessageRecord:
    """Return the newest message of a message id, a queue id or a Message-ID; of an account, or of any.

    Raises NotFound.
    """
    for condition in named(name):
        if account_id is not None:
            condition &= messages.c.account_id == account_id  # noqa: PLW2901
        query = select(*_COLUMNS).where(condition).order_by(desc(messages.c.id))
        row = connection.execute(query).first()
        if row is not None:
            return _record(row)
    raise NotFound(f"no message {shown(name)}; expected a message id, Postfix's queue id or a Message-ID")


def of_ids(connection: Connection, numbers: Iterable[str]) -> list[MessageRecord]:
    """Return messages by their ids, those that are there, in no order."""
    rows = connection.execute(select(*_COLUMNS).where(messages.c.id.in_(list(numbers))))
    return [_record(row) for row in rows]


def recipients_of(connection: Connection, record: MessageRecord) -> list[Recipient]:
    """Return a message's recipients in its own order, each once, with what became of them so far."""
    columns = [recipients.c[name] for name in ("address", "state", "state_at", "class", "sources")]
    rows = connection.execute(select(*columns).where(recipients.c.message_id == record.id))
    known = {
        address: (state, at, failure, tuple(sources.split())) for address, state, at, failure, sources in rows
    }
    return [
        Recipient(address, *known.get(lookup_address(address), (ACCEPTED, None)))
        for address in dict.fromkeys(record.recipients)
    ]


def named(name: str) -> Iterator[ColumnElement[bool]]:
    """Yield what messages have that a name may mean: a message id, a queue id, a Message-ID."""
    yield messages.c.id == name
    yield messages.c.queue_id == name
    if "@" in name:  # with or without its brackets
        reference = f"<{name.strip().removeprefix('<').removesuffix('>')}>"
        yield (messages.c.message_id == reference) & (messages.c.message_id != EMPTY)


def _search(wanted: Wanted) -> Search:
    """Return how messages are looked for: the condition that leaves the fewest leads, others follow."""
    leaders = list(_leaders(wanted))
    leading = leaders[0] if leaders else Leading(messages.c.id)
    rest = [_follows(one) for one in leaders[1:]]
    rest += _unindexed(wanted)
    return Search(
        _COLUMNS,
        messages.c.id,
        leading,
        tuple(rest),
        paging.since(wanted.since),
        paging.since(wanted.until),
    )


def _leaders(wanted: Wanted) -> Iterator[Leading]:
    if wanted.to:
        place = recipients.c.address == lookup_address(wanted.to)
        if not _is_address(wanted.to):
            place = recipients.c.domain == _domain(wanted.to)
        yield Leading(recipients.c.message_id, place)
    if wanted.sender and _is_address(wanted.sender):
        author = messages.c.from_address == lookup_address(wanted.sender)
        yield Leading(messages.c.id, author & (messages.c.from_address != EMPTY))
    if wanted.status and wanted.status != ACCEPTED:
        moved = messages.c.status != literal_column(f"'{ACCEPTED}'")
        yield Leading(messages.c.id, (messages.c.status == wanted.status) & moved)
    if wanted.tag:
        yield Leading(tags.c.message_id, tags.c.tag == wanted.tag)
    if wanted.credential:
        yield Leading(messages.c.id, messages.c.username == wanted.credential)
    if wanted.account_id is not None:
        yield Leading(messages.c.id, messages.c.account_id == wanted.account_id)


def _follows(one: Leading) -> ColumnElement[bool]:
    """Return a condition with an index as one on each row by itself."""
    assert one.condition is not None  # noqa: S101 - only what leads alone has none
    if one.id is messages.c.id:
        return one.condition
    return select(one.id).where(one.id == messages.c.id, one.condition).exists()


def _unindexed(wanted: Wanted) -> Iterator[ColumnElement[bool]]:
    for text in (wanted.subject, wanted.sender, wanted.to, wanted.tag):
        if len(text) > _TEXT_MOST:
            raise StoreError(f"{shown(text)} is too long to be looked for; expected {_TEXT_MOST} characters")
    if wanted.sender and not _is_address(wanted.sender):
        yield messages.c.from_address.endswith(f"@{_domain(wanted.sender)}", autoescape=True)
    if wanted.status == ACCEPTED:
        yield messages.c.status == ACCEPTED
    if wanted.subject:
        yield messages.c.subject.icontains(wanted.subject, autoescape=True)
    if not wanted.probes:
        marked = type_coerce(messages.c.tags, Text) == json.dumps([PROBE_TAG])
        yield not_((messages.c.mode == Mode.SANDBOX.value) & marked)


def _is_address(text: str) -> bool:
    return "@" in text.removeprefix("@")


def _domain(text: str) -> str:
    return domain_of(f"@{text.removeprefix('@')}")


def _record(row: Row[Any]) -> MessageRecord:
    values = row._asdict()
    for name in ("recipients", "tags", "features", "applied"):
        values[name] = tuple(values[name])
    values["mode"] = Mode(values["mode"])
    values["account_id"] = values["account_id"] or 0
    return MessageRecord(**values)

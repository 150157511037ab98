"""What an entry of the spool holds: compact JSON arrays (RFC 8259), in UTF-8. Pure.

Written with every message and login, read in batches: so there is one array an entry, in a fixed order, and
what is read is what the store's columns take. ``KNOWN`` has the versions and kinds that this release can
read; each reader raises ValueError for contents that no release wrote like that.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import replace
from datetime import UTC, datetime
from json.encoder import encode_basestring as _quoted
from typing import Any, Final, NamedTuple

from gatepost_core.domain import ids
from gatepost_core.domain.decision import refusals
from gatepost_core.domain.memo import memo
from gatepost_core.domain.model import MessageRecord, Mode
from gatepost_core.domain.texts import bounded

VERSION: Final = 1
# A message was accepted; a credential was used; something happened to a message; a client was refused; a
# report came back that may be forwarded.
ACCEPTED: Final = 1
USED: Final = 2
EVENT: Final = 3
REFUSED: Final = 4
REPORT: Final = 5
KNOWN: Final = frozenset((VERSION, kind) for kind in (ACCEPTED, USED, EVENT, REFUSED, REPORT))

# Of an event's detail, where nothing may be known of who it was.
TRACKING: Final = "tracking"
ANONYMOUS: Final = "anonymous"

# The reason of a click of the link that no reader sees: whoever followed it is a program.
HONEY: Final = "it followed the hidden link"

# Below the spool's own limit for an entry (1 MiB). RFC 5321 section 4.5.3.1 has 256 for a path.
_CONTENT_MOST = 1_000_000
_ADDRESS_KEPT = 256
_BOUNCE_ADDRESS_MOST, _FILE_MOST = 320, 64
_TYPE_MOST, _RECIPIENT_MOST, _DETAIL_MOST = 32, 1_000, 8_192
# Of a reply that refused: what one text of its detail has at most.
_SAID_MOST: Final = 600
_INTEGER_MOST = 2**63 - 1

_compact = json.JSONEncoder(
    ensure_ascii=False, check_circular=False, allow_nan=False, separators=(",", ":")
).encode


class Row(NamedTuple):
    """A message's values for the journal's columns of the same names.

    ``created_at`` is UTC, as ``2026-11-27 14:55:59.123456``; from ``recipients`` on all are JSON.
    """

    id: str
    created_at: str
    account_id: int
    credential_id: int
    username: str
    queue_id: str
    sender: str
    header_from: str
    subject: str
    message_id: str
    size: int
    size_after: int
    mode: str
    recipients: str
    tags: str
    features: str
    applied: str
    skipped: str
    seconds: str
    metadata: str


class Accepted(NamedTuple):
    """A message that was accepted: its row, and what of it is counted by itself."""

    row: Row
    recipients: list[str]
    tags: list[str]


class Used(NamedTuple):
    """A login: of which credential, when (as in ``Row``), from which address."""

    credential_id: int
    at: str
    ip: str


class Event(NamedTuple):
    """What happened to a message, or to one recipient of it (else ''); ``detail`` is a JSON object."""

    type: str
    message: str
    recipient: str
    at: str
    detail: str


class Refused(NamedTuple):
    """A reply that refused something to a credential's client: ``recipient`` is '' where it names none, or
    there were several; ``detail`` is a JSON object."""

    reference: str
    account_id: int
    credential_id: int
    recipient: str
    at: str
    detail: str


class Report(NamedTuple):
    """A report that came back: about which message, to which bounce address, in which file, and when."""

    message: str
    address: str
    file: str
    at: str


_TEXT, _NUMBER, _LIST, _OBJECT = str, int, list, dict
_SCALARS = (_TEXT, _NUMBER, _NUMBER, *[_TEXT] * 6, _NUMBER, _NUMBER, _TEXT)
_COLLECTIONS = (_LIST, _LIST, _LIST, _LIST, _OBJECT, _OBJECT, _OBJECT)
_RECORD = (*_SCALARS, *_COLLECTIONS)
_USED = (_NUMBER, _TEXT, _TEXT)
_EVENT = (_TEXT, _TEXT, _TEXT, _TEXT, _OBJECT)
_REPORT = (_TEXT, _TEXT, _TEXT, _TEXT)
_REFUSED = (_TEXT, _NUMBER, _NUMBER, _TEXT, _TEXT, _OBJECT)
_TEXTS = {str}
_MODES = frozenset(mode.value for mode in Mode)


def accepted(record: MessageRecord) -> bytes:
    """Return a record as an entry's content. Its id is the entry's, and not in there."""
    content = _accepted(record)
    return content if len(content) <= _CONTENT_MOST else _accepted(_shorter(record))


def used(credential_id: int, at: datetime, ip: str) -> bytes:
    """Return a login as an entry's content. Raises ValueError for a time without a zone."""
    return _encoded([credential_id, _time_out(at), ip])


def event(type_: str, message: str, recipient: str, at: datetime, detail: Mapping[str, Any]) -> bytes:
    """Return an event as an entry's content. Raises ValueError for what is larger than an event may be."""
    if {*map(type, detail.values())} <= _TEXTS:
        return _event_of_texts(type_, message, recipient, at, detail)
    content = _encoded([type_, message, recipient, _time_out(at), dict(detail)])
    read_event(content)
    return content


def refused(
    reference: str,
    whose: tuple[int, int],
    recipient: str,
    at: datetime,
    detail: Mapping[str, str | int],
) -> bytes:
    """Return a refusal as an entry's content. ``whose``: numbers of the account and the credential.

    Texts that are too long are cut. Raises ValueError for a time without a zone.
    """
    told = {
        name: value if isinstance(value, int) else bounded(value, _SAID_MOST)
        for name, value in detail.items()
    }
    return _encoded([reference, *whose, bounded(recipient, _ADDRESS_KEPT), _time_out(at), told])


def report(message: str, address: str, file: str, at: datetime) -> bytes:
    """Return a report as an entry's content. Raises ValueError for what cannot be kept."""
    content = _encoded([message, address, file, _time_out(at)])
    read_report(content)
    return content


def read_report(content: bytes) -> Report:
    """Return the report that ``report`` wrote. Raises ValueError."""
    found = Report(*_decoded(content, _REPORT))
    _check_time(found.at)
    ids.to_bytes(found.message)
    if len(found.address) > _BOUNCE_ADDRESS_MOST or len(found.file) > _FILE_MOST:
        raise ValueError(f"an address of {len(found.address)} characters, a file's name of {len(found.file)}")
    return found


def _event_of_texts(
    type_: str, message: str, recipient: str, at: datetime, detail: Mapping[str, str]
) -> bytes:
    """Return the same, where nothing but texts is told: then there is nothing to be read again."""
    ids.to_bytes(message)
    told = ",".join([f"{_quoted(name)}:{_quoted(text)}" for name, text in detail.items()])
    _check_event(type_, recipient, f"{{{told}}}")
    head = f"[{_quoted(type_)},{_quoted(message)},{_quoted(recipient)},{_quoted(_time_out(at))}"
    return f"{head},{{{told}}}]".encode("utf-8", "replace")


def read_accepted(number: bytes, content: bytes) -> Accepted:
    """Return the message that ``accepted`` wrote; ``number`` is the entry's id. Raises ValueError."""
    values = _decoded(content, _RECORD)
    _check_time(values[0])
    if values[11] not in _MODES:
        raise ValueError(f"a message's mode {values[11]!r} that this release does not know")
    recipients, tags, features, applied = values[12:16]
    if not {*map(type, recipients), *map(type, tags), *map(type, features), *map(type, applied)} <= _TEXTS:
        raise ValueError("a list of a message's record holds what is no text")
    columns = [
        _compact(recipients),
        *[_list_out(*texts) for texts in (tags, features, applied)],
        *[_compact(value) if value else "{}" for value in values[16:]],
    ]
    return Accepted(Row(ids.from_bytes(number), *values[:12], *columns), recipients, tags)


def read_used(content: bytes) -> Used:
    """Return the login that ``used`` wrote. Raises ValueError."""
    login = Used(*_decoded(content, _USED))
    _check_time(login.at)
    return login


def read_event(content: bytes) -> Event:
    """Return the event that ``event`` wrote. Raises ValueError."""
    type_, message, recipient, at, detail = _decoded(content, _EVENT)
    _check_time(at)
    ids.to_bytes(message)
    text = _compact(detail)
    _check_event(type_, recipient, text)
    return Event(type_, message, recipient, at, text)


def read_refused(content: bytes) -> Refused:
    """Return the refusal that ``refused`` wrote. Raises ValueError."""
    reference, account_id, credential_id, recipient, at, detail = _decoded(content, _REFUSED)
    _check_time(at)
    if refusals.found(reference) != reference or not reference:
        raise ValueError(f"{reference[:40]!r} is no reference")
    text = _compact(detail)
    _check_event("refused", recipient, text)
    return Refused(reference, account_id, credential_id, recipient, at, text)


def _check_event(type_: str, recipient: str, detail: str) -> None:
    if not 0 < len(type_) <= _TYPE_MOST or len(recipient) > _RECIPIENT_MOST or len(detail) > _DETAIL_MOST:
        raise ValueError(
            f"an event with a type of {len(type_)} characters, a recipient of {len(recipient)}, a detail of "
            f"{len(detail)}; expected at most {_TYPE_MOST}, {_RECIPIENT_MOST} and {_DETAIL_MOST}"
        )


def without_reader(told: Event) -> Event:
    """Return an event as it is recorded: without its message, where the detail says that it is anonymous.

    For whom it counts is known by then.
    """
    if f'"{TRACKING}":"{ANONYMOUS}"' not in told.detail:
        return told
    anonymous = json.loads(told.detail).get(TRACKING) == ANONYMOUS
    return told._replace(message="", recipient="") if anonymous else told


def _accepted(record: MessageRecord) -> bytes:
    return _encoded(
        [
            _time_out(record.created_at),
            record.account_id,
            record.credential_id,
            record.username,
            record.queue_id,
            record.sender,
            record.header_from,
            record.subject,
            record.message_id,
            record.size,
            record.size_after,
            record.mode,
            record.recipients,
            record.tags,
            record.features,
            record.applied,
            record.skipped,
            record.seconds,
            record.metadata,
        ]
    )


def _shorter(record: MessageRecord) -> MessageRecord:
    """Return a record that has room in an entry: of very many recipients, or very long ones, not all."""
    room = _CONTENT_MOST - len(_accepted(replace(record, recipients=()))) - 200
    kept = []
    for address in record.recipients:
        text = bounded(address, _ADDRESS_KEPT)
        room -= len(_encoded(text)) + 1
        if room < 0:
            break
        kept.append(text)
    why = f"{len(kept)} of {len(record.recipients)} are kept: they are too many, or too long"
    return replace(record, recipients=tuple(kept), skipped={**record.skipped, "recipients": why})


@memo(512, longest=2_000)  # a credential's messages have mostly the same tags and features
def _list_out(*texts: str) -> str:
    return _compact(texts)


def _encoded(value: object) -> bytes:
    # Half of a surrogate pair, which no database keeps, becomes a question mark.
    return _compact(value).encode("utf-8", "replace")


def _decoded(content: bytes, kinds: tuple[type, ...]) -> list[Any]:
    """Return the values of an array of these types. Raises ValueError."""
    try:
        values = json.loads(content.decode("utf-8"))
        if b"\\ud" in content.lower():
            _compact(values).encode("utf-8")  # raises where half of a surrogate pair is spelled out
    except RecursionError:
        raise ValueError("contents nested too deep") from None
    if values.__class__ is not list or tuple([value.__class__ for value in values]) != kinds:
        raise ValueError(f"contents that no release writes: {content[:60]!r}…")
    for value in values:
        if value.__class__ is int and not 0 <= value <= _INTEGER_MOST:
            raise ValueError(f"the number {str(value)[:30]}, which no column takes")
    return values


def _time_out(value: datetime) -> str:
    last = _Last.time
    if value is last[0]:
        return last[1]
    text = _time_text(value)
    _Last.time = value, text
    return text


class _Last:
    """The time that was spelled last: events of one moment come many at a time."""

    time: tuple[datetime | None, str] = (None, "")


def _time_text(value: datetime) -> str:
    if value.tzinfo is None:
        raise ValueError(f"a time without a zone: {value}")
    text = (value if value.tzinfo is UTC else value.astimezone(UTC)).isoformat(" ", "microseconds")
    return text[:-6]  # without +00:00


def _check_time(text: str) -> None:
    if len(text) != 26 or datetime.fromisoformat(text).tzinfo is not None or text[10] != " ":
        raise ValueError(f"{text[:40]!r} is no time")

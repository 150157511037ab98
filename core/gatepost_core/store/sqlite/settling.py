"""What became of each recipient: one thing that happened is one event, however many ways it is told.

Postfix's log tells of each attempt, reports (RFC 3464) of failures that it may have told of already, or that
happened behind the next hop. Of a recipient there is one failure: whoever tells of it later only adds to it.
A report names recipients as other hosts know them, so it is matched by Original-Recipient, then
Final-Recipient, then by the addresses that the log says aliases led to; one that names nobody of the message
counts for its only recipient, and of several for none.
"""

from __future__ import annotations

import json
import sqlite3
from collections.abc import Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Final

from gatepost_core.domain import outcomes
from gatepost_core.domain.failures import FailureClass
from gatepost_core.domain.spooled import Event
from gatepost_core.store.ingest.intake import Noted, counted, lookup_address

_AMONG: Final = "IN (SELECT value FROM json_each(?))"
_ROWS = (
    f"SELECT message_id, address, state, state_at, class, sources FROM recipients WHERE message_id {_AMONG}"  # noqa: S608
)
_WRITE = (
    "UPDATE recipients SET state = ?, state_at = ?, class = ?, sources = ? "
    "WHERE message_id = ? AND address = ?"
)
_STATUS = "UPDATE messages SET status = ?1 WHERE id = ?2 AND status != ?1"
_ALIASES = (
    "SELECT recipient FROM events WHERE message_id = ? AND lower(json_extract(detail, '$.final_recipient')) "
    "= ? ORDER BY id DESC LIMIT 1"
)
_EVENT: Final = "SELECT id, type, message_id, recipient, time, detail FROM events"
_FAILURE = (
    f"{_EVENT} WHERE message_id = ? AND type IN ('failed', 'bounced') AND lower(recipient) = ? "
    "ORDER BY id DESC LIMIT 1"
)
_OF_MILTER = "type = 'held' AND json_extract(detail, '$.source') = 'milter'"
_HELD = f"SELECT 1 FROM events WHERE message_id = ? AND {_OF_MILTER}"  # noqa: S608 - our own words
_STAYS: Final = f'"source":"{outcomes.STAYS}"'
_IN_HOLD_QUEUE = "SELECT 1 FROM holdings WHERE message_id = ? AND ended_at IS NULL"
# How the log's reason begins where a milter had a message held.
_BY_MILTER: Final = '"reason":"END-OF-MESSAGE '
_DETAIL = "UPDATE events SET detail = ? WHERE id = ?"
_KNOWN = f"{_EVENT} WHERE id {_AMONG}"
LOG, REPORT = "log", "report"
_FAILED: Final = ("failed", "bounced")
_ATTEMPTS: Final = frozenset(("delivered", "deferred", *_FAILED))
# What a report adds to an event that the log told of first.
_ADDED: Final = ("report", "reporter")
_ALIAS: Final = '"final_recipient":'
_DETAIL_MOST: Final = 8_192


@dataclass(slots=True)
class _Recipient:
    """A row of recipients."""

    address: str
    state: str
    at: str | None
    failure: str
    sources: str
    changed: bool = False

    def told(self, state: str, at: str, source: str, failure: str = "") -> None:
        """Note what became of it."""
        self.state, self.at, self.changed = state, max(at, self.at or ""), True
        self.failure = failure or self.failure
        if source not in self.sources.split():
            self.sources = f"{self.sources} {source}".strip()


class Settling:
    """One transaction's work. ``settle`` first, then the events are written, then ``write``.

    ``changed``: by id, events that were recorded before and count for something else now, as they were and
    as they are.
    """

    def __init__(self, connection: sqlite3.Connection) -> None:
        self._connection = connection
        self.changed: dict[str, tuple[Event, Event]] = {}
        self._recipients: dict[str, dict[str, _Recipient]] = {}

    def settle(self, events: Sequence[Noted], logged: Collection[str]) -> list[Noted]:
        """Return the events that are to be written, of those that are new; others were told already.

        ``logged``: ids of those that the mail log told of.
        """
        telling = {one.event.message for one in events if one.event.type in outcomes.STATE_AFTER}
        for message, address, *values in self._among(_ROWS, telling):
            self._recipients.setdefault(message, {})[address] = _Recipient(address, *values)
        settled: dict[str, Noted] = {}
        for one in events:
            kept = self._one(one, LOG if one.id in logged else REPORT, settled)
            if kept is not None:
                settled[kept.id] = kept
        return list(settled.values())

    def write(self) -> None:
        """Write the states of recipients, and of messages the worst of them."""
        rows = [
            (one.state, one.at, one.failure, one.sources, message, one.address)
            for message, found in self._recipients.items()
            for one in found.values()
            if one.changed
        ]
        self._connection.executemany(_WRITE, rows)
        changed = {row[4] for row in rows}
        whole = [
            (outcomes.status(one.state for one in self._recipients[message].values()), message)
            for message in changed
        ]
        self._connection.executemany(_STATUS, whole)

    def improve(self, noted: Mapping[str, Noted], known: Iterable[str], logged: Collection[str]) -> None:
        """Let a failure of unknown class, told again by the same id, have the class known now. Once."""
        again = [number for number in known if noted[number].event.type in _FAILED]
        for number, *values in self._among(_KNOWN, again):
            before, source = Event(*values), LOG if number in logged else REPORT
            detail = _improved(json.loads(before.detail), json.loads(noted[number].event.detail), source)
            if detail is not None:
                self._rewrite(number, before, detail)
                self._classify(noted[number], detail["class"])

    def _rewrite(self, number: str, before: Event, detail: Mapping[str, Any]) -> None:
        now = before._replace(detail=_text(detail))
        self._connection.execute(_DETAIL, (now.detail, number))
        if counted(now) != counted(before):
            self.changed[number] = before, now

    def _classify(self, one: Noted, failure: str) -> None:
        address = lookup_address(one.event.recipient)
        query = "UPDATE recipients SET class = ? WHERE message_id = ? AND address = ?"
        self._connection.execute(query, (failure, one.event.message, address))

    def _one(self, one: Noted, source: str, settled: dict[str, Noted]) -> Noted | None:
        event = one.event
        recipients = self._recipients.get(event.message)
        if event.type not in outcomes.STATE_AFTER or not recipients:
            return one
        if event.type == "held" and _STAYS in event.detail:
            return one
        if event.type == "held" and source == LOG and self._held_already(event, settled.values()):
            return None
        if event.type not in _ATTEMPTS or (source == LOG and not event.recipient):
            named = recipients.get(lookup_address(event.recipient)) if event.recipient else None
            self._whole([named] if named is not None else [] if event.recipient else recipients.values(), one)
            return one
        # Most are plain deliveries of the log's, of which nothing more has to be known.
        plain = source == LOG and event.type not in _FAILED and _ALIAS not in event.detail
        detail = {} if plain else json.loads(event.detail)
        row = self._named(event, source, detail, recipients)
        if row is None:
            if not event.recipient or source == LOG:
                return one
            return _renamed(one, "", detail | {"named": event.recipient})
        if source == REPORT and lookup_address(event.recipient) != row.address:
            one = _attributed(one, row, detail)
        if self._told_already(one, row, source, detail, settled):
            return None
        self._change(row, one, source, detail)
        return one

    def _held_already(self, event: Event, settled: Iterable[Noted]) -> bool:
        """Say whether the log tells of what our milter had done, which has told why."""
        if _BY_MILTER not in event.detail:
            return False
        if any(one.event.type == "held" and one.event.message == event.message for one in settled):
            return True
        return self._connection.execute(_HELD, (event.message,)).fetchone() is not None

    @staticmethod
    def _whole(rows: Iterable[_Recipient], one: Noted) -> None:
        """Change recipients by what is told of them in the queue; who has an outcome keeps it.

        So does whoever was taken out of the message because he is suppressed.
        """
        state = outcomes.STATE_AFTER[one.event.type]
        for row in rows:
            waits = row.state not in (*_FAILED, outcomes.DELIVERED, "suppressed")
            if one.event.type == "refused":
                waits = row.state in (outcomes.ACCEPTED, outcomes.QUEUED, "held")
            if (
                waits
                and (row.at is None or row.at <= one.event.at)
                and (one.event.type != "released" or row.state == "held")
            ):
                row.told(state, one.event.at, LOG)

    def _named(
        self, event: Event, source: str, detail: dict[str, Any], recipients: Mapping[str, _Recipient]
    ) -> _Recipient | None:
        """Return whom an event is about; None for nobody of the message, or nobody knows.

        In ``detail`` it is noted where only the number of recipients tells.
        """
        for name in (event.recipient, str(detail.get("final_recipient", ""))):
            found = recipients.get(lookup_address(name)) if name else None
            if found is not None:
                return found
        for name in (event.recipient, str(detail.get("final_recipient", ""))):
            row = (
                name and self._connection.execute(_ALIASES, (event.message, lookup_address(name))).fetchone()
            )
            if row:
                return recipients.get(lookup_address(row[0]))
        if source == LOG or len(recipients) != 1:  # the log may tell of copies, as of always_bcc
            return None
        (only,) = recipients.values()
        detail["attributed"] = only.address
        return only

    def _told_already(
        self, one: Noted, row: _Recipient, source: str, detail: dict[str, Any], settled: dict[str, Noted]
    ) -> bool:
        """Say whether an event tells what another source has told; that one then has what this one adds."""
        kind = one.event.type
        if kind == "delivered":
            return source == REPORT and row.state == outcomes.DELIVERED
        if kind not in _FAILED or row.state not in _FAILED or source in row.sources.split():
            return False
        before = next((other for other in settled.values() if _same(other, one)), None)
        if before is not None:
            added = _added(json.loads(before.event.detail), detail, source)
            settled[before.id] = Noted(before.id, before.event._replace(detail=_text(added)))
        else:
            found = self._connection.execute(_FAILURE, (one.event.message, row.address)).fetchone()
            if found is None:
                return False
            known = Event(*found[1:])
            added = _added(json.loads(known.detail), detail, source)
            self._rewrite(found[0], known, added)
        row.told(row.state, row.at or one.event.at, source, str(added.get("class", "")))
        return True

    def _change(self, row: _Recipient, one: Noted, source: str, detail: Mapping[str, Any]) -> None:
        kind, state = one.event.type, outcomes.STATE_AFTER[one.event.type]
        if row.at is not None and row.at > one.event.at:
            row.told(row.state, row.at, source)
            return
        if kind == "deferred" and source == REPORT and row.state not in (outcomes.ACCEPTED, outcomes.QUEUED):
            return  # another host tries again what the log knows more of
        if source == REPORT and row.state == "held" and self._in_hold_queue(one.event.message):
            return  # nobody has got it, whoever tells so
        if kind not in _FAILED and row.state in _FAILED and "final_recipient" in detail:
            return  # of several addresses that an alias led to, one has failed
        row.told(state, one.event.at, source, str(detail.get("class", "")) if kind in _FAILED else "")

    def _in_hold_queue(self, message: str) -> bool:
        return self._connection.execute(_IN_HOLD_QUEUE, (message,)).fetchone() is not None

    def _among(self, query: str, values: Iterable[str]) -> list[Any]:
        found = list(values)
        return self._connection.execute(query, (json.dumps(found),)).fetchall() if found else []


def _attributed(one: Noted, row: _Recipient, detail: dict[str, Any]) -> Noted:
    """Return an event of a recipient that the report knew by another name, or by none.

    Where only the number of recipients tells whom it is about, the event names nobody: it suppresses nobody.
    """
    if one.event.recipient:
        detail["named"] = one.event.recipient
    return _renamed(one, "" if "attributed" in detail else row.address, detail)


def _same(one: Noted, other: Noted) -> bool:
    return (
        one.event.type in _FAILED
        and one.event.message == other.event.message
        and lookup_address(one.event.recipient) == lookup_address(other.event.recipient)
    )


def _renamed(one: Noted, recipient: str, detail: Mapping[str, Any]) -> Noted:
    return Noted(one.id, one.event._replace(recipient=recipient, detail=_text(detail)))


def _added(detail: dict[str, Any], more: Mapping[str, Any], source: str) -> dict[str, Any]:
    """Return an event's detail with what another source adds: which report, and what it says."""
    detail = detail | {name: more[name] for name in _ADDED if name in more}
    if more.get("reply") and more["reply"] != detail.get("reply"):
        detail["report_reply"] = more["reply"]
    return _improved(detail, more, source) or detail


def _improved(detail: dict[str, Any], more: Mapping[str, Any], source: str) -> dict[str, Any] | None:
    """Return a detail with the class that was not known before, and who told it; None: it stays."""
    unknown = FailureClass.UNKNOWN.value
    if detail.get("class") != unknown or more.get("class", unknown) == unknown or detail.get("upgraded"):
        return None
    return detail | {"class": more["class"], "permanent": more.get("permanent", False), "upgraded": source}


def _text(detail: Mapping[str, Any]) -> str:
    """Return a detail as a column has it; the longest of its texts gives way where there is no room."""
    text = json.dumps(detail, ensure_ascii=False, separators=(",", ":"))
    if len(text) > _DETAIL_MOST:
        text = json.dumps(
            {key: value if not isinstance(value, str) else value[:500] for key, value in detail.items()},
            ensure_ascii=False,
            separators=(",", ":"),
        )
    return text

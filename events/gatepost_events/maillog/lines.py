"""Lines of a log: time, program and text, in the forms in which syslog daemons and journald give them. Pure.

Traditional: ``Nov 28 05:10:00 host postfix/smtp[123]: text``, local time without a year (RFC 3164 section
4.1.2); ISO: ``2026-11-28T05:10:00.123456+00:00 host …`` (RFC 3339); and what ``journalctl -o json`` prints
(systemd.journal-fields(7)).
"""

from __future__ import annotations

import json
import re
from collections.abc import Container, Sequence
from datetime import datetime, timedelta, tzinfo
from typing import Final, NamedTuple

# rsyslogd has 8 KiB, journald 48; nothing of Postfix's is longer than a reply of 512 bytes a few times.
LINE_MOST: Final = 65_536
_SECOND: Final = 1_000_000
_REMEMBERED: Final = 64
_MONTHS = {name: number for number, name in enumerate(
    ("Jan", "Feb", "Mar", "Apr", "May", "Jun", "Jul", "Aug", "Sep", "Oct", "Nov", "Dec"), 1
)}  # fmt: skip
_STAMP = (
    r"(?:([A-Z][a-z]{2} [ \d]\d \d\d:\d\d):(\d\d)"
    r"|(\d{4}-\d\d-\d\dT\d\d:\d\d):(\d\d)(?:[.,](\d{1,9}))?(Z|[+-]\d\d:?\d\d))"
)
_SUPPRESSED = re.compile(r"Suppressed (\d{1,9}) messages from (\S{1,200})")


class Line(NamedTuple):
    """A line of Postfix's. ``at``: microseconds since 1970; ``whole``: only the second is known."""

    at: int
    whole: bool
    program: str
    text: str


class Reader:
    """Reads lines of instances of Postfix by their ``names`` (``syslog_name``).

    ``zone``: that of times without one; None for the host's own. Several lines share a minute, so what is
    made of it is remembered.
    """

    def __init__(self, names: Sequence[str], zone: tzinfo | None = None) -> None:
        tags = "|".join(re.escape(name) for name in sorted(names, key=len, reverse=True))
        tag = rf"(?:{tags})(?:/[\w.-]{{1,64}})*?/([a-z-]{{1,32}})"
        self._line = re.compile(rf"{_STAMP} \S{{1,255}} {tag}\[\d+\]: ")
        self._tag = re.compile(tag)
        self._zone = zone
        self._minutes: dict[str, int] = {}
        self._latest: datetime | None = None

    def read(self, text: str, now: datetime) -> Line | None:
        """Return a line of a file; None for one of another program, or in another form.

        ``now``: when it can have been written at the latest, with a zone: it tells the year.
        """
        found = self._line.match(text)
        if found is None:
            return None
        old, old_second, new, second, fraction, zone, program = found.groups()
        said = text[found.end() :]
        try:
            if old is not None:
                at = self._minute(old, now) + int(old_second) * _SECOND
                return Line(at, True, program, said)
            minute = self._iso_minute(f"{new}{zone}")
        except ValueError:
            return None
        micro = int(fraction.ljust(6, "0")[:6]) if fraction else 0
        return Line(minute + int(second) * _SECOND + micro, fraction is None, program, said)

    def _minute(self, text: str, now: datetime) -> int:
        known = self._minutes.get(text)
        if known is None:
            year = now.astimezone(self._zone).year
            # A day that is to come was last year's.
            moment = self._dated(text, year)
            if moment > now + timedelta(days=1):
                moment = self._dated(text, year - 1)
            known = self._remember(text, moment)
        return known

    def _dated(self, text: str, year: int) -> datetime:
        month = _MONTHS.get(text[:3])
        if month is None:
            raise ValueError(f"no month: {text}")
        moment = datetime(year, month, int(text[4:6]), int(text[7:9]), int(text[10:12]))  # noqa: DTZ001
        return moment.astimezone(None) if self._zone is None else moment.replace(tzinfo=self._zone)

    def _iso_minute(self, text: str) -> int:
        known = self._minutes.get(text)
        if known is None:
            known = self._remember(text, datetime.fromisoformat(text))
        return known

    def _remember(self, text: str, moment: datetime) -> int:
        if len(self._minutes) >= _REMEMBERED:
            self._minutes.clear()
        at = self._minutes[text] = int(moment.timestamp()) * _SECOND
        return at

    def read_json(self, text: str, users: Container[str]) -> tuple[str, Line | int | None]:
        """Return the cursor of an entry of journald's, and its line, or how many lines it says are lost.

        ``users``: user ids, as text, whose processes may speak for Postfix: everybody can write to the
        journal under any name. Raises ValueError for what is no entry.
        """
        try:
            entry = json.loads(text)
        except RecursionError:
            raise ValueError("an entry nested too deep") from None
        cursor = entry.get("__CURSOR") if isinstance(entry, dict) else None
        if cursor.__class__ is not str:
            raise ValueError(f"no entry of a journal: {text[:60]!r}")
        message, tag = entry.get("MESSAGE"), entry.get("SYSLOG_IDENTIFIER")
        if isinstance(message, list) and all(isinstance(one, int) and 0 <= one < 256 for one in message):
            message = bytes(message).decode("utf-8", "replace")  # what is not UTF-8 comes as its bytes
        if not isinstance(message, str) or not isinstance(tag, str):
            return cursor, None
        if entry.get("_TRANSPORT") == "driver":
            lost = _SUPPRESSED.match(message)
            return cursor, int(lost[1]) if lost is not None and "postfix" in lost[2] else None
        program = self._tag.fullmatch(tag)
        if program is None or entry.get("_UID") not in users:
            return cursor, None
        at = entry.get("__REALTIME_TIMESTAMP")
        if not isinstance(at, str) or not at.isascii() or not at.isdecimal() or len(at) > 18:
            raise ValueError("an entry of a journal without its time")
        return cursor, Line(int(at), False, program[1], message)

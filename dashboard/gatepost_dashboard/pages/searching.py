"""What is typed to find messages: ``from:alice@example.com status:failed spring offer``. Pure, and linear.

Words with a name ask for that, all others together for a part of the subject; a text in double quotes is one
word. Times are dates (``2027-01-31``), moments (RFC 3339) or spans back from now (``36h``, ``7d``).
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from typing import Any, Final

from gatepost_core.domain import outcomes
from gatepost_core.service.messages import Wanted

MOST: Final = 500
NAMES: Final = ("from", "to", "subject", "tag", "credential", "status", "id", "before", "after")
_FIELDS: Final = {"from": "sender", "before": "until", "after": "since"}
_WORD: Final = re.compile(r'(?:([a-z]{2,10}):)?(?:"([^"]*)"?|(\S+))')
_SPAN: Final = re.compile(r"(\d{1,4})([mhd])")
_UNITS: Final = {"m": "minutes", "h": "hours", "d": "days"}


class SearchError(ValueError):
    """A word is not understood; the text names it."""


@dataclass(frozen=True, slots=True)
class Search:
    """What is looked for. ``name``: one message by its id, queue id or Message-ID; '': by ``wanted``."""

    wanted: Wanted = field(default_factory=Wanted)
    name: str = ""


def read(text: str, now: datetime) -> Search:
    """Return what a text asks for. Raises SearchError."""
    if len(text) > MOST:
        raise SearchError(f"{len(text)} characters are too many to look for; at most {MOST}")
    values: dict[str, Any] = {}
    subject: list[str] = []
    for name, value in _words(text):
        if not name or name == "subject":
            subject.append(value)
        elif name in values:
            raise SearchError(f"{name}: stands there twice")
        elif value:
            values[name] = _value(name, value, now)
    name = values.pop("id", "")
    if subject:
        values["subject"] = " ".join(filter(None, subject))
    return Search(Wanted(**{_FIELDS.get(key, key): value for key, value in values.items()}), name)


def _words(text: str) -> Iterator[tuple[str, str]]:
    for match in _WORD.finditer(text):
        name, quoted, plain = match.groups()
        value = plain if quoted is None else quoted
        if name and name not in NAMES:
            if quoted is None and "@" not in value:
                raise SearchError(f"{name}: is nothing to look by; expected one of {', '.join(NAMES)}")
            name, value = "", f"{name}:{value}"
        yield name or "", value.strip()


def _value(name: str, value: str, now: datetime) -> Any:
    if name == "status":
        if value.lower() not in outcomes.STATES:
            raise SearchError(f"status:{value} is none; expected one of {', '.join(outcomes.STATES)}")
        return value.lower()
    return _moment(name, value, now) if name in ("before", "after") else value


def _moment(name: str, value: str, now: datetime) -> datetime:
    if span := _SPAN.fullmatch(value):
        return now - timedelta(**{_UNITS[span[2]]: int(span[1])})
    try:
        found = datetime.fromisoformat(value)
        return (found if found.tzinfo else found.replace(tzinfo=UTC)).astimezone(UTC)
    except (ValueError, OverflowError) as error:
        raise SearchError(
            f"{name}:{value} is no time; expected such as 2027-01-31, or 7d for 7 days ago"
        ) from error

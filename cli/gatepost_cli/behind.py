"""What was accepted and is not in the store yet: waited for a moment, then told.

A record goes from the milter into the spool, and gatepost-events takes it from there some tens of
milliseconds later. So a list waits until it has what was accepted before it was asked for; where that takes
longer, it says by how much the store is behind. Whoever may not read the spool is told nothing.
"""

from __future__ import annotations

from contextlib import AbstractContextManager, suppress
from dataclasses import dataclass
from datetime import datetime, timedelta
from pathlib import Path
from typing import Protocol

from sqlalchemy import Connection

from gatepost_cli.output import remark
from gatepost_cli.session import CliSession
from gatepost_cli.waiting import wait
from gatepost_core.settings import Settings
from gatepost_core.spool import COUNTED, Ends, beyond, ends
from gatepost_core.store import messages
from gatepost_core.store.ingest import lag

# Longer than one look of gatepost-events into the spool, and too short to be noticed much.
PATIENCE = 1.0
# What waits for so long is not about to be taken.
_PROMPT = 2.0
# What a mail log tells within this time of a message is not late.
_TOLD = timedelta(seconds=10)
# A stream without messages: last uses of credentials.
_LOGINS = "sasl"


@dataclass(frozen=True, slots=True)
class Behind:
    """What of messages the store has not taken: entries (``more``: at least so many), bytes, seconds.

    ``seconds``: how long the oldest has waited; None where that cannot be told.
    """

    entries: int
    size: int
    seconds: float | None
    more: bool

    def __str__(self) -> str:
        """Return it in words."""
        number = f"{'more than ' * self.more}{self.entries:,} {'entry' if self.entries == 1 else 'entries'}"
        waited = "" if self.seconds is None else f"; the oldest has waited for {span(self.seconds)}"
        return (
            f"the store is behind the spool by {number} ({self.size:,} bytes){waited}. What was accepted "
            "since is not shown; see whether gatepost-events runs"
        )


class Asking(Protocol):
    """Whoever asks: a session of the command, or doctor's context."""

    @property
    def settings(self) -> Settings:
        """The settings in force."""
        ...

    @property
    def now(self) -> datetime:
        """The time, UTC."""
        ...

    def journal(self) -> AbstractContextManager[Connection]:
        """Open the journal for reading. Raises StoreUnavailable."""
        ...


def reached(asking: Asking) -> Ends | None:
    """Return how far messages are in the spool now; None where it is not there, or not for this user."""
    with suppress(OSError):
        return {stream: one for stream, one in ends(_directory(asking)).items() if stream != _LOGINS}
    return None


def missing(asking: Asking, until: Ends, patience: float = 0.0) -> Behind | None:
    """Return what the store has not taken of it, None for nothing. Waits for so many seconds at most.

    Raises StoreUnavailable.
    """
    with asking.journal() as connection:
        taken = lag.waited(connection, until, patience)
    with suppress(OSError):
        return _behind(asking, until, taken)
    return None


def look(asking: Asking) -> Behind | None:
    """Wait for a moment until the store has what was accepted before now; return what it has not.

    Not at all for what has waited for long already. None where nothing is missing, or where this user may not
    read the spool. Raises StoreUnavailable.
    """
    until = reached(asking)
    found = until and missing(asking, until)
    if until and found and (found.seconds or 0) <= _PROMPT:
        return missing(asking, until, PATIENCE)
    return found or None


@dataclass(frozen=True, slots=True)
class Heard:
    """How far mail logs are read: each, when they ``told`` something last, and when the newest message came
    of which they do not tell (``silent``), if so.
    """

    logs: list[lag.Log]
    told: datetime | None
    silent: datetime | None


def heard(asking: Asking) -> Heard:
    """Return how far mail logs are read.

    A gatepost-events that was started just now has yet to read what was logged meanwhile: waited for, as long
    as doctor waits for an answer. Raises StoreUnavailable.
    """

    def look() -> Heard:
        with asking.journal() as connection:
            logs, newest = lag.logs(connection), messages.recent(connection, limit=1)
        told = max([one.line_at or one.read_at for one in logs], default=None)
        if not newest or asking.settings.events.log == "none" or asking.now - newest[0].created_at <= _TOLD:
            return Heard(logs, told, None)
        sent = newest[0].created_at
        return Heard(logs, told, sent if told is None or told < sent - _TOLD else None)

    return wait(look, asking.settings.doctor.timeout, over=lambda found: found.silent is None)


def tell(session: CliSession, found: Behind | None) -> None:
    """Say on standard error how far the store is behind, if it is."""
    if found is not None:
        data = {"entries": found.entries, "bytes": found.size, "seconds": found.seconds}
        remark(session, f"Note: {found}.", behind=data)


def span(seconds: float) -> str:
    """Return a time span in words, by its largest unit."""
    for unit, size in (("day", 86_400), ("hour", 3_600), ("minute", 60)):
        if seconds >= 2 * size:
            return f"{seconds // size:.0f} {unit}s"
    return f"{max(seconds, 0):.0f} second{'' if round(seconds) == 1 else 's'}"


def _directory(asking: Asking) -> Path:
    return asking.settings.spool.directory


def _behind(asking: Asking, until: Ends, taken: Ends) -> Behind | None:
    streams = beyond(_directory(asking), until, taken)
    if not streams:
        return None
    oldest = [one.oldest for one in streams.values() if one.oldest is not None]
    return Behind(
        sum(one.entries for one in streams.values()),
        sum(one.size for one in streams.values()),
        asking.now.timestamp() - min(oldest) if oldest else None,
        any(one.entries == COUNTED for one in streams.values()),
    )

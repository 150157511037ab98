"""The log on its way to the store: what was read since the last commit, and how far that was.

Where the store does not take it, all of it is read again from the position that the store has.
"""

from __future__ import annotations

import time
from collections.abc import Callable
from pathlib import Path
from typing import Final, Protocol

from gatepost_core.domain.outcomes import Logged
from gatepost_core.store.backend import Ingester
from gatepost_events.maillog import journald
from gatepost_events.maillog.files import FileLog
from gatepost_events.maillog.lines import Line, Reader
from gatepost_events.maillog.parsing import parse
from gatepost_events.maillog.tracing import Tracing

FILES: Final = (Path("/var/log/mail.log"), Path("/var/log/maillog"))
# How far back a log is read: as long as Postfix keeps a message (maximal_queue_lifetime).
_BACK: Final = 5 * 86_400
# A file that nobody wrote to for so long is an old log's.
_FRESH: Final = 86_400
# A position that tells of nothing else is committed so often.
_ALONE: Final = 1.0
_SECOND: Final = 1_000_000
_AGAIN: Final = 1.0
_DOUBT: Final = 2.0


class Source(Protocol):
    """A log."""

    lost: int
    more: bool

    @property
    def position(self) -> str:
        """How far it was read."""
        ...

    def read(self) -> list[Line] | list[Line | int]:
        """Return lines that came, and numbers of those that are known to be lost. Raises OSError."""
        ...

    def close(self) -> None:
        """Have nothing open."""
        ...


class Follower:
    """For one thread. ``log``: the setting ``events.log``; ``names``: ``syslog_name`` of what counts."""

    def __init__(
        self,
        log: str,
        names: tuple[str, ...],
        store: Ingester,
        clock: Callable[[], float] = time.time,
    ) -> None:
        self._log = log
        self._names = names
        self._store = store
        self._clock = clock
        self._source: Source | None = None
        self._tracing = Tracing({})
        self._line_at = 0
        self._after = 0
        self._committed = ""
        self._committed_at = 0.0
        self._again = self._doubt = 0.0
        # What was read last is not committed yet: nothing more is read until then.
        self._waits = False
        # Why the log cannot be read now; '' while it is, or is not to be.
        self.problem = ""

    @property
    def more(self) -> bool:
        """Whether there is more to read at once."""
        return self._source is not None and self._source.more

    def read(self) -> Logged | None:
        """Return what the log tells that is not committed; None for nothing. Raises StoreUnavailable."""
        now = self._clock()
        if self._log == "none" or now < self._again:
            return None
        try:
            if self._source is None:
                self._open(now)
            assert self._source is not None  # noqa: S101 - opened, or it raised
            if not self._waits:
                self._feed(self._source)
        except OSError as error:
            self._again, self._doubt = now + _AGAIN, now + _DOUBT
            self.problem = str(error)
            return None
        if now >= self._doubt:  # a child that has just been started may still fail
            self.problem = ""
        logged = self._logged(self._source, now)
        self._waits = logged is not None
        return logged

    def committed(self) -> None:
        """Go on from here: the store has it."""
        if self._source is not None:
            self._committed, self._committed_at = self._source.position, self._clock()
            self._source.lost = 0
        self._tracing.committed()
        self._waits = False

    def close(self) -> None:
        """Read anew from where the store is, the next time."""
        self._waits = False
        source, self._source = self._source, None
        if source is not None:
            source.close()

    def _open(self, now: float) -> None:
        position, kept, oldest = self._store.logged()
        self._tracing = Tracing(kept)
        kind, _, rest = position.partition(" ")
        at, _, where = rest.partition(" ")
        since = max(oldest or now, now - _BACK)
        reader = Reader(self._names)
        path = _file(self._log, now)
        if path is None:
            self._source = journald.JournalLog(reader, where if kind == "journal" else "", since)
        else:
            self._source = FileLog(path, reader, where if kind == "file" else "", since, self._clock)
        self._committed = self._source.position
        # Another log than before: what that one told of is not told again.
        other = bool(kind) and kind != _kind(self._source)
        self._line_at = int(at) if at.isdecimal() else 0
        self._after = self._line_at // _SECOND * _SECOND if other else 0

    def _feed(self, source: Source) -> None:
        for one in source.read():
            if isinstance(one, int):
                self._tracing.lose(one)
                continue
            if one.at < self._after:
                continue
            entry = parse(one.program, one.text)
            self._line_at = one.at
            if entry is not None:
                self._tracing.feed(one, entry)

    def _logged(self, source: Source, now: float) -> Logged | None:
        tracing, position = self._tracing, source.position
        kept, gone = tracing.changes()
        if not (tracing.told or tracing.queued or kept or gone or tracing.lost or source.lost) and (
            position == self._committed or now - self._committed_at < _ALONE
        ):
            return None
        return Logged(
            f"{_kind(source)} {self._line_at} {position}",
            tuple(tracing.told),
            dict(tracing.queued),
            kept,
            gone,
            tracing.lost + source.lost,
            self._line_at,
        )


def _kind(source: Source) -> str:
    return "file" if isinstance(source, FileLog) else "journal"


def _file(log: str, now: float) -> Path | None:
    """Return the file that the setting means; None for journald's journal. Raises OSError."""
    if log == "journal":
        return None
    if log != "auto":
        return Path(log)
    there = [path for path in FILES if path.exists()]
    fresh = [path for path in there if now - path.stat().st_mtime < _FRESH]
    if fresh or (there and not journald.readable()):
        return (fresh or there)[0]
    if journald.readable():
        return None
    raise FileNotFoundError(
        "no log of Postfix's that can be read: neither " + " nor ".join(map(str, FILES)) + ", nor a journal; "
        "say in events.log where it is"
    )

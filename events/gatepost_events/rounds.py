"""One round: what the spool has beyond what the store took, committed together with how far it was taken.

Streams of what happens to messages are read before that of the messages: whatever they tell of was accepted
before. How a round fails: the store says no, and nothing of it counts; the next one reads the same again.
What cannot be read is set aside or stops its segment alone.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Final, Protocol

from gatepost_core import spool
from gatepost_core.domain.outcomes import Logged
from gatepost_core.spool import Batch
from gatepost_core.store.backend import Ingester, Took
from gatepost_core.store.ingest.streams import STREAMS

# Entries of one segment in one round, and of one stream: a flood of logins holds up no record.
_SEGMENT_MOST: Final = 1_000
_STREAM_MOST: Final = 4_000
# A segment that could not be read for a reason of this machine is looked at again after so many seconds.
_AGAIN: Final = 60.0

# The stream with messages themselves, of which the log tells by their queue ids.
_RECORDS: Final = "milter"

Segment = tuple[str, bytes]


class Log(Protocol):
    """The mail log, read beside the spool (``maillog.follower``)."""

    @property
    def more(self) -> bool:
        """Whether there is more to read at once."""
        ...

    @property
    def problem(self) -> str:
        """Why it cannot be read now; '' while it is."""
        ...

    def read(self) -> Logged | None:
        """Return what it tells that is not committed; None for nothing. Raises StoreUnavailable."""
        ...

    def committed(self) -> None:
        """Go on from here: the store has it."""
        ...

    def close(self) -> None:
        """Read anew from where the store is, the next time."""
        ...


@dataclass(slots=True)
class _Stream:
    """One stream as the last round left it."""

    folder: Path
    positions: dict[bytes, int] = field(default_factory=dict[bytes, int])
    finished: set[bytes] = field(default_factory=set[bytes])
    stopped: dict[bytes, float] = field(default_factory=dict[bytes, float])


@dataclass(frozen=True, slots=True)
class Round:
    """What one round did. ``taken`` is None where nothing was there; ``more``: not all was read.

    ``stopped``: segments that are not read on, and why; ``aside``: files that were set aside, and why;
    ``lost``: lines that the mail log must have had; ``log_problem``: why it cannot be read, else ''.
    """

    taken: Took | None
    entries: int
    more: bool
    stopped: dict[Segment, str]
    aside: dict[Path, str]
    lost: int = 0
    log_problem: str = ""


class Rounds:
    """For one thread. ``most`` of each stream: bytes that it may have; ``keep``: seconds (``spool.retire``).

    ``log``: the mail log. It is read before the records, so whatever it tells of has its record there.
    ``clock`` and ``now``: monotonic seconds, and seconds since 1970.
    """

    def __init__(
        self,
        directory: Path,
        store: Ingester,
        *,
        keep: float,
        most: Mapping[str, int],
        log: Log | None = None,
        clock: Callable[[], float] = time.monotonic,
        now: Callable[[], float] = time.time,
    ) -> None:
        self._store = store
        self._keep = keep
        self._most = most
        self._log = log
        self._clock = clock
        self._now = now
        self._streams = {name: _Stream(directory / name) for name in STREAMS}
        self._known = False
        # Told with the next round that the store takes: a file that has been renamed is not found again.
        self._aside: dict[Path, str] = {}

    def __call__(self) -> Round:
        """Take what is there. Raises StoreUnavailable and OSError; what was not committed is read again."""
        try:
            self._learn()
            return self._round()
        except BaseException:
            self._known = False
            if self._log is not None:
                self._log.close()
            raise

    def _learn(self) -> None:
        """Ask the store how far it is, unless that is known from the last round."""
        if self._known:
            return
        positions, finished = self._store.positions(), self._store.finished()
        for name, stream in self._streams.items():
            stream.positions = dict(positions.get(name, {}))
            stream.finished = set(finished.get(name, ()))
            stream.stopped.clear()
        self._known = True

    def _round(self) -> Round:
        logged: Logged | None = None
        batches: list[tuple[str, Batch]] = []
        more = behind = False
        for name, stream in self._streams.items():
            if name == _RECORDS and self._log is not None:
                # After reports, which are later than the log's own lines, and before the records of both.
                logged = self._log.read()
            read = list(self._read(stream))
            number = sum(len(batch.entries) for batch in read)
            left = number >= _STREAM_MOST or any(len(one.entries) >= _SEGMENT_MOST for one in read)
            more, behind = more or left, behind or (left and name == _RECORDS)
            # Of a segment in which nothing has come the store need not hear.
            batches += [(name, one) for one in read if one.entries or one.finished or one.fault]
        if behind:  # a message's record may be among what is still to be read: the log waits for it
            logged = None
        taken = self._store.take(batches, logged) if batches or logged is not None else None
        lost, problem = 0, self._log.problem if self._log is not None else ""
        if self._log is not None and logged is not None:
            self._log.committed()
            more, lost = more or self._log.more, taken.lost if taken is not None else 0
        aside, self._aside = self._aside, {}
        if taken is None:
            return Round(None, 0, more, {}, aside, 0, problem)
        entries = sum(len(batch.entries) for _, batch in batches)
        stopped = dict(taken.stopped)
        self._note(batches, stopped)
        return Round(taken, entries, more, stopped, aside, lost, problem)

    def _read(self, stream: _Stream) -> Iterator[Batch]:
        now = self._clock()
        waits = {number for number, until in stream.stopped.items() if now < until}
        skip = stream.finished | waits
        left = _STREAM_MOST
        if not stream.folder.is_dir():  # no writer has started yet
            return
        for batch in spool.read(stream.folder, stream.positions, _SEGMENT_MOST, skip):
            if batch.segment in stream.stopped and not batch.entries:
                if batch.fault and not batch.damaged:
                    stream.stopped[batch.segment] = now + _AGAIN
                    continue
                del stream.stopped[batch.segment]
            whole = batch
            if batch.damaged:
                kept = self._set_aside(stream, batch)
                if kept is None:  # it is no segment any more
                    continue
                whole = kept
            yield whole
            left -= len(batch.entries)
            if left <= 0:
                return

    def _set_aside(self, stream: _Stream, batch: Batch) -> Batch | None:
        """Set aside what is damaged; return what the store is to hear, None for what is no segment.

        Where that is not possible now, for want of room, only this segment waits.
        """
        try:
            path = spool.set_aside(stream.folder, batch.segment, batch.end)
        except OSError as error:
            return replace(batch, damaged=False, fault=f"{batch.fault}; it cannot be set aside: {error}")
        self._aside[path] = batch.fault
        return replace(batch, fault="", finished=True) if batch.end else None

    def _note(self, batches: list[tuple[str, Batch]], stopped: Mapping[Segment, str]) -> None:
        """Remember how far the store is now."""
        again = self._clock() + _AGAIN
        for name, batch in batches:
            stream = self._streams[name]
            if (name, batch.segment) in stopped:
                # What was taken of it is asked of the store, should it ever be read on.
                stream.stopped[batch.segment] = again
                stream.positions[batch.segment] = self._store.positions()[name][batch.segment]
                continue
            stream.stopped.pop(batch.segment, None)
            stream.positions[batch.segment] = batch.end
            if batch.finished:
                stream.finished.add(batch.segment)

    @property
    def stopped(self) -> int:
        """How many segments are not read on."""
        return sum(len(stream.stopped) for stream in self._streams.values())

    def retire(self) -> int:
        """Make room in all streams; return how many segments are gone.

        Raises StoreUnavailable and OSError.
        """
        gone = 0
        for name, stream in self._streams.items():
            if not stream.finished or not stream.folder.is_dir():
                continue
            segments = spool.retire(
                stream.folder, stream.finished, self._keep, self._now(), most=self._most.get(name, 0)
            )
            if segments:
                self._store.forget(name, segments)
                stream.finished -= set(segments)
                for number in segments:
                    stream.positions.pop(number, None)
                gone += len(segments)
        return gone

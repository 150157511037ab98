"""The spool: append-only files of this node, which take what must not be lost before the store has it.

A *stream* is a folder of *segments* of one fixed size. A writer (a worker of a daemon) appends *entries* to
a segment of its own, which it holds locked: ``Writer`` what must be on disk before somebody is answered,
``Notes`` what may be flushed later. ``reader`` reads them from a *position*; ``retiring`` makes room once the
store has all of a segment; ``aside`` keeps what cannot be read, ``extent`` tells how far a reader is behind.
``entry`` and ``segment`` are the format.

* A segment has a random id, and each start of a writer makes a new one. None is appended to again.
* Segments are zeroed beforehand and used again: an append changes no metadata of the file system, which
  takes a third of the CPU off each flush. Where a size of zero stands, the entries end.
* A checksum covers each entry and the segment's id, so neither a torn entry nor one of a file's earlier use
  is taken for one that was written.
* After any error of write or flush a segment is abandoned: Linux reports an error of fsync(2) once only.

Nothing here knows what an entry holds, nor the store.
"""

from gatepost_core.spool.aside import asides, set_aside
from gatepost_core.spool.entry import Entry
from gatepost_core.spool.extent import COUNTED, Beyond, Ends, beyond, ends
from gatepost_core.spool.folder import SpoolFolderError, check, stream, streams
from gatepost_core.spool.holding import held, kept, whole
from gatepost_core.spool.notes import Notes
from gatepost_core.spool.reader import Batch, read
from gatepost_core.spool.retiring import retire
from gatepost_core.spool.segment import HEAD_SIZE, SpoolError, SpoolFull, segments, used
from gatepost_core.spool.writer import Writer

__all__ = [
    "COUNTED",
    "HEAD_SIZE",
    "Batch",
    "Beyond",
    "Ends",
    "Entry",
    "Notes",
    "SpoolError",
    "SpoolFolderError",
    "SpoolFull",
    "Writer",
    "asides",
    "beyond",
    "check",
    "ends",
    "held",
    "kept",
    "read",
    "retire",
    "segments",
    "set_aside",
    "stream",
    "streams",
    "used",
    "whole",
]

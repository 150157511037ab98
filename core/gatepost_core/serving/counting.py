"""Counters of events by key in a table of fixed size, shared by all processes forked after it was made.

For keys that strangers choose (a user name, an address), so nothing they send makes it grow:

* A key's place is a keyed hash (BLAKE2b) with a secret of this table's own, so nobody can choose keys that
  meet in one bucket. A bucket holds eight counters.
* A counter that is not heard of for ``forget`` seconds is a free place.
* Where there is none, the lowest counter gives way, and the newcomer **inherits its count** (Metwally,
  Agrawal and El Abbadi 2005, "Space-Saving"). So flooding the table cannot reset a counter: whoever is
  pushed out comes back as high as the lowest that was left. ``inherit`` bounds what a newcomer is charged.

Times are seconds of the monotonic clock, which is one clock for all processes of a host. Writers take a
record lock (fcntl(2)) on the table's descriptor, which the kernel frees when a worker is killed; readers
take none: the worst that they can see is a count that is one event old.
"""

from __future__ import annotations

import fcntl
import functools
import hashlib
import mmap
import os
import secrets
import struct
import threading
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, contextmanager

_WAYS = 8
_ENTRY = struct.Struct("<QdQ")  # fingerprint (0: free), time of the latest event, count
_BUCKET = struct.Struct("<" + "QdQ" * _WAYS)
_FREE = (0, 0.0, 0)


class SharedCounters:
    """A table of ``buckets`` times eight counters, 192 bytes a bucket. Made before the fork."""

    def __init__(self, buckets: int = 4096) -> None:
        if buckets < 1:
            raise ValueError(f"{buckets} buckets; at least 1 is needed")
        self._buckets = buckets
        self._secret = secrets.token_bytes(32)
        self._descriptor = os.memfd_create("gatepost-counters", os.MFD_CLOEXEC)
        self._table = _mapped(self._descriptor, buckets * _BUCKET.size)
        self._lock = threading.Lock()

    def read(self, key: bytes, now: float, forget: float) -> tuple[int, float]:
        """Return a key's count and the time of its latest event; (0, 0.0) when there is none."""
        at, fingerprint = self._place(key)
        entries = _BUCKET.unpack_from(self._table, at)
        for way in range(0, 3 * _WAYS, 3):
            if entries[way] == fingerprint:
                if entries[way + 1] + forget <= now:
                    break
                return entries[way + 2], entries[way + 1]
        return 0, 0.0

    def trace(self, key: bytes) -> Callable[[], int]:
        """Return what says, at next to no cost, whether a key may have a count: negative when it has none.

        A search for the bytes of its fingerprint: what it finds may be forgotten, or by chance another key.
        """
        at, fingerprint = self._place(key)
        mark = fingerprint.to_bytes(8, "little")
        return functools.partial(self._table.find, mark, at, at + _BUCKET.size)

    def add(self, key: bytes, now: float, forget: float, inherit: int) -> int:
        """Count an event at ``now`` and return the new count."""
        at, fingerprint = self._place(key)
        with self._locked():
            ways = list(_ENTRY.iter_unpack(self._table[at : at + _BUCKET.size]))
            own = next((way for way, entry in enumerate(ways) if entry[0] == fingerprint), None)
            if own is None:
                own = min(range(_WAYS), key=lambda way: _weight(ways[way], now, forget))
                before = min(_weight(ways[own], now, forget)[0], inherit)
            else:
                before = _weight(ways[own], now, forget)[0]
            self._write(at, own, (fingerprint, now, before + 1))
            return before + 1

    def take(self, key: bytes, count: int) -> None:
        """Take events of a key back, as far as there are any."""
        at, fingerprint = self._place(key)
        with self._locked():
            for way, entry in enumerate(_ENTRY.iter_unpack(self._table[at : at + _BUCKET.size])):
                if entry[0] == fingerprint:
                    left = entry[2] - count
                    self._write(at, way, (fingerprint, entry[1], left) if left > 0 else _FREE)

    def empty(self) -> None:
        """Forget all keys."""
        with self._locked():
            self._table[:] = bytes(len(self._table))

    def exclusive(self) -> AbstractContextManager[None]:
        """Keep out others that write or ask for this; readers are not kept out. Not to be nested."""
        return self._locked()

    def clear(self, key: bytes) -> None:
        """Forget a key."""
        at, fingerprint = self._place(key)
        if fingerprint not in _BUCKET.unpack_from(self._table, at)[::3]:
            return
        with self._locked():
            for way, entry in enumerate(_ENTRY.iter_unpack(self._table[at : at + _BUCKET.size])):
                if entry[0] == fingerprint:
                    self._write(at, way, _FREE)

    def close(self) -> None:
        """Give the memory back."""
        self._table.close()
        os.close(self._descriptor)

    def _place(self, key: bytes) -> tuple[int, int]:
        """Return a key's bucket, as an offset, and its fingerprint, which is not 0."""
        digest = hashlib.blake2b(key, key=self._secret, digest_size=16).digest()
        bucket = int.from_bytes(digest[:8], "little") % self._buckets
        fingerprint = int.from_bytes(digest[8:], "little") or 1
        return bucket * _BUCKET.size, fingerprint

    def _write(self, at: int, way: int, entry: tuple[int, float, int]) -> None:
        _ENTRY.pack_into(self._table, at + way * _ENTRY.size, *entry)

    @contextmanager
    def _locked(self) -> Iterator[None]:
        """Keep out the other threads, and the other processes: a record lock is a process's own."""
        with self._lock:
            fcntl.lockf(self._descriptor, fcntl.LOCK_EX)
            try:
                yield
            finally:
                fcntl.lockf(self._descriptor, fcntl.LOCK_UN)


def _mapped(descriptor: int, size: int) -> mmap.mmap:
    """Return memory that all children share: the descriptor's, or where that is not to be had, nobody's.

    Its pages are asked for now: one that is not to be had later would kill whoever counts (SIGBUS).
    """
    try:
        os.posix_fallocate(descriptor, 0, size)
        return mmap.mmap(descriptor, size)
    except OSError:
        return mmap.mmap(-1, size)


def _weight(entry: tuple[int, float, int], now: float, forget: float) -> tuple[int, float]:
    """Return what a counter is worth keeping: its count, then how recent it is; nothing when forgotten."""
    fingerprint, latest, count = entry
    return (count, latest) if fingerprint and latest + forget > now else (0, 0.0)

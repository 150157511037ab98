"""Room on disk where mail is kept: databases, hosted images, Postfix's queue."""

from __future__ import annotations

import os
from collections.abc import Iterator
from pathlib import Path

from gatepost_cli.checks.base import Context, Finding, fault, good
from gatepost_core.postfix import queue_size_limit
from gatepost_core.store.backend import Database

_INODES = 1_000  # a message in the queue is a file
_KEPT: tuple[tuple[Database, str], ...] = (("directory", "databases"), ("journal", "records of messages"))


def disk(context: Context) -> Iterator[Finding]:
    """Look at each file system once, with the most that is needed on it."""
    settings = context.settings
    least = settings.doctor.disk_free
    # smtpd(8) answers 452 with less than one and a half times message_size_limit free.
    queue = max(least, queue_size_limit(settings) * 3 // 2)
    seen: dict[int, tuple[str, Path, int]] = {}
    for what, place, needed in (
        ("Postfix's queue", settings.postfix.queue_directory, queue),
        *((what, file.parent, least) for database, what in _KEPT for file in context.store.files(database)),
        ("hosted images", settings.images.directory, least),
    ):
        existing = next(one for one in (place, *place.parents) if one.exists())
        seen.setdefault(existing.stat().st_dev, (what, existing, needed))
    for what, place, needed in seen.values():
        yield _room(what, place, needed)


def _room(what: str, place: Path, needed: int) -> Finding:
    status = os.statvfs(place)
    free = status.f_bavail * status.f_frsize
    where, advice = f"{place} ({what})", "make room, or set doctor.disk_free"
    if free < needed:
        return fault(where, f"{_mega(free)} free", f"{_mega(needed)} free", advice)
    # f_files is 0 where files are made as they are needed (btrfs).
    if status.f_files and status.f_favail < _INODES:
        found = f"{status.f_favail} inodes free"
        return fault(where, found, f"{_INODES} inodes free", "remove files: every message is one")
    return good(where, f"{_mega(free)} free")


def _mega(size: int) -> str:
    return f"{size / 1_000_000:,.0f} MB"

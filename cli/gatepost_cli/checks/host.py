"""The host itself: room on disk where mail is kept, and the clock, which expiries and signatures need.

The clock may not be behind what was recorded before; whether the kernel takes it for synchronised
(adjtimex(2)) is only noted, as some hosts, containers above all, leave that to others.
"""

from __future__ import annotations

import ctypes
import os
from collections.abc import Iterator
from datetime import timedelta
from pathlib import Path

from gatepost_cli.checks.base import Context, Finding, fault, good, note
from gatepost_core.domain import stamp
from gatepost_core.postfix import queue_size_limit
from gatepost_core.store import messages
from gatepost_core.store.backend import Database

_INODES = 1_000  # a message in the queue is a file
_KEPT: tuple[tuple[Database, str], ...] = (("directory", "databases"), ("journal", "records of messages"))
_SLACK = timedelta(minutes=2)
_TIME_ERROR = 5  # adjtimex(2): the clock is not synchronised
_TIMEX_SIZE = 512  # struct timex has 208 bytes on 64-bit machines


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
    yield from (_room(*one) for one in seen.values())


def _room(what: str, place: Path, needed: int) -> Finding:
    status = os.statvfs(place)
    free = status.f_bavail * status.f_frsize
    where, advice = f"{place} ({what})", "make room, or set doctor.disk_free"
    has = f"{free / 1_000_000:,.0f} MB free"
    if free < needed:
        return fault(where, has, f"{needed / 1_000_000:,.0f} MB free", advice)
    # f_files is 0 where files are made as they are needed (btrfs).
    if status.f_files and status.f_favail < _INODES:
        found = f"{status.f_favail} inodes free"
        return fault(where, found, f"{_INODES} inodes free", "remove files: every message is one")
    return good(where, has)


def clock(context: Context) -> Iterator[Finding]:
    """Hold the clock against the newest record, then ask the kernel."""
    with context.journal() as connection:
        newest = messages.recent(connection, limit=1)
    if newest and newest[0].created_at > context.now + _SLACK:
        found = f"{stamp(context.now)}, and the newest message is of {stamp(newest[0].created_at)}"
        advice = "set the clock, by a time service such as chrony or systemd-timesyncd"
        yield fault("clock", found, "a clock that does not go back", advice)
    elif not _synchronised():
        advice = "install chrony or systemd-timesyncd, unless this host's clock is kept from outside"
        yield note("clock", "the kernel does not take it for synchronised", "a time service", advice)
    else:
        yield good("clock", f"{stamp(context.now)}, synchronised")


def _synchronised() -> bool:
    library = ctypes.CDLL(None, use_errno=True)
    asked = ctypes.create_string_buffer(_TIMEX_SIZE)  # modes = 0: nothing is set
    state: int = library.adjtimex(asked)
    if state < 0:
        raise OSError(ctypes.get_errno(), os.strerror(ctypes.get_errno()))
    return state != _TIME_ERROR

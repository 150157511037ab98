"""Files and folders that are only worked in: gone at the end; a killed process', at the next start.

Each is locked (flock(2)) by the process that works in it, and the lock goes with that however it ends;
``sweep`` removes what nobody has locked. So no copy of a database or of keys is left behind for long.
"""

from __future__ import annotations

import fcntl
import os
import shutil
import stat
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

_PREFIX = ".gatepost-scratch-"


@contextmanager
def folder(place: Path) -> Iterator[Path]:
    """Make a folder (0700) in ``place``; it goes at the end with all that is in it. Raises OSError."""
    sweep(place)
    made = Path(tempfile.mkdtemp(prefix=_PREFIX, dir=place))
    descriptor = os.open(made, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
    try:
        fcntl.flock(descriptor, fcntl.LOCK_EX)
        yield made
    finally:
        shutil.rmtree(made, ignore_errors=True)
        os.close(descriptor)


@contextmanager
def file(target: Path) -> Iterator[int]:
    """Make a file (0600) that gets the name ``target`` at the end, if nothing failed. Yields its descriptor.

    It is on disk before it has its name, and takes the place of what had it. Raises OSError.
    """
    sweep(target.parent)
    descriptor, name = tempfile.mkstemp(prefix=_PREFIX, dir=target.parent)
    try:
        fcntl.flock(descriptor, fcntl.LOCK_EX)
        yield descriptor
        os.fsync(descriptor)
        Path(name).replace(target)
    except BaseException:
        Path(name).unlink(missing_ok=True)
        raise
    finally:
        os.close(descriptor)


def sweep(place: Path) -> None:
    """Remove what killed processes of this user left in ``place``; what cannot be looked at stays."""
    with suppress(OSError):
        for left in place.glob(f"{_PREFIX}*"):
            with suppress(OSError):
                _remove_abandoned(left)


def _remove_abandoned(left: Path) -> None:
    descriptor = os.open(left, os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK | os.O_CLOEXEC)
    try:
        status = os.fstat(descriptor)
        if status.st_uid != os.geteuid():
            return
        fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
        if stat.S_ISDIR(status.st_mode):
            shutil.rmtree(left, ignore_errors=True)
        elif stat.S_ISREG(status.st_mode):
            left.unlink()
    finally:
        os.close(descriptor)

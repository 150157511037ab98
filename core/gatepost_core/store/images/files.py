"""What an account's images take, and files that are there whole or not at all: for ``images``.

The number stands in a file of the account's folder, which is locked (flock(2)) while it changes, by whatever
thread, process or node; so it costs the same however many images there are. Raises OSError.
"""

from __future__ import annotations

import fcntl
import os
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path

USAGE = "usage"
# For the group as far as the umask lets it, and for what mkstemp(3) makes as far as its folder does: where
# the milter has a user of its own, who prunes is another one.
FOLDER, FILE = 0o770, 0o660


@dataclass(slots=True)
class Usage:
    """How many bytes an account has, while its folder is locked."""

    descriptor: int
    bytes: int

    def set(self, value: int) -> None:
        """Note another number."""
        self.bytes = max(0, value)
        text = b"%d\n" % self.bytes
        os.pwrite(self.descriptor, text, 0)
        os.ftruncate(self.descriptor, len(text))


@contextmanager
def locked(folder: Path) -> Iterator[Usage]:
    """Keep out everybody else who changes what an account has; counted once, where it is not known."""
    descriptor = os.open(folder / USAGE, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, FILE)
    try:
        fcntl.flock(descriptor, fcntl.LOCK_EX)
        text = os.pread(descriptor, 32, 0).strip()
        usage = Usage(descriptor, int(text) if text.isdigit() else 0)
        if not text.isdigit():
            with suppress(PermissionError):  # another user's, who has seen to it
                os.fchmod(descriptor, FILE & folder.stat().st_mode)
            usage.set(counted(folder))
        yield usage
    finally:
        os.close(descriptor)


def counted(folder: Path) -> int:
    """Return the bytes of an account's images, by looking at each."""
    return sum(size_of(path) for path in folder.glob("??/*") if not path.name.startswith("."))


def size_of(path: Path) -> int:
    """Return a file's size, 0 when there is none."""
    try:
        return path.stat().st_size
    except OSError:
        return 0


@contextmanager
def written(folder: Path, data: bytes) -> Iterator[Path]:
    """Yield a file with this content, on disk, under a name that goes at the end."""
    descriptor, temporary = tempfile.mkstemp(prefix=".new-", dir=folder)
    try:
        with os.fdopen(descriptor, "wb") as file:
            file.write(data)
            file.flush()
            os.fchmod(descriptor, FILE & folder.stat().st_mode)
            os.fsync(descriptor)
        yield Path(temporary)
    finally:
        Path(temporary).unlink(missing_ok=True)


def sync(directory: Path) -> None:
    """Have a directory's entries on disk."""
    descriptor = os.open(directory, os.O_RDONLY | os.O_DIRECTORY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)

"""What cannot be read of a segment, kept for people beside the stream: ``<id>.aside``.

Entries that a writer was killed in the midst of, and what a disk made of others. Nobody was answered for the
first; the second should be looked at. Of a segment with a good head only the rest is kept, and the segment is
used again in its time; one without is renamed whole.
"""

from __future__ import annotations

import os
import stat
from pathlib import Path
from typing import Final

from gatepost_core.spool import segment

SUFFIX: Final = ".aside"
_PIECE: Final = 1 << 20


def set_aside(folder: Path, number: bytes, position: int) -> Path:
    """Keep what a segment has from ``position`` on (0: all of it) as a file of its own; return that.

    On disk when it returns; done again, it makes the same file. Raises OSError; nothing is lost then.
    """
    source = folder / f"{number.hex()}.segment"
    target = folder / f"{number.hex()}{SUFFIX}"
    if position < segment.HEAD_SIZE:
        source.rename(target)
    else:
        draft = target.with_suffix(".rest")
        _copy(source, draft, position)
        draft.rename(target)
    segment.sync(folder)
    return target


def asides(folder: Path) -> list[Path]:
    """Return the files that were set aside, the oldest first. Raises OSError."""
    return sorted(path for path in folder.iterdir() if path.suffix == SUFFIX)


def _copy(source: Path, target: Path, position: int) -> None:
    """Write the bytes of a file from a position on, without the zeros at its end."""
    # The stream's daemon may have made the target already, as a link to what only its reader may write.
    target.unlink(missing_ok=True)
    new_file = os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC | os.O_NOFOLLOW
    with (
        os.fdopen(segment.opened(source, os.O_RDONLY), "rb") as old,
        os.fdopen(os.open(target, new_file, segment.MODE), "wb") as new,
    ):
        old.seek(position)
        zeros = 0
        while piece := old.read(_PIECE):
            whole = piece.rstrip(b"\0")
            if whole:
                new.seek(zeros, os.SEEK_CUR)  # a hole, which reads as the zeros that stood there
                new.write(whole)
                zeros = len(piece) - len(whole)
            else:
                zeros += len(piece)
        new.flush()
        os.fchmod(new.fileno(), stat.S_IMODE(os.fstat(old.fileno()).st_mode))
        os.fsync(new.fileno())

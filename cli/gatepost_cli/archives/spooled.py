"""The spool in a backup: segments of which the copied journal has not all.

What is in an archive is what the copied databases have and what its segments have: entries that are in both
are known by their ids when they are read again. Raises BackupError, OSError, StoreUnavailable.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from collections.abc import Set as AbstractSet
from pathlib import Path

from gatepost_cli.archives.archive import BackupError, Manifest, shown
from gatepost_core import spool

_MEMBER = re.compile(r"spool/([a-z0-9]+)/[0-9a-f]{32}\.segment")


def segments(directory: Path, done: AbstractSet[bytes]) -> Iterator[tuple[str, Path, int]]:
    """Yield member's name, file and size of each segment that belongs into an archive.

    ``done``: those that its journal has all of. Nobody may retire any since before the journal was copied
    (``spool.kept``).
    """
    for folder in spool.streams(directory):
        for one in spool.segments(folder):
            if one.id not in done:
                yield f"spool/{folder.name}/{one.path.name}", one.path, spool.whole(one)


def check(manifest: Manifest) -> None:
    """Raise BackupError for a file of the spool that no backup has."""
    for name in manifest.files:
        if name.startswith("spool/") and not _MEMBER.fullmatch(name):
            raise BackupError(f"it holds {shown(name)}, which no backup of Gatepost's does")


def streams(manifest: Manifest, directory: Path) -> list[str]:
    """Return the streams that the archive or the spool's directory has."""
    archived = {found[1] for found in map(_MEMBER.fullmatch, manifest.files) if found}
    return sorted(archived | {folder.name for folder in spool.streams(directory)})


def unused(directory: Path) -> None:
    """Raise BackupError while somebody writes to the spool: what it appended would go with the old files."""
    for folder in spool.streams(directory):
        if spool.held(folder):
            raise BackupError(f"{folder} is being written to: stop the daemons and their sockets first")

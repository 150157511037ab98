"""Who may read a key and write a folder, where each daemon has a user of its own (docs/systemd.md).

The owner of the store owns it all; a group says who else: ``gatepost-key-<purpose>`` reads the keys of a
purpose, ``gatepost-<daemon>`` writes that daemon's stream of the spool, and the milter's the hosted images. A
host without these groups, where all daemons are one user, is left as it is.
"""

from __future__ import annotations

import grp
import os
import stat
from collections.abc import Iterator
from pathlib import Path
from typing import NamedTuple

from gatepost_cli.owner import as_owner_of
from gatepost_core import spool
from gatepost_core.keys import keyring
from gatepost_core.keys.groups import group_of
from gatepost_core.settings import Settings

FOLDER, KEY = 0o2770, 0o640
_WRITES = 0o060


class Shared(NamedTuple):
    """Where keys, hosted images and the spool are."""

    keys: Path
    images: Path
    spool: Path

    @classmethod
    def of(cls, settings: Settings) -> Shared:
        """Return where settings have them."""
        return cls(settings.keys.directory, settings.images.directory, settings.spool.directory)


def folders(places: Shared) -> Iterator[tuple[Path, int]]:
    """Yield each folder that a daemon writes, with the number of its group, if this host has that."""
    streams = [(folder, folder.name) for folder in spool.streams(places.spool)]
    for folder, daemon in [(places.images, "milter"), *streams]:
        group = group_of(daemon, folder.stat().st_uid) if folder.is_dir() else None
        if group is not None:
            yield folder, group


def settle(places: Shared) -> list[Path]:
    """Give keys and folders, with all that is in them, to their groups; return what had to be changed.

    What belongs to another than the owner of its folder stays: only its own user could change it. Raises
    OSError.
    """
    changed = []
    with as_owner_of(places.keys):
        for key, group in keyring.shared(places.keys):
            if _give(key, group, KEY, None):
                changed.append(key)
        listed = list(folders(places)) if os.access(places.spool, os.R_OK, effective_ids=True) else []
    for folder, gid in listed:
        with as_owner_of(folder):
            if sum([_give(path, gid, mode, inside) for path, mode, inside in _all(folder)]):
                changed.append(folder)
    return changed


def open_to(stream: Path) -> int:
    """Return what a stream's mode may have for its daemon's group, if this host has that group."""
    return 0 if group_of(stream.name, stream.stat().st_uid) is None else 0o020


def astray(places: Shared) -> Iterator[tuple[str, str, str, str]]:
    """Yield each key and folder that has not its group and mode: what it has, should have, and what to do."""
    wanted = [(key, group, KEY) for key, group in keyring.shared(places.keys)]
    wanted += [(folder, gid, FOLDER) for folder, gid in folders(places)]
    for path, gid, mode in wanted:
        status = path.stat()
        has = (status.st_gid, stat.S_IMODE(status.st_mode))
        if has != (gid, mode):
            expected = f"{_told(gid, mode)}: for the daemons that need it, and no others"
            yield str(path), _told(*has), expected, "run 'gatepost store upgrade' as root"


def _told(gid: int, mode: int) -> str:
    try:
        return f"group {grp.getgrgid(gid).gr_name}, mode {mode:04o}"
    except KeyError:
        return f"group {gid}, mode {mode:04o}"


def _all(top: Path) -> Iterator[tuple[Path, int, int | None]]:
    """Yield a folder and all below it: name, mode (0: the file's own, open to its group), where it is."""
    yield top, FOLDER, None
    for _, names, files, inside in os.fwalk(top, follow_symlinks=False):
        yield from ((Path(name), FOLDER, inside) for name in names)
        yield from ((Path(name), 0, inside) for name in files)


def _give(path: Path, gid: int, mode: int, inside: int | None) -> bool:
    """Give one file or folder, which is no link, to a group; say whether it was not yet its."""
    try:
        descriptor = os.open(path, os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK | os.O_CLOEXEC, dir_fd=inside)
    except OSError:  # gone, a link, or another user's
        return False
    try:
        status = os.fstat(descriptor)
        has = stat.S_IMODE(status.st_mode)
        wanted = mode or has | _WRITES
        if status.st_uid != os.geteuid() or (status.st_gid, has) == (gid, wanted):
            return False
        if status.st_gid != gid:
            os.fchown(descriptor, -1, gid)
        os.fchmod(descriptor, wanted)  # after that: a new group takes the bit of a folder's group off
        return True
    finally:
        os.close(descriptor)

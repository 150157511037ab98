"""Who may read a key or a database and write a folder, where each daemon has a user of its own.

The owner of the store owns it all; a group says who else (docs/systemd.md): ``gatepost-key-<purpose>`` reads
the keys of a purpose, ``gatepost-<daemon>`` writes that daemon's stream of the spool, and the milter's the
hosted images; the group of the databases' folder reads the databases, and where there is a
``gatepost-dashboard`` writes them: the units let no daemon but that one. A host without these groups, where
all daemons are one user, is left as it is.
"""

from __future__ import annotations

import grp
import os
import stat
from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path
from typing import NamedTuple

from gatepost_cli.owner import as_owner_of
from gatepost_core import spool
from gatepost_core.keys import keyring
from gatepost_core.keys.groups import group_of
from gatepost_core.settings import Settings
from gatepost_core.store.backend import DATABASES
from gatepost_core.store.opening import open_backend

FOLDER, KEY = 0o2770, 0o640
# Where the dashboard has a user of its own, the group writes: the units let no other daemon.
DATABASE, WRITTEN = 0o640, 0o660
_WRITES = 0o060


class Shared(NamedTuple):
    """Where keys, hosted images and the spool are, and the files of the databases, there or not."""

    keys: Path
    images: Path
    spool: Path
    databases: tuple[Path, ...]

    @classmethod
    def of(cls, settings: Settings) -> Shared:
        """Return where settings have them."""
        store = open_backend(settings.store)
        files = [file for database in DATABASES for file in store.files(database)]
        return cls(settings.keys.directory, settings.images.directory, settings.spool.directory, (*files,))


def databases(places: Shared) -> Iterator[tuple[Path, int, int]]:
    """Yield each file of a database that daemons of other users read, with the group that lets them, and
    the mode."""
    for file in places.databases:
        with suppress(FileNotFoundError):  # some come and go
            folder = file.parent.stat()
            if file.exists() and group_of("sasl", folder.st_uid) is not None:
                written = group_of("dashboard", folder.st_uid) is not None
                yield file, folder.st_gid, WRITTEN if written else DATABASE


def folders(places: Shared) -> Iterator[tuple[Path, int]]:
    """Yield each folder that a daemon writes, with the number of its group, if this host has that."""
    streams = [(folder, folder.name) for folder in spool.streams(places.spool)]
    for folder, daemon in [(places.images, "milter"), *streams]:
        group = group_of(daemon, folder.stat().st_uid) if folder.is_dir() else None
        if group is not None:
            yield folder, group


def settle(places: Shared) -> list[Path]:
    """Give keys, databases, and folders with all that is in them to their groups; return what was not theirs.

    What belongs to another than the owner of its folder stays: only its own user could change it. Raises
    OSError.
    """
    changed = []
    with as_owner_of(places.keys):
        for key, group in keyring.shared(places.keys):
            if _give(key, group, KEY, None):
                changed.append(key)
        listed = list(folders(places)) if os.access(places.spool, os.R_OK, effective_ids=True) else []
    for file, gid, mode in databases(places):
        with as_owner_of(file.parent):
            if _give(file, gid, mode, None):
                changed.append(file)
    for folder, gid in listed:
        with as_owner_of(folder):
            if sum([_give(path, gid, mode, inside) for path, mode, inside in _all(folder)]):
                changed.append(folder)
    return changed


def open_to(stream: Path) -> int:
    """Return what a stream's mode may have for its daemon's group, if this host has that group."""
    return 0 if group_of(stream.name, stream.stat().st_uid) is None else 0o020


def astray(places: Shared) -> Iterator[tuple[str, str, str, str]]:
    """Yield what has not its group and mode: its name, what it has, what it should have, what to do."""
    wanted = [(key, group, KEY) for key, group in keyring.shared(places.keys)]
    wanted += [(folder, gid, FOLDER) for folder, gid in folders(places)]
    wanted += databases(places)
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

"""The steps of ``gatepost backup restore``, as each place's owner: unpack beside it, look, then rename."""

from __future__ import annotations

import grp
import itertools
import os
from collections.abc import Iterator, Sequence
from contextlib import ExitStack, suppress
from pathlib import Path
from typing import IO

from gatepost_cli.archives import restore, spooled
from gatepost_cli.archives.archive import Manifest, Part
from gatepost_cli.archives.moves import Moves
from gatepost_cli.archives.restore import Places
from gatepost_cli.owner import as_owner_of
from gatepost_cli.session import CliSession
from gatepost_cli.sharing import Shared, settle
from gatepost_core.serving import scratch
from gatepost_core.settings import Settings, SettingsError, file_of
from gatepost_core.store import places_file
from gatepost_core.store.backend import DATABASES


class Restoring:
    """One restore; what is unpacked goes with ``stack``. Raises BackupError, OSError, SettingsError."""

    def __init__(self, session: CliSession, archive: IO[bytes], manifest: Manifest, stack: ExitStack) -> None:
        self._session = session
        self._archive = archive
        self._manifest = manifest
        self._stack = stack
        self._config = file_of(session.config).absolute()

    def run(self, *, with_etc: bool) -> list[Path]:
        """Do it; return the names of what was moved away."""
        here = self._places(lenient=with_etc)
        etc = self._unpacked("etc", self._config, here) if with_etc else None
        there = here
        if etc is not None:
            there = Places.of(restore.settings_of(etc, self._config, self._session.overrides), self._config)
        restore.only_own(here, there)
        spooled.unused(there.spool)
        databases = {
            line: self._unpacked("databases", files[0], here) for line, files in there.databases.items()
        }
        for folder in databases.values():
            restore.check_databases(folder, self._manifest, there.store)
        known = self._places_seen(databases[DATABASES[0]] / restore.PLACES, there.counters)
        keys = self._unpacked("keys", there.keys, here)
        restore.check_keys(keys)
        images = self._unpacked("images", there.images, here)
        streams = spooled.streams(self._manifest, there.spool)
        segments = self._unpacked("spool", there.spool / "any", here, streams) if streams else there.spool
        moves = Moves(self._session.now, as_owner_of)
        try:
            if etc is not None:
                moves.fill(etc, self._config.parent, replace=True)
            for line, files in there.databases.items():
                moves.replace(databases[line] / f"{line}.db", *files)
            moves.replace(keys, there.keys)
            if known is not None:
                file = places_file(there.counters)
                moves.replace(known, file, *(file.with_name(file.name + end) for end in ("-wal", "-shm")))
            for stream in streams:
                moves.replace(segments / stream, there.spool / stream)
            if there.images.exists():
                moves.fill(images, there.images, replace=False)
            elif any(images.iterdir()):
                moves.replace(images, there.images)
            every = itertools.chain.from_iterable(there.databases.values())
            settle(Shared(there.keys, there.images, there.spool, (*every,)))
        except BaseException:
            moves.undo()
            raise
        return moves.kept

    def _places(self, *, lenient: bool) -> Places:
        """Return the gateway's own places; where its settings are to be replaced they need not be sound."""
        try:
            return Places.of(self._session.settings, self._config)
        except SettingsError:
            if not lenient:
                raise
            return Places.of(Settings(), self._config)

    def _places_seen(self, unpacked: Path, counters: Path) -> Path | None:
        """Return what is known of places that credentials send from, beside its place; None: nothing.

        The milter writes it, by the group of its folder.
        """
        if not unpacked.exists():
            return None
        with as_owner_of(unpacked.parent):
            content = unpacked.read_bytes()
        beside = counters.parent
        with as_owner_of(beside):
            beside.mkdir(mode=0o2775, parents=True, exist_ok=True)
            copy = self._stack.enter_context(scratch.folder(beside)) / restore.PLACES
            copy.write_bytes(content)
            copy.chmod(0o664)
        _give(copy.parent, beside)
        return copy

    def _unpacked(self, part: Part, place: Path, here: Places, folders: Sequence[str] = ()) -> Path:
        """Unpack a part into a folder beside its place, which is renamed there without being copied.

        ``folders`` are in it in any case.
        """
        beside = place.parent
        with as_owner_of(beside):
            beside.mkdir(mode=0o750, parents=True, exist_ok=True)
            folder = self._stack.enter_context(scratch.folder(beside)) / part
            for name in ("", *folders):
                (folder / name).mkdir(mode=0o750)
            groups = set(_groups(beside, here)) if part == "etc" else set[str]()
            restore.unpack(self._archive, self._manifest, part, folder, groups)
        if part != "etc":
            _give(folder.parent, place if place.exists() else here.databases[DATABASES[0]][0].parent)
        return folder


def _give(unpacked: Path, like: Path) -> None:
    """Give what root unpacked in a folder of root's, such as /srv, to the user whose place it is."""
    owner = like.stat()
    if os.geteuid() == 0 and unpacked.stat().st_uid == 0 and owner.st_uid != 0:
        for path in (unpacked, *unpacked.rglob("*")):
            os.chown(path, owner.st_uid, owner.st_gid, follow_symlinks=False)


def _groups(etc: Path, here: Places) -> Iterator[str]:
    """Yield the groups that settings and secrets may be given to: those of this gateway."""
    for place in (etc, etc / "secrets", here.keys, here.databases[DATABASES[0]][0].parent):
        with suppress(OSError, KeyError):
            yield grp.getgrgid(place.stat().st_gid).gr_name

"""Renaming files into place, all of them or none: each step can be taken back.

``owner`` is entered around each step, with the folder that it works in: root works there as its owner.
A step that fails raises OSError; whoever then calls ``undo`` has everything as it was.
"""

from __future__ import annotations

import grp
import os
from collections.abc import Callable
from contextlib import AbstractContextManager, suppress
from datetime import datetime
from pathlib import Path

Owner = Callable[[Path], AbstractContextManager[object]]


class Moves:
    """Steps that were done, in their order; ``kept`` are the new names of what was moved away."""

    def __init__(self, now: datetime, owner: Owner) -> None:
        self._now = now
        self._owner = owner
        self._undo: list[tuple[Path, Callable[[], object]]] = []
        self.kept: list[Path] = []

    def replace(self, source: Path, place: Path, *also: Path) -> None:
        """Put a file or folder in its place; what is there, and ``also``, is moved away."""
        with self._owner(place.parent):
            for old in (place, *also):
                self._away(old)
            self._rename(source, place)

    def fill(self, source: Path, place: Path, *, replace: bool) -> None:
        """Put the files below ``source`` into a folder that keeps its others.

        A file that is there already stays unless ``replace``, which moves it away if its content differs.
        """
        for path in sorted(path for path in source.rglob("*") if path.is_file()):
            target = place / path.relative_to(source)
            with self._owner(place):
                if target.exists() and (not replace or target.read_bytes() == path.read_bytes()):
                    continue
                for missing in reversed([one for one in target.parents if not one.exists()]):
                    self._make(missing)
                    give(missing, place.group())
                self._away(target)
                self._rename(path, target)

    def undo(self) -> None:
        """Take all steps back, the last first. One that cannot be is left, and the others are taken back."""
        while self._undo:
            folder, step = self._undo.pop()
            with suppress(OSError), self._owner(folder):
                step()
        self.kept.clear()

    def _make(self, folder: Path) -> None:
        folder.mkdir(mode=0o750)
        self._undo.append((folder.parent, folder.rmdir))

    def _away(self, place: Path) -> None:
        if not os.path.lexists(place):
            return
        before = f"{place.name}.before-{self._now:%Y%m%dT%H%M%S}"
        names = [before, *(f"{before}-{n}" for n in range(2, 100))]
        kept = next(free for name in names if not os.path.lexists(free := place.with_name(name)))
        self._rename(place, kept)
        self.kept.append(kept)

    def _rename(self, source: Path, target: Path) -> None:
        source.rename(target)
        self._undo.append((target.parent, lambda: target.rename(source)))
        for folder in {source.parent, target.parent}:
            descriptor = os.open(folder, os.O_RDONLY | os.O_DIRECTORY)
            try:
                os.fsync(descriptor)
            finally:
                os.close(descriptor)


def give(path: Path, group: str) -> None:
    """Give a file to a group, if this host has it and we may."""
    with suppress(KeyError, PermissionError):
        os.chown(path, -1, grp.getgrnam(group).gr_gid)

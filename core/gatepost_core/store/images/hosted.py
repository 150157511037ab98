"""Hosted images: each account's in a folder of its own, under names that nobody else can work out.

``accounts/<id>/ab/abcd….png``: a name is made from the image and a secret of the account's (``salt``), so
that the same image of an account is kept once, and nobody learns by asking for a name whether another one
hosts an image that he has. Equal content of several accounts is one file with several names (hard links),
found by ``.content/ab/abcd…``. ``usage`` holds how many bytes an account has; it is locked while that
changes, and no message makes anybody walk through a folder. An image counts for each account that has it.

What ``put`` has returned is on disk: a message that refers to it may be accepted. An image that no room is
left for raises QuotaError, a store that cannot be written OSError. Images that no message has used for a
time are removed by ``prune``; a use within a day of the last is not noted anew.
"""

from __future__ import annotations

import hashlib
import os
import secrets
import shutil
import time
from contextlib import suppress
from pathlib import Path

from gatepost_core.domain.images import ImageStore, QuotaError, image_name, is_name
from gatepost_core.domain.memo import Recent
from gatepost_core.store.images.files import FOLDER, USAGE, counted, locked, size_of, sync, written

_REMEMBERED = 10_000
SALT = "salt"
_SALT_SIZE = 32
_CONTENT, _ACCOUNTS = ".content", "accounts"
_DAY = 86_400.0


class FileImageStore:
    """Images as files below ``directory``. For many threads and processes."""

    def __init__(self, directory: Path) -> None:
        self._directory = directory
        self._kept: Recent[tuple[int, str], bool] = Recent(_REMEMBERED)
        self._salts: Recent[int, bytes] = Recent(_REMEMBERED)

    def put(self, account: int, data: bytes, content_type: str, quota: int) -> str:
        """Return the image's name once file and directory entry are on disk: see ``ImageStore``."""
        name = image_name(self._salt(account), data, content_type)
        path = self.path(account, name)
        if not self._kept.get((account, name)) or not _fresh(path, len(data)):
            self._keep(account, path, data, quota)
            self._kept.put((account, name), True)
        return name

    def trial(self) -> ImageStore:
        """Return one that answers as this one would, and keeps nothing."""
        return _Trial(self)

    def folder(self, account: int) -> Path:
        """Return an account's folder."""
        return self._directory / _ACCOUNTS / str(account)

    def path(self, account: int, name: str) -> Path:
        """Return the file of an account's image. Raises ValueError for what is no name."""
        if not is_name(name):
            raise ValueError(f"{name[:80]!r} is no image's name")
        return self.folder(account) / name[:2] / name

    def used(self, account: int) -> int:
        """Return the bytes of an account's images. Raises OSError."""
        try:
            return int((self.folder(account) / USAGE).read_bytes())
        except (FileNotFoundError, ValueError):
            return counted(self.folder(account))

    def salt(self, account: int) -> bytes | None:
        """Return an account's secret, if it has one. Raises OSError."""
        with suppress(FileNotFoundError):
            found = (self.folder(account) / SALT).read_bytes()
            return found if len(found) == _SALT_SIZE else None
        return None

    def _salt(self, account: int) -> bytes:
        found = self._salts.get(account)
        if found is None:
            found = self.salt(account)
            if found is None:
                self.folder(account).mkdir(mode=FOLDER, parents=True, exist_ok=True)
                with locked(self.folder(account)):
                    found = self.salt(account) or self._new_salt(account)
            self._salts.put(account, found)
        return found

    def _new_salt(self, account: int) -> bytes:
        made = secrets.token_bytes(_SALT_SIZE)
        with written(self.folder(account), made) as temporary:
            temporary.rename(self.folder(account) / SALT)
        return made

    def _keep(self, account: int, path: Path, data: bytes, quota: int) -> None:
        """Have a file in its place, on disk, and counted; a message of now has used it."""
        with locked(self.folder(account)) as usage:
            there = size_of(path)
            if there == len(data):
                os.utime(path)
            elif usage.bytes - there + len(data) > quota:
                raise QuotaError(quota)
            else:
                usage.set(usage.bytes - there + len(data))
        if there != len(data):
            placed = False
            try:
                placed = self._place(path, data, replace=there > 0)
            finally:
                if not placed:
                    with locked(self.folder(account)) as usage:
                        usage.set(usage.bytes + there - len(data))
        # Also when another process made the file: its entry may not be on disk yet.
        for directory in (path.parent, self.folder(account)):
            sync(directory)

    def _place(self, path: Path, data: bytes, *, replace: bool) -> bool:
        """Give the image's file its name; False when another thread or process was first."""
        path.parent.mkdir(mode=FOLDER, exist_ok=True)
        digest = hashlib.sha256(data).hexdigest()
        content = self._directory / _CONTENT / digest[:2] / digest
        if not replace and _linked(content, path, len(data)):
            return True
        content.parent.mkdir(mode=FOLDER, parents=True, exist_ok=True)
        with written(path.parent, data) as temporary:
            with suppress(OSError):  # there already, or as many links as the file system takes
                os.link(temporary, content)
            if replace:
                temporary.rename(path)
                return True
            try:
                os.link(temporary, path)
            except FileExistsError:
                return False
        return True

    def forget(self, account: int) -> None:
        """Remove all that an account has. Raises OSError."""
        with suppress(FileNotFoundError):
            shutil.rmtree(self.folder(account))

    def prune(self, before: float) -> tuple[int, int]:
        """Remove images not used since ``before`` (seconds of the epoch); return how many, and their bytes.

        Each account is locked for itself meanwhile. Raises OSError.
        """
        removed = [0, 0]
        for folder in sorted((self._directory / _ACCOUNTS).glob("*")):
            with locked(folder) as usage:
                had = removed[1]
                _remove(folder, before, removed)
                usage.set(usage.bytes - (removed[1] - had))
        for folder in sorted(self._directory.glob("[0-9a-f][0-9a-f]")):  # those of the first releases
            _remove(folder.parent, before, removed, folder.name)
        for path in (self._directory / _CONTENT).glob("*/*"):
            if path.stat().st_nlink == 1:
                path.unlink(missing_ok=True)
        return removed[0], removed[1]


class _Trial:
    """Answers as a store would, for the images of one message; nothing is written."""

    def __init__(self, store: FileImageStore) -> None:
        self._store = store
        self._salt = secrets.token_bytes(_SALT_SIZE)
        self._new: dict[tuple[int, str], int] = {}

    def put(self, account: int, data: bytes, content_type: str, quota: int) -> str:
        """Return the name that the image would have: see ``ImageStore``."""
        name = image_name(self._store.salt(account) or self._salt, data, content_type)
        if (account, name) not in self._new and size_of(self._store.path(account, name)) != len(data):
            more = sum(size for (owner, _), size in self._new.items() if owner == account)
            if self._store.used(account) + more + len(data) > quota:
                raise QuotaError(quota)
            self._new[account, name] = len(data)
        return name

    def trial(self) -> ImageStore:
        """Return another one."""
        return _Trial(self._store)


def _remove(folder: Path, before: float, removed: list[int], part: str = "??") -> None:
    for path in folder.glob(f"{part}/*"):
        status = path.lstat()
        if status.st_mtime < before:
            path.unlink(missing_ok=True)
            if is_name(path.name):  # and not what a killed process was writing
                removed[0] += 1
                removed[1] += status.st_size


def _fresh(path: Path, size: int) -> bool:
    """Say whether a file is whole, and was used within a day, so that nothing is to be noted of it."""
    try:
        status = path.stat()
    except FileNotFoundError:
        return False
    return status.st_size == size and status.st_mtime > time.time() - _DAY


def _linked(content: Path, path: Path, size: int) -> bool:
    """Give a file with equal content one more name, if there is one; as used now before it has it."""
    with suppress(OSError):
        if size_of(content) == size:
            os.utime(content)
            os.link(content, path)
            return True
    return False

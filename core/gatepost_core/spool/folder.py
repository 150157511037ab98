"""The folder of a stream: made where it is missing, and refused in words where it is not ours.

Whoever may write to it decides what the store takes for accepted mail, so nobody else may. Two users do where
each daemon has one of its own: the stream's daemon, by the folder's group, and who owns the store and the
folder, who takes what was written.
"""

from __future__ import annotations

import os
import stat
from contextlib import suppress
from pathlib import Path

_MODE = 0o750


class SpoolFolderError(Exception):
    """A folder of the spool cannot be used as it is; the text says what was expected and what to do."""


def stream(directory: Path, name: str, keeper: int = 0) -> Path:
    """Return the folder of a stream below the spool's directory, made if need be. Raises SpoolFolderError.

    ``keeper``: number of the user who owns the store; he may own the folders too.
    """
    folder = directory / name
    try:
        for path in (directory, folder):
            _make(path)
        for path in (directory, folder):
            _check(path, keeper)
    except OSError as error:
        raise SpoolFolderError(
            f"spool.directory: {error.filename or folder}: {error.strerror}; expected a folder that this "
            f"daemon may make or write to. Make it: {_made(folder, name)}"
        ) from error
    if not os.access(folder, os.R_OK | os.W_OK | os.X_OK):
        raise SpoolFolderError(
            f"spool.directory: {folder} cannot be written by {_user()}; expected its own folder. Give it: "
            f"{_made(folder, name)}"
        )
    return folder


def streams(directory: Path) -> list[Path]:
    """Return the folders of the streams below the spool's directory; none where that is missing."""
    if not directory.is_dir():
        return []
    folders = (path for path in directory.iterdir() if path.name.isalnum())
    return sorted(path for path in folders if path.is_dir() and not path.is_symlink())


def check(directory: Path) -> None:
    """Look at the spool's directory, made if need be, and at each stream's. Raises SpoolFolderError."""
    try:
        _make(directory)
        for path in (directory, *(entry for entry in directory.iterdir() if entry.is_dir())):
            _check(path)
    except OSError as error:
        raise SpoolFolderError(
            f"spool.directory: {error.filename or directory}: {error.strerror}; expected a folder that this "
            f"daemon may make or read. Make it: install -d -m 750 -o {_user()} {directory}"
        ) from error


def _make(path: Path) -> None:
    if not path.exists():
        with suppress(FileExistsError):  # another daemon that starts just now has made it
            path.mkdir(_MODE)


def _made(folder: Path, name: str) -> str:
    """Return the command that makes a stream's folder, or gives it, for the user that this daemon runs as."""
    import grp  # noqa: PLC0415 - for a refusal only

    with suppress(KeyError):
        group = grp.getgrnam(f"gatepost-{name}")
        if group.gr_gid in os.getgroups():
            return f"install -d -m 2770 -o gatepost -g {group.gr_name} {folder}"
    return f"install -d -m 750 -o {_user()} {folder}"


def _check(path: Path, keeper: int = 0) -> None:
    status = path.stat()
    if not stat.S_ISDIR(status.st_mode):
        raise SpoolFolderError(f"spool.directory: {path} is no folder; move it away")
    if status.st_uid not in (0, os.geteuid(), keeper):
        raise SpoolFolderError(
            f"spool.directory: {path} belongs to the user {status.st_uid}; expected {_user()} or root, or "
            "the store's owner: who owns it can add and remove records of mail. Give it: "
            f"chown {_user()} {path}"
        )
    if status.st_mode & stat.S_IWOTH:
        raise SpoolFolderError(
            f"spool.directory: {path} can be written by everybody (mode {stat.S_IMODE(status.st_mode):o}); "
            f"expected 750. Set it: chmod 750 {path}"
        )


def _user() -> str:
    import pwd  # noqa: PLC0415 - for a refusal only

    try:
        return pwd.getpwuid(os.geteuid()).pw_name
    except KeyError:
        return str(os.geteuid())

"""Root works as the owner of what it touches: no file of root's is left among the daemons' files.

While a database or a key directory is made or used, the process's effective user, group and
supplementary groups are those of its owner (credentials(7)); files for the caller, such as
``explain --output``, are read and written as the caller. Other users than root stay who they are.
A directory that root owns is root's: nothing changes then.
"""

from __future__ import annotations

import errno
import os
import pwd
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path


@contextmanager
def as_owner_of(directory: Path) -> Iterator[None]:
    """Work as the owner of ``directory``, or of the one above it that exists.

    It holds for all threads of the process (setuid(2), C library/kernel differences). Raises OSError,
    also when a module is missing that is loaded late, because the owner may not read the program.
    """
    status = _existing(directory).stat()
    if os.geteuid() != 0 or status.st_uid == 0:
        yield
        return
    groups, gid = os.getgroups(), os.getegid()
    try:
        _become(status.st_uid, status.st_gid)
        yield
    except Exception as error:
        if os.access(__file__, os.R_OK, effective_ids=True) or not _of_the_program(error):
            raise
        raise PermissionError(
            errno.EACCES,
            f"{directory} belongs to user id {status.st_uid}, who may not read the program that works on "
            f"it; install that where all may read it, such as /opt/gatepost, not below {_closed()}",
        ) from error
    finally:
        os.seteuid(0)
        os.setegid(gid)
        os.setgroups(groups)


def _of_the_program(error: BaseException | None) -> bool:
    """Say whether an error, or what it was made of, tells of a part of the program that is loaded late."""
    from sqlalchemy.exc import NoSuchModuleError  # noqa: PLC0415 - `gatepost --help` does without

    while error is not None:
        if isinstance(error, ImportError | NoSuchModuleError):
            return True
        # What another library loads by a file's name: the scripts of the migrations.
        if isinstance(error, PermissionError) and str(error.filename).endswith(".py"):
            return True
        error = error.__cause__
    return False


def _closed() -> Path:
    """Return the first directory above the program that the effective user may not enter."""
    above = reversed(Path(__file__).parents)
    return next((place for place in above if not os.access(place, os.X_OK, effective_ids=True)), Path("/"))


def _become(uid: int, gid: int) -> None:
    """Take on a user with the groups that /etc/group gives, and the directory's for new files."""
    try:
        user = pwd.getpwuid(uid)
    except KeyError:
        os.setgroups([gid])
    else:
        os.initgroups(user.pw_name, user.pw_gid)
    os.setegid(gid)
    os.seteuid(uid)


def _existing(directory: Path) -> Path:
    absolute = directory.absolute()
    return next(place for place in (absolute, *absolute.parents) if place.exists())

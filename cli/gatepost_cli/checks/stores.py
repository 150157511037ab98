"""The databases: there, at this release's schema, and the daemons' own to read and write."""

from __future__ import annotations

import os
import pwd
from collections.abc import Iterator
from pathlib import Path

from gatepost_cli.checks.base import Context, Finding, fault, good
from gatepost_cli.owner import as_owner_of
from gatepost_core.store import StoreUnavailable, database_file, migrate

_UPGRADE = "run 'gatepost store upgrade'"


def store(context: Context) -> Iterator[Finding]:
    """Look at both databases."""
    for database in migrate.DATABASES:
        file = database_file(migrate.url_of(context.settings.store, database))
        if not file.exists():
            yield fault(str(file), "missing", "a database", _UPGRADE)
            continue
        yield from _files(file)
        yield _schema(context, database, file)


def user_name(uid: int) -> str:
    """Return the name of a user, or its number where it has none."""
    try:
        return pwd.getpwuid(uid).pw_name
    except KeyError:
        return str(uid)


def _files(file: Path) -> Iterator[Finding]:
    """Hold a database's files against the owner of their directory, who is the daemons' user."""
    uid = file.parent.stat().st_uid
    owner = user_name(uid)
    for one in (file, *(file.with_name(f"{file.name}{end}") for end in ("-wal", "-shm"))):
        if not one.exists():  # SQLite makes and removes the other two
            continue
        status = one.stat()
        if status.st_uid != uid:
            found = f"belongs to {user_name(status.st_uid)}"
            yield fault(str(one), found, f"as its directory: {owner}", f"run 'chown {owner} {one}'")
        elif status.st_mode & 0o007:
            found = f"mode {status.st_mode & 0o777:04o}"
            yield fault(str(one), found, "no access for others", f"run 'chmod 0640 {one}'")
        elif not _usable(one):
            yield fault(
                str(one),
                f"{owner} cannot read and write it, or make files beside it",
                f"files and a directory that {owner} can write",
                f"look at the modes of {one} and of each directory above it; as another user than root, run "
                "doctor as root",
            )


def _usable(file: Path) -> bool:
    with as_owner_of(file.parent):
        mine = os.access(file, os.R_OK | os.W_OK, effective_ids=True)
        return mine and os.access(file.parent, os.W_OK | os.X_OK, effective_ids=True)


def _schema(context: Context, database: migrate.Database, file: Path) -> Finding:
    try:
        with as_owner_of(file.parent):
            behind = migrate.behind(context.settings.store, database)
    except StoreUnavailable as error:
        text = str(error).removeprefix(f"{file}: ")
        return fault(str(file), text, "a database that can be read", "run as root, or restore it")
    if behind:
        return fault(str(file), "another schema", "this release's schema", _UPGRADE)
    return good(str(file), "readable, at this release's schema")

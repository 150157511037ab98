"""The databases: there, at this release's schema, and the daemons' own to read and write."""

from __future__ import annotations

import os
import pwd
from collections.abc import Iterable, Iterator
from pathlib import Path

from gatepost_cli.checks.base import Context, Finding, fault, good
from gatepost_cli.owner import as_owner_of
from gatepost_core.store import StoreUnavailable, migrate
from gatepost_core.store.backend import DATABASES, Database

_UPGRADE = "run 'gatepost store upgrade'"


def store(context: Context) -> Iterator[Finding]:
    """Look at both databases."""
    for database in DATABASES:
        where, files = context.store.where(database), context.store.files(database)
        if files and not files[0].exists():
            yield fault(where, "missing", "a database", _UPGRADE)
            continue
        yield from _files(files)
        yield _schema(context, database, where)


def user_name(uid: int) -> str:
    """Return the name of a user, or its number where it has none."""
    try:
        return pwd.getpwuid(uid).pw_name
    except KeyError:
        return str(uid)


def _files(files: Iterable[Path]) -> Iterator[Finding]:
    """Hold a database's files against the owner of their directory, who is the daemons' user."""
    for one in files:
        if not one.exists():  # some come and go
            continue
        status, uid = one.stat(), one.parent.stat().st_uid
        owner = user_name(uid)
        if status.st_uid != uid:
            found = f"belongs to {user_name(status.st_uid)}"
            yield fault(str(one), found, f"as its directory: {owner}", f"run 'chown {owner} {one}'")
        elif status.st_mode & 0o007:
            found = f"mode {status.st_mode & 0o777:04o}"
            yield fault(str(one), found, "no access for others", f"run 'chmod 0640 {one}'")
        elif not _usable(one):
            found = f"{owner} cannot read and write it, or make files beside it"
            advice = f"look at the modes of {one} and of each directory above it, or run doctor as root"
            yield fault(str(one), found, f"files and a directory that {owner} can write", advice)


def _usable(file: Path) -> bool:
    with as_owner_of(file.parent):
        mine = os.access(file, os.R_OK | os.W_OK, effective_ids=True)
        return mine and os.access(file.parent, os.W_OK | os.X_OK, effective_ids=True)


def _schema(context: Context, database: Database, where: str) -> Finding:
    try:
        schema = context.store.revision(database)
    except StoreUnavailable as error:
        text = str(error).removeprefix(f"{where}: ")
        return fault(where, text, "a database that can be read", "run as root, or restore it")
    if schema != migrate.head(database):
        return fault(where, "another schema", "this release's schema", _UPGRADE)
    return good(where, "readable, at this release's schema")

"""The key directory: a key for each purpose, all that the store needs, nothing of it open to everybody."""

from __future__ import annotations

import os
from collections.abc import Iterator

from sqlalchemy import select

from gatepost_cli.checks.base import Context, Finding, fault, good
from gatepost_cli.checks.stores import user_name
from gatepost_cli.owner import as_owner_of
from gatepost_cli.sharing import Shared, astray
from gatepost_core.keys import Keyring, KeyringError, dkim_keys
from gatepost_core.store import domains
from gatepost_core.store.schema import secrets

_RESTORE = "restore the key directory from the backup that goes with the database"


def keys(context: Context) -> Iterator[Finding]:
    """Look at the directory's mode, then read every key, as the daemons' user and against the store."""
    directory = context.settings.keys.directory
    if directory.is_dir():
        if (mode := directory.stat().st_mode & 0o777) & 0o007:
            advice = f"run 'chmod 0750 {directory}'"
            yield fault(str(directory), f"mode {mode:04o}", "0750: no access for others", advice)
        else:
            yield good(str(directory), f"mode {mode:04o}")
    try:
        keyring = Keyring.load(directory)
    except KeyringError as error:
        found, _, advice = str(error).partition("; ")
        yield fault(str(directory), found, "a readable key for each purpose, mode 0640", advice)
        return
    count = sum(len(ids) for ids in keyring.keys.values())
    yield good(str(directory), f"{count} keys, for {', '.join(keyring.keys)}")
    yield from _theirs(context)
    yield from (fault(*one) for one in astray(Shared.of(context.settings)))
    file = context.store.file("directory")
    if file is None or file.exists():
        yield from _passwords(context, keyring)
        yield from _sealed(context, keyring)


def _theirs(context: Context) -> Iterator[Finding]:
    """Say which keys are not the daemons' user's, who owns the store, or are out of his reach."""
    place = context.store.home
    if not place.exists():
        return
    yield from _strangers(context, place.stat().st_uid)
    with as_owner_of(place):
        user = user_name(os.geteuid())
        unreadable = [
            file
            for file in sorted(context.settings.keys.directory.glob("*.key"))
            if not os.access(file, os.R_OK, effective_ids=True)
        ]
        reachable = os.access(context.settings.keys.directory, os.R_OK | os.X_OK, effective_ids=True)
    if not reachable:
        directory = context.settings.keys.directory
        expected, advice = f"readable to {user}, who owns the store", f"run 'chown -R {user} {directory}'"
        yield fault(str(directory), f"{user} cannot read it", expected, advice)
    for file in unreadable:
        yield fault(str(file), f"{user} cannot read it", f"readable to {user}", f"run 'chown {user} {file}'")


def _strangers(context: Context, uid: int) -> Iterator[Finding]:
    """Say what belongs to a third user, who could put other keys in place."""
    directory, owner = context.settings.keys.directory, user_name(uid)
    for path in (directory, *sorted(directory.glob("*.key"))):
        found = path.stat().st_uid
        if found not in (0, uid):
            expected = f"the keys of {owner}, who owns the store, or root's"
            belongs = f"belongs to {user_name(found)}"
            yield fault(str(path), belongs, expected, f"run 'chown {owner} {path}'")


def _passwords(context: Context, keyring: Keyring) -> Iterator[Finding]:
    """Say which keys the stored passwords were hashed with and the directory has not."""
    with context.directory() as connection:
        named = {row.key_id for row in connection.execute(select(secrets.c.key_id).distinct())}
    for key_id in sorted(named - set(keyring.keys["password"])):
        file = str(context.settings.keys.directory / f"password-{key_id}.key")
        found = "missing: logins whose password it hashed are answered 454"
        yield fault(file, found, "each key that a stored password names", _RESTORE)


def _sealed(context: Context, keyring: Keyring) -> Iterator[Finding]:
    """Open every DKIM key that may still sign."""
    with context.directory() as connection:
        registered = domains.list_all(connection)
    for domain in registered:
        for key in domain.keys:
            if key.retires_at is not None and key.retires_at <= context.now:
                continue
            try:
                dkim_keys.open_private(keyring, domain.name, key)
            except KeyringError as error:
                found, _, advice = str(error).partition("; ")
                yield fault(f"DKIM key {key.selector} of {domain.name}", found, "a key that opens", advice)

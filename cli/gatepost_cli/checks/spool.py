"""The spool: whose its folders are, how full they are, and what of it the store does not take."""

from __future__ import annotations

import stat
from collections.abc import Iterator
from pathlib import Path

from gatepost_cli import behind
from gatepost_cli.checks.base import Context, Finding, fault, good, note
from gatepost_cli.checks.stores import user_name
from gatepost_cli.sharing import open_to
from gatepost_core.spool import asides, streams, used
from gatepost_core.store.ingest import drained

_LATE = 10  # seconds; what flows is taken within one
_NEARLY = 0.75  # what the store has goes at half
_LOG = "see whether gatepost-events runs (the check daemons), and what its log says"


def spool(context: Context) -> Iterator[Finding]:
    """Look at the spool's directory, at each stream in it, and at what the store has not."""
    settings = context.settings.spool
    if not settings.directory.is_dir():
        advice = "run 'systemd-tmpfiles --create', or start gatepost-milter, which makes it"
        yield fault(str(settings.directory), "missing", "the spool's directory", advice)
        return
    uid = context.store.home.stat().st_uid
    yield _folder(settings.directory, uid)
    for folder in streams(settings.directory):
        yield _folder(folder, uid, open_to(folder))
        has, most = used(folder), settings.limits.get(folder.name, 0)
        if most and has > _NEARLY * most:
            found = f"{has:,} of {most:,} bytes taken; once it is full, messages get 451"
            yield fault(str(folder), found, "less than three quarters", f"{_LOG}; it makes room by itself")
        for path in asides(folder):
            advice = "a process that was killed leaves such; with a good disk, remove it"
            yield note(str(path), f"{path.stat().st_size:,} bytes could not be read", "none", advice)
    yield from _left(context)


def _folder(path: Path, uid: int, shared: int = 0) -> Finding:
    status = path.stat()
    mode = stat.S_IMODE(status.st_mode)
    found, owner = f"of {user_name(status.st_uid)}, mode {mode:04o}", user_name(uid)
    if status.st_uid == uid and not mode & 0o027 & ~shared:
        return good(str(path), found)
    advice = f"run 'chown {owner} {path}' and 'chmod 0750 {path}': who can write there can forge records"
    return fault(str(path), found, f"of {owner}, mode 0750", advice)


def _left(context: Context) -> Iterator[Finding]:
    """Say what has waited for long, and in which files it is."""
    directory, now = context.settings.spool.directory, context.now.timestamp()
    if (found := behind.look(context)) and (found.seconds or 0) > _LATE:
        waits = f"{found.entries:,} records wait, the first for {behind.span(found.seconds or 0)}"
        yield fault(str(directory), waits, "all in the store within a second", _LOG)
    with context.journal() as connection:
        files = list(drained.left(connection, directory))
    for path, why in [one for one in files if now - one[0].stat().st_mtime > _LATE][:5]:
        yield fault(str(path), why, "a file of which the store has all", _LOG)

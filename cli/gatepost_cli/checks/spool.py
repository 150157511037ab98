"""What the store takes: the spool, whose its folders are and how full they are; and the mail log."""

from __future__ import annotations

import stat
from collections.abc import Iterator
from datetime import timedelta
from pathlib import Path

from gatepost_cli import behind
from gatepost_cli.checks.base import Context, Finding, fault, good, note
from gatepost_cli.checks.stores import user_name
from gatepost_cli.sharing import open_to
from gatepost_core.domain import stamp
from gatepost_core.spool import asides, streams, used
from gatepost_core.store.ingest import drained

_LATE = 10  # seconds; what flows is taken within one
_NEARLY = 0.75  # what the store has goes at half
_LATELY = timedelta(days=7)
_DELIVERIES = "see docs/deliveries.md on events.log"
_LOST = "journald drops lines of busy services: set RateLimitIntervalSec=0 there; see docs/deliveries.md"
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
    if not (refused := settings.directory / "policy").is_dir():
        advice = "run 'systemd-tmpfiles --create', then restart gatepost-policy: refusals are only logged"
        yield note(str(refused), "missing", "a folder that gatepost-policy may write", advice)
    yield from _left(context)


def mail_log(context: Context) -> Iterator[Finding]:
    """Hold how far the logs are read against the newest message, and look for lines that they lost."""
    heard = behind.heard(context)
    if context.settings.events.log == "none":
        yield note("mail log", "not read (events.log = none)", "read: deliveries are not known", _DELIVERIES)
    elif heard.silent:
        found = f"it tells nothing of the newest message, of {stamp(heard.silent)}"
        yield fault("mail log", found, "each message within seconds", f"{_LOG}; {_DELIVERIES}")
    else:
        read = f"read; its last line is of {stamp(heard.told)}" if heard.told else "nothing to read yet"
        yield good("mail log", read)
    for one in heard.logs:
        if one.lost_at and one.lost_at > context.now - _LATELY:
            found = f"{one.lost:,} lines are missing, as was noticed last at {stamp(one.lost_at)}"
            yield note(f"mail log of {one.node}", found, "each line of Postfix's", _LOST)


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

"""The release that is installed, and who may read its settings or change its programs.

A gateway has releases side by side, ``releases/<version>``, and a link ``current`` to the one in use.
"""

from __future__ import annotations

import os
import sys
from collections.abc import Iterator
from pathlib import Path

from gatepost_cli.checks.base import Context, Finding, fault, good
from gatepost_cli.checks.daemons import DAEMONS
from gatepost_cli.checks.stores import user_name
from gatepost_cli.owner import as_owner_of
from gatepost_core import __version__
from gatepost_core.settings import Settings, fields, is_secret

_PROGRAMS = ("gatepost", *(f"gatepost-{one.name}" for one in DAEMONS))


def release(context: Context) -> Iterator[Finding]:
    """Look at this release's directory and at the files that settings came from."""
    yield from installed(Path(sys.prefix).resolve())
    yield from _settings(context)


def installed(prefix: Path) -> Iterator[Finding]:
    """Look at the release that has the Python environment ``prefix``."""
    if prefix.parent.name != "releases":
        yield good(str(prefix), f"version {__version__}, not installed as a release")
        return
    yield _current(prefix)
    for place in (prefix, *(prefix / "bin" / name for name in _PROGRAMS)):
        if not place.exists():
            advice = "install the release again"
            yield fault(str(place), "missing", "a program of the release", advice)
        elif place.stat().st_mode & 0o022:
            mode = place.stat().st_mode & 0o777
            yield fault(str(place), f"mode {mode:04o}", "not writable to others", f"run 'chmod go-w {place}'")


def _current(prefix: Path) -> Finding:
    link = prefix.parent.parent / "current"
    target = link.resolve()
    if not link.exists():
        found = f"leads to {target}, which is missing" if link.is_symlink() else "missing"
        return fault(str(link), found, "a link to the release in use", f"run 'ln -sfn {prefix} {link}'")
    if target != prefix.resolve():
        expected, advice = (
            f"{prefix}, the release of this command",
            f"run {link}/bin/gatepost, or set the link",
        )
        return fault(str(link), f"leads to {target}", expected, advice)
    return good(str(link), f"version {__version__}")


def _settings(context: Context) -> Iterator[Finding]:
    """Look at the files of settings: closed to others where they hold a secret, open to the daemons' user."""
    place = context.store.home
    for file, secret in sorted(_files(context.settings).items()):
        mode = file.stat().st_mode & 0o777
        if secret and mode & 0o007:
            expected = "no access for others: it holds a password"
            yield fault(str(file), f"mode {mode:04o}", expected, f"run 'chmod 0640 {file}'")
        elif place.exists():
            yield _readable(file, place)


def _readable(file: Path, place: Path) -> Finding:
    with as_owner_of(place):
        user = user_name(os.geteuid())
        readable = os.access(file, os.R_OK, effective_ids=True)
    if readable:
        return good(str(file), f"readable to {user}")
    advice = f"run 'chgrp {user} {file}' and 'chmod 0640 {file}'"
    return fault(str(file), f"{user} cannot read it", f"readable to {user}, who owns the store", advice)


def _files(settings: Settings) -> dict[Path, bool]:
    """Return the files that values came from, and whether one of these is a secret."""
    found: dict[Path, bool] = {}
    for name, info in fields():
        origin, _, own = settings.origin(name).partition(", file ")
        section, _, field = name.partition(".")
        value = str(getattr(getattr(settings, section), field))
        # The URL of an SQLite database holds no password.
        secret = is_secret(info) and bool(value) and not value.startswith("sqlite:")
        file = Path(own or origin)
        if file.is_absolute() and file.is_file():
            found[file] = found.get(file, False) or secret
    return found

"""The databases: there, readable, and at this release's schema."""

from __future__ import annotations

from collections.abc import Iterator

from gatepost_cli.checks.base import Context, Finding, fault, good
from gatepost_core.store import StoreUnavailable, migrate
from gatepost_core.store.engine import database_file

_UPGRADE = "run 'gatepost store upgrade'"


def store(context: Context) -> Iterator[Finding]:
    """Look at both databases."""
    settings = context.settings.store
    files = {line: str(database_file(migrate.url_of(settings, line))) for line in migrate.LINES}
    try:
        behind = migrate.pending(settings)
    except StoreUnavailable as error:
        yield fault(
            files["directory"], str(error), "a database that can be read", "run as root, or restore it"
        )
        return
    for line in migrate.LINES:
        if not database_file(migrate.url_of(settings, line)).exists():
            yield fault(files[line], "missing", "a database", _UPGRADE)
        elif line in behind:
            yield fault(files[line], "an older schema", "this release's schema", _UPGRADE)
        else:
            yield good(files[line], "readable, at this release's schema")

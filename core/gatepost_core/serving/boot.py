"""The command line that all daemons share: ``--config``, ``--set``, ``--check``.

A configuration that cannot be used ends the daemon before it serves anything: its text goes to
standard error, the exit status is 4.
"""

from __future__ import annotations

import functools
import sys
from collections.abc import Callable, Sequence
from datetime import UTC, datetime

import click

from gatepost_core.domain.errors import StoreUnavailable
from gatepost_core.keys.keyring import KeyringError
from gatepost_core.serving import log, scratch
from gatepost_core.serving.listen import ListenError
from gatepost_core.settings import Settings, SettingsError, load
from gatepost_core.store.locate import database_file
from gatepost_core.store.reader import Reader

BAD_CONFIGURATION = 4


def command(
    name: str, text: str, check: Callable[[Settings], object], serve: Callable[[Settings], int]
) -> click.Command:
    """Return ``gatepost-<name>``.

    ``check`` raises SettingsError, ListenError or KeyringError for what cannot be used; ``serve`` runs
    until the daemon is told to stop, and returns the exit status.
    """

    @click.command(name=f"gatepost-{name}", help=text)
    @click.option("--config", "config", metavar="FILE", help="Settings file (TOML).")
    @click.option("--set", "assignments", metavar="SECTION.FIELD=VALUE", multiple=True, help="One setting.")
    @click.option("--check", "only_check", is_flag=True, help="Check the configuration and exit.")
    def run(config: str | None, assignments: tuple[str, ...], only_check: bool) -> None:
        try:
            settings = load(config, _overrides(assignments))
            log.configure(settings.log.format, settings.log.level, name)
            check(settings)
            if not only_check:
                _sweep(settings)
            status = 0 if only_check else serve(settings)
        except (SettingsError, ListenError, KeyringError) as error:
            click.echo(f"gatepost-{name}: {error}", err=True)
            sys.exit(BAD_CONFIGURATION)
        if only_check:
            click.echo(f"gatepost-{name}: the configuration is good")
        sys.exit(status)

    return run


def _sweep(settings: Settings) -> None:
    """Remove what a killed backup or restore left beside databases, keys and images."""
    store = database_file(settings.store.url).parent
    for place in {store, settings.keys.directory.parent, settings.images.directory.parent}:
        scratch.sweep(place)


def _overrides(assignments: Sequence[str]) -> dict[str, str]:
    overrides: dict[str, str] = {}
    for assignment in assignments:
        setting, equals, value = assignment.partition("=")
        if not equals:
            raise SettingsError(f"--set {assignment}: expected SECTION.FIELD=VALUE")
        overrides[setting] = value
    return overrides


def open_reader(url: str) -> Reader:
    """Return a reader for the workers, used once and closed again before they are forked.

    What SQLAlchemy loads and compiles at first use is then in pages that all workers share: 9 MB less
    in each. A store that cannot be opened is logged; workers try again at each look-up.
    """
    reader = Reader(url)
    try:
        reader.credential("")
        reader.bounce_domain("")
    except StoreUnavailable as error:
        log.warning("store unavailable, trying again at each request", error=str(error))
    finally:
        reader.close()
    return reader


# The time, in UTC; without a Python function, as it is asked for at each request.
utc_now: Callable[[], datetime] = functools.partial(datetime.now, UTC)

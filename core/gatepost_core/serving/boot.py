"""The start of every daemon: its command line, its settings, and what it runs on.

``gatepost-NAME --config FILE --set SECTION.FIELD=VALUE`` serves until SIGTERM, with ``--check`` it only looks
at its configuration. One that cannot be used ends the daemon before it serves anything: the text goes to
standard error, the exit status is 4. A daemon's ``serve`` says what is wired to what: it takes from ``Boot``
what it needs, in the parent, and hands ``run`` the work of a worker, whatever loop that has.
"""

from __future__ import annotations

import sys
from collections.abc import Callable, Collection, Sequence
from contextlib import suppress
from pathlib import Path
from typing import Generic, TypeVar

import click

from gatepost_core.domain.errors import StoreUnavailable
from gatepost_core.keys.keyring import Keyring, KeyringError, Purpose
from gatepost_core.serving import log, scratch
from gatepost_core.serving.lineserver import Observer
from gatepost_core.serving.listen import ListenError, open_listener, parse_address
from gatepost_core.serving.metrics import Metrics, observing
from gatepost_core.serving.prefork import Hooks, Supervisor, Work, WorkerContext
from gatepost_core.settings import Settings, SettingsError, load
from gatepost_core.settings.base import Daemon
from gatepost_core.spool import SpoolFolderError, stream
from gatepost_core.store import CountersReader, Reader, home

BAD_CONFIGURATION = 4
D = TypeVar("D", bound=Daemon)


class Boot(Generic[D]):
    """What a daemon starts with: settings and its own section of them, keys, the socket, metrics.

    Raises KeyringError or ListenError for what cannot be used.
    """

    def __init__(
        self,
        name: str,
        settings: Settings,
        section: D,
        *,
        keys: Collection[Purpose] = (),
        group: str = "postfix",
    ) -> None:
        self._name = name
        self.settings = settings
        self.section = section
        self._keyring = Keyring.load(settings.keys.directory, keys) if keys else None
        self.listener = open_listener(parse_address(section.listen), group=group)
        self.metrics = Metrics(name, section.metrics_listen)
        self._at_end: list[Callable[[], object]] = [self.metrics.flush]

    @property
    def keyring(self) -> Keyring:
        """The keys of the purposes that the daemon needs. Raises KeyringError for one that needs none."""
        if self._keyring is None:
            raise KeyringError(f"gatepost-{self._name} has no keys")
        return self._keyring

    def reader(self) -> Reader:
        """Return a reader of the store for the workers, used once and closed again before they are forked.

        What is loaded and compiled at first use is then in pages that all workers share: 9 MB less in
        each. A store that cannot be opened is logged; workers try again at each look-up.
        """
        reader = Reader(self.settings.store.url)
        try:
            reader.credential("")
            reader.bounce_domain("")
        except StoreUnavailable as error:
            log.warning("store unavailable, trying again at each request", error=str(error))
        finally:
            reader.close()
        self._at_end.append(reader.close)
        return reader

    def counts(self) -> CountersReader:
        """Return what reads the counters of limits in the workers. Nothing is open yet."""
        reader = CountersReader(self.settings.limits.counters)
        self._at_end.append(reader.close)
        return reader

    def stream(self, name: str) -> Path:
        """Return the folder of the stream that this daemon writes. Raises SpoolFolderError.

        It may be the user's who owns the store: he reads it.
        """
        owner = 0
        with suppress(OSError):
            owner = home(self.settings.store).stat().st_uid
        return stream(self.settings.spool.directory, name, owner)

    def observer(self, answered: str) -> Observer:
        """Return what a line server tells of itself; ``answered`` is the help text of its request times."""
        connections = self.metrics.gauge("connections", "Connections open now.")
        seconds = self.metrics.histogram("request_seconds", answered)
        return Observer(connections.inc, self.metrics.batched(observing(seconds)), self.metrics.hung)

    def run(self, work: Work, *, extra_seconds: float = 0.0, process_group: bool = False) -> int:
        """Have ``work`` done by the workers until SIGTERM; return the exit status.

        They have ``drain_seconds`` to end, and ``extra_seconds``; ``process_group``: each is one.
        """

        def whole(context: WorkerContext) -> None:
            work(context)
            for end in self._at_end:
                end()

        metrics = self.metrics
        return Supervisor(
            self._name,
            self.section.workers,
            whole,
            drain_seconds=self.section.drain_seconds + extra_seconds,
            hooks=Hooks(in_child=metrics.in_child, hung=metrics.hung, died=metrics.died, ended=metrics.close),
            hang_seconds=self.section.hang_seconds,
            helpers=metrics.helpers,
            process_group=process_group,
        ).run()


def command(
    name: str,
    text: str,
    section: Callable[[Settings], D],
    serve: Callable[[Boot[D]], int],
    *,
    check: Callable[[Settings], object] = lambda _: None,
    only_checked: Callable[[Settings], object] = lambda _: None,
    keys: tuple[Purpose, ...] = (),
    group: str = "postfix",
) -> click.Command:
    """Return ``gatepost-<name>``, which serves by ``section`` of the settings.

    ``serve`` runs until the daemon is told to stop, and returns the exit status. ``check`` raises
    SettingsError for what this daemon cannot use; addresses and keys are looked at here. ``only_checked``
    raises StoreUnavailable for what it can do without: ``--check`` alone asks. ``keys``: the
    purposes of those that it needs; ``group`` may use the socket, if the daemon binds it itself (empty: the
    daemon's own).
    """

    def start(settings: Settings, *, only_check: bool) -> int:
        log.configure(settings.log.format, settings.log.level, name)
        check(settings)
        own = section(settings)
        parse_address(own.listen)
        if own.metrics_listen:
            parse_address(own.metrics_listen)
        if keys:
            Keyring.load(settings.keys.directory, keys)
        if only_check:
            try:
                only_checked(settings)
            except StoreUnavailable as error:
                raise SettingsError(str(error)) from error
            click.echo(f"gatepost-{name}: the configuration is good")
            return 0
        _sweep(settings)
        return serve(Boot(name, settings, own, keys=keys, group=group))

    @click.command(name=f"gatepost-{name}", help=text)
    @click.option("--config", "config", metavar="FILE", help="Settings file (TOML).")
    @click.option("--set", "assignments", metavar="SECTION.FIELD=VALUE", multiple=True, help="One setting.")
    @click.option("--check", "only_check", is_flag=True, help="Check the configuration and exit.")
    def run(config: str | None, assignments: tuple[str, ...], only_check: bool) -> None:
        try:
            sys.exit(start(load(config, _overrides(assignments)), only_check=only_check))
        except (SettingsError, ListenError, KeyringError, SpoolFolderError) as error:
            click.echo(f"gatepost-{name}: {error}", err=True)
            sys.exit(BAD_CONFIGURATION)

    return run


def _sweep(settings: Settings) -> None:
    """Remove what a killed backup or restore left beside databases, keys and images, and in the spool."""
    others = (settings.keys.directory.parent, settings.images.directory.parent, settings.spool.directory)
    for place in {home(settings.store), settings.limits.counters.parent, *others}:
        scratch.sweep(place)


def _overrides(assignments: Sequence[str]) -> dict[str, str]:
    overrides: dict[str, str] = {}
    for assignment in assignments:
        setting, equals, value = assignment.partition("=")
        if not equals:
            raise SettingsError(f"--set {assignment}: expected SECTION.FIELD=VALUE")
        overrides[setting] = value
    return overrides

"""What one run of the command works with: settings, databases and keys, each opened when needed.

Everything here raises the core's own errors (SettingsError, StoreUnavailable, KeyringError);
``main`` turns them into texts and exit codes. Run by root, the databases are used as their owner.
"""

from __future__ import annotations

import importlib
import sys
from collections.abc import Callable, Iterator, Mapping
from contextlib import closing, contextmanager
from dataclasses import dataclass, field
from datetime import UTC, datetime
from functools import cached_property
from typing import TYPE_CHECKING, Any, TypeVar

import click

from gatepost_cli.caller import caller
from gatepost_cli.owned import OwnedStore

if TYPE_CHECKING:
    from sqlalchemy import Connection

    from gatepost_core.keys import Keyring
    from gatepost_core.service import Context
    from gatepost_core.service.changing import Change
    from gatepost_core.settings import Settings
    from gatepost_core.store import Reader


@dataclass
class CliSession:
    """One run: the options before the noun, and what follows from them."""

    config: str | None = None
    overrides: Mapping[str, str] = field(default_factory=dict)
    as_json: bool = False

    @cached_property
    def settings(self) -> Settings:
        """The settings in force. Raises SettingsError."""
        loaded: Settings = _core("settings").load(self.config, self.overrides)
        return loaded

    @cached_property
    def keyring(self) -> Keyring:
        """The keys. Raises KeyringError."""
        keyring: Keyring = _core("keys.keyring").Keyring.load(self.settings.keys.directory)
        return keyring

    @property
    def now(self) -> datetime:
        """The time, UTC."""
        return datetime.now(UTC)

    @cached_property
    def store(self) -> OwnedStore:
        """The store, worked with as its owner."""
        return owned(self.settings)

    @property
    def context(self) -> Context:
        """What the service layer is given: whoever runs the command is an operator of the gateway."""
        actor = _core("domain.access").node(caller())
        context: Context = _core("service").Context(actor, self.store, self.settings, lambda: self.keyring)
        return context

    @contextmanager
    def changing(self) -> Iterator[Change]:
        """Open the directory for a change that is noted in the audit log; committed at the end."""
        with _core("service.changing").changing(self.context) as work:
            yield work

    @contextmanager
    def directory(self, *, write: bool = False) -> Iterator[Connection]:
        """Open the database of accounts, credentials and domains; ``write`` commits at the end."""
        with self.store.directory(write=write) as connection:
            yield connection

    @contextmanager
    def journal(self) -> Iterator[Connection]:
        """Open the database of messages and last use, for reading."""
        with self.store.journal() as connection:
            yield connection

    @contextmanager
    def reader(self) -> Iterator[Reader]:
        """Open the daemons' own view of credentials and domains. Raises StoreUnavailable."""
        with closing(self.store.reader()) as reader:
            yield reader


def owned(settings: Settings) -> OwnedStore:
    """Return the store that settings name, worked with as its owner. Nothing is opened before it is used."""
    return OwnedStore(_core("store.opening").open_backend(settings.store))


pass_session = click.make_pass_decorator(CliSession)
_F = TypeVar("_F", bound=Callable[..., Any])


def confirmed(session: CliSession, question: str, why: str = "this cannot be undone") -> None:
    """Ask a person, who has to say yes. Raises UsageError where nobody can be asked, Abort for a no."""
    if session.as_json or not sys.stdin.isatty():
        raise click.UsageError(f"{why}, and nobody can be asked here; give --yes to have it done")
    click.confirm(question, abort=True, err=True)


def json_option(command: _F) -> _F:
    """Give a command the ``--json`` flag, which ends up in ``Session.as_json``."""
    return click.option(
        "--json",
        "as_json",
        is_flag=True,
        expose_value=False,
        callback=_remember,
        help="Print JSON on standard output, errors as JSON on standard error.",
    )(command)


def _remember(ctx: click.Context, _param: click.Parameter, value: bool) -> None:
    session = ctx.find_object(CliSession)
    if session is not None:
        session.as_json = value


def _core(module: str) -> Any:
    """Import a module of the core at its first use: pydantic and SQLAlchemy take 0.1 s each."""
    return importlib.import_module(f"gatepost_core.{module}")

"""A real store on disk with known credentials, for tests of daemons and sessions."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from pathlib import Path

from sqlalchemy import Connection, Engine

from gatepost_core.domain import Rules, Source, State, WallMode
from gatepost_core.keys import Keyring, passwords
from gatepost_core.keys.keyring import create_missing
from gatepost_core.settings import Settings, load
from gatepost_core.store import accounts, credentials, domains, migrate
from gatepost_core.store.claims import grants
from gatepost_core.store.sqlite.engine import open_engine

PASSWORD = "correct horse"
BOUNCES = "bounces.example.test"


@dataclass(frozen=True)
class Store:
    """The folder with ``gatepost.toml``, its settings and keys."""

    folder: Path
    settings: Settings
    keyring: Keyring

    @property
    def config(self) -> Path:
        return self.folder / "gatepost.toml"

    def engine(self) -> Engine:
        return open_engine(self.settings.store.url)

    @contextmanager
    def writing(self) -> Iterator[Connection]:
        """Change the directory in one transaction, as the command line does; nothing is left open."""
        engine = self.engine()
        try:
            with engine.begin() as connection:
                yield connection
        finally:
            engine.dispose()

    def other_account(self, name: str = "beta", domain: str = "beta.test", *, granted: bool = False) -> None:
        """Make another account with a sender domain of its own, perhaps granted to ``acme``."""
        now = datetime.now(UTC)
        with self.writing() as connection:
            accounts.add(connection, name, now)
            domains.add(
                connection,
                account=name,
                name=domain,
                click_domain=f"click.{domain}",
                bounce_domain=f"bounces.{domain}",
                keys=(),
                now=now,
            )
            if granted:
                grants.grant(connection, domain, "acme", now)

    def set_walls(self, mode: WallMode) -> None:
        """Have walls enforced or only reported, as the command line does."""
        with self.writing() as connection:
            grants.set_walls(connection, mode)

    def external(self, username: str, source: Source) -> None:
        """Make a credential whose password a directory knows."""
        with self.writing() as connection:
            credentials.add(
                connection,
                account="acme",
                username=username,
                derived=None,
                now=datetime.now(UTC),
                source=source,
            )

    def set_state(self, username: str, state: State) -> None:
        """Disable or enable a credential, as the command line does."""
        with self.writing() as connection:
            credentials.change(connection, username, state=state)


def make_store(folder: Path) -> Store:
    """Make credentials: ``alice``, ``jörg``; ``bob`` held to bob.test; ``off`` disabled; ``old`` expired."""
    toml = f'[store]\nurl = "sqlite:///{folder}/directory.db"\n[keys]\ndirectory = "{folder}/keys"\n'
    toml += f'[spool]\ndirectory = "{folder}/spool"\n'
    toml += f'[limits]\ncounters = "{folder}/counters/counters.db"\n'
    toml += f'[events]\nlisten = "unix:{folder}/orders"\n'
    (folder / "gatepost.toml").write_text(toml, encoding="utf-8")
    settings = load(folder / "gatepost.toml", environ={})
    migrate.upgrade(settings.store)
    create_missing(settings.keys.directory)
    store = Store(folder, settings, Keyring.load(settings.keys.directory))
    _fill(store)
    return store


def _fill(store: Store) -> None:
    now = datetime.now(UTC)
    derived = passwords.derive(store.keyring, PASSWORD)
    with store.writing() as connection:
        accounts.add(connection, "acme", now)
        for username in ("alice", "bob", "off", "old", "jörg"):
            credentials.add(
                connection,
                account="acme",
                username=username,
                derived=derived,
                now=now,
                rules=Rules(senders=("bob.test",)) if username == "bob" else None,
                expires_at=now - timedelta(days=1) if username == "old" else None,
            )
        credentials.change(connection, "off", state=State.DISABLED)
        domains.add(
            connection,
            account="acme",
            name="example.test",
            click_domain="click.example.test",
            bounce_domain=BOUNCES,
            keys=(),
            now=now,
        )

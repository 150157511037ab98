"""What a private stack's store holds: keys, the account ``demo``, the domain example.test, credentials.

Written with core's own functions into the databases that the settings name, as the
command line does. Also renders those settings as a file.
"""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, replace
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

from sqlalchemy import Connection, delete, update

from gatepost_core.domain import FeatureValues, Mode, Rules, SenderDomain, Source, State, WallMode, access
from gatepost_core.domain.limits import limits as read_limits
from gatepost_core.keys import chosen, dkim_keys, keyring, passwords
from gatepost_core.service import Context, tokens
from gatepost_core.service.people import users
from gatepost_core.settings import Settings
from gatepost_core.store import accounts, credentials, domains, migrate, schema
from gatepost_core.store.access import users as user_rows
from gatepost_core.store.claims import click_hosts, grants
from gatepost_core.store.opening import open_backend

ACCOUNT = "demo"
DOMAIN = "example.test"
CLICK_DOMAIN = "click.example.test"
BOUNCE_DOMAIN = "bounces.example.test"

Value = str | float | bool | list[int] | list[str]


@dataclass(frozen=True, slots=True)
class ClientLogin:
    """User name and password of a credential."""

    username: str
    password: str


class Provision:
    """Makes what the daemons read, in the store of ``settings``. ``click_host``: where links lead."""

    def __init__(self, settings: Settings, click_host: str = "") -> None:
        self._settings = settings
        self._click_host = click_host
        self._keys: keyring.Keyring | None = None

    def initialise(self) -> None:
        """Make the keys, both databases, the account ``demo`` and its sender domain."""
        directory = self._settings.keys.directory
        keyring.create_missing(directory)
        keys = self._keys = keyring.Keyring.load(directory)
        migrate.upgrade(self._settings.store)
        now = datetime.now(UTC)
        with self._directory() as connection:
            accounts.add(connection, ACCOUNT, now)
            domains.add(
                connection,
                account=ACCOUNT,
                name=DOMAIN,
                click_domain=CLICK_DOMAIN,
                bounce_domain=BOUNCE_DOMAIN,
                keys=dkim_keys.new_keys(keys, DOMAIN, now),
                now=now,
            )
            if self._click_host:  # an address and a port, which no account could register
                domain = schema.sender_domains.c.name == DOMAIN
                connection.execute(
                    update(schema.sender_domains).where(domain).values(click_domain=self._click_host)
                )
                owner = accounts.get(connection, ACCOUNT).id
                click_hosts.use(connection, self._click_host, owner, now)

    def owner(self, account: str, name: str) -> None:
        """Make another account, with a sender domain of its own."""
        keys = self._keys or keyring.Keyring.load(self._settings.keys.directory)
        now = datetime.now(UTC)
        with self._directory() as connection:
            accounts.add(connection, account, now)
            domains.add(
                connection,
                account=account,
                name=name,
                click_domain=f"click.{name}",
                bounce_domain=f"bounces.{name}",
                keys=dkim_keys.new_keys(keys, name, now),
                now=now,
            )

    def grant(self, name: str) -> None:
        """Let the account ``demo`` use a domain."""
        with self._directory() as connection:
            grants.grant(connection, name, ACCOUNT, datetime.now(UTC))

    def revoke(self, name: str) -> None:
        """Take that back."""
        with self._directory() as connection:
            grants.revoke(connection, name, ACCOUNT)

    def walls(self, mode: WallMode) -> None:
        """Have mail that uses another account's domain refused, or only told of."""
        with self._directory() as connection:
            grants.set_walls(connection, mode)

    def domain(self, name: str = DOMAIN) -> SenderDomain:
        """Return a sender domain with its DKIM keys."""
        with self._directory() as connection:
            return domains.get(connection, name)

    def rotate(self, name: str = DOMAIN) -> None:
        """Give a sender domain new DKIM keys that sign from now on."""
        keys = self._keys or keyring.Keyring.load(self._settings.keys.directory)
        now = datetime.now(UTC)
        with self._directory() as connection:
            taken = [key.selector for key in domains.get(connection, name).keys]
            new = dkim_keys.new_keys(keys, name, now, taken)
            domains.rotate(
                connection, name, keys=new, now=now, activates_at=now, retires_at=now + timedelta(days=7)
            )

    def remove_keys(self, algorithm: str, name: str = DOMAIN) -> None:
        """Remove a sender domain's DKIM keys of one algorithm."""
        with self._directory() as connection:
            domain_id = domains.get(connection, name).id
            mine = schema.dkim_keys.c.domain_id == domain_id
            connection.execute(
                delete(schema.dkim_keys).where(mine, schema.dkim_keys.c.algorithm == algorithm)
            )

    def credential(
        self,
        features: FeatureValues | None = None,
        senders: tuple[str, ...] = (),
        label: str = "",
        expires_at: datetime | None = None,
        mode: Mode = Mode.LIVE,
        username: str = "",
        account: str = ACCOUNT,
    ) -> ClientLogin:
        """Make a credential, of the account ``demo`` unless another is named, and return its login."""
        if self._keys is None:
            self._keys = keyring.Keyring.load(self._settings.keys.directory)
        login = ClientLogin(username or passwords.new_username(), passwords.new_password())
        with self._directory() as connection:
            credentials.add(
                connection,
                account=account,
                username=login.username,
                derived=passwords.derive(self._keys, login.password),
                now=datetime.now(UTC),
                label=label,
                features=features or {},
                rules=Rules(senders=senders),
                expires_at=expires_at,
                mode=mode,
            )
        return login

    def token(self, *scopes: str, account: str | None = None, name: str = "stack") -> str:
        """Make an API token with these scopes, or with all; of operators, unless an account is named."""
        wanted = access.scopes(scopes or ("all",))
        return tokens.add(self._context(), tokens.New(name, wanted, account)).text

    def user(self, name: str = "operator") -> ClientLogin:
        """Make a user of the dashboard who sees everything, and return name and password."""
        context, login = self._context(), ClientLogin(name, passwords.new_password(""))
        made = users.add(context, name, operator=True, roles={}).user
        with self._directory() as connection:
            user_rows.change(connection, made.id, password_hash=chosen.hashed(login.password))
        return login

    def rotate_password(self, username: str, overlap: timedelta) -> ClientLogin:
        """Give the credential a new password; the one until now stays valid for the overlap."""
        keys = self._keys or keyring.Keyring.load(self._settings.keys.directory)
        login, now = ClientLogin(username, passwords.new_password()), datetime.now(UTC)
        with self._directory() as connection:
            derived = passwords.derive(keys, login.password)
            credentials.rotate(connection, username, derived, now, now + overlap)
        return login

    def external(self, username: str, source: Source) -> None:
        """Make a credential whose password PAM or LDAP knows."""
        with self._directory() as connection:
            credentials.add(
                connection,
                account=ACCOUNT,
                username=username,
                derived=None,
                now=datetime.now(UTC),
                source=source,
            )

    def restrict(self, username: str, networks: tuple[str, ...]) -> None:
        """Let the credential log in from these networks only."""
        with self._directory() as connection:
            rules = replace(credentials.get(connection, username).own_rules, networks=networks)
            credentials.change(connection, username, rules=rules)

    def rule(self, username: str, **rules: Any) -> None:
        """Hold the credential to these rules from now on; ``rules`` are fields of ``Rules``."""
        with self._directory() as connection:
            before = credentials.get(connection, username).own_rules
            credentials.change(connection, username, rules=replace(before, **rules))

    def rule_account(self, **rules: Any) -> None:
        """Hold the credentials of the account ``demo`` that have no such rules of their own to these."""
        with self._directory() as connection:
            accounts.change(connection, ACCOUNT, rules=Rules(**rules))

    def limit(self, username: str, *limits: str) -> None:
        """Limit how much a credential may send from now on."""
        with self._directory() as connection:
            credentials.change(connection, username, limits=read_limits(limits))

    def limit_account(self, *limits: str) -> None:
        """Limit how much all credentials of the account ``demo`` may send together from now on."""
        with self._directory() as connection:
            accounts.change(connection, ACCOUNT, limits=read_limits(limits))

    def set_mode(self, username: str, mode: Mode) -> None:
        """Have the credential's messages delivered from now on, or not."""
        with self._directory() as connection:
            credentials.change(connection, username, mode=mode)

    def remove(self, username: str) -> None:
        """Remove the credential for good."""
        with self._directory() as connection:
            credentials.remove(connection, username)

    def enable(self, username: str) -> None:
        """Let the credential be used again."""
        with self._directory() as connection:
            credentials.change(connection, username, state=State.ACTIVE)

    def disable(self, username: str) -> None:
        """Refuse the credential from now on."""
        with self._directory() as connection:
            credentials.change(connection, username, state=State.DISABLED)

    def bounce_domains(self) -> list[str]:
        """Return the domains at which bounces arrive."""
        with self._directory() as connection:
            return domains.bounce_domains(connection)

    def _context(self) -> Context:
        return Context(
            access.node("stack"),
            open_backend(self._settings.store),
            self._settings,
            lambda: self._keys or keyring.Keyring.load(self._settings.keys.directory),
        )

    @contextmanager
    def _directory(self) -> Iterator[Connection]:
        with open_backend(self._settings.store).directory(write=True) as connection:
            yield connection


def write_settings(path: Path, tables: Mapping[str, Mapping[str, Value]]) -> None:
    """Write a TOML file, mode 0600: a table a section. JSON's strings, numbers and lists are TOML's too."""
    path.touch(mode=0o600)
    lines = []
    for section, values in tables.items():
        lines.append(f"[{section}]")
        lines.extend(f"{name} = {json.dumps(value, ensure_ascii=False)}" for name, value in values.items())
        lines.append("")
    path.write_text("\n".join(lines), encoding="utf-8")

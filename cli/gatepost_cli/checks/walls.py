"""Walls between accounts: what they would refuse where they only report, and registrations that clash.

Messages are looked at as the journal has them: envelope sender, From, and what the milter noted. All of it is
notes: a store of an earlier release goes on as it was.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any

from sqlalchemy import Connection, select

from gatepost_cli.checks.base import Context, Finding, good, note
from gatepost_cli.domain_walls import pattern_domain
from gatepost_core.domain import Claim, SenderDomain, WallMode, stamp
from gatepost_core.domain.rules import normal_domain
from gatepost_core.domain.walls import RECORDED, Wall, Walls, covering
from gatepost_core.domain.walls.registering import Registry, claims_of, public_suffix
from gatepost_core.store import accounts, domains
from gatepost_core.store.claims import grants
from gatepost_core.store.rows import rules_in
from gatepost_core.store.schema import accounts as owners
from gatepost_core.store.schema import credentials, messages

_OF = credentials.c
_LOGIN = select(_OF.username, _OF.account_id, _OF.rules, owners.c.rules.label("defaults")).join(owners)
_DAYS, _MESSAGES_MOST = 7, 100_000
_ENFORCE = (
    "grant what is meant to be ('gatepost domain grant'), mend the rest, 'gatepost domain walls enforce'"
)
_EXPECTED = "domains of its own account, or such that nobody registered"


@dataclass(frozen=True, slots=True)
class _Login:
    """A credential, as far as it matters here."""

    username: str
    account_id: int
    senders: tuple[str, ...]


class _Directory:
    """What the directory says; credentials as they are asked for. It is the ``Claims`` of its ``Walls``."""

    def __init__(self, connection: Connection, context: Context) -> None:
        self.registered = domains.registrations(connection)
        self.accounts = {one.id: one.name for one in accounts.list_all(connection)}
        self._claims = claims_of(self.registered, grants.every(connection))
        self._stored = grants.walls(connection)
        self._connection = connection
        self._known: dict[int, _Login | None] = {}
        self.walls_between = Walls(self, context.settings.own_names, context.settings.accounts.wall_mode)

    def logins(self) -> Iterator[_Login]:
        """Yield all credentials by name; there may be very many."""
        for row in self._connection.execute(_LOGIN.order_by(credentials.c.username)):
            yield _login(row)

    def login(self, credential_id: int) -> _Login | None:
        """Return a credential, None when it was removed."""
        if credential_id not in self._known:
            row = self._connection.execute(_LOGIN.where(credentials.c.id == credential_id)).first()
            self._known[credential_id] = None if row is None else _login(row)
        return self._known[credential_id]

    def claims(self, name: str) -> tuple[Claim, ...]:
        """Return the claims to a name and to those above it, the longest first."""
        return tuple(self._claims[one] for one in covering(name) if one in self._claims)

    def walls(self) -> WallMode:
        """Return what the store says of walls."""
        return self._stored

    def whose(self, found: Wall) -> str:
        """Return a name with its owners, in words."""
        if found.gateways:
            return f"{found.name}, the gateway's own"
        owners = sorted(self.accounts.get(owner, "?") for owner in self._claims[found.name].owners)
        return f"{found.name} of account {' and '.join(owners)}"

    def shared(self, found: Wall) -> str:
        """Return the name to grant: the registration whose click or bounce domain this may be."""
        for domain in self.registered:
            if found.name in (domain.click_domain, domain.bounce_domain):
                return domain.name
        return found.name


def walls(context: Context) -> Iterator[Finding]:
    """Look at the mode, registrations, sender rules and, where walls only report, mail of the last days."""
    with context.directory() as connection:
        yield from _walls(context, _Directory(connection, context))


def _walls(context: Context, directory: _Directory) -> Iterator[Finding]:
    mode = directory.walls_between.mode()
    if mode is WallMode.ENFORCE:
        yield good("walls between accounts", "enforced")
    else:
        found = "report: mail that uses another account's domain passes"
        yield note("walls between accounts", found, "enforce", _ENFORCE)
    yield from _clashes(directory.registered)
    yield from _rules(directory)
    if mode is WallMode.REPORT:
        since = context.now - timedelta(days=_DAYS)
        with context.journal() as connection:
            yield from _sent(directory, connection, since)


def _clashes(registered: Iterable[SenderDomain]) -> Iterator[Finding]:
    """Yield what was registered before it could not be any more."""
    registry = Registry(registered)
    for domain in registered:
        looked_at = f"sender domain {domain.name} of account {domain.account}"
        for clash in registry.clashes(domain):
            advice = (
                "register it with others ('gatepost domain add --click-domain --bounce-domain'), or share: "
            )
            expected = "click and bounce domains that are one account's alone"
            yield note(looked_at, clash, expected, f"{advice}'gatepost domain grant'")
        for name in (domain.name, domain.click_domain, domain.bounce_domain):
            if public_suffix(name):
                found = f"{name} is a public suffix: it stands against all who have a name below"
                advice = f"'gatepost domain remove {domain.name}', and register what is really one's own"
                yield note(looked_at, found, "a name below it", advice)


def _rules(directory: _Directory) -> Iterator[Finding]:
    """Yield the credentials whose sender rules name what they may not use."""
    for login in directory.logins():
        for pattern in login.senders:
            found = directory.walls_between.wall(login.account_id, pattern_domain(pattern))
            if found is not None:
                text = f"its sender rule {pattern} names {directory.whose(found)}"
                yield _would_be_refused(directory, login, found, text)


def _sent(directory: _Directory, connection: Connection, since: datetime) -> Iterator[Finding]:
    """Yield which credentials sent in the name of which others, and how often."""
    names = "credential_id", "username", "sender", "header_from", "skipped"
    query = select(*(messages.c[name] for name in names)).where(messages.c.created_at >= since)
    counted: Counter[tuple[_Login, Wall]] = Counter()
    for row in connection.execute(query.order_by(messages.c.id.desc()).limit(_MESSAGES_MOST)):
        login = directory.login(row.credential_id)
        if login is not None and login.username == row.username:  # ids of removed ones are given anew
            used = _used(directory, login, [row.sender, *row.header_from.split(", ")], row.skipped)
            counted.update((login, found) for found in used)
    for (login, found), times in sorted(counted.items(), key=lambda one: -one[1]):
        text = f"sent {times} messages as {directory.whose(found)} since {stamp(since)}"
        yield _would_be_refused(directory, login, found, text)


def _used(directory: _Directory, login: _Login, addresses: list[str], skipped: dict[str, str]) -> set[Wall]:
    """Return what stood in the way of one message."""
    names = {address.rpartition("@")[2] for address in addresses if "@" in address}
    if RECORDED in skipped:  # Sender is nowhere else on record
        names.add(skipped[RECORDED].partition(": ")[2].partition(" ")[0])
    between = directory.walls_between
    return {found for name in names if (found := between.wall(login.account_id, normal_domain(name)))}


def _login(row: Any) -> _Login:
    rules = rules_in(row.rules).over(rules_in(row.defaults or {}))
    return _Login(row.username, row.account_id, tuple(map(str, rules.senders)))


def _would_be_refused(directory: _Directory, login: _Login, found: Wall, text: str) -> Finding:
    account = directory.accounts[login.account_id]
    grant = f"'gatepost domain grant {directory.shared(found)} --to {account}'"
    advice = f"{grant} if that is meant to be, or another sender"
    return note(f"credential {login.username} of account {account}", text, _EXPECTED, advice)

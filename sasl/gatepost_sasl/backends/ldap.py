"""LDAP as a back end (ldap3): search and bind, or direct bind, at the first server that works.

Result codes: RFC 4511 section 4.1.9. Only what the directory says about this user's own bind is a
refusal; a refused search account, a missing base, a busy server, a certificate that is not to be trusted
are our faults: BackendUnavailable, within the deadline over all servers.
"""

from __future__ import annotations

import secrets
import threading
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field

from ldap3 import BASE, SUBTREE, Connection

from gatepost_sasl.authenticator import BackendUnavailable, Denied
from gatepost_sasl.backends import ldap_servers
from gatepost_sasl.backends.ldap_names import BindName, GroupFilter, UserFilter
from gatepost_sasl.backends.ldap_servers import Address, ConnectOptions, LdapFault, Order
from gatepost_sasl.backends.pool import DeadlinePool
from gatepost_sasl.backends.template import VerifiedUser

_SUCCESS = 0
_SIZE_LIMIT_EXCEEDED = 4
# What a user's own bind may answer when it is the user who is refused: constraintViolation (locked),
# noSuchObject, invalidDNSyntax, inappropriateAuthentication (no password set), invalidCredentials,
# insufficientAccessRights, unwillingToPerform (inactivated).
_REFUSALS = {
    19: "refused by a constraint",
    32: "unknown user",
    34: "a name that cannot be one",
    48: "no password is set",
    49: "wrong password",
    50: "may not bind",
    53: "account inactivated",
}
# A server that was stopped tells it at once on a connection that was open before.
_QUICK_SECONDS = 0.5
# What lies between forgets connections that are not used, and then they only look open.
_IDLE_SECONDS = 60.0
_GROUPS_MOST = 1000


@dataclass(frozen=True, slots=True)
class Search:
    """How users are found: as whom, where, by which filter. ``name_attribute`` may be empty."""

    bind_dn: str
    bind_password: str = field(repr=False)
    base: str
    filter: UserFilter
    name_attribute: str = ""


@dataclass(frozen=True, slots=True)
class Wanted:
    """What else is to be known of a user: attributes, and groups by an attribute and by a search."""

    attributes: frozenset[str] = frozenset()
    group_attribute: str = ""
    group_base: str = ""
    group_filter: GroupFilter | None = None

    @property
    def anything(self) -> bool:
        """Whether the user's entry must be read."""
        return bool(self.attributes or self.group_attribute or self.group_base)


@dataclass(frozen=True, slots=True)
class _Entry:
    dn: str
    attributes: dict[str, tuple[str, ...]]


@dataclass(slots=True)
class _Attempt:
    """One login: when it must be over, and the connection that it waits for, to be interrupted."""

    ends: float
    connection: Connection | None = None

    def abandon(self) -> None:
        """Let the thread come back."""
        self.ends = 0.0
        ldap_servers.interrupt(self.connection)


class _Threads(threading.local):
    """Each thread's own connections."""

    def __init__(self) -> None:
        self.address: Address | None = None
        self.used = 0.0
        self.searching: Connection | None = None
        self.binding: Connection | None = None


class LdapCheck:
    """A PasswordCheck by LDAP; see ``backends.external``. ``how`` is Search or BindName (direct bind)."""

    def __init__(
        self,
        order: Order,
        link: ConnectOptions,
        how: Search | BindName,
        wanted: Wanted,
        *,
        threads: int,
        seconds: float,
        on_stuck: Callable[[int], object],
    ) -> None:
        self._order = order
        self._link = link
        self._how = how
        self._wanted = wanted
        self._seconds = seconds
        self._mine = _Threads()
        # No user is served less than another: what hangs is a server, not one of its users.
        self._pool = DeadlinePool("ldap", threads, threads, on_stuck, self._drop)

    def check(self, name: str, password: str) -> VerifiedUser | Denied:
        """See PasswordCheck."""
        attempt = _Attempt(time.monotonic() + self._seconds)
        return self._pool.run(
            lambda: self._over_servers(attempt, name, password), self._seconds, name, attempt.abandon
        )

    def stuck_for(self, seconds: float) -> str:
        """See PasswordCheck."""
        return self._pool.stuck_for(seconds)

    def close(self) -> None:
        """End the threads and their connections."""
        self._pool.close()

    def _over_servers(self, attempt: _Attempt, name: str, password: str) -> VerifiedUser | Denied:
        troubles = []
        for address in self._order.candidates():
            if time.monotonic() >= attempt.ends:
                troubles.append("no time left")
                break
            try:
                answer = self._at(address, attempt, name, password)
            except LdapFault as fault:
                if attempt.ends:  # not our own interruption
                    self._order.failed(address)
                troubles.append(str(fault))
            else:
                self._order.works(address)
                return answer
        raise BackendUnavailable("ldap: " + "; ".join(troubles))

    def _at(self, address: Address, attempt: _Attempt, name: str, password: str) -> VerifiedUser | Denied:
        """Ask one server; once more when only the connection kept from before was at an end."""
        mine = self._mine
        began = time.monotonic()
        if mine.address != address or began - mine.used > _IDLE_SECONDS:
            self._drop()
        mine.address, mine.used = address, began
        kept = mine.searching is not None or mine.binding is not None
        try:
            return self._ask(address, attempt, name, password)
        except LdapFault:
            self._drop()
            if not kept or time.monotonic() - began > _QUICK_SECONDS or not attempt.ends:
                raise
        try:
            return self._ask(address, attempt, name, password)
        except LdapFault:
            self._drop()
            raise

    def _ask(self, address: Address, attempt: _Attempt, name: str, password: str) -> VerifiedUser | Denied:
        with ldap_servers.faults(address):
            if isinstance(self._how, BindName):
                return self._direct(self._how, address, attempt, name, password)
            return self._search(self._how, address, attempt, name, password)

    def _search(
        self, how: Search, address: Address, attempt: _Attempt, name: str, password: str
    ) -> VerifiedUser | Denied:
        connection = self._searching(how, address, attempt)
        wanted = {*self._wanted.attributes, how.name_attribute, self._wanted.group_attribute}
        entries = self._entries(connection, how.base, how.filter.of(name), wanted)
        if len(entries) != 1:
            self._bind_as_nobody(how, address, attempt)
            return Denied("unknown user" if not entries else "more than one entry matches the name")
        entry = entries[0]
        refused = self._bind(address, attempt, entry.dn, password)
        if refused is not None:
            return refused
        own = _own_name(entry, how.name_attribute, name)
        if own is None:
            return Denied(f"the entry has not one value of {how.name_attribute}")
        return self._known(connection, attempt, own, entry)

    def _direct(
        self, how: BindName, address: Address, attempt: _Attempt, name: str, password: str
    ) -> VerifiedUser | Denied:
        bind_name = how.of(name)
        if bind_name is None:
            return Denied("a name that cannot be one")
        refused = self._bind(address, attempt, bind_name, password)
        if refused is not None:
            return refused
        if not self._wanted.anything or not how.is_dn:
            return VerifiedUser(name)
        connection = self._mine.binding  # still bound as the user, who may read the own entry
        wanted = {*self._wanted.attributes, self._wanted.group_attribute}
        assert connection is not None  # noqa: S101 - it was just bound
        entries = self._entries(connection, bind_name, "(objectClass=*)", wanted, scope=BASE)
        return self._known(connection, attempt, name, entries[0]) if entries else VerifiedUser(name)

    def _known(self, connection: Connection, attempt: _Attempt, name: str, entry: _Entry) -> VerifiedUser:
        wanted = self._wanted
        groups = entry.attributes.get(wanted.group_attribute.lower(), ()) if wanted.group_attribute else ()
        if wanted.group_base and wanted.group_filter is not None:
            attempt.connection = connection
            query = wanted.group_filter.of(entry.dn, name)
            found = self._entries(connection, wanted.group_base, query, set(), most=_GROUPS_MOST)
            groups += tuple(group.dn for group in found)
        return VerifiedUser(name, entry.attributes, groups)

    def _searching(self, how: Search, address: Address, attempt: _Attempt) -> Connection:
        """Return this thread's connection for searches, opened and bound if it is not."""
        mine = self._mine
        if mine.searching is None:
            mine.searching = self._open(address, attempt)
            if how.bind_dn:
                code = ldap_servers.bind(mine.searching, how.bind_dn, how.bind_password)
                if code != _SUCCESS:
                    raise LdapFault(f"{address}: {how.bind_dn} may not search: {_why(mine.searching)}")
        attempt.connection = mine.searching
        return mine.searching

    def _bind(self, address: Address, attempt: _Attempt, bind_name: str, password: str) -> Denied | None:
        """Bind as the user; return the refusal, if it is one of the user. Raises LdapFault."""
        mine = self._mine
        if mine.binding is None:
            mine.binding = self._open(address, attempt)
        attempt.connection = mine.binding
        code = ldap_servers.bind(mine.binding, bind_name, password)
        if code == _SUCCESS:
            return None
        if code in _REFUSALS:
            return Denied(_REFUSALS[code])
        raise LdapFault(f"{address}: bind as {bind_name}: {_why(mine.binding)}")

    def _bind_as_nobody(self, how: Search, address: Address, attempt: _Attempt) -> None:
        """Ask what would be asked about a known user, so that time does not tell who is known."""
        name = secrets.token_hex(12)
        self._bind(address, attempt, f"cn={name},{how.base}" if how.base else f"cn={name}", name)

    def _open(self, address: Address, attempt: _Attempt) -> Connection:
        def opening(connection: Connection) -> None:
            attempt.connection = connection

        return ldap_servers.open_connection(address, self._link, opening)

    def _entries(
        self,
        connection: Connection,
        base: str,
        query: str,
        wanted: set[str],
        *,
        scope: str = SUBTREE,
        most: int = 2,
    ) -> list[_Entry]:
        """Return the entries that a search finds, without referrals. Raises LdapFault."""
        attributes = sorted(wanted - {""}) or ["1.1"]  # no attributes (RFC 4511 section 4.5.1.8)
        connection.search(base, query, scope, attributes=attributes, size_limit=most)
        code = int(connection.result["result"])
        if code not in (_SUCCESS, _SIZE_LIMIT_EXCEEDED):
            raise LdapFault(f"{self._mine.address}: search below {base or 'the root'}: {_why(connection)}")
        return [_entry(found) for found in connection.response or () if found.get("type") == "searchResEntry"]

    def _drop(self) -> None:
        mine = self._mine
        ldap_servers.discard(mine.searching)
        ldap_servers.discard(mine.binding)
        mine.searching = mine.binding = None


def _entry(found: dict[str, object]) -> _Entry:
    raw = found.get("raw_attributes")
    values: dict[str, tuple[str, ...]] = {}
    if isinstance(raw, Mapping):
        for name, texts in raw.items():
            values[name.lower()] = tuple(text.decode("utf-8", "replace") for text in texts)
    return _Entry(str(found["dn"]), values)


def _own_name(entry: _Entry, attribute: str, name: str) -> str | None:
    """Return the credential's name: the value of the attribute, of several the one that was given."""
    if not attribute:
        return name
    values = {" ".join(value.split()).lower() for value in entry.attributes.get(attribute.lower(), ())}
    if name.lower() in values:
        return name.lower()
    return values.pop() if len(values) == 1 else None


def _why(connection: Connection) -> str:
    result = connection.result or {}
    text = " ".join(str(result.get("message") or "").split())[:200]
    return f"{result.get('result')} {result.get('description')}" + (f" ({text})" if text else "")

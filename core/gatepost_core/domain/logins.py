"""Whether a session may go on: its login held against what has happened to the credential since.

A session lasts as long as the client likes, and its login is checked once. So policy and milter compare, at
each recipient and message, when and with what a session logged in with the credential as it is now. Pure
functions; who logged in when is ``login_table``'s business. What only a directory knows (the password of a
PAM or LDAP user was changed there) ends no session.
"""

from __future__ import annotations

import zlib
from datetime import datetime
from typing import Final, NamedTuple

from gatepost_core.domain.decision import Decision, Pass, Reject
from gatepost_core.domain.model import Credential, ImportedSecret, Secret, Source
from gatepost_core.domain.rules import network_allowed

# What stands for a secret where it is not known which of them it was (SCRAM), or none is kept (PAM, LDAP).
UNKNOWN: Final = 0
_STANDS = Pass("login stands")


class Login(NamedTuple):
    """A login that was granted: which credential, by which secret (``secret_mark``), when.

    ``at`` is in seconds since 1970; a moment that is surely not before the login is good as well.
    ``credential_id`` and ``secret`` may be ``UNKNOWN``.
    """

    credential_id: int
    secret: int
    at: float


def secret_mark(secret: Secret | ImportedSecret) -> int:
    """Return the number that tells a credential's secrets apart, never ``UNKNOWN``; imported: negative."""
    if isinstance(secret, Secret):
        return secret.id
    return -1 - zlib.crc32(secret.argon2id.encode("utf-8", "surrogatepass"))


def check_login(credential: Credential, login: Login, now: datetime) -> Decision:
    """Refuse a session whose login is not good any more: another credential's, or by an old password."""
    known = login.credential_id
    if (known and known != credential.id) or _after(credential.created_at, login, now):
        return Reject(
            550,
            "5.7.1",
            f"Credential {credential.username} was made anew after this session had logged in; log in again",
            "login older than the credential",
        )
    if credential.source is not Source.STORE or _still_valid(credential, login, now):
        return _STANDS
    return Reject(
        550,
        "5.7.1",
        f"The password of credential {credential.username} was changed after this session had logged in; "
        "log in again with the new one",
        "login by an old password",
    )


def check_network(credential: Credential, address: str) -> Decision:
    """Refuse a session from outside the credential's networks, which may have been set since its login."""
    networks = credential.rules.networks
    if not networks or network_allowed(networks, address.removeprefix("IPv6:")):
        return _STANDS
    return Reject(
        550,
        "5.7.1",
        f"Credential {credential.username} may not be used from {address}; log in again from a network that "
        "is allowed, or ask your mail administrator",
        "network not allowed",
    )


def _still_valid(credential: Credential, login: Login, now: datetime) -> bool:
    """Say whether a secret that may have been the login's is valid now."""
    for secret in credential.secrets:
        # Its time as well: SQLite gives the number of a row that is gone to the next.
        own = login.secret in (UNKNOWN, secret.id) and not _after(secret.created_at, login, now)
        if own and _in_time(secret, now):
            return True
    imported = credential.imported
    return (
        imported is not None and _in_time(imported, now) and login.secret in (UNKNOWN, secret_mark(imported))
    )


def _after(made: datetime, login: Login, now: datetime) -> bool:
    """Say whether a thing was made after a login. A time yet to come is a clock's fault, and says nothing."""
    return login.at < made.timestamp() and made <= now


def _in_time(secret: Secret | ImportedSecret, now: datetime) -> bool:
    return secret.expires_at is None or now < secret.expires_at

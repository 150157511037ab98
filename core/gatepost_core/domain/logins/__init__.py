"""Whether a credential may be used, and whether a session may go on: the one place that judges it.

Asked at AUTH by each back end, and by whoever says what would happen. A session lasts as long as the client
likes, and its login is checked once; so policy and milter ask again at each recipient and message, and hold
when and with what a session logged in against the credential as it is now. Pure functions; who logged in when
is ``login_table``'s business. What only a directory knows (the password of a PAM or LDAP user was changed
there) ends no session.
"""

from __future__ import annotations

import zlib
from datetime import datetime
from typing import Final, NamedTuple

from gatepost_core.domain.decision import Decision, Pass, Reject
from gatepost_core.domain.model import Credential, ImportedSecret, Secret, Source, State
from gatepost_core.domain.rules import network_allowed
from gatepost_core.domain.texts import stamp

# What stands for a secret where it is not known which of them it was (SCRAM), or none is kept (PAM, LDAP).
UNKNOWN: Final = 0
STANDS: Final = Pass("login stands")


class GrantedLogin(NamedTuple):
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


def judge(
    credential: Credential | None,
    username: str,
    now: datetime,
    login: GrantedLogin | None = None,
    address: str | None = None,
    source: Source | None = None,
) -> Decision:
    """Say whether a credential may be used now, or refuse it: gone, disabled, expired, no longer logged in.

    ``login`` and ``address`` are the session's, ``source`` is the back end that is asked; None: not known, or
    of no matter. Whether a password is the right one is ``keys.passwords``' business.
    """
    if credential is None:
        return _refusal(
            f"Credential {username} does not exist any more; ask your mail administrator for a new one",
            "unknown credential",
        )
    if source is not None and credential.source is not source:
        owner = credential.source.value
        return _refusal(f"Credential {username} is one of {owner}", f"the credential belongs to {owner}")
    if credential.state is not State.ACTIVE and (suspension := credential.suspension) is not None:
        return _refusal(
            f"Credential {username} is suspended since {stamp(suspension.at)}: {suspension}; ask your mail "
            "administrator",
            f"credential suspended ({suspension.cause.value})",
        )
    if credential.state is not State.ACTIVE:
        return _refusal(
            f"Credential {username} is disabled; ask your mail administrator", "credential disabled"
        )
    ends = credential.expires_at
    if ends is not None and over(ends, now):
        return _refusal(
            f"Credential {username} expired on {stamp(ends)}; ask your mail administrator for a new one",
            "credential expired",
        )
    if login is not None and (outlived := _outlived(credential, login, now)):
        return outlived
    networks = credential.rules.networks
    if networks and address is not None and not network_allowed(networks, address.removeprefix("IPv6:")):
        return _refusal(
            f"Credential {username} may not be used from {address}; log in again from a network that "
            "is allowed, or ask your mail administrator",
            "network not allowed",
        )
    return STANDS


def over(ends: datetime | None, now: datetime) -> bool:
    """Say whether the end of a credential or a secret has come; None is no end."""
    return ends is not None and ends <= now


def standing(credential: Credential, now: datetime) -> str:
    """Return in a word how a credential stands, for people: active, disabled, suspended or expired."""
    if credential.suspension is not None:
        return "suspended"
    return "expired" if over(credential.expires_at, now) else credential.state.value


def _outlived(credential: Credential, login: GrantedLogin, now: datetime) -> Reject | None:
    """Refuse a session whose login is not good any more: another credential's, or by an old password."""
    known = login.credential_id
    if (known and known != credential.id) or _after(credential.created_at, login, now):
        return _refusal(
            f"Credential {credential.username} was made anew after this session had logged in; log in again",
            "login older than the credential",
        )
    if credential.source is not Source.STORE or _still_valid(credential, login, now):
        return None
    return _refusal(
        f"The password of credential {credential.username} was changed after this session had logged in; "
        "log in again with the new one",
        "login by an old password",
    )


def _still_valid(credential: Credential, login: GrantedLogin, now: datetime) -> bool:
    """Say whether a secret that may have been the login's is valid now."""
    for secret in credential.secrets:
        # Its time as well: SQLite gives the number of a row that is gone to the next.
        own = login.secret in (UNKNOWN, secret.id) and not _after(secret.created_at, login, now)
        if own and not over(secret.expires_at, now):
            return True
    imported = credential.imported
    return (
        imported is not None
        and not over(imported.expires_at, now)
        and login.secret in (UNKNOWN, secret_mark(imported))
    )


def _after(made: datetime, login: GrantedLogin, now: datetime) -> bool:
    """Say whether a thing was made after a login. A time yet to come is a clock's fault, and says nothing."""
    return login.at < made.timestamp() and made <= now


def _refusal(text: str, reason: str) -> Reject:
    return Reject(550, "5.7.1", text, reason)

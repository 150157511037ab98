"""What the probe sends and as whom: a credential of two minutes, and a message that features can edit."""

from __future__ import annotations

import secrets
from collections.abc import Iterable
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from email.utils import format_datetime

from sqlalchemy import Connection

from gatepost_cli.checks.base import Context
from gatepost_core.domain import Credential, FeatureValue, Mode, Rules, SenderDomain
from gatepost_core.domain.logins import over
from gatepost_core.domain.rules import normal_domain
from gatepost_core.keys import Keyring
from gatepost_core.keys.dkim_keys import active_keys
from gatepost_core.keys.passwords import derive, new_password, new_username
from gatepost_core.store import Conflict, accounts, credentials, domains
from gatepost_core.store.messages import PROBE_TAG

LABEL = "gatepost doctor: probe"
_ACCOUNT = "gatepost-doctor"
_LIFETIME = timedelta(minutes=2)
_LOCAL_PART = "gatepost-doctor"
# Where no sender domain is registered: the gateway's own names are the operator's, and no account's.
_NOBODYS = "gatepost-doctor.invalid"
_HTML = (
    "<html><head><style>p { color: #333 }</style></head><body><p>A probe; nobody reads it.</p></body></html>"
)


@dataclass(frozen=True, slots=True)
class ProbeLogin:
    """A credential that was made for a probe, its features, and the address that it sends as."""

    username: str
    password: str = field(repr=False)
    account: str
    sender: str
    features: dict[str, FeatureValue]


def make(context: Context, now: datetime) -> ProbeLogin:
    """Make the credential, after removing what earlier runs left. Raises StoreUnavailable, KeyringError."""
    keyring = Keyring.load(context.settings.keys.directory)
    username, password = new_username(), new_password()
    with context.directory(write=True) as connection:
        _sweep(connection, now)
        domain = _domain(context, domains.list_all(connection))
        sender = context.settings.doctor.probe_sender or (
            f"{_LOCAL_PART}@{domain.name if domain else _NOBODYS}"
        )
        account = domain.account if domain else _some_account(connection, now)
        features: dict[str, FeatureValue] = {"inlinecss": True, "tags": (PROBE_TAG,)}
        if domain is not None and active_keys(domain.keys, now):
            features["dkim"] = True
        credentials.add(
            connection,
            account=account,
            username=username,
            derived=derive(keyring, password),
            now=now,
            label=LABEL,
            features=features,
            rules=Rules(senders=(sender,)),
            expires_at=now + _LIFETIME,
            mode=Mode.SANDBOX,
        )
    return ProbeLogin(username, password, account, sender, features)


def forget(context: Context, login: ProbeLogin) -> None:
    """Remove the credential, and the account if it was made for it. Raises StoreUnavailable."""
    with context.directory(write=True) as connection:
        _remove(connection, (login.username,))


def lines(context: Context, login: ProbeLogin, now: datetime) -> list[bytes]:
    """Return the message, line by line."""
    recipient = context.settings.doctor.probe_recipient
    header = (
        f"From: <{login.sender}>",
        f"To: <{recipient}>",
        "Subject: Gatepost doctor's probe",
        f"Date: {format_datetime(now)}",
        f"Message-ID: <{secrets.token_hex(16)}@{context.hostname}>",
        "Auto-Submitted: auto-generated",
        "MIME-Version: 1.0",
        "Content-Type: text/html; charset=us-ascii",
    )
    return [line.encode() for line in (*header, "", _HTML)]


def _domain(context: Context, registered: Iterable[SenderDomain]) -> SenderDomain | None:
    """Return the sender domain that the probe is from: that of the setting, or else the first."""
    wanted = normal_domain(context.settings.doctor.probe_sender.rpartition("@")[2])
    return next((domain for domain in registered if wanted in ("", domain.name)), None)


def _some_account(connection: Connection, now: datetime) -> str:
    found = accounts.list_all(connection)
    return found[0].name if found else accounts.add(connection, _ACCOUNT, now).name


def _sweep(connection: Connection, now: datetime) -> None:
    """Remove probes that have expired: a run that was killed could not."""
    left = credentials.labelled(connection, LABEL)
    _remove(connection, [one.username for one in left if _ended(one, now)])


def _ended(one: Credential, now: datetime) -> bool:
    return one.mode is Mode.SANDBOX and over(one.expires_at, now)


def _remove(connection: Connection, usernames: Iterable[str]) -> None:
    for username in usernames:
        account = credentials.get(connection, username).account
        credentials.remove(connection, username)
        if account == _ACCOUNT:
            try:
                accounts.remove(connection, account)
            except Conflict:  # another run's probe
                continue

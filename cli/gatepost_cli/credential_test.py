"""``gatepost credential test``: what a login with this password would be answered, and what would follow.

The same back ends decide as in gatepost-sasl, by the same code; only nothing is counted or noted: no last
use, and no failure, so nobody is locked out by it, and a lock-out that is in force is not seen.
"""

from __future__ import annotations

from datetime import datetime
from typing import Any

import click

from gatepost_cli.credential_view import features_text
from gatepost_cli.output import Table, emit, facts, stamp
from gatepost_cli.session import Session
from gatepost_core.features import in_force
from gatepost_core.model import Credential
from gatepost_core.store import NotFound, StoreUnavailable
from gatepost_core.store.errors import shown
from gatepost_core.store.reader import Reader
from gatepost_sasl.authenticator import BackendUnavailable, Denied, Peer, Verdict
from gatepost_sasl.backends.store import StoreAuthenticator
from gatepost_sasl.mechanisms import Done, MechanismError, Plain

DENIED = 1
_NO_ADDRESS = Peer("", secured=True)
_REPLIES = {"granted": "235 2.7.0", "denied": "535 5.7.8", "unavailable": "454 4.7.0"}


class _NoLastUse:
    """Takes note of nothing."""

    def record(self, credential_id: int, ip: str, now: datetime) -> None:
        """Leave the last use as it is."""
        del credential_id, ip, now


def run(session: Session, user: str, password: str) -> int:
    """Try the password, print what was found, and return the exit code: 0 granted, 1 not.

    Raises NotFound for a user name that no back end knows.
    """
    reader = Reader(session.settings.store.url)
    try:
        who = _prepared(user, password)
        credential = reader.credential(who.username)
        if credential is None:
            raise NotFound(f"no credential {shown(user)}; 'gatepost credential list' shows all")
        result, reason = _asked(session, reader, who)
    finally:
        reader.close()
    data = _data(credential, session.now, result, reason)
    emit(session, data, _table(data))
    return 0 if result == "granted" else DENIED


def _prepared(user: str, password: str) -> Done:
    """Return name and password as a login by PLAIN would give them to the back end."""
    try:
        outcome = Plain().next(f"\0{user}\0{password}".encode("utf-8", "surrogateescape"))
    except MechanismError as error:
        raise click.UsageError(f"no client can log in with this: {error}") from error
    assert isinstance(outcome, Done)  # noqa: S101 - PLAIN asks only where there was no response
    return outcome


def _asked(session: Session, reader: Reader, who: Done) -> tuple[str, str]:
    """Return how the back end answers, and why."""
    backend = StoreAuthenticator(reader, session.keyring, _NoLastUse(), lambda: session.now)
    try:
        verdict: Verdict = backend.authenticate(who.username, who.password, _NO_ADDRESS)
    except (StoreUnavailable, BackendUnavailable) as error:
        return "unavailable", str(error)
    return ("denied", verdict.reason) if isinstance(verdict, Denied) else ("granted", "")


def _data(credential: Credential, now: datetime, result: str, reason: str) -> dict[str, Any]:
    expired = credential.expires_at is not None and credential.expires_at <= now
    return {
        "username": credential.username,
        "backend": "store",
        "result": result,
        "reason": reason or None,
        "smtp_reply": _REPLIES[result],
        "state": "expired" if expired else credential.state.value,
        "expires_at": stamp(credential.expires_at),
        "senders": list(credential.rules.senders),
        "features": features_text(in_force(credential.features)),
    }


def _table(data: dict[str, Any]) -> Table:
    why = f": {data['reason']}" if data["reason"] else ""
    return facts(
        [
            ("user", data["username"]),
            ("answered by", data["backend"]),
            ("answer", f"{data['result']}{why}"),
            ("the client would read", data["smtp_reply"]),
            ("state", data["state"]),
            ("expires", data["expires_at"] or "never"),
            ("then may send as", ", ".join(data["senders"]) or "anybody"),
            ("with features", data["features"] or "none"),
        ]
    )

"""``gatepost credential test``: what a login with this password would be answered, and what would follow.

The same back ends decide as in gatepost-sasl, by the same code; only nothing is counted or noted: no last
use, and no failure, so nobody is locked out by it, and a lock-out that is in force is not seen.
"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime
from typing import Any

import click

from gatepost_cli import rule_options
from gatepost_cli.credential_view import features_text
from gatepost_cli.domain_walls import closed
from gatepost_cli.output import Table, emit, facts, stamp
from gatepost_cli.session import CliSession
from gatepost_core.domain import Credential, Rules, WallMode, in_force, shown
from gatepost_core.domain.logins import standing
from gatepost_core.domain.walls import Walls
from gatepost_core.service.views import rules_data
from gatepost_core.settings import Settings
from gatepost_core.store import NotFound, Reader, StoreUnavailable
from gatepost_sasl.authenticator import BackendUnavailable, Denied, Peer
from gatepost_sasl.backends import build
from gatepost_sasl.mechanisms import Done, MechanismError, PlainMechanism

DENIED = 1
_REPLIES = {"granted": "235 2.7.0", "denied": "535 5.7.8", "unavailable": "454 4.7.0"}


@dataclass(frozen=True, slots=True)
class _Answer:
    """What a back end says; ``username`` is the credential's own once it is granted."""

    backend: str
    result: str
    reason: str
    username: str


class _NoLastUse:
    """Takes note of nothing."""

    def record(self, credential_id: int, ip: str, now: datetime) -> None:
        """Leave the last use as it is."""
        del credential_id, ip, now


def run(session: CliSession, user: str, password: str, address: str) -> int:
    """Try the password, print what was found, and return the exit code: 0 granted, 1 not.

    ``address`` is where the login would come from; empty where that is not known. Raises NotFound for a
    user name of the store that does not exist, SettingsError for back ends that cannot work.
    """
    with session.reader() as reader:
        who = _prepared(user, password)
        answer = _asked(session, reader, who, Peer(address, secured=True))
        credential = reader.credential(answer.username)
        refused = _closed(session, reader, credential)
    if credential is None and answer.backend == "store":
        raise NotFound(f"no credential {shown(user)}; 'gatepost credential list' shows all")
    data = _data(answer, credential, session.now) | {"closed_senders": refused}
    emit(session, data, _table(data))
    return 0 if answer.result == "granted" else DENIED


def _prepared(user: str, password: str) -> Done:
    """Return name and password as a login by PLAIN would give them to the back end."""
    try:
        outcome = PlainMechanism().next(f"\0{user}\0{password}".encode("utf-8", "surrogateescape"))
    except MechanismError as error:
        raise click.UsageError(f"no client can log in with this: {error}") from error
    assert isinstance(outcome, Done)  # noqa: S101 - PLAIN asks only where there was no response
    return outcome


def _asked(session: CliSession, reader: Reader, who: Done, peer: Peer) -> _Answer:
    """Return which back end answers, how, and why."""
    settings = _without_templates(session.settings)
    build.check(settings)
    chain = build.build(settings, build.Parts(reader, session.keyring, _NoLastUse(), lambda: session.now))
    link = chain.claimant(who.username)
    name = link.name if link is not None else "none"
    try:
        verdict = chain.authenticate(who.username, who.password, peer)
    except (StoreUnavailable, BackendUnavailable) as error:
        return _Answer(name, "unavailable", str(error), who.username)
    finally:
        chain.close()
    if isinstance(verdict, Denied):
        return _Answer(name, "denied", verdict.reason, who.username)
    return _Answer(name, "granted", "", verdict.username)


def _closed(session: CliSession, reader: Reader, credential: Credential | None) -> list[str]:
    """Return the senders that walls between accounts would refuse all the same."""
    settings = session.settings
    walls = Walls(reader, settings.own_names, settings.accounts.wall_mode)
    if credential is None or walls.mode() is WallMode.REPORT:
        return []
    return closed(walls, credential.account_id, credential.rules.senders)


def _without_templates(settings: Settings) -> Settings:
    """Return the settings with no credential made at first login: a test must not make one."""
    return settings.model_copy(
        update={
            "pam": settings.pam.model_copy(update={"account": ""}),
            "ldap": settings.ldap.model_copy(update={"account": ""}),
        }
    )


def _data(answer: _Answer, credential: Credential | None, now: datetime) -> dict[str, Any]:
    data: dict[str, Any] = {
        "username": answer.username,
        "backend": answer.backend,
        "result": answer.result,
        "reason": answer.reason or None,
        "smtp_reply": _REPLIES[answer.result],
        "state": None,
        "mode": None,
        "expires_at": None,
        **rules_data(Rules(), Rules()),
        "features": "",
    }
    if credential is not None:
        data |= {
            "mode": credential.mode.value,
            "state": standing(credential, now),
            "expires_at": stamp(credential.expires_at),
            **rules_data(credential.rules, credential.own_rules),
            "features": features_text(in_force(credential.features)),
        }
    return data


def _table(data: dict[str, Any]) -> Table:
    why = f": {data['reason']}" if data["reason"] else ""
    return facts(
        [
            ("user", data["username"]),
            ("answered by", data["backend"]),
            ("answer", f"{data['result']}{why}"),
            ("the client would read", data["smtp_reply"]),
            ("state", data["state"] or "no credential"),
            ("mode", data["mode"] or ""),
            ("expires", data["expires_at"] or "never"),
            *rule_options.rows(data),
            *([("but not as", ", ".join(data["closed_senders"]))] if data["closed_senders"] else []),
            ("with features", data["features"] or "none"),
        ]
    )

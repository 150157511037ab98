"""Credentials and their secrets in the directory.

Functions on an open connection; the caller owns the transaction. What was read here is
what the cached reader hands to the daemons.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from datetime import datetime
from typing import Any

from sqlalchemy import Connection, Row, delete, insert, select, update
from sqlalchemy.exc import IntegrityError

from gatepost_core.features import FeatureValue, FeatureValues
from gatepost_core.model import Credential, Rules, Secret, State
from gatepost_core.options import Options
from gatepost_core.passwords import Derived
from gatepost_core.store import accounts as account_rows
from gatepost_core.store.errors import Conflict, NotFound
from gatepost_core.store.schema import accounts, credentials, secrets

_SELECT = select(credentials, accounts.c.name.label("account")).join(accounts)


def add(  # noqa: PLR0913 - a credential is what it is made of
    connection: Connection,
    *,
    account: str,
    username: str,
    derived: Derived,
    now: datetime,
    label: str = "",
    features: FeatureValues | None = None,
    rules: Rules | None = None,
    options: Options | None = None,
    expires_at: datetime | None = None,
) -> Credential:
    """Make a credential with its first secret. Raises NotFound for the account, Conflict for the name."""
    owner = account_rows.get(connection, account)
    values = {
        "account_id": owner.id,
        "username": username,
        "label": label,
        "state": State.ACTIVE.value,
        "features": _features_out(features or {}),
        "rules": _rules_out(rules or Rules()),
        "options": (options or Options()).to_json(),
        "created_at": now,
        "expires_at": expires_at,
    }
    try:
        result = connection.execute(insert(credentials).values(values))
    except IntegrityError as error:
        raise Conflict(f"credential {username!r} exists already") from error
    credential_id = result.inserted_primary_key[0]  # type: ignore[index]  # an INSERT has one
    add_secret(connection, credential_id, derived, now)
    return get(connection, username)


def add_secret(connection: Connection, credential_id: int, derived: Derived, now: datetime) -> None:
    """Add a secret beside those that the credential has."""
    connection.execute(
        insert(secrets).values(
            credential_id=credential_id,
            key_id=derived.key_id,
            digest=derived.digest,
            scram_salt=derived.scram_salt,
            scram_iterations=derived.scram_iterations,
            scram_stored_key=derived.scram_stored_key,
            scram_server_key=derived.scram_server_key,
            created_at=now,
        )
    )


def rotate(
    connection: Connection, username: str, derived: Derived, now: datetime, overlap_ends: datetime
) -> Credential:
    """Give a credential a new secret; the newest old one stays valid until ``overlap_ends``.

    At most two secrets are kept, so that a third rotation does not leave a forgotten one open.
    """
    credential = get(connection, username)
    keep = [secret.id for secret in credential.secrets[-1:] if overlap_ends > now]
    connection.execute(
        delete(secrets).where(secrets.c.credential_id == credential.id, secrets.c.id.not_in(keep))
    )
    for secret in credential.secrets[-1:]:
        ends = overlap_ends if secret.expires_at is None else min(secret.expires_at, overlap_ends)
        connection.execute(update(secrets).where(secrets.c.id == secret.id).values(expires_at=ends))
    add_secret(connection, credential.id, derived, now)
    return get(connection, username)


def change(connection: Connection, username: str, **changes: Any) -> Credential:
    """Set ``label``, ``state``, ``features``, ``rules``, ``options`` or ``expires_at``. Raises NotFound."""
    credential = get(connection, username)
    if "features" in changes:
        changes["features"] = _features_out(changes["features"])
    if "rules" in changes:
        changes["rules"] = _rules_out(changes["rules"])
    if "options" in changes:
        changes["options"] = changes["options"].to_json()
    if "state" in changes:
        changes["state"] = State(changes["state"]).value
    if changes:
        connection.execute(update(credentials).where(credentials.c.id == credential.id).values(changes))
    return get(connection, username)


def remove(connection: Connection, username: str) -> None:
    """Remove a credential and its secrets; its messages stay. Raises NotFound."""
    credential = get(connection, username)
    connection.execute(delete(secrets).where(secrets.c.credential_id == credential.id))
    connection.execute(delete(credentials).where(credentials.c.id == credential.id))


def get(connection: Connection, username: str) -> Credential:
    """Return a credential with its secrets. Raises NotFound."""
    found = find(connection, username)
    if found is None:
        raise NotFound(f"no credential {username!r}; 'gatepost credential list' shows all")
    return found


def find(connection: Connection, username: str) -> Credential | None:
    """Return a credential with its secrets, oldest secret first, or None."""
    row = connection.execute(_SELECT.where(credentials.c.username == username)).first()
    return None if row is None else _credential(row, _secrets(connection, row.id))


def everyone(connection: Connection, account: str | None = None) -> list[Credential]:
    """Return all credentials, or those of one account, by account and age, without secrets."""
    query = _SELECT.order_by(accounts.c.name, credentials.c.id)
    if account is not None:
        query = query.where(credentials.c.account_id == account_rows.get(connection, account).id)
    return [_credential(row, ()) for row in connection.execute(query)]


def _secrets(connection: Connection, credential_id: int) -> tuple[Secret, ...]:
    query = select(secrets).where(secrets.c.credential_id == credential_id).order_by(secrets.c.id)
    return tuple(_secret(row) for row in connection.execute(query))


def _secret(row: Row[Any]) -> Secret:
    return Secret(
        id=row.id,
        key_id=row.key_id,
        digest=row.digest,
        scram_salt=row.scram_salt,
        scram_iterations=row.scram_iterations,
        scram_stored_key=row.scram_stored_key,
        scram_server_key=row.scram_server_key,
        created_at=row.created_at,
        expires_at=row.expires_at,
    )


def _credential(row: Row[Any], own_secrets: Iterable[Secret]) -> Credential:
    return Credential(
        id=row.id,
        account_id=row.account_id,
        account=row.account,
        username=row.username,
        label=row.label,
        state=State(row.state),
        features=_features_in(row.features),
        rules=Rules(senders=tuple(row.rules.get("senders", ()))),
        created_at=row.created_at,
        expires_at=row.expires_at,
        secrets=tuple(own_secrets),
        options=Options.from_json(row.options),
    )


def _features_out(values: FeatureValues) -> dict[str, Any]:
    return {name: list(value) if isinstance(value, tuple) else value for name, value in values.items()}


def _features_in(values: Mapping[str, Any]) -> dict[str, FeatureValue]:
    return {name: tuple(value) if isinstance(value, list) else value for name, value in values.items()}


def _rules_out(rules: Rules) -> dict[str, Any]:
    return {"senders": list(rules.senders)}

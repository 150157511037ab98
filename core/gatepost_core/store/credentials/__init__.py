"""Credentials and their secrets in the directory.

Functions on an open connection; the caller owns the transaction. What was read here is
what the cached reader hands to the daemons.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import fields
from datetime import datetime
from typing import Any

from sqlalchemy import Connection, Row, delete, insert, select, update
from sqlalchemy.exc import IntegrityError

from gatepost_core.domain.errors import Conflict, NotFound, StoreError, shown
from gatepost_core.domain.features import FeatureValues
from gatepost_core.domain.limits import Limit
from gatepost_core.domain.model import Credential, Derived, ImportedSecret, Mode, Source, State
from gatepost_core.domain.options import NO_ROUTE, Options
from gatepost_core.domain.rules.catalogue import stored
from gatepost_core.domain.rules.values import Rules
from gatepost_core.store import accounts as account_rows
from gatepost_core.store import rows
from gatepost_core.store.credentials import suspensions
from gatepost_core.store.schema import accounts, credentials, secrets

SELECT = select(
    credentials,
    accounts.c.name.label("account"),
    accounts.c.image_quota,
    accounts.c.limits.label("account_limits"),
    accounts.c.rules.label("account_rules"),
    accounts.c.time_zone,
    accounts.c.route.label("account_route"),
    accounts.c.created_at.label("account_created_at"),
).join(accounts)


def add(  # noqa: PLR0913 - a credential is what it is made of
    connection: Connection,
    *,
    account: str,
    username: str,
    derived: Derived | None,
    now: datetime,
    label: str = "",
    features: FeatureValues | None = None,
    rules: Rules | None = None,
    options: Options | None = None,
    expires_at: datetime | None = None,
    source: Source = Source.STORE,
    imported: ImportedSecret | None = None,
    mode: Mode = Mode.LIVE,
    limits: Iterable[Limit] | None = None,
) -> Credential:
    """Make a credential with its first secret; ``derived`` is None when its password is known elsewhere.

    Raises NotFound for the account, Conflict for the name.
    """
    owner = account_rows.get(connection, account)
    values = {
        "account_id": owner.id,
        "username": username,
        "label": label,
        "state": State.ACTIVE.value,
        "features": _features_out(features or {}),
        "rules": stored(rules or Rules()),
        "options": (options or Options()).to_json(),
        "created_at": now,
        "expires_at": expires_at,
        "source": source.value,
        "mode": mode.value,
        "limits": rows.limits_out(limits),
        **_imported_out(imported),
    }
    try:
        result = connection.execute(insert(credentials).values(values))
    except IntegrityError as error:
        raise Conflict(f"credential {shown(username)} exists already") from error
    credential_id = result.inserted_primary_key[0]  # type: ignore[index]  # an INSERT has one
    if derived is not None:
        add_secret(connection, credential_id, derived, now)
    return get(connection, username)


def add_secret(connection: Connection, credential_id: int, derived: Derived, now: datetime) -> None:
    """Add a secret beside those that the credential has."""
    connection.execute(
        insert(secrets).values(
            credential_id=credential_id,
            created_at=now,
            **{field.name: getattr(derived, field.name) for field in fields(Derived)},
        )
    )


def rotate(
    connection: Connection, username: str, derived: Derived, now: datetime, overlap_ends: datetime
) -> Credential:
    """Give a credential a new secret; the newest old one stays valid until ``overlap_ends``.

    At most two secrets are kept, so that a third rotation does not leave a forgotten one open; an
    imported one stays beside them for the overlap. Raises StoreError when a directory has the password.
    """
    credential = get(connection, username)
    if credential.source is not Source.STORE:
        raise StoreError(
            f"the password of credential {shown(username)} is kept by {credential.source.value}; "
            "change it there"
        )
    if credential.imported is not None:
        _end_imported(connection, credential, now, overlap_ends)
    keep = [secret.id for secret in credential.secrets[-1:] if overlap_ends > now]
    connection.execute(
        delete(secrets).where(secrets.c.credential_id == credential.id, secrets.c.id.not_in(keep))
    )
    for secret in credential.secrets[-1:]:
        ends = overlap_ends if secret.expires_at is None else min(secret.expires_at, overlap_ends)
        connection.execute(update(secrets).where(secrets.c.id == secret.id).values(expires_at=ends))
    add_secret(connection, credential.id, derived, now)
    return get(connection, username)


def _end_imported(connection: Connection, credential: Credential, now: datetime, ends: datetime) -> None:
    """Let the imported secret end with the overlap, or at once when there is none."""
    kept = credential.imported if ends > now else None
    if kept is not None:
        kept = ImportedSecret(kept.argon2id, min(kept.expires_at or ends, ends))
    values = _imported_out(kept)
    connection.execute(update(credentials).where(credentials.c.id == credential.id).values(values))


def change(connection: Connection, username: str, **changes: Any) -> Credential:
    """Set ``label``, ``state``, ``mode``, ``features``, ``rules``, ``options``, ``expires_at``, ``imported``,
    ``limits`` (None: what the settings say).

    Raises NotFound.
    """
    credential = get(connection, username)
    if "features" in changes:
        changes["features"] = _features_out(changes["features"])
    if "rules" in changes:
        changes["rules"] = stored(changes["rules"])
    if "options" in changes:
        changes["options"] = changes["options"].to_json()
    if "state" in changes:
        changes["state"] = State(changes["state"]).value
    if "limits" in changes:
        changes["limits"] = rows.limits_out(changes["limits"])
    if "mode" in changes:
        changes["mode"] = Mode(changes["mode"]).value
    if "imported" in changes:
        changes |= _imported_out(changes.pop("imported"))
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
        raise NotFound(f"no credential {shown(username)}; 'gatepost credential list' shows all")
    return found


def find(connection: Connection, username: str) -> Credential | None:
    """Return a credential with its secrets, oldest secret first, or None."""
    row = connection.execute(SELECT.where(credentials.c.username == username)).first()
    if row is None:
        return None
    suspended = suspensions.standing(connection, _disabled([row])).get(row.id)
    return rows.credential(row._mapping, _secrets(connection, row.id), suspended)


def list_all(connection: Connection, account: str | None = None) -> list[Credential]:
    """Return all credentials, or those of one account, by account and age, without secrets."""
    query = SELECT.order_by(accounts.c.name, credentials.c.id)
    if account is not None:
        query = query.where(credentials.c.account_id == account_rows.get(connection, account).id)
    return without_secrets(connection, connection.execute(query).all())


def place_kinds(connection: Connection) -> set[str]:
    """Return what rules of credentials and accounts tell new places by."""
    found = set[str]()
    for column in (credentials.c.rules, accounts.c.rules):
        for kinds in connection.execute(select(column["hold_places"].as_json()).distinct()).scalars():
            found.update(kinds or ())
    return found


def routes(connection: Connection) -> set[str]:
    """Return the names of all routes that credentials and accounts name."""
    own = select(credentials.c.options["route"].as_string()).distinct()
    named = {
        *connection.execute(own).scalars(),
        *connection.execute(select(accounts.c.route).distinct()).scalars(),
    }
    return {name for name in named if name} - {NO_ROUTE}


def labelled(connection: Connection, label: str) -> list[Credential]:
    """Return the credentials with exactly this label, without secrets."""
    found = connection.execute(SELECT.where(credentials.c.label == label).order_by(credentials.c.id))
    return without_secrets(connection, found.all())


def without_secrets(connection: Connection, found: Sequence[Row[Any]]) -> list[Credential]:
    """Return the credentials of rows of ``SELECT``."""
    suspended = suspensions.standing(connection, _disabled(found))
    return [rows.credential(row._mapping, (), suspended.get(row.id)) for row in found]


def _disabled(found: Iterable[Row[Any]]) -> list[int]:
    """Return those of which it is asked whether they are suspended."""
    return [row.id for row in found if row.state != State.ACTIVE.value]


def _secrets(connection: Connection, credential_id: int) -> list[rows.Row]:
    query = select(secrets).where(secrets.c.credential_id == credential_id).order_by(secrets.c.id)
    return [row._mapping for row in connection.execute(query)]


def _features_out(values: FeatureValues) -> dict[str, Any]:
    return {name: list(value) if isinstance(value, tuple) else value for name, value in values.items()}


def _imported_out(imported: ImportedSecret | None) -> dict[str, Any]:
    if imported is None:
        return {"imported_hash": None, "imported_expires_at": None}
    return {"imported_hash": imported.argon2id, "imported_expires_at": imported.expires_at}

"""Credentials a page at a time, the newest first. A function on an open connection of the directory."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime

from sqlalchemy import ColumnElement, Connection, and_, or_, select

from gatepost_core.domain.limits.suspending import Action
from gatepost_core.domain.model import Credential, State
from gatepost_core.store import accounts as account_rows
from gatepost_core.store.credentials import SELECT, without_secrets
from gatepost_core.store.credentials.tables import suspensions
from gatepost_core.store.schema import credentials

STATES = (*(state.value for state in State), "suspended", "expired")


@dataclass(frozen=True, slots=True)
class Wanted:
    """Which credentials are asked for; None and '' ask for nothing. ``label``: a part of it, in any case."""

    account: str | None = None
    label: str = ""
    state: str = ""


def page(
    connection: Connection, wanted: Wanted, now: datetime, limit: int, after: int | None = None
) -> list[Credential]:
    """Return at most ``limit``, without secrets, those older than the one with the id ``after``.

    Raises NotFound for an account.
    """
    query = SELECT.order_by(credentials.c.id.desc()).limit(limit)
    if wanted.account is not None:
        query = query.where(credentials.c.account_id == account_rows.get(connection, wanted.account).id)
    if wanted.label:
        query = query.where(credentials.c.label.icontains(wanted.label, autoescape=True))
    if wanted.state:
        query = query.where(_in_state(wanted.state, now))
    if after is not None:
        query = query.where(credentials.c.id < after)
    return without_secrets(connection, connection.execute(query).all())


def ending(
    connection: Connection, account: str | None, first: datetime, last: datetime, limit: int
) -> list[Credential]:
    """Return at most ``limit`` credentials, without secrets, that end between two times, the soonest first.

    Raises NotFound for an account.
    """
    query = SELECT.where(credentials.c.expires_at > first, credentials.c.expires_at < last)
    if account is not None:
        query = query.where(credentials.c.account_id == account_rows.get(connection, account).id)
    return without_secrets(
        connection, connection.execute(query.order_by(credentials.c.expires_at).limit(limit)).all()
    )


def _in_state(state: str, now: datetime) -> ColumnElement[bool]:
    suspended = and_(
        credentials.c.state == State.DISABLED.value,
        select(suspensions.c.id)
        .where(
            suspensions.c.credential_id == credentials.c.id,
            suspensions.c.action == Action.SUSPENDED.value,
            suspensions.c.lifted_at.is_(None),
        )
        .exists(),
    )
    over = credentials.c.expires_at <= now
    if state == "suspended":
        return suspended
    if state == "expired":
        return and_(over, ~suspended)
    running = or_(credentials.c.expires_at.is_(None), credentials.c.expires_at > now)
    return (
        credentials.c.state == state
        if state == State.DISABLED.value
        else and_(credentials.c.state == state, running)
    )

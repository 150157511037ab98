"""Sessions of the dashboard in the directory: functions on an open connection, in the caller's transaction.

A session is found by SHA-256 of what its cookie holds: who reads the database can use none.
"""

from __future__ import annotations

from datetime import datetime
from typing import Any

from sqlalchemy import Connection, Row, delete, insert, select, update

from gatepost_core.domain.access.users import EXACT, IDLE, UserSession
from gatepost_core.store.access.user_tables import user_sessions

_COLUMNS = [column for column in user_sessions.c if column.name != "digest"]


def begin(
    connection: Connection,
    digest: bytes,
    user_id: int,
    now: datetime,
    ends_at: datetime,
    *,
    proven: bool,
    ip: str,
    agent: str,
) -> None:
    """Keep a new session. What has ended by itself goes."""
    over = (user_sessions.c.ends_at <= now) | (user_sessions.c.seen_at <= now - IDLE)
    connection.execute(delete(user_sessions).where(over))
    values = {"digest": digest, "user_id": user_id, "created_at": now, "seen_at": now, "ends_at": ends_at}
    told = {"proven": proven, "ip": ip[:64], "agent": agent[:200]}
    connection.execute(insert(user_sessions).values(values | told))


def find(connection: Connection, digest: bytes, now: datetime) -> UserSession | None:
    """Return a session that goes on, None where there is none."""
    row = connection.execute(select(*_COLUMNS).where(user_sessions.c.digest == digest)).first()
    session = None if row is None else _session(row)
    return None if session is None or session.over(now) else session


def of_user(connection: Connection, user_id: int, now: datetime) -> list[UserSession]:
    """Return a user's sessions that go on, the newest first."""
    mine = (user_sessions.c.user_id == user_id) & user_sessions.c.proven
    rows = connection.execute(select(*_COLUMNS).where(mine).order_by(user_sessions.c.id.desc()))
    return [session for row in rows if not (session := _session(row)).over(now)]


def stale(session: UserSession, now: datetime) -> bool:
    """Say whether it is time to keep that a session is used."""
    return now - session.seen_at >= EXACT


def touch(connection: Connection, number: int, now: datetime) -> None:
    """Keep that a session is used."""
    connection.execute(update(user_sessions).where(user_sessions.c.id == number).values(seen_at=now))


def failed(connection: Connection, number: int) -> None:
    """Count a wrong second factor."""
    more = user_sessions.c.tries + 1
    connection.execute(update(user_sessions).where(user_sessions.c.id == number).values(tries=more))


def choose(connection: Connection, number: int, account: str) -> None:
    """Keep which account a session's user looks at."""
    mine = user_sessions.c.id == number
    connection.execute(update(user_sessions).where(mine).values(account=account[:64]))


def end(connection: Connection, number: int, user_id: int) -> bool:
    """End a session of a user; False: there is none."""
    mine = (user_sessions.c.id == number) & (user_sessions.c.user_id == user_id)
    return connection.execute(delete(user_sessions).where(mine)).rowcount == 1


def end_all(connection: Connection, user_id: int, but: int = 0) -> int:
    """End all sessions of a user, but maybe one; return how many."""
    mine = (user_sessions.c.user_id == user_id) & (user_sessions.c.id != but)
    return connection.execute(delete(user_sessions).where(mine)).rowcount


def _session(row: Row[Any]) -> UserSession:
    return UserSession(**row._mapping)

"""API tokens in the directory. Functions on an open connection; the caller owns the transaction."""

from __future__ import annotations

from collections.abc import Collection
from datetime import datetime, timedelta
from typing import Any, Final

from sqlalchemy import Connection, Row, delete, insert, select, update

from gatepost_core.domain.access import Token
from gatepost_core.domain.errors import Conflict, NotFound, shown
from gatepost_core.store import accounts as account_rows
from gatepost_core.store.access.tables import tokens
from gatepost_core.store.schema import accounts

# Of one account, and of operators together.
TOKENS_MOST: Final = 100
# Between two notes of a token's use.
_NOTED: Final = timedelta(hours=1)
_SELECT = select(tokens, accounts.c.name.label("account")).outerjoin(accounts)


def add(connection: Connection, token: Token, kept: tuple[str, bytes]) -> Token:
    """Keep a token; ``kept``: the id of the key and the hash. Raises NotFound for the account, Conflict."""
    owner = None if token.account is None else account_rows.get(connection, token.account).id
    if len(list_all(connection, token.account, operators=True)) >= TOKENS_MOST:
        whose = f"account {shown(token.account)}" if token.account else "operators"
        raise Conflict(f"{whose} cannot have more than {TOKENS_MOST} tokens; remove those that nobody uses")
    key_id, digest = kept
    connection.execute(
        insert(tokens).values(
            id=token.id,
            name=token.name,
            account_id=owner,
            key_id=key_id,
            digest=digest,
            scopes=sorted(token.scopes),
            networks=list(token.networks),
            created_at=token.created_at,
            created_by=token.created_by,
            expires_at=token.expires_at,
        )
    )
    return get(connection, token.id)


def get(connection: Connection, token_id: str) -> Token:
    """Return a token. Raises NotFound."""
    row = connection.execute(_SELECT.where(tokens.c.id == token_id)).first()
    if row is None:
        raise NotFound(f"no token {shown(token_id)}; 'gatepost token list' shows all")
    return _token(row)


def find(connection: Connection, digests: Collection[bytes]) -> Token | None:
    """Return the token that has one of these hashes, or None."""
    row = connection.execute(_SELECT.where(tokens.c.digest.in_(list(digests)))).first()
    return None if row is None else _token(row)


def list_all(connection: Connection, account: str | None = None, *, operators: bool = False) -> list[Token]:
    """Return all tokens, or those of one account, or with ``operators`` and no account those of operators.

    The oldest first.
    """
    query = _SELECT.order_by(tokens.c.id)
    if account is not None:
        query = query.where(tokens.c.account_id == account_rows.get(connection, account).id)
    elif operators:
        query = query.where(tokens.c.account_id.is_(None))
    return [_token(row) for row in connection.execute(query)]


def used(connection: Connection, token: Token, address: str, now: datetime) -> None:
    """Note a token's use."""
    values = {"last_used_at": now, "last_used_ip": address}
    connection.execute(update(tokens).where(tokens.c.id == token.id).values(values))


def to_note(token: Token, now: datetime) -> bool:
    """Say whether a use is to be noted: the last one that was is an hour ago."""
    return token.last_used_at is None or now - token.last_used_at >= _NOTED


def remove(connection: Connection, token_id: str) -> None:
    """Remove a token: it counts for nothing from now on."""
    connection.execute(delete(tokens).where(tokens.c.id == token_id))


def _token(row: Row[Any]) -> Token:
    return Token(
        id=row.id,
        name=row.name,
        account=row.account,
        scopes=frozenset(row.scopes),
        networks=tuple(row.networks),
        created_at=row.created_at,
        created_by=row.created_by,
        expires_at=row.expires_at,
        last_used_at=row.last_used_at,
        last_used_ip=row.last_used_ip,
    )

"""API tokens: made (and told once), listed, removed; and whose a text is that came with a request."""

from __future__ import annotations

from collections.abc import Iterable
from contextlib import suppress
from dataclasses import dataclass
from datetime import datetime
from typing import Final, NamedTuple

from sqlalchemy import Connection

from gatepost_core.domain import BadValue, Forbidden, NotFound, StoreUnavailable, ids, shown, stamp
from gatepost_core.domain.access import OPERATORS_ONLY, Actor, Token
from gatepost_core.domain.rules import normal_network, within
from gatepost_core.keys import Keyring
from gatepost_core.keys.api_tokens import digest, digests, new_token
from gatepost_core.service.changing import changing
from gatepost_core.service.context import Context, Store
from gatepost_core.service.views import token_data
from gatepost_core.store.access import tokens as rows

KIND: Final = "tokens"
NAME_MOST: Final = 255
NETWORKS_MOST: Final = 50


@dataclass(frozen=True, slots=True)
class New:
    """A token to be made. ``account`` None: the actor's own, or of operators. ``networks``: CIDR blocks."""

    name: str
    scopes: frozenset[str]
    account: str | None = None
    networks: tuple[str, ...] = ()
    expires_at: datetime | None = None


class Made(NamedTuple):
    """A token with its text, which is not kept."""

    token: Token
    text: str


def add(context: Context, new: New) -> Made:
    """Make a token. It can do no more than who makes it; one of an account sees that account alone.

    What bounds its maker in networks and time bounds it too, where nothing narrower is asked for. Raises
    Forbidden for more than the actor may, BadValue, NotFound for the account, Conflict.
    """
    context.need(KIND, write=True)
    account = context.own(new.account)
    wanted = new.scopes - (OPERATORS_ONLY if account is not None else frozenset())
    if not wanted:
        raise BadValue("scopes", f"a token of an account cannot have {', '.join(sorted(new.scopes))} alone")
    if missing := wanted - context.actor.scopes:
        raise Forbidden(f"nobody can give scopes that he has not: {', '.join(sorted(missing))}")
    text, now = new_token(), context.now
    networks, expires_at = _bounds(context.actor, _networks(new.networks), new.expires_at)
    token = Token(
        id=ids.new(int(now.timestamp() * 1000)),
        name=_name(new.name),
        account=account,
        scopes=wanted,
        networks=networks,
        created_at=now,
        created_by=context.actor.name,
        expires_at=expires_at,
    )
    if token.over(now) and new.expires_at is not None:
        raise BadValue("expires_at", f"{stamp(new.expires_at)} lies in the past")
    with changing(context) as work:
        made = rows.add(work.connection, token, digest(context.keyring(), text))
        work.note("token.add", made.id, account, None, token_data(made, now))
    return Made(made, text)


def remove(context: Context, token_id: str) -> Token:
    """Remove a token, which counts for nothing from now on, and return it."""
    context.need(KIND, write=True)
    with changing(context) as work:
        token = _get(context, work.connection, token_id)
        rows.remove(work.connection, token.id)
        work.note("token.remove", token.id, token.account, token_data(token, work.now))
    return token


def show(context: Context, token_id: str) -> Token:
    """Return a token."""
    context.need(KIND, write=False)
    with context.store.directory() as connection:
        return _get(context, connection, token_id)


def every(context: Context, account: str | None = None) -> list[Token]:
    """Return all tokens, or an account's, the oldest first."""
    context.need(KIND, write=False)
    with context.store.directory() as connection:
        return rows.list_all(connection, context.own(account))


def actor_of(store: Store, keyring: Keyring, text: str, address: str, now: datetime) -> Actor | None:
    """Return whom a token's text is from an address; None: it is no token, or counts for nothing from there.

    Its use is noted, once an hour at most. Raises StoreUnavailable.
    """
    kept = digests(keyring, text)
    if not kept:
        return None
    with store.directory() as connection:
        token = rows.find(connection, kept)
    actor = None if token is None else token.actor(address, now)
    if token is not None and actor is not None and rows.to_note(token, now):
        with suppress(StoreUnavailable), store.directory(write=True) as connection:
            rows.used(connection, token, address, now)
    return actor


def _get(context: Context, connection: Connection, token_id: str) -> Token:
    token = rows.get(connection, token_id)
    if not context.wall(token.account):
        raise NotFound(f"no token {shown(token_id)}; 'gatepost token list' shows all")
    return token


def _bounds(
    actor: Actor, networks: tuple[str, ...], expires_at: datetime | None
) -> tuple[tuple[str, ...], datetime | None]:
    """Return where from and until when a token may be used. Raises Forbidden for more than its maker."""
    if actor.networks:
        outside = [one for one in networks if not any(within(one, own) for own in actor.networks)]
        if outside:
            raise Forbidden(f"nobody can give networks that he is not bound to: {', '.join(outside)}")
        networks = networks or actor.networks
    if actor.expires_at is not None:
        if expires_at is not None and expires_at > actor.expires_at:
            raise Forbidden(f"it cannot end after its maker, at {stamp(actor.expires_at)}")
        expires_at = expires_at or actor.expires_at
    return networks, expires_at


def _name(text: str) -> str:
    name = text.strip()
    if not name or len(name) > NAME_MOST or not name.isprintable():
        raise BadValue("name", f"a token's name has 1 to {NAME_MOST} characters, on one line")
    return name


def _networks(texts: Iterable[str]) -> tuple[str, ...]:
    found: dict[str, None] = {}
    for text in texts:
        if len(found) >= NETWORKS_MOST:
            raise BadValue("networks", f"at most {NETWORKS_MOST} networks")
        try:
            found[normal_network(text)] = None
        except ValueError as error:
            raise BadValue("networks", f"{shown(text)} is no network, such as 192.0.2.0/24") from error
    return tuple(found)

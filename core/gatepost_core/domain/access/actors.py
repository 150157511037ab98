"""An actor, and the one place that says what it may do."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime
from enum import StrEnum

from gatepost_core.domain.access.scopes import EVERY, OPERATORS_ONLY, scope


class ActorKind(StrEnum):
    """Who it is: the command on a node, an API token, a person who signed in."""

    NODE = "node"
    TOKEN = "token"  # noqa: S105 - a kind, no secret
    USER = "user"


@dataclass(frozen=True, slots=True)
class Actor:
    """Who acts. ``id`` names it for good ('' for the command), ``name`` is for people.

    ``account`` is the one account that it sees; None: an operator, who sees all. ``address``: where it
    connects from, '' where that is this host itself. ``networks`` (() for anywhere) and ``expires_at`` bound
    it: what it makes for others to act with is bound likewise.
    """

    kind: ActorKind
    id: str
    name: str
    account: str | None
    scopes: frozenset[str]
    address: str = ""
    networks: tuple[str, ...] = ()
    expires_at: datetime | None = None

    @property
    def operator(self) -> bool:
        """Whether it is bound to no account."""
        return self.account is None


def node(name: str) -> Actor:
    """Return the command's actor: an operator with every scope, who is called ``name``."""
    return Actor(ActorKind.NODE, "", name, None, EVERY)


def may(actor: Actor, kind: str, *, write: bool, account: str | None) -> bool:
    """Say whether an actor may read or write an object of a kind.

    ``account``: whose it is; None: the gateway's own.
    """
    needed = scope(kind, write=write)
    if needed not in actor.scopes:
        return False
    if actor.operator:
        return True
    return account == actor.account and needed not in OPERATORS_ONLY

"""Who acts on Gatepost, and what it may see and change: the same for command, API and pages. Pure.

An ``Actor`` is the command (an operator on this node), an API token or a person who signed in. Its scopes say
which kinds of objects it may read or write; its account is a wall: what is another account's does not exist
for it. ``may`` is the one place that judges this. A scope that is missing is told (``Forbidden``), a foreign
object is not found.
"""

from gatepost_core.domain.access.actors import Actor, ActorKind, may, node
from gatepost_core.domain.access.scopes import (
    EVERY,
    KINDS,
    OPERATORS_ONLY,
    READ,
    ROLES,
    WRITE,
    Role,
    ScopeError,
    scope,
    scopes,
)
from gatepost_core.domain.access.tokens import Token

__all__ = [
    "EVERY",
    "KINDS",
    "OPERATORS_ONLY",
    "READ",
    "ROLES",
    "WRITE",
    "Actor",
    "ActorKind",
    "Role",
    "ScopeError",
    "Token",
    "may",
    "node",
    "scope",
    "scopes",
]

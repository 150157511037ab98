"""Scopes, as ``KIND:read`` and ``KIND:write``, and the roles of people, each a set of them.

``write`` includes no ``read``: a program that makes credentials need not be able to list them. No scope lets
anybody send mail.
"""

from __future__ import annotations

from collections.abc import Iterable
from enum import StrEnum
from typing import Final

READ: Final = "read"
WRITE: Final = "write"
_WAYS: Final = (READ, WRITE)

# Kinds of objects, as the API's paths name them, and what one can do with each.
KINDS: Final = {
    "accounts": _WAYS,
    "users": _WAYS,
    "tokens": _WAYS,
    "credentials": _WAYS,
    "domains": _WAYS,
    "messages": _WAYS,
    "events": (READ,),
    "suppressions": _WAYS,
    "webhooks": _WAYS,
    "limits": (READ,),
    "stats": (READ,),
    "audit": (READ,),
}
# What only operators may change: an account could lift its own limits.
OPERATORS_ONLY: Final = frozenset({"accounts:write"})
EVERY: Final = frozenset(f"{kind}:{way}" for kind, ways in KINDS.items() for way in ways)
_MOST: Final = 100


class ScopeError(ValueError):
    """A text is no scope; it names itself, and says what may stand there."""


class Role(StrEnum):
    """What a person may do in an account: all; all but users, tokens and the audit log; look at it."""

    OWNER = "owner"
    EDITOR = "editor"
    VIEWER = "viewer"


_PRIVATE: Final = ("users", "tokens", "audit")
_VIEWED: Final = frozenset(f"{kind}:{READ}" for kind in KINDS if kind not in _PRIVATE)
ROLES: Final = {
    Role.OWNER: EVERY - OPERATORS_ONLY,
    Role.EDITOR: frozenset(one for one in EVERY if one.partition(":")[0] not in _PRIVATE) - OPERATORS_ONLY,
    Role.VIEWER: _VIEWED,
}


def scope(kind: str, *, write: bool) -> str:
    """Return the scope that reading or writing objects of a kind needs."""
    return f"{kind}:{WRITE if write else READ}"


def scopes(texts: Iterable[str]) -> frozenset[str]:
    """Return the scopes that texts spell: ``credentials:read``, ``credentials`` for both, ``read`` ``all``.

    Raises ScopeError, also where there are none.
    """
    found: set[str] = set()
    for at, text in enumerate(texts):
        if at >= _MOST:
            raise ScopeError(f"more than {_MOST} scopes; 'all' is every one")
        found |= _spelt(text.strip().lower())
    if not found:
        raise ScopeError("no scope; expected such as credentials:read, credentials, read, write or all")
    return frozenset(found)


def _spelt(text: str) -> frozenset[str]:
    if text == "all":
        return EVERY
    if text in EVERY:
        return frozenset({text})
    if text in _WAYS:
        return frozenset(one for one in EVERY if one.endswith(f":{text}"))
    if text in KINDS:
        return frozenset(f"{text}:{way}" for way in KINDS[text])
    raise ScopeError(
        f"{text[:40]!r} is no scope; expected read, write, all, KIND:read, KIND:write or KIND, which is one"
        f" of {', '.join(KINDS)}"
    )

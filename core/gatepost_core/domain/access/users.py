"""Users of the dashboard: who they are, what they are to which account, and how long a session lasts. Pure.

A session ends when it was not used for ``IDLE``, and at the latest ``LONGEST`` after its sign-in. One that
waits for the second factor is a session of its own kind, good for nothing else and for minutes.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from typing import Final

from gatepost_core.domain.access.actors import Actor, ActorKind
from gatepost_core.domain.access.scopes import EVERY, ROLES, Role
from gatepost_core.domain.errors import StoreError, shown

IDLE: Final = timedelta(hours=12)
LONGEST: Final = timedelta(days=7)
# How long the second factor may take, and how often it may be wrong.
PROVING: Final = timedelta(minutes=5)
TRIES: Final = 5
# How long the link is good by which a user chooses a password.
LINK: Final = timedelta(hours=24)
# A session's last use is kept so exactly: each write empties the caches of the daemons that Postfix asks.
EXACT: Final = timedelta(minutes=5)
_NAME: Final = re.compile(r"[A-Za-z0-9][A-Za-z0-9._+@-]{0,126}[A-Za-z0-9]")


@dataclass(frozen=True, slots=True)
class User:
    """A person who signs in. ``roles`` by the account's name; an ``operator`` needs none.

    ``chosen``: has a password; ``second``: has to give a code as well. ``seen_at``: the last sign-in.
    """

    id: int
    name: str
    created_at: datetime
    operator: bool = False
    enabled: bool = True
    roles: Mapping[str, Role] = field(default_factory=dict)
    chosen: bool = False
    second: bool = False
    seen_at: datetime | None = None


@dataclass(frozen=True, slots=True)
class UserSession:
    """One sign-in. ``proven``: nothing is missing; else the second factor is, and ``tries`` were wrong.

    ``ends_at``: the latest that it ends; ``ip`` and ``agent`` are those of the sign-in. ``account``: which of
    several the user looks at; '' for the first.
    """

    id: int
    user_id: int
    created_at: datetime
    seen_at: datetime
    ends_at: datetime
    proven: bool
    tries: int
    ip: str
    agent: str
    account: str = ""

    def over(self, now: datetime) -> bool:
        """Say whether it has ended by itself."""
        return now >= self.ends_at or now - self.seen_at >= IDLE or self.tries >= TRIES


def checked_name(text: str) -> str:
    """Return a user's name, which may be an address, in small letters. Raises StoreError."""
    if not _NAME.fullmatch(text):
        raise StoreError(
            f"user name {shown(text)} cannot be used; expected 2 to 128 letters, digits or '.', '_', '+', "
            "'@', '-', such as alice or alice@example.com"
        )
    return text.lower()


def actor_of(user: User, chosen: str, address: str) -> Actor | None:
    """Return who acts when a user does: in one account, or as an operator. None for one without any role.

    ``chosen``: which of several accounts; where the user has no role there, the first that it has one in.
    """
    if user.operator:
        return Actor(ActorKind.USER, str(user.id), user.name, None, EVERY, address)
    account = chosen if chosen in user.roles else next(iter(user.roles), "")
    if not account:
        return None
    return Actor(ActorKind.USER, str(user.id), user.name, account, ROLES[user.roles[account]], address)

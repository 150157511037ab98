"""An API token as a value: whose it is, what it may do, from where, until when. Its text is kept nowhere."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime

from gatepost_core.domain.access.actors import Actor, ActorKind
from gatepost_core.domain.rules import network_allowed


@dataclass(frozen=True, slots=True)
class Token:
    """``account`` None: an operator's. ``networks``: where it may be used from, () for anywhere.

    ``last_used_at`` is noted once an hour at most.
    """

    id: str
    name: str
    account: str | None
    scopes: frozenset[str]
    networks: tuple[str, ...]
    created_at: datetime
    created_by: str
    expires_at: datetime | None = None
    last_used_at: datetime | None = None
    last_used_ip: str = ""

    def over(self, now: datetime) -> bool:
        """Say whether its end has come."""
        return self.expires_at is not None and self.expires_at <= now

    def actor(self, address: str, now: datetime) -> Actor | None:
        """Return whom it is from an address ('' for a UNIX socket), None where it counts for nothing."""
        if self.over(now) or not network_allowed(self.networks, address):
            return None
        bounds = (self.networks, self.expires_at)
        return Actor(ActorKind.TOKEN, self.id, self.name, self.account, self.scopes, address, *bounds)

"""The back ends in order, each for the names that it claims.

The first back end that claims a name decides: a wrong password there, or a fault, is the answer, and no
other back end is asked. Otherwise a password would be tried at one place after the other, and a directory
that is down would hand its users to the next.
"""

from __future__ import annotations

import itertools
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Protocol, runtime_checkable

from gatepost_sasl.authenticator import Authenticator, Denied, Peer, Verdict
from gatepost_sasl.names import Names

_UNCLAIMED = Denied("unknown user: no back end claims the name")


@runtime_checkable
class Closing(Protocol):
    """A back end that has something to end."""

    def close(self) -> None:
        """End it."""
        ...


@runtime_checkable
class Stuck(Protocol):
    """A back end whose threads may all be stuck."""

    def stuck_for(self, seconds: float) -> str:
        """Say what has been stuck for so long that nobody can be served; empty when nothing is."""
        ...


@dataclass(frozen=True, slots=True)
class ChainEntry:
    """One back end of the chain; ``name`` is for the log."""

    name: str
    names: Names
    authenticator: Authenticator


class Chain:
    """An Authenticator made of others."""

    def __init__(self, links: Sequence[ChainEntry]) -> None:
        self._links = tuple(links)

    def shortest(self) -> Authenticator:
        """Return the first back end where it claims every name: nobody else is ever asked then."""
        first = self._links[0]
        return first.authenticator if first.names.every else self

    def claimant(self, username: str) -> ChainEntry | None:
        """Return the back end that decides about a name, None when none claims it."""
        for link in self._links:
            if link.names.every or username in link.names:
                return link
        return None

    def close(self) -> None:
        """End what the back ends have open: threads, connections."""
        for link in self._links:
            if isinstance(link.authenticator, Closing):
                link.authenticator.close()

    def stuck_for(self, seconds: float) -> str:
        """Return which back ends can serve nobody, for so many seconds now; empty when all can."""
        texts = [
            link.authenticator.stuck_for(seconds)
            for link in self._links
            if isinstance(link.authenticator, Stuck)
        ]
        return "; ".join(filter(None, texts))

    def at_once(self, username: str, password: str, peer: Peer) -> Verdict | None:
        """See Authenticator."""
        link = self.claimant(username)
        return _UNCLAIMED if link is None else link.authenticator.at_once(username, password, peer)

    def authenticate(self, username: str, password: str, peer: Peer) -> Verdict:
        """See Authenticator. A name that nobody claims is an unknown user."""
        link = self.claimant(username)
        if link is None:
            return _UNCLAIMED
        return link.authenticator.authenticate(username, password, peer)


def unreachable(links: Sequence[tuple[str, Names]]) -> str | None:
    """Return why a back end can never be asked, None when each can."""
    for (first, names), (second, _) in itertools.pairwise(links):
        if names.every:
            return f"{second} is never asked: {first} comes before it and claims every name ({names})"
    return None

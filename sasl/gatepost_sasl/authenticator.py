"""Who may log in: the one interface between the protocol and the back ends (store, and others).

Three answers: granted, denied (the client's fault, 535) and unavailable (ours, 454). The third is an
exception, so that no back end can turn its own trouble into a refusal by mistake.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Protocol, TypeAlias

from gatepost_core.domain.logins import UNKNOWN
from gatepost_sasl.peer import Peer

__all__ = ["Authenticator", "BackendUnavailable", "Denied", "Granted", "Peer", "Verdict"]


@dataclass(slots=True)
class Granted:
    """The login is good; ``username`` is the credential's own, ``note`` is for the log only.

    ``credential`` is its id and ``secret`` the mark of what it logged in with (see ``domain.logins``).
    """

    username: str
    note: str = ""
    credential: int = field(default=UNKNOWN, compare=False, repr=False)
    secret: int = field(default=UNKNOWN, compare=False, repr=False)


@dataclass(slots=True)
class Denied:
    """The login is refused; ``reason`` is for the log only.

    The answer must not come sooner than ``wait`` seconds after the request: time would tell the reason.
    """

    reason: str
    wait: float = field(default=0.0, compare=False, repr=False)


Verdict: TypeAlias = Granted | Denied


class BackendUnavailable(Exception):  # noqa: N818 - a condition that passes, not a mistake
    """The back end cannot tell now; the text is for the log."""


class Authenticator(Protocol):
    """A back end. Called by many threads at once."""

    def at_once(self, username: str, password: str, peer: Peer) -> Verdict | None:
        """Return the answer of ``authenticate`` if it needs no waiting, else None: then call it in a thread.

        Raises StoreUnavailable or BackendUnavailable.
        """
        ...

    def authenticate(self, username: str, password: str, peer: Peer) -> Verdict:
        """Say whether the password is the user's. Raises StoreUnavailable or BackendUnavailable."""
        ...

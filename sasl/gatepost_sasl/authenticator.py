"""Who may log in: the one interface between the protocol and the back ends (store, and others).

Three answers: granted, denied (the client's fault, 535) and unavailable (ours, 454). The third is an
exception, so that no back end can turn its own trouble into a refusal by mistake.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Protocol, TypeAlias


@dataclass(frozen=True, slots=True)
class Peer:
    """Where a login comes from, as Postfix tells it: IP addresses, the service, TLS or not."""

    remote_ip: str
    local_ip: str = ""
    service: str = "smtp"
    secured: bool = False


@dataclass(frozen=True, slots=True)
class Granted:
    """The login is good; ``username`` is the credential's own, ``note`` is for the log only."""

    username: str
    note: str = ""


@dataclass(frozen=True, slots=True)
class Denied:
    """The login is refused; ``reason`` is for the log only."""

    reason: str


Verdict: TypeAlias = Granted | Denied


class BackendUnavailable(Exception):  # noqa: N818 - a condition that passes, not a mistake
    """The back end cannot tell now; the text is for the log."""


class Authenticator(Protocol):
    """A back end. Called by many threads at once."""

    def blocks(self, username: str) -> bool:
        """Say whether ``authenticate`` may take long for this name, so that no event loop must wait for it.

        Raises StoreUnavailable or BackendUnavailable.
        """
        ...

    def authenticate(self, username: str, password: str, peer: Peer) -> Verdict:
        """Say whether the password is the user's. Raises StoreUnavailable or BackendUnavailable."""
        ...

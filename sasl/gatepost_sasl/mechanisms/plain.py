"""PLAIN (RFC 4616): one response, ``[authzid] NUL authcid NUL passwd``.

Nobody may act for somebody else: an authzid other than the authcid is refused.
"""

from __future__ import annotations

from gatepost_sasl.mechanisms.base import (
    NAME_MOST,
    Challenge,
    Done,
    MechanismError,
    named,
    password,
    prepared,
    username,
)


class PlainMechanism:
    """One PLAIN exchange."""

    def next(self, response: bytes | None) -> Challenge | Done:
        """Ask with an empty challenge when the client sent no initial response."""
        if response is None:
            return Challenge(b"")
        parts = response.split(b"\0")
        if len(parts) != 3:
            raise MechanismError("a PLAIN response holds two NUL characters (RFC 4616)")
        authzid, authcid, secret = parts
        name = username(authcid)
        if authzid and authzid != authcid and _other(authzid, name):
            raise MechanismError("the authorization identity must be empty or the user name")
        return Done(name, password(secret))


def _other(authzid: bytes, name: str) -> bool:
    return len(authzid) > NAME_MOST or named(prepared(authzid, "authorization identity")) != name

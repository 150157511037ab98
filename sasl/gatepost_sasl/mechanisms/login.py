"""LOGIN: user name and password asked one after the other (draft-murchison-sasl-login).

Obsolete, and still the only one that some devices know. An initial response is the user name; an
empty one (``AUTH LOGIN =``) is none.
"""

from __future__ import annotations

from gatepost_sasl.mechanisms.base import Challenge, Done, password, username

_ASK_USERNAME = Challenge(b"Username:")
_ASK_PASSWORD = Challenge(b"Password:")


class LoginMechanism:
    """One LOGIN exchange: START, then USERNAME or PASSWORD is awaited."""

    def __init__(self) -> None:
        self._asked = False
        self._username: str | None = None

    def next(self, response: bytes | None) -> Challenge | Done:
        """Ask for the user name unless it came first, then for the password."""
        if self._username is not None:
            return Done(self._username, password(response or b""))
        if not response and not self._asked:
            self._asked = True
            return _ASK_USERNAME
        self._username = username(response or b"")
        return _ASK_PASSWORD

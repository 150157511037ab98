"""SCRAM-SHA-256 (RFC 5802, RFC 7677): the password never crosses the wire, and the server proves itself too.

Three steps: client-first (user name, nonce), client-final (proof), then the client's empty answer to the
server's signature, which SMTP has no other place for (RFC 4954 section 4). No channel binding is on
offer: ``n,,`` and ``y,,`` are taken, ``p=`` is not, nor is an authorization identity. Messages are
scramp's business; it is given keys for every name, so that an unknown one is found out by nobody.

A rotated credential has two secrets with one salt, so a proof is held against both.
"""

from __future__ import annotations

import secrets
from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING

from scramp import ScramException, ScramMechanism

from gatepost_sasl.mechanisms.base import Challenge, MechanismError, Proof, ScramKeys, named

if TYPE_CHECKING:
    from scramp import ScramServer

_SHA256 = ScramMechanism("SCRAM-SHA-256")
_NONCE_BYTES = 24  # 192 random bits; RFC 5802 section 5.1 wants them printable, without a comma
_UNUSABLE = "the SCRAM message cannot be used (RFC 5802); no channel binding, no authorization identity"
_WRONG_PROOF = "invalid-proof"  # RFC 5802 section 7, server-error-value

Keys = Callable[[str], Sequence[ScramKeys]]


class ScramSha256:
    """One exchange. ``keys`` gives what is kept for a user name: at least one, all of one salt."""

    def __init__(self, keys: Keys) -> None:
        self._keys = keys
        self._fault: Exception | None = None
        self._username = ""
        self._servers: list[ScramServer] = []
        self._begun = False

    def next(self, response: bytes | None) -> Challenge | Proof:
        """Ask with an empty challenge when there was no initial response, then go on as above."""
        if response is None:
            return Challenge(b"")
        try:
            message = response.decode("utf-8")
        except UnicodeDecodeError as error:
            raise MechanismError("the SCRAM message is not UTF-8") from error
        return self._finish(message) if self._begun else self._begin(message)

    def _begin(self, message: str) -> Challenge:
        """Take client-first. What ``keys`` raises goes through, unchanged by scramp."""
        found: list[ScramKeys] = []

        def keys_of_first(username: str) -> tuple[bytes, bytes, bytes, int]:
            try:
                self._username = named(username)
                found.extend(self._keys(self._username))
            except Exception as error:
                self._fault = error
                raise
            return _tuple(found[0])

        nonce = secrets.token_urlsafe(_NONCE_BYTES)
        self._take_first(_SHA256.make_server(keys_of_first, s_nonce=nonce), message)
        for other in found[1:]:
            self._take_first(_SHA256.make_server(_always(other), s_nonce=nonce), message)
        self._begun = True
        first, *_ = [server.get_server_first() for server in self._servers]
        return Challenge(first.encode("ascii"))

    def _take_first(self, server: ScramServer, message: str) -> None:
        try:
            server.set_client_first(message)
        except (ScramException, ValueError) as error:
            if self._fault is not None:
                raise self._fault from error
            raise MechanismError(_UNUSABLE) from error
        self._servers.append(server)

    def _finish(self, message: str) -> Proof:
        """Hold client-final against each secret; the first that fits signs the answer."""
        signature = ""
        for server in self._servers:
            if _proved(server, message) and not signature:
                signature = server.get_server_final()
        return Proof(self._username, bool(signature), signature.encode("ascii"))


def _proved(server: ScramServer, message: str) -> bool:
    try:
        server.set_client_final(message)
    except (ScramException, ValueError) as error:
        code = error.server_error if isinstance(error, ScramException) else None
        if code is not None and code.value == _WRONG_PROOF:
            return False
        raise MechanismError(_UNUSABLE) from error
    return True


def _always(keys: ScramKeys) -> Callable[[str], tuple[bytes, bytes, bytes, int]]:
    return lambda _: _tuple(keys)


def _tuple(keys: ScramKeys) -> tuple[bytes, bytes, bytes, int]:
    return keys.salt, keys.stored_key, keys.server_key, keys.iterations

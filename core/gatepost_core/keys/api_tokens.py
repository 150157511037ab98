"""API tokens: generated as passwords are, with a prefix of their own, and kept as keyed hashes.

Whoever reads the store can use none of them, and no hash of a password is one of a token.
"""

from __future__ import annotations

import hmac
from typing import Final

from gatepost_core.keys.keyring import Keyring
from gatepost_core.keys.passwords import generated, new_password

TOKEN_PREFIX: Final = "gpt_"  # noqa: S105 - what a secret scanner looks for
_LABEL: Final = b"API token\0"


def new_token() -> str:
    """Return a new token of 42 characters, with 190 random bits and a checksum."""
    return new_password(TOKEN_PREFIX)


def digest(keyring: Keyring, token: str) -> tuple[str, bytes]:
    """Return what is kept of a token: the id of the key, and the hash under it."""
    key_id, key = keyring.current("password")
    return key_id, _hash(key, token)


def digests(keyring: Keyring, text: str) -> list[bytes]:
    """Return what may be kept of a text, under each key that there is; none for what can be no token."""
    if not generated(text, TOKEN_PREFIX):
        return []
    return [_hash(key, text) for key in keyring.keys["password"].values()]


def _hash(key: bytes, token: str) -> bytes:
    return hmac.digest(key, _LABEL + token.encode("ascii"), "sha256")

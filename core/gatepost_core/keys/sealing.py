"""Sealing private keys before they are stored: AES-256-GCM under a key of the key directory.

A stolen copy of the database signs nothing without the key files. The sealed form is one
byte of key id, 12 bytes of nonce, then ciphertext and tag (NIST SP 800-38D).
"""

from __future__ import annotations

import secrets

from cryptography.exceptions import InvalidTag
from cryptography.hazmat.primitives.ciphers.aead import AESGCM

from gatepost_core.keys.keyring import Keyring, KeyringError

_NONCE = 12


def seal(keyring: Keyring, plain: bytes, context: str) -> bytes:
    """Return ``plain`` sealed; ``context`` names its place, and only there can it be opened."""
    key_id, key = keyring.current("seal")
    nonce = secrets.token_bytes(_NONCE)
    return key_id.encode() + nonce + AESGCM(key).encrypt(nonce, plain, context.encode())


def unseal(keyring: Keyring, sealed: bytes, context: str) -> bytes:
    """Return what was sealed. Raises KeyringError when its key is gone or it was changed."""
    key = keyring.get("seal", chr(sealed[0])) if sealed else None
    if key is None:
        raise KeyringError(
            f"{context}: the key that sealed it is gone; restore the key directory from a backup"
        )
    try:
        return AESGCM(key).decrypt(sealed[1 : 1 + _NONCE], sealed[1 + _NONCE :], context.encode())
    except (InvalidTag, ValueError) as error:  # ValueError: cut off within the nonce
        raise KeyringError(
            f"{context}: cannot be opened with seal key {chr(sealed[0])!r}; "
            "database and key directory are not of the same backup"
        ) from error

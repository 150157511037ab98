"""Sealing what is secret before it is stored, so that a stolen copy of the database signs nothing.

DKIM keys and second factors: AES-256-GCM under a key of the key directory; the sealed form is one byte of key
id, 12 bytes of nonce, then ciphertext and tag (NIST SP 800-38D). Secrets of webhooks are sealed for a public
key, so that whoever makes them need not be able to open those of others.
"""

from __future__ import annotations

import secrets

from cryptography.exceptions import InvalidTag
from cryptography.hazmat.primitives.asymmetric.x25519 import X25519PrivateKey, X25519PublicKey
from cryptography.hazmat.primitives.ciphers.aead import AESGCM
from cryptography.hazmat.primitives.hpke import AEAD, KDF, KEM, Suite

from gatepost_core.keys.keyring import Keyring, KeyringError, Purpose

_NONCE = 12
_HPKE = Suite(KEM.X25519, KDF.HKDF_SHA256, AEAD.AES_256_GCM)


def seal(keyring: Keyring, plain: bytes, context: str, purpose: Purpose = "seal") -> bytes:
    """Return ``plain`` sealed; ``context`` names its place, and only there can it be opened."""
    key_id, key = keyring.current(purpose)
    nonce = secrets.token_bytes(_NONCE)
    return key_id.encode() + nonce + AESGCM(key).encrypt(nonce, plain, context.encode())


def unseal(keyring: Keyring, sealed: bytes, context: str, purpose: Purpose = "seal") -> bytes:
    """Return what was sealed. Raises KeyringError when its key is gone or it was changed."""
    key = keyring.get(purpose, chr(sealed[0])) if sealed else None
    if key is None:
        raise KeyringError(
            f"{context}: the key that sealed it is gone; restore the key directory from a backup"
        )
    try:
        return AESGCM(key).decrypt(sealed[1 : 1 + _NONCE], sealed[1 + _NONCE :], context.encode())
    except (InvalidTag, ValueError) as error:  # ValueError: cut off within the nonce
        raise KeyringError(
            f"{context}: cannot be opened with {purpose} key {chr(sealed[0])!r}; "
            "database and key directory are not of the same backup"
        ) from error


def public_half(keyring: Keyring) -> tuple[str, bytes]:
    """Return the id of the key that opens webhooks' secrets, and the public half that seals for it."""
    key_id, key = keyring.current("webhook")
    public = X25519PrivateKey.from_private_bytes(key).public_key()
    return key_id, public.public_bytes_raw()


def seal_for(public: tuple[str, bytes], plain: bytes, context: str) -> bytes:
    """Return ``plain`` sealed so that only who has the private half opens it, and only as ``context``.

    ``public`` is what ``public_half`` returned. HPKE (RFC 9180), base mode: one byte of key id, the
    encapsulated key, ciphertext and tag.
    """
    key_id, half = public
    key = X25519PublicKey.from_public_bytes(half)
    return key_id.encode() + _HPKE.encrypt(plain, key, info=context.encode())


def open_sealed(keyring: Keyring, sealed: bytes, context: str) -> bytes:
    """Return what ``seal_for`` sealed. Raises KeyringError when its key is gone or it was changed."""
    key = keyring.get("webhook", chr(sealed[0])) if sealed else None
    if key is None:
        raise KeyringError(
            f"{context}: the key that opens it is gone; restore the key directory from a backup"
        )
    try:
        return _HPKE.decrypt(sealed[1:], X25519PrivateKey.from_private_bytes(key), info=context.encode())
    except (InvalidTag, ValueError) as error:
        raise KeyringError(
            f"{context}: cannot be opened with webhook key {chr(sealed[0])!r}; "
            "database and key directory are not of the same backup"
        ) from error

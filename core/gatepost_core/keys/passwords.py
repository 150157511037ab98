"""Generated user names and passwords, and what is kept of a password.

A password has a fixed prefix, 190 random bits in base 62 and a CRC-32 checksum, so that a
secret scanner can tell a leaked one from noise. At that entropy a keyed hash is as good
as a slow one, and keeps a login at microseconds. SCRAM-SHA-256's values (RFC 5802 section 3,
RFC 7677) are kept beside it, because they cannot be made later.
"""

from __future__ import annotations

import hashlib
import hmac
import re
import secrets
import zlib
from collections.abc import Callable
from datetime import UTC, datetime

from gatepost_core.domain.logins import over
from gatepost_core.domain.model import Credential, Derived, ImportedSecret, Secret
from gatepost_core.keys.keyring import Keyring

PASSWORD_PREFIX = "gps_"  # noqa: S105 - what a secret scanner looks for
USERNAME_PREFIX = "gp"
_BASE62 = "0123456789ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz"
_BASE32 = "abcdefghijklmnopqrstuvwxyz234567"
_RANDOM = 32
_CHECKSUM = 6
_USERNAME = re.compile(f"{USERNAME_PREFIX}[{_BASE32}]{{14}}")
_TYPED_MOST = 64  # with blanks around it
_SALT = 16
# What an unknown user's password is held against, under the current key; no password fits.
_NOBODYS = (Secret("", bytes(32), b"", 0, b"", b"", 0, datetime.min.replace(tzinfo=UTC)),)
_ITERATIONS = 4096  # RFC 7677 section 4; more would protect nothing at 190 bits


def new_username() -> str:
    """Return a user name that no one can guess from another: ``gp`` and 70 random bits."""
    return USERNAME_PREFIX + "".join(secrets.choice(_BASE32) for _ in range(14))


def normal_username(text: str) -> str:
    """Return a generated user name as it was generated; any other text as it is.

    Phones begin a name with a capital and put a blank after it.
    """
    if text.isascii() and len(text) <= _TYPED_MOST and not _USERNAME.fullmatch(text):
        name = text.strip().lower()
        if _USERNAME.fullmatch(name):
            return name
    return text


def new_password(prefix: str = PASSWORD_PREFIX) -> str:
    """Return a new password of 42 characters, all letters, digits and one underscore."""
    body = "".join(secrets.choice(_BASE62) for _ in range(_RANDOM))
    return prefix + body + _checksum(body)


def generated(text: str, prefix: str = PASSWORD_PREFIX) -> bool:
    """Say whether a text could have been made by ``new_password``: its form, its length and its checksum."""
    if len(text) != len(prefix) + _RANDOM + _CHECKSUM or not text.startswith(prefix):
        return False
    body, checksum = text[len(prefix) : -_CHECKSUM], text[-_CHECKSUM:]
    return text.isascii() and checksum == _checksum(body)


def derive(keyring: Keyring, password: str, salt: bytes | None = None) -> Derived:
    """Return what to store of ``password``.

    ``salt`` is SCRAM's, 16 bytes: that of the secret beside it, so that during a rotation's overlap one
    exchange can be held against both passwords. Random for a first secret.
    """
    key_id, key = keyring.current("password")
    salt = salt or secrets.token_bytes(_SALT)
    salted = hashlib.pbkdf2_hmac("sha256", password.encode(), salt, _ITERATIONS)
    client_key = hmac.digest(salted, b"Client Key", "sha256")
    return Derived(
        key_id=key_id,
        digest=hmac.digest(key, password.encode(), "sha256"),
        scram_salt=salt,
        scram_iterations=_ITERATIONS,
        scram_stored_key=hashlib.sha256(client_key).digest(),
        scram_server_key=hmac.digest(salted, b"Server Key", "sha256"),
    )


def scram_decoy(keyring: Keyring, username: str) -> tuple[bytes, int]:
    """Return the salt and the iteration count to show for a user name without a secret.

    The same at every attempt, as a real one's are (RFC 5802 section 9 has no better idea). Of the oldest
    key: another one added must not change what is shown.
    """
    oldest = keyring.keys["password"][min(keyring.keys["password"])]
    return hmac.digest(oldest, b"SCRAM salt\0" + username.encode("utf-8", "surrogatepass"), "sha256")[
        :_SALT
    ], _ITERATIONS


def _unheard(seconds: float) -> None:
    del seconds


def matching(
    keyring: Keyring,
    credential: Credential | None,
    password: str,
    now: datetime,
    took: Callable[[float], object] = _unheard,
) -> Secret | ImportedSecret | None:
    """Return which of the credential's valid secrets ``password`` is, None when it is none of them.

    ``took`` is told the seconds that an imported hash took.
    An unknown user (None) costs the same work as a known one. Raises LookupError when a
    secret's key is gone or an imported hash cannot be checked now: that is our fault,
    not the client's, and must not become a 535.
    """
    presented = password.encode("utf-8", "surrogatepass")
    matched: Secret | None = None
    own = () if credential is None else credential.secrets
    for secret in own or _NOBODYS:
        keyed = keyring.keyed("password", secret.key_id)
        if keyed is None:
            raise LookupError(f"password key {secret.key_id!r} is not in the key directory")
        if hmac.compare_digest(keyed(presented), secret.digest) and not over(secret.expires_at, now):
            matched = secret
    imported = None if credential is None else credential.imported
    if imported is None or matched is not None or over(imported.expires_at, now):
        return matched if own else None
    from gatepost_core.keys import argon2id  # noqa: PLC0415 - 20 ms and a C library that few stores need

    return imported if argon2id.matches(imported.argon2id, presented, took) else None


def _checksum(body: str) -> str:
    number = zlib.crc32(body.encode())
    digits = ""
    for _ in range(_CHECKSUM):
        number, digit = divmod(number, 62)
        digits = _BASE62[digit] + digits
    return digits

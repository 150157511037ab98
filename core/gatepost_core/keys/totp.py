"""Second factors: codes by time (TOTP, RFC 6238), and recovery codes for who lost the device.

The secret is sealed under a key of its own purpose, ``totp``, which only the dashboard reads. A code counts
once: whoever checks one keeps the step that it was of. Recovery codes are kept as keyed hashes.
"""

from __future__ import annotations

import hmac
import secrets
from datetime import datetime
from typing import Final

import pyotp

from gatepost_core.keys.keyring import Keyring
from gatepost_core.keys.sealing import seal, unseal

RECOVERY_CODES: Final = 8
_STEP: Final = 30  # seconds
_AROUND: Final = 1  # steps that a clock may be off
_DIGITS: Final = 6
_ALPHABET: Final = "23456789abcdefghjkmnpqrstuvwxyz"
_RECOVERY_LENGTH: Final = 12  # 59 bits


def new_secret() -> str:
    """Return a new secret of 160 bits, in base32."""
    return pyotp.random_base32()


def address(secret: str, user: str, issuer: str) -> str:
    """Return the ``otpauth://`` address that a program reads of a QR code."""
    return pyotp.TOTP(secret).provisioning_uri(name=user, issuer_name=issuer)


def sealed(keyring: Keyring, secret: str, user_id: int) -> bytes:
    """Return a user's secret as it is kept."""
    return seal(keyring, secret.encode(), _context(user_id), "totp")


def opened(keyring: Keyring, kept: bytes, user_id: int) -> str:
    """Return the secret that is kept of a user. Raises KeyringError."""
    return unseal(keyring, kept, _context(user_id), "totp").decode()


def step_of(secret: str, code: str, now: datetime, after: int) -> int:
    """Return which step's code it is, of now or beside it and after ``after``; 0 for none that counts."""
    code = "".join(code.split())
    if len(code) != _DIGITS or not (code.isascii() and code.isdecimal()):
        return 0
    clock, present = pyotp.TOTP(secret), int(now.timestamp()) // _STEP
    for step in range(present - _AROUND, present + _AROUND + 1):
        if step > after and hmac.compare_digest(clock.generate_otp(step), code):
            return step
    return 0


def recovery_codes() -> list[str]:
    """Return new codes, to be shown once: ``abcd-efgh-jkmn``."""
    made = [
        "".join(secrets.choice(_ALPHABET) for _ in range(_RECOVERY_LENGTH)) for _ in range(RECOVERY_CODES)
    ]
    return ["-".join(code[at : at + 4] for at in range(0, _RECOVERY_LENGTH, 4)) for code in made]


def recovery_digest(keyring: Keyring, code: str, user_id: int) -> bytes:
    """Return what is kept of a recovery code; blanks, hyphens and capitals of what was typed do not count."""
    plain = "".join(char for char in code[:64].lower() if char.isalnum())
    # Of the oldest key: another one added must not make codes worthless.
    key = keyring.keys["totp"][min(keyring.keys["totp"])]
    return hmac.digest(key, f"recovery {user_id} {plain}".encode(), "sha256")


def _context(user_id: int) -> str:
    return f"totp of user {user_id}"

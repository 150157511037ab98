"""Making, sealing and opening DKIM key pairs, and the DNS records that publish them (RFC 6376, RFC 8463).

RSA keys have 2048 bits: what every verifier takes, and what fits a TXT record. Keys are rotated without a
gap: new ones are published first and sign from their time of activation on, old ones stay published until
they retire, for mail that is still on its way.
"""

from __future__ import annotations

import base64
from collections.abc import Collection, Iterable
from dataclasses import dataclass, field
from datetime import datetime
from enum import StrEnum
from typing import Literal

from cryptography.hazmat.primitives.asymmetric import ed25519, rsa
from cryptography.hazmat.primitives.serialization import (
    Encoding,
    NoEncryption,
    PrivateFormat,
    PublicFormat,
)

from gatepost_core.domain.model import DkimKey
from gatepost_core.keys.keyring import Keyring
from gatepost_core.keys.sealing import seal, unseal

Algorithm = Literal["rsa", "ed25519"]
ALGORITHMS: tuple[Algorithm, ...] = ("rsa", "ed25519")


@dataclass(frozen=True, slots=True)
class NewKey:
    """A key pair as it is stored: the private half sealed (``gatepost_core.keys.sealing``)."""

    selector: str
    algorithm: str
    public: str
    sealed_private: bytes = field(repr=False)


@dataclass(frozen=True, slots=True)
class KeyPair:
    """A new key pair: PKCS#8 DER of the private key and the ``p=`` value of the public one."""

    algorithm: Algorithm
    private: bytes = field(repr=False)
    public: str


def generate(algorithm: Algorithm) -> KeyPair:
    """Return a new key pair."""
    key: rsa.RSAPrivateKey | ed25519.Ed25519PrivateKey
    if algorithm == "rsa":
        key = rsa.generate_private_key(public_exponent=65537, key_size=2048)
        public = key.public_key().public_bytes(Encoding.DER, PublicFormat.SubjectPublicKeyInfo)
    else:
        key = ed25519.Ed25519PrivateKey.generate()
        # RFC 8463 section 4.2: the 32 bytes themselves, without an ASN.1 wrapping.
        public = key.public_key().public_bytes(Encoding.Raw, PublicFormat.Raw)
    private = key.private_bytes(Encoding.DER, PrivateFormat.PKCS8, NoEncryption())
    return KeyPair(algorithm, private, base64.b64encode(public).decode("ascii"))


class KeyState(StrEnum):
    """What a key is used for at a given time."""

    PENDING = "pending"  # published, signs from its activation on
    ACTIVE = "active"  # signs
    RETIRING = "retiring"  # no longer signs; published for mail on its way
    RETIRED = "retired"  # its DNS record can go


def key_states(keys: Iterable[DkimKey], now: datetime) -> dict[str, KeyState]:
    """Return the state of each key of one domain by its selector: of each algorithm one signs, the newest."""
    states: dict[str, KeyState] = {}
    signing: dict[str, DkimKey] = {}
    for key in sorted(keys, key=_begins):
        if key.retires_at is not None and key.retires_at <= now:
            states[key.selector] = KeyState.RETIRED
        elif _begins(key) > now:
            states[key.selector] = KeyState.PENDING
        else:
            states[key.selector] = KeyState.RETIRING
            signing[key.algorithm] = key
    return states | {key.selector: KeyState.ACTIVE for key in signing.values()}


def active_keys(keys: Iterable[DkimKey], now: datetime) -> list[DkimKey]:
    """Return the keys that sign at ``now``: at most one of each algorithm, RSA first."""
    listed = list(keys)
    states = key_states(listed, now)
    signing = [key for key in listed if states[key.selector] is KeyState.ACTIVE]
    return sorted(signing, key=lambda key: key.algorithm != "rsa")


def _begins(key: DkimKey) -> datetime:
    return key.activates_at or key.created_at


def new_keys(keyring: Keyring, domain: str, now: datetime, taken: Collection[str] = ()) -> list[NewKey]:
    """Return a sealed key pair of each algorithm for a sender domain (A-labels), as made at ``now``.

    ``taken`` are the domain's selectors so far; no name is given twice.
    """
    keys = []
    for algorithm in ALGORITHMS:
        name = _free(selector(now, algorithm), taken)
        pair = generate(algorithm)
        sealed = seal(keyring, pair.private, _place(domain, name))
        keys.append(NewKey(name, algorithm, pair.public, sealed))
    return keys


def open_private(keyring: Keyring, domain: str, key: DkimKey) -> bytes:
    """Return the PKCS#8 DER of a stored key's private half. Raises KeyringError."""
    return unseal(keyring, key.sealed_private, _place(domain, key.selector))


def _free(name: str, taken: Collection[str]) -> str:
    """Return ``name``, with a number after it when it is taken."""
    number = 2
    free = name
    while free in taken:
        free, number = f"{name}{number}", number + 1
    return free


def _place(domain: str, selector: str) -> str:
    return f"dkim {domain} {selector}"


def selector(now: datetime, algorithm: Algorithm) -> str:
    """Return the selector of a key made at ``now``: the date, and a letter for its algorithm."""
    return f"gp{now:%Y%m%d}{algorithm[0]}"


def txt_record(algorithm: str, public: str) -> str:
    """Return the content of the TXT record at ``<selector>._domainkey.<domain>``."""
    return f"v=DKIM1; k={algorithm}; p={public}"

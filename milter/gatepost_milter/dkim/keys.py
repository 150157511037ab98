"""The private keys that sign for a domain, opened and parsed once a process.

An entry is good for as long as the directory's reader gives an equal domain: any change of its keys
(rotation, removal) makes another. Raises KeyringError when a key cannot be opened.
"""

from __future__ import annotations

from datetime import datetime

from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from cryptography.hazmat.primitives.asymmetric.padding import PKCS1v15
from cryptography.hazmat.primitives.asymmetric.rsa import RSAPrivateKey
from cryptography.hazmat.primitives.asymmetric.utils import Prehashed
from cryptography.hazmat.primitives.hashes import SHA256
from cryptography.hazmat.primitives.serialization import load_der_private_key

from gatepost_core.domain import SenderDomain
from gatepost_core.domain.memo import Recent
from gatepost_core.keys import Keyring, KeyringError
from gatepost_core.keys.dkim_keys import active_keys, open_private
from gatepost_milter.dkim.signature import SigningKey

_DOMAINS = 2000
_PADDING, _HASH = PKCS1v15(), Prehashed(SHA256())


class KeyCache:
    """Gives signing keys. For many threads: an entry is replaced whole, and made twice at worst."""

    def __init__(self, keyring: Keyring) -> None:
        self._keyring = keyring
        self._entries: Recent[str, tuple[SenderDomain, dict[str, SigningKey]]] = Recent(_DOMAINS)

    def keys(self, domain: SenderDomain, now: datetime) -> list[SigningKey]:
        """Return the keys that sign for ``domain`` at ``now``, RSA first. Raises KeyringError."""
        parsed = self._parsed(domain)
        found: list[SigningKey] = []
        for key in active_keys(domain.keys, now):
            if key.selector not in parsed:
                parsed[key.selector] = signing_key(
                    key.selector, open_private(self._keyring, domain.name, key)
                )
            found.append(parsed[key.selector])
        return found

    def _parsed(self, domain: SenderDomain) -> dict[str, SigningKey]:
        entry = self._entries.get(domain.name)
        if entry is not None and (entry[0] is domain or entry[0] == domain):
            return entry[1]
        parsed: dict[str, SigningKey] = {}
        self._entries.put(domain.name, (domain, parsed))
        return parsed


def signing_key(selector: str, private: bytes) -> SigningKey:
    """Return a private key (PKCS#8 DER, of our own making) ready to sign. Raises KeyringError."""
    # Checking that p and q are prime takes 30 ms; AES-GCM has just shown that the key is the one we made.
    loaded = load_der_private_key(private, None, unsafe_skip_rsa_key_validation=True)
    if isinstance(loaded, RSAPrivateKey):
        rsa = loaded
        return SigningKey("rsa-sha256", selector, lambda digest: rsa.sign(digest, _PADDING, _HASH))
    if isinstance(loaded, Ed25519PrivateKey):
        # RFC 8463 section 3: PureEdDSA over the digest.
        return SigningKey("ed25519-sha256", selector, loaded.sign)
    raise KeyringError(f"DKIM key {selector} is of a kind that cannot sign")

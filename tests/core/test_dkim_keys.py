"""DKIM key pairs: sizes and encodings that verifiers take (RFC 6376, RFC 8463)."""

from __future__ import annotations

import base64
from dataclasses import replace
from datetime import UTC, datetime
from pathlib import Path

import pytest
from cryptography.hazmat.primitives.asymmetric import ed25519, padding, rsa
from cryptography.hazmat.primitives.hashes import SHA256
from cryptography.hazmat.primitives.serialization import load_der_private_key, load_der_public_key

from gatepost_core.domain import DkimKey
from gatepost_core.keys import Keyring, KeyringError
from gatepost_core.keys.dkim_keys import ALGORITHMS, generate, new_keys, open_private, selector, txt_record
from gatepost_core.keys.keyring import create_missing


def test_an_rsa_key_has_2048_bits_and_its_public_half_checks_its_signatures() -> None:
    pair = generate("rsa")
    private = load_der_private_key(pair.private, None)
    public = load_der_public_key(base64.b64decode(pair.public, validate=True))
    assert isinstance(private, rsa.RSAPrivateKey)
    assert isinstance(public, rsa.RSAPublicKey)
    assert private.key_size == 2048
    public.verify(private.sign(b"mail", padding.PKCS1v15(), SHA256()), b"mail", padding.PKCS1v15(), SHA256())


def test_an_ed25519_key_is_published_as_its_32_bytes() -> None:
    pair = generate("ed25519")
    private = load_der_private_key(pair.private, None)
    raw = base64.b64decode(pair.public, validate=True)
    assert isinstance(private, ed25519.Ed25519PrivateKey)
    assert len(raw) == 32
    ed25519.Ed25519PublicKey.from_public_bytes(raw).verify(private.sign(b"mail"), b"mail")


def test_selectors_tell_date_and_algorithm_apart() -> None:
    day = datetime(2026, 5, 1, tzinfo=UTC)
    assert [selector(day, algorithm) for algorithm in ALGORITHMS] == ["gp20260501r", "gp20260501e"]


def test_the_record_names_version_algorithm_and_key() -> None:
    assert txt_record("rsa", "AAAA") == "v=DKIM1; k=rsa; p=AAAA"


def test_a_private_key_does_not_show_in_a_log() -> None:
    pair = generate("ed25519")
    assert repr(pair.private)[2:-1] not in repr(pair)
    assert base64.b64encode(pair.private).decode() not in repr(pair)


def test_a_stored_key_opens_again_for_its_own_domain_and_selector_only(tmp_path: Path) -> None:
    create_missing(tmp_path / "keys")
    keyring = Keyring.load(tmp_path / "keys")
    now = datetime(2026, 5, 1, tzinfo=UTC)
    first, second = (
        DkimKey(new.selector, new.algorithm, new.public, new.sealed_private, now)
        for new in new_keys(keyring, "example.test", now)
    )
    private = load_der_private_key(open_private(keyring, "example.test", first), None)
    assert isinstance(private, rsa.RSAPrivateKey)
    with pytest.raises(KeyringError, match=r"other\.test"):
        open_private(keyring, "other.test", first)
    with pytest.raises(KeyringError):
        open_private(keyring, "example.test", replace(second, sealed_private=first.sealed_private))

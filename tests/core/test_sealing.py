"""Sealed private keys: opened only with the right key, in the right place, unchanged."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from gatepost_core.keys import Keyring, KeyringError
from gatepost_core.keys.sealing import open_sealed, public_half, seal, seal_for, unseal

from .keys import keyring

KEYRING = keyring("s")
WEBHOOK_ROTATED = Keyring({**KEYRING.keys, "webhook": {"a": b"s" * 32, "b": b"t" * 32}})
ROTATED = Keyring({**KEYRING.keys, "seal": {"a": b"s" * 32, "b": b"t" * 32}})
OTHER = Keyring({**KEYRING.keys, "seal": {"a": b"o" * 32}})


@given(st.binary(max_size=2000), st.text(max_size=40))
def test_what_was_sealed_comes_back(plain: bytes, context: str) -> None:
    sealed = seal(KEYRING, plain, context)
    assert unseal(KEYRING, sealed, context) == plain
    assert unseal(ROTATED, sealed, context) == plain


def test_a_sealed_key_does_not_show_what_it_holds_and_differs_each_time() -> None:
    one, other = (seal(KEYRING, b"PRIVATE KEY", "dkim a.test s") for _ in range(2))
    assert b"PRIVATE KEY" not in one
    assert one != other


@given(st.integers(0, 39), st.integers(0, 7))
def test_a_changed_seal_is_not_opened(place: int, bit: int) -> None:
    sealed = bytearray(seal(KEYRING, b"0123456789a", "here"))
    assert len(sealed) == 40
    sealed[place] ^= 1 << bit
    with pytest.raises(KeyringError, match=r"^here: "):
        unseal(KEYRING, bytes(sealed), "here")


def test_a_key_copied_to_another_domain_is_not_opened() -> None:
    sealed = seal(KEYRING, b"key", "dkim a.test s")
    with pytest.raises(KeyringError, match="not of the same backup"):
        unseal(KEYRING, sealed, "dkim b.test s")


@pytest.mark.parametrize("sealed", [b"", b"a", b"a" * 20, b"b" * 40, b"\xff" * 40])
def test_what_was_never_sealed_is_refused(sealed: bytes) -> None:
    with pytest.raises(KeyringError):
        unseal(KEYRING, sealed, "here")


def test_database_and_keys_of_different_backups_are_told() -> None:
    with pytest.raises(KeyringError, match="not of the same backup"):
        unseal(OTHER, seal(KEYRING, b"key", "here"), "here")
    with pytest.raises(KeyringError, match="is gone; restore the key directory"):
        unseal(KEYRING, seal(ROTATED, b"key", "here"), "here")


@given(st.binary(max_size=200), st.text(max_size=40))
def test_what_was_sealed_by_the_public_half_is_opened_by_the_private_one(plain: bytes, context: str) -> None:
    sealed = seal_for(public_half(KEYRING), plain, context)
    assert open_sealed(KEYRING, sealed, context) == plain
    assert open_sealed(WEBHOOK_ROTATED, sealed, context) == plain
    assert plain == b"" or len(plain) < 8 or plain not in sealed


def test_who_seals_needs_no_private_half_and_cannot_open_what_he_sealed() -> None:
    key_id, half = public_half(KEYRING)
    assert half != KEYRING.keys["webhook"]["a"]
    sealed = seal_for((key_id, half), b"whsec_", "webhook wh_a")
    assert sealed != seal_for((key_id, half), b"whsec_", "webhook wh_a")
    knows_half = Keyring({**KEYRING.keys, "webhook": {"a": half}})
    with pytest.raises(KeyringError, match="not of the same backup"):
        open_sealed(knows_half, sealed, "webhook wh_a")


@given(st.integers(0, 59), st.integers(0, 7))
def test_what_was_sealed_and_changed_is_not_opened(place: int, bit: int) -> None:
    sealed = bytearray(seal_for(public_half(KEYRING), b"0123456789a", "here"))
    assert len(sealed) == 60
    sealed[place] ^= 1 << bit
    with pytest.raises(KeyringError, match=r"^here: "):
        open_sealed(KEYRING, bytes(sealed), "here")


def test_a_secret_copied_to_another_webhook_is_not_opened() -> None:
    sealed = seal_for(public_half(WEBHOOK_ROTATED), b"whsec_", "webhook wh_a")
    with pytest.raises(KeyringError, match="not of the same backup"):
        open_sealed(WEBHOOK_ROTATED, sealed, "webhook wh_b")
    with pytest.raises(KeyringError, match="is gone; restore the key directory"):
        open_sealed(KEYRING, sealed, "webhook wh_a")
    for nothing in (b"", b"a", b"a" * 20, b"\xff" * 60):
        with pytest.raises(KeyringError):
            open_sealed(KEYRING, nothing, "webhook wh_a")

"""The keyed hash is HMAC-SHA-256, whoever computes it."""

from __future__ import annotations

import hmac

import pytest
from hypothesis import given
from hypothesis import strategies as st

from gatepost_core.keys.keyed_hash import KeyedHash


@given(st.binary(max_size=64), st.lists(st.binary(max_size=200), min_size=1, max_size=3))
def test_it_is_hmac_sha256(key: bytes, messages: list[bytes]) -> None:
    keyed = KeyedHash(key)
    for message in messages:
        assert keyed(message) == hmac.digest(key, message, "sha256")


def test_a_key_that_hmac_would_hash_first_is_refused() -> None:
    with pytest.raises(ValueError, match="65 bytes"):
        KeyedHash(bytes(65))

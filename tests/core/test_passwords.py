"""Generated passwords: strong, recognisable in a leak, and kept only as hashes."""

from __future__ import annotations

import base64
import hashlib
import hmac
import math
import re
import zlib
from datetime import UTC, datetime, timedelta

import pytest
from hypothesis import given
from hypothesis import strategies as st

from gatepost_core.keys import Keyring
from gatepost_core.keys.passwords import (
    derive,
    matching,
    new_password,
    new_username,
)
from tests.core.making import credential, secret

from .keys import keyring

NOW = datetime(2026, 5, 1, tzinfo=UTC)
KEYRING = keyring("k")
ROTATED = Keyring({**KEYRING.keys, "password": {"a": b"k" * 32, "b": b"n" * 32}})
BASE62 = "0123456789ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz"


def sums_up(password: str) -> bool:
    """Say what a scanner for leaked passwords can check: the last six digits are the others' CRC-32."""
    number: int = sum(62**at * BASE62.index(digit) for at, digit in enumerate(reversed(password[36:])))
    return number == zlib.crc32(password[4:36].encode())


def test_a_password_has_a_prefix_a_checksum_and_more_than_160_random_bits() -> None:
    password = new_password()
    assert re.fullmatch("gps_[0-9A-Za-z]{38}", password)
    assert sums_up(password)
    assert 32 * math.log2(62) > 160


def test_passwords_and_user_names_do_not_recur() -> None:
    assert len({new_password() for _ in range(2000)}) == 2000
    assert len({new_username() for _ in range(2000)}) == 2000


def test_a_user_name_needs_no_escaping_anywhere() -> None:
    assert re.fullmatch("gp[a-z2-7]{14}", new_username())


@given(st.integers(4, 41), st.sampled_from(BASE62))
def test_one_mistyped_character_is_noticed(place: int, letter: str) -> None:
    password = new_password()
    changed = password[:place] + letter + password[place + 1 :]
    assert sums_up(changed) is (changed == password)


def test_the_stored_values_are_a_keyed_hash_and_those_of_scram() -> None:
    password = new_password()
    kept = derive(KEYRING, password)
    assert kept.digest == hmac.new(b"k" * 32, password.encode(), hashlib.sha256).digest()
    salted = hashlib.pbkdf2_hmac("sha256", password.encode(), kept.scram_salt, kept.scram_iterations)
    client_key = hmac.new(salted, b"Client Key", hashlib.sha256).digest()
    assert kept.scram_stored_key == hashlib.sha256(client_key).digest()
    assert kept.scram_server_key == hmac.new(salted, b"Server Key", hashlib.sha256).digest()
    assert kept.scram_iterations >= 4096


def test_scram_values_agree_with_the_example_of_rfc_7677(monkeypatch: pytest.MonkeyPatch) -> None:
    salt = base64.b64decode("W22ZaJ0SNY7soEsUEjb6gQ==")
    monkeypatch.setattr("secrets.token_bytes", lambda _size: salt)
    kept = derive(KEYRING, "pencil")
    message = (
        b"n=user,r=rOprNGfwEbeRWgbNEkqO,"
        b"r=rOprNGfwEbeRWgbNEkqO%hvYDpWUa2RaTCAfuxFIlj)hNlF$k0,s=W22ZaJ0SNY7soEsUEjb6gQ==,i=4096,"
        b"c=biws,r=rOprNGfwEbeRWgbNEkqO%hvYDpWUa2RaTCAfuxFIlj)hNlF$k0"
    )
    signature = hmac.new(kept.scram_server_key, message, hashlib.sha256).digest()
    assert base64.b64encode(signature) == b"6rriTRBi23WpRR/wtup+mMhUZUn/dB5nLTJRsjl95G4="


def test_the_right_password_logs_in_and_another_does_not() -> None:
    password = new_password()
    own = credential(secret(derive(KEYRING, password)))
    assert matching(KEYRING, own, password, NOW)
    assert not matching(KEYRING, own, new_password(), NOW)
    assert not matching(KEYRING, own, "", NOW)
    assert not matching(KEYRING, None, password, NOW)
    assert not matching(KEYRING, credential(), password, NOW)


@given(st.text(st.characters(), max_size=50))
def test_any_text_may_be_tried_as_a_password(text: str) -> None:
    assert not matching(KEYRING, credential(secret(derive(KEYRING, new_password()))), text, NOW)


def test_both_passwords_of_a_rotation_log_in_until_the_overlap_ends() -> None:
    old, new = new_password(), new_password()
    ends = NOW + timedelta(hours=24)
    own = credential(secret(derive(KEYRING, old), ends), secret(derive(KEYRING, new)))
    assert matching(KEYRING, own, old, ends - timedelta(microseconds=1))
    assert not matching(KEYRING, own, old, ends)
    assert matching(KEYRING, own, new, ends)


def test_a_login_outlives_a_key_rotation() -> None:
    password = new_password()
    own = credential(secret(derive(KEYRING, password)))
    assert matching(ROTATED, own, password, NOW)
    assert derive(ROTATED, password).key_id == "b"


def test_a_key_that_is_gone_is_our_fault_and_no_wrong_password() -> None:
    password = new_password()
    own = credential(secret(derive(ROTATED, password)))
    with pytest.raises(LookupError, match="'b'"):
        matching(KEYRING, own, password, NOW)


def test_nothing_that_is_kept_shows_in_a_log() -> None:
    password = new_password()
    kept = derive(KEYRING, password)
    own = credential(secret(kept))
    for shown in (repr(kept), repr(secret(kept)), repr(own), str(own), repr(KEYRING)):
        for hidden in (kept.digest, kept.scram_salt, kept.scram_stored_key, kept.scram_server_key, b"k" * 32):
            assert repr(hidden)[2:-1] not in shown
            assert hidden.hex() not in shown
        assert password not in shown

"""SCRAM-SHA-256 on the store, with another library's client; and what must not be learnt from it."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from datetime import UTC, datetime

import pytest
from hypothesis import given
from hypothesis import strategies as st
from scramp import ScramClient

from gatepost_core.domain import Credential, Secret, State, StoreUnavailable
from gatepost_core.keys import Keyring, passwords
from gatepost_sasl.authenticator import Denied, Granted, Peer
from gatepost_sasl.backends.scram import StoreScram
from gatepost_sasl.backends.store import StoreAuthenticator
from gatepost_sasl.mechanisms import Challenge, MechanismError, Proof
from tests.core import making
from tests.core.keys import keyring

NOW = datetime(2026, 1, 1, tzinfo=UTC)
KEYRING = keyring()
NAME, PASSWORD = "alice", "correct horse"
PEER = Peer("192.0.2.7")


def secret(password: str, salt: bytes | None = None, expires_at: datetime | None = None) -> Secret:
    return making.secret(passwords.derive(KEYRING, password, salt), expires_at)


SECRET = secret(PASSWORD)
ALICE = making.credential(SECRET, username=NAME)


class Store:
    """Credentials by name; ``down`` is what a look-up raises instead."""

    def __init__(self, *credentials: Credential, down: Exception | None = None) -> None:
        self._all = {credential.username: credential for credential in credentials}
        self.down = down
        self.used: list[int] = []

    def credential(self, username: str) -> Credential | None:
        if self.down is not None:
            raise self.down
        return self._all.get(username)

    def record(self, credential_id: int, ip: str, now: datetime) -> None:
        del ip, now
        self.used.append(credential_id)


def scram(store: Store, keyring: Keyring = KEYRING) -> StoreScram:
    def now() -> datetime:
        return NOW

    return StoreScram(store, keyring, StoreAuthenticator(store, keyring, store, now), now)


def first(backend: StoreScram, username: str = NAME) -> str:
    """Return what the server says to a client's first message."""
    challenge = backend.mechanism().next(
        ScramClient(["SCRAM-SHA-256"], username, "x").get_client_first().encode()
    )
    assert isinstance(challenge, Challenge)
    return challenge.data.decode()


def salt(message: str) -> str:
    return message.split(",")[1]


def exchange(
    backend: StoreScram, username: str = NAME, password: str = PASSWORD
) -> tuple[Proof, ScramClient]:
    client = ScramClient(["SCRAM-SHA-256"], username, password)
    mechanism = backend.mechanism()
    assert mechanism.next(None) == Challenge(b"")
    challenge = mechanism.next(client.get_client_first().encode())
    assert isinstance(challenge, Challenge)
    client.set_server_first(challenge.data.decode())
    proof = mechanism.next(client.get_client_final().encode())
    assert isinstance(proof, Proof)
    return proof, client


def test_who_knows_the_password_is_let_in_and_the_server_proves_itself() -> None:
    store = Store(ALICE)
    backend = scram(store)
    proof, client = exchange(backend)
    client.set_server_final(proof.data.decode())  # raises for a signature that is not right
    assert backend.conclude(proof, PEER) == Granted(NAME)
    assert store.used == [1]


def test_a_user_name_is_prepared_before_it_is_looked_up() -> None:
    backend = scram(Store(replace(ALICE, username="J\u00f6rg, =1")))
    proof, _ = exchange(backend, "Jo\u0308rg, =1")
    assert backend.conclude(proof, PEER) == Granted("J\u00f6rg, =1")


@pytest.mark.parametrize(
    ("credential", "password"),
    [
        (ALICE, "wrong"),
        (replace(ALICE, username="somebody"), PASSWORD),
        (replace(ALICE, state=State.DISABLED), PASSWORD),
        (replace(ALICE, expires_at=NOW), PASSWORD),
        (replace(ALICE, secrets=(secret(PASSWORD, expires_at=NOW),)), PASSWORD),
        (replace(ALICE, secrets=()), PASSWORD),
    ],
)
def test_wrong_unknown_disabled_and_expired_are_refused_at_the_end(
    credential: Credential, password: str
) -> None:
    backend = scram(Store(credential))
    proof, _ = exchange(backend, password=password)
    assert isinstance(backend.conclude(proof, PEER), Denied)


def test_an_unknown_name_has_one_salt_of_its_own_like_a_known_one() -> None:
    backend = scram(Store(ALICE))
    salts = {name: {salt(first(backend, name)) for _ in range(3)} for name in (NAME, "nobody", "noone")}
    assert all(len(seen) == 1 for seen in salts.values())
    assert len({value for seen in salts.values() for value in seen}) == 3
    assert {len(value) for seen in salts.values() for value in seen} == {len("s=") + 24}
    assert {first(backend, name).split(",")[2] for name in (NAME, "nobody")} == {"i=4096"}


def test_a_new_key_does_not_change_the_salt_of_an_unknown_name() -> None:
    keys = {**KEYRING.keys, "password": {"a": bytes(32), "b": bytes(range(32))}}
    rotated = scram(Store(ALICE), Keyring(keys))
    assert salt(first(rotated, "nobody")) == salt(first(scram(Store(ALICE)), "nobody"))


def test_both_secrets_of_a_rotation_are_good_when_they_share_a_salt() -> None:
    new = secret("new password", SECRET.scram_salt)
    backend = scram(Store(replace(ALICE, secrets=(SECRET, new))))
    for password in (PASSWORD, "new password"):
        proof, client = exchange(backend, password=password)
        client.set_server_final(proof.data.decode())
        assert backend.conclude(proof, PEER) == Granted(NAME)


def test_of_secrets_with_different_salts_the_newest_counts() -> None:
    backend = scram(Store(replace(ALICE, secrets=(SECRET, secret("new password")))))
    assert exchange(backend, password="new password")[0].proved
    assert not exchange(backend)[0].proved


def test_a_store_that_is_down_is_no_refusal() -> None:
    down = StoreUnavailable("no such file")
    with pytest.raises(StoreUnavailable):
        scram(Store(down=down)).mechanism().next(b"n,,n=alice,r=abc")


@pytest.mark.parametrize(
    "message",
    [
        b"",
        b"n,,",
        b"n,a=bob,n=alice,r=abc",
        b"n,a=alice,n=alice,r=abc",
        b"p=tls-unique,,n=alice,r=abc",
        b"p=tls-exporter,,n=alice,r=abc",
        b"n,,n=,r=abc",
        b"n,,n=alice",
        b"n,,n=alice,r=",
        b"n,,m=x,n=alice,r=abc",
        b"n,,n=al=ce,r=abc",
        b"n,,n=\xff,r=abc",
        b"n,,n=\xe2\x80\x8f,r=abc",
    ],
)
def test_what_is_not_a_first_message_is_refused(message: bytes) -> None:
    with pytest.raises(MechanismError):
        scram(Store(ALICE)).mechanism().next(message)


@pytest.mark.parametrize("flag", ["n", "y"])
def test_a_client_without_channel_binding_is_taken(flag: str) -> None:
    assert isinstance(scram(Store(ALICE)).mechanism().next(f"{flag},,n=alice,r=abc".encode()), Challenge)


def _other_nonce(final: str) -> str:
    return final.replace("r=", "r=x", 1)


def _bound(final: str) -> str:
    return final.replace("c=biws", "c=eSws", 1)  # says "y,," where the first message said "n,,"


def _twice(final: str) -> str:
    return final + final[final.index(",p=") :]


@pytest.mark.parametrize("spoil", [_other_nonce, _bound, _twice])
def test_a_last_message_that_does_not_fit_the_first_is_refused(spoil: Callable[[str], str]) -> None:
    client = ScramClient(["SCRAM-SHA-256"], NAME, PASSWORD)
    mechanism = scram(Store(ALICE)).mechanism()
    challenge = mechanism.next(client.get_client_first().encode())
    assert isinstance(challenge, Challenge)
    client.set_server_first(challenge.data.decode())
    with pytest.raises(MechanismError):
        mechanism.next(spoil(client.get_client_final()).encode())


@given(
    st.lists(
        st.none() | st.binary(max_size=60) | st.sampled_from([b"n,,n=alice,r=abc", b"c=biws,r=abc,p=AAAA"])
    )
)
def test_any_messages_end_in_a_challenge_a_proof_or_a_mechanism_error(messages: list[bytes | None]) -> None:
    mechanism = scram(Store(ALICE)).mechanism()
    for message in messages:
        try:
            outcome = mechanism.next(message)
        except MechanismError:
            return
        if isinstance(outcome, Proof):
            assert not outcome.proved
            return
        assert isinstance(outcome, Challenge)


def test_a_generated_name_may_be_typed_in_capitals_and_a_long_one_is_refused() -> None:
    name = "gpabcdefghij2345"
    backend = scram(Store(replace(ALICE, username=name)))
    proof, _ = exchange(backend, name.upper(), PASSWORD)
    assert proof.username == name
    assert proof.proved
    with pytest.raises(MechanismError, match="longer than 255 bytes"):
        backend.mechanism().next(b"n,,n=" + b"a" * 256 + b",r=abc")

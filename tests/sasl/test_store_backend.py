"""The store as a back end."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import UTC, datetime

import pytest

from gatepost_core.domain import StoreUnavailable
from gatepost_core.keys import Keyring
from gatepost_core.store import Reader
from gatepost_sasl.authenticator import BackendUnavailable, Denied, Granted, Peer, Verdict
from gatepost_sasl.backends.store import StoreAuthenticator
from tests.core.stores import PASSWORD, Store

NOW = datetime.now(UTC)
PEER = Peer("192.0.2.7")


class Uses:
    def __init__(self) -> None:
        self.kept: list[tuple[int, str, datetime]] = []

    def record(self, credential_id: int, ip: str, now: datetime) -> None:
        self.kept.append((credential_id, ip, now))


@pytest.fixture
def reader(store: Store) -> Iterator[Reader]:
    opened = Reader(store.settings.store.url)
    yield opened
    opened.close()


@pytest.mark.parametrize(
    ("username", "password", "verdict"),
    [
        ("alice", PASSWORD, Granted("alice")),
        ("alice", "wrong", Denied("wrong password")),
        ("nobody", PASSWORD, Denied("unknown user")),
        ("off", PASSWORD, Denied("credential disabled")),
        ("off", "wrong", Denied("wrong password")),
        ("old", PASSWORD, Denied("credential expired")),
    ],
)
def test_the_reason_is_told_to_the_log(
    username: str, password: str, verdict: Verdict, store: Store, reader: Reader
) -> None:
    uses = Uses()
    backend = StoreAuthenticator(reader, store.keyring, uses, lambda: NOW)
    assert backend.authenticate(username, password, PEER) == verdict
    assert [(ip, now) for _, ip, now in uses.kept] == (
        [("192.0.2.7", NOW)] if verdict == Granted("alice") else []
    )


def test_a_secret_whose_key_is_gone_is_our_fault_not_the_clients(store: Store, reader: Reader) -> None:
    others = Keyring({**store.keyring.keys, "password": {"z": bytes(32)}})
    backend = StoreAuthenticator(reader, others, Uses(), lambda: NOW)
    with pytest.raises(BackendUnavailable, match="key directory"):
        backend.authenticate("alice", PASSWORD, PEER)


def test_a_store_that_cannot_be_read_is_neither_a_refusal_nor_a_permit(store: Store) -> None:
    reader = Reader(f"sqlite:///{store.folder}/none/directory.db")
    backend = StoreAuthenticator(reader, store.keyring, Uses(), lambda: NOW)
    with pytest.raises(StoreUnavailable):
        backend.authenticate("alice", PASSWORD, PEER)
    reader.close()

"""Imported hashes take long to check, and the time of a refusal must not tell whose password was imported."""

from __future__ import annotations

import base64
import os
import re
import time
from collections.abc import Iterator
from pathlib import Path

import pytest
from argon2 import PasswordHasher

from gatepost_core.domain import ImportedSecret, utc_now
from gatepost_core.keys import argon2id
from gatepost_core.serving import Later, Output, Send
from gatepost_core.store import Reader, credentials
from gatepost_sasl.backends.store import StoreAuthenticator
from gatepost_sasl.session import AuthSession, Configuration
from gatepost_sasl.slowest import Slowest
from tests.core.running import Running, connect, listening
from tests.core.stores import Store, make_store

from .guards import HOLDS_NOBODY_OFF
from .test_transcripts import NoLastUsed, unheard

HASH = PasswordHasher(time_cost=2, memory_cost=1024, parallelism=1).hash("imported")
DEAR = PasswordHasher(time_cost=3, memory_cost=65536, parallelism=1).hash("imported")


@pytest.fixture
def store(tmp_path: Path) -> Store:
    return make_store(tmp_path)


def import_hash(store: Store, username: str, text: str) -> None:
    engine = store.engine()
    with engine.begin() as connection:
        credentials.change(connection, username, imported=ImportedSecret(text))
    engine.dispose()


class Clock:
    now = 1000.0

    def __call__(self) -> float:
        return self.now


def test_a_refusal_is_later_than_the_longest_check() -> None:
    clock = Clock()
    slowest = Slowest(0.1, clock)
    assert slowest.delay(0.25) == 0.25
    slowest.took(0.4)
    slowest.took(0.3)
    assert slowest.delay(0.25) == pytest.approx(0.6)
    assert slowest.delay(1.0) == 1.0
    slowest.took(60.0)
    assert slowest.delay(0.25) == 4.0  # Postfix waits for 10 seconds in all


def test_a_check_that_took_long_once_is_forgotten_and_the_stores_hashes_are_not() -> None:
    clock = Clock()
    slowest = Slowest(0.3, clock)
    slowest.took(2.0)
    clock.now += 3599
    assert slowest.delay(0.25) == 3.0
    clock.now += 2
    assert slowest.delay(0.25) == pytest.approx(0.45)
    slowest.took(0.5)
    assert slowest.delay(0.25) == pytest.approx(0.75)


def test_all_workers_know_what_one_saw() -> None:
    slowest = Slowest()
    child = os.fork()
    if not child:
        slowest.took(1.0)
        os._exit(0)
    os.waitpid(child, 0)
    assert slowest.delay(0.25) == 1.5


@pytest.fixture
def session(store: Store) -> Iterator[AuthSession]:
    import_hash(store, "bob", HASH)
    reader, slowest = Reader(store.settings.store.url), Slowest()

    def took(seconds: float) -> None:
        assert 0.0 < seconds < 5.0
        slowest.took(2.0)  # what a busy host takes

    backend = StoreAuthenticator(reader, store.keyring, NoLastUsed(), utc_now, took)
    opened = AuthSession(
        Configuration(backend, unheard, HOLDS_NOBODY_OFF, failure_delay=0.25, slowest=slowest)
    )
    opened.receive(b"VERSION\t1\t0\n", 0.0)
    yield opened
    reader.close()


def refused(session: AuthSession, number: int, username: str) -> float:
    """Return when a wrong password is answered, in seconds after the request."""
    response = base64.b64encode(f"\0{username}\0wrong".encode())
    line = b"AUTH\t%d\tPLAIN\trip=192.0.2.%d\tsecured\tresp=%s\n" % (number, number, response)
    (output,) = session.receive(line, 10.0)
    answer: Output = output.work()[0] if isinstance(output, Later) else output
    assert isinstance(answer, Send)
    assert answer.data.startswith(b"FAIL")
    assert answer.not_before is not None
    return answer.not_before - 10.0


def test_unknown_names_are_refused_as_late_as_imported_ones(session: AuthSession) -> None:
    assert refused(session, 1, "nobody") == 0.25
    assert refused(session, 2, "bob") == 3.0  # the first check: already in time
    assert refused(session, 3, "nobody") == refused(session, 4, "alice") == refused(session, 5, "bob") == 3.0


def test_the_dearest_kind_is_what_is_to_be_expected() -> None:
    assert argon2id.seconds([]) == 0.0
    assert argon2id.seconds(["nonsense", "$argon2id$v=19$m=8,t=1,p=1$x$y"]) >= 0.0
    dear = argon2id.seconds([HASH, DEAR, HASH])
    assert dear > argon2id.seconds([HASH])


def test_the_daemon_knows_what_is_in_the_store_when_it_starts(store: Store, tmp_path: Path) -> None:
    """An attempt on a name that nobody has is held until an imported hash could have been checked."""
    import_hash(store, "bob", DEAR)
    arguments = ["-m", "gatepost_sasl.main", "--config", str(store.config), "--set", "sasl.failure_delay=0"]
    with (
        listening(tmp_path / "socket") as listener,
        Running(arguments, tmp_path, listener=listener) as daemon,
        connect(tmp_path / "socket") as client,
        client.makefile("rb") as said,
    ):
        client.sendall(b"VERSION\t1\t0\nCPID\t1\n")
        while said.readline() != b"DONE\n":
            pass
        found = re.search(r'event="refusals wait for imported hashes" seconds=(\S+)', daemon.log)
        assert found is not None
        least = float(found[1])
        response = base64.b64encode(b"\0nobody\0wrong")
        began = time.monotonic()
        client.sendall(b"AUTH\t1\tPLAIN\trip=192.0.2.1\tsecured\tresp=%s\n" % response)
        assert said.readline().startswith(b"FAIL")
        assert time.monotonic() - began >= 0.99 * least > 0.0

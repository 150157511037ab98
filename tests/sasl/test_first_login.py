"""First logins by PAM through gatepost-sasl and gatepost-events as they run."""

from __future__ import annotations

import re
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from gatepost_core.domain import Source
from gatepost_core.store import credentials
from tests.core.running import Running, events, listening
from tests.core.stores import PASSWORD as STORE_PASSWORD
from tests.core.stores import Store, make_store
from tests.sasl.pamd import PASSWORD, by_password_file, password_file, service
from tests.sasl.test_daemon import login

# Has each process of a daemon, workers too, tell of every module that it loads.
TELLS_IMPORTS = {"PYTHONPROFILEIMPORTTIME": "1"}


@pytest.fixture
def store(tmp_path: Path) -> Store:
    return make_store(tmp_path)


@contextmanager
def sasl(store: Store) -> Iterator[Running]:
    """Run gatepost-sasl, which makes credentials of PAM users at their first login."""
    folder = store.folder
    file = password_file(folder, "penny", "paul", "petra")
    with service(*by_password_file(file)) as name, listening(folder / "socket") as listener:
        arguments = ["-m", "gatepost_sasl.main", "--config", str(store.config)]
        for setting in (
            "sasl.workers=2",
            "sasl.backends=pam,store",
            "pam.names=p*",
            f"pam.service={name}",
            "pam.account=acme",
            "pam.senders={user}@example.test",
        ):
            arguments += ["--set", setting]
        with Running(arguments, folder, listener=listener, environ=TELLS_IMPORTS) as daemon:
            yield daemon


def loaded(daemon: Running) -> set[str]:
    """Return the modules that a daemon's parent and workers have loaded."""
    return set(re.findall(r"^import time: .*\| +([\w.]+)$", daemon.log, re.MULTILINE))


def test_a_first_login_is_granted_and_this_daemon_never_loads_what_writes(store: Store) -> None:
    """14 MB a worker, and the right to change the directory, which only gatepost-events needs."""
    socket = store.folder / "socket"
    with events(store.config, store.folder, environ=TELLS_IMPORTS) as maker, sasl(store) as daemon:
        for _ in range(2):
            for user in ("penny", "paul", "petra"):
                assert login(socket, user, PASSWORD) == f"OK\t1\tuser={user}"
        assert login(socket, "penny", "wrong").startswith("FAIL\t1\t")
        assert login(socket, "alice", STORE_PASSWORD) == "OK\t1\tuser=alice"
        assert maker.log.count("result=made") == 3
        assert "sqlalchemy" in loaded(maker)
        assert "gatepost_sasl.backends.maker" in loaded(daemon)  # which is loaded by the workers
        assert "sqlalchemy" not in loaded(daemon)
    with store.writing() as connection:
        penny = credentials.get(connection, "penny")
    assert (penny.source, penny.rules.senders) == (Source.PAM, ("penny@example.test",))


def test_while_gatepost_events_is_down_only_first_logins_have_to_come_back(store: Store) -> None:
    socket = store.folder / "socket"
    store.external("paul", Source.PAM)
    with sasl(store) as daemon:
        assert login(socket, "penny", PASSWORD) == ""  # Postfix answers 454
        assert login(socket, "paul", PASSWORD) == "OK\t1\tuser=paul"
        assert login(socket, "alice", STORE_PASSWORD) == "OK\t1\tuser=alice"
        log = daemon.wait_log("result=unavailable")
        assert "pam: no credential for penny: gatepost-events: unix:" in log
        assert "nobody listens there" in log
        with events(store.config, store.folder):
            assert login(socket, "penny", PASSWORD) == "OK\t1\tuser=penny"
        assert login(socket, "penny", PASSWORD) == "OK\t1\tuser=penny"

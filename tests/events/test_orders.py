"""gatepost-events with orders: what is made, what is refused, who may ask, and who holds up whom."""

from __future__ import annotations

import os
import pwd
import signal
import socket
import sqlite3
import subprocess
import sys
import threading
import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack, closing, suppress
from pathlib import Path

import pytest

from gatepost_core.domain import Credential, Rules, Source
from gatepost_core.domain.orders import (
    LINE_MOST,
    Answer,
    CredentialOrder,
    Ping,
    Result,
    read_answer,
    write_order,
)
from gatepost_core.serving.asking import NoAnswer, ask
from gatepost_core.store import credentials
from tests.core.running import PATIENCE, Running, connect, events, read_line
from tests.core.stores import Store, make_store
from tests.waiting import until

ORDER = CredentialOrder(
    "lena",
    Source.LDAP,
    "acme",
    {"inlinecss": True, "tags": ("one", "two")},
    Rules(("lena@example.org",), ("192.0.2.0/24",)),
)
HERE = Answer(Result.HERE)


@pytest.fixture
def store(tmp_path: Path) -> Store:
    return make_store(tmp_path)


@pytest.fixture
def daemon(store: Store, tmp_path: Path) -> Iterator[Running]:
    with events(store.config, tmp_path) as running:
        yield running


def give(folder: Path, order: CredentialOrder | Ping) -> Answer:
    """Give an order over a connection of its own, as the other daemons do."""
    line = ask(f"unix:{folder}/orders", write_order(order), time.monotonic() + PATIENCE, LINE_MOST)
    return read_answer(line)


def kept(store: Store, username: str = "lena") -> Credential | None:
    with store.writing() as connection:
        return credentials.find(connection, username)


def test_an_order_makes_a_credential_and_another_one_leaves_it_as_it_is(
    daemon: Running, store: Store, tmp_path: Path
) -> None:
    assert give(tmp_path, ORDER) == Answer(Result.MADE)
    made = kept(store)
    assert made is not None
    assert (made.source, made.account, made.rules) == (Source.LDAP, "acme", ORDER.rules)
    assert dict(made.features) == ORDER.features
    assert made.secrets == ()
    assert give(tmp_path, CredentialOrder("lena", Source.PAM, "acme", {}, Rules())) == Answer(Result.KNOWN)
    assert kept(store) == made
    log = daemon.wait_log("event=order", 2)
    assert "result=made user=lena account=acme source=ldap" in log


def test_an_account_that_is_not_there_is_a_refusal_in_words(daemon: Running, tmp_path: Path) -> None:
    answer = give(tmp_path, CredentialOrder("lena", Source.LDAP, "nobody", {}, Rules()))
    assert answer.result is Result.REFUSED
    assert "no account 'nobody'" in answer.text
    daemon.wait_log("result=refused")


def test_a_directory_that_is_gone_passes_and_no_empty_one_is_made_in_its_place(
    daemon: Running, store: Store, tmp_path: Path
) -> None:
    del daemon
    database = tmp_path / "directory.db"
    database.rename(tmp_path / "aside.db")
    answer = give(tmp_path, ORDER)
    assert answer.result is Result.UNAVAILABLE
    assert "directory.db" in answer.text
    assert not database.exists()
    (tmp_path / "aside.db").rename(database)
    assert give(tmp_path, ORDER) == Answer(Result.MADE)
    assert kept(store) is not None


def test_a_directory_that_somebody_else_writes_to_for_long_passes_too(
    daemon: Running, tmp_path: Path
) -> None:
    del daemon
    with closing(sqlite3.connect(tmp_path / "directory.db", isolation_level=None)) as writer:
        writer.execute("BEGIN IMMEDIATE")
        assert give(tmp_path, Ping()) == HERE
        assert give(tmp_path, ORDER).result is Result.UNAVAILABLE
        writer.execute("ROLLBACK")
    assert give(tmp_path, ORDER) == Answer(Result.MADE)


def test_the_daemon_killed_takes_orders_again(daemon: Running, tmp_path: Path) -> None:
    """Nobody need start anything: the parent makes another worker."""
    (worker,) = Path(f"/proc/{daemon.process.pid}/task/{daemon.process.pid}/children").read_text().split()
    with connect(tmp_path / "orders") as client:
        client.sendall(write_order(Ping()))
        assert read_answer(read_line(client).encode()) == HERE
        os.kill(int(worker), signal.SIGKILL)
        assert client.recv(10) == b""
    assert give(tmp_path, ORDER) == Answer(Result.MADE)


def test_a_daemon_killed_again_and_again_makes_each_credential_once(
    daemon: Running, store: Store, tmp_path: Path
) -> None:
    """Whoever hears nothing comes again, as mail programs do."""
    names = [f"user{number}" for number in range(40)]
    over = threading.Event()

    def first_login(name: str) -> Result:
        order = CredentialOrder(name, Source.PAM, "acme", {}, Rules())
        while True:
            with suppress(NoAnswer):
                return give(tmp_path, order).result

    def worker(but: set[int]) -> int:
        parent = daemon.process.pid
        children = Path(f"/proc/{parent}/task/{parent}/children").read_text().split()
        return next((int(child) for child in children if int(child) not in but), 0)

    def kill() -> None:
        killed = set[int]()
        try:
            while len(killed) < 10:
                victim = until(lambda: worker(killed), lambda: f"another worker; {daemon.log}")
                killed.add(victim)
                os.kill(victim, signal.SIGKILL)
        finally:
            over.set()

    killer = threading.Thread(target=kill)
    killer.start()
    with ThreadPoolExecutor(8) as logins:
        while not over.is_set():
            assert set(logins.map(first_login, names)) <= {Result.MADE, Result.KNOWN}
    killer.join()
    with store.writing() as connection:
        made = [one.username for one in credentials.list_all(connection) if one.username in names]
    assert sorted(made) == sorted(names)


def test_an_order_that_is_being_carried_out_is_answered_before_the_daemon_ends(
    daemon: Running, store: Store, tmp_path: Path
) -> None:
    with (
        closing(sqlite3.connect(tmp_path / "directory.db", isolation_level=None)) as writer,
        connect(tmp_path / "orders") as client,
    ):
        client.sendall(write_order(Ping()))
        assert read_answer(read_line(client).encode()) == HERE
        writer.execute("BEGIN IMMEDIATE")
        client.sendall(write_order(ORDER))
        daemon.terminate()
        daemon.wait_notice("STOPPING=1")
        writer.execute("ROLLBACK")
        assert read_answer(read_line(client).encode()) == Answer(Result.MADE)
    assert daemon.stop() == 0
    assert kept(store) is not None


@pytest.mark.parametrize("unit", [b"x", b"[", b'"', b"\n", b"[1,\n", b"\0\xff"])
def test_a_peer_that_sends_rubbish_without_end_is_told_and_cut_off(
    daemon: Running, tmp_path: Path, unit: bytes
) -> None:
    """A gigabyte would be sent: it is cut off long before, and somebody else is answered meanwhile."""
    piece = unit * (1_000_000 // len(unit))
    with connect(tmp_path / "orders") as hostile:
        pieces = iter(range(1_000))
        with suppress(BrokenPipeError, ConnectionResetError):
            for _ in pieces:
                hostile.sendall(piece)
        assert next(pieces) < 10
        assert give(tmp_path, Ping()) == HERE
    assert daemon.log.count("order refused") == 1
    assert "Traceback" not in daemon.log


def test_peers_that_are_slow_or_silent_or_read_nothing_hold_up_nobody(
    daemon: Running, store: Store, tmp_path: Path
) -> None:
    line = write_order(ORDER)
    with ExitStack() as open_:
        clients = [open_.enter_context(connect(tmp_path / "orders")) for _ in range(300)]
        for number, client in enumerate(clients[:200]):
            client.sendall(line[: number % (len(line) - 1)])
        for client in clients[200:]:
            client.sendall(write_order(Ping()) * 1_000)  # and nobody reads what comes back
        for number in range(20):
            order = CredentialOrder(f"user{number}", Source.PAM, "acme", {}, Rules())
            assert give(tmp_path, order) == Answer(Result.MADE)
    assert kept(store) is None
    assert kept(store, "user19") is not None
    assert "Traceback" not in daemon.log


# Connects as another user of this host.
_CLIENT = """
import socket, sys
client = socket.socket(socket.AF_UNIX)
client.settimeout(20)
client.connect("\\0" + sys.argv[1])
try:
    client.sendall(bytes.fromhex(sys.argv[2]))
except BrokenPipeError:
    pass  # it was told before it said anything
print(client.makefile().readline().strip())
"""


@pytest.mark.skipif(os.geteuid() != 0, reason="only root can become another user")
@pytest.mark.parametrize(
    ("users", "result"), [("gatepost,unheard-of", "refused"), ("unheard-of,nobody", "made")]
)
def test_another_user_may_give_orders_only_if_the_settings_name_him(
    store: Store, tmp_path: Path, users: str, result: str
) -> None:
    """Also where the socket's owner and mode let him in: that one has neither."""
    name = f"gatepost-test-{os.getpid()}-{users}"
    with socket.socket(socket.AF_UNIX) as listener:
        listener.bind(f"\0{name}")
        listener.listen()
        with events(store.config, tmp_path, f"events.users={users}", listener=listener) as daemon:
            nobody = str(pwd.getpwnam("nobody").pw_uid)
            said = subprocess.run(
                [
                    "setpriv", "--reuid", nobody, "--clear-groups",
                    "/usr/bin/python3", "-I", "-c", _CLIENT, name, write_order(ORDER).hex(),
                ],
                cwd="/", capture_output=True, text=True, timeout=60, check=True,
            ).stdout.strip()  # fmt: skip
            answer = read_answer(said.encode())
            assert answer.result.value == result
            if result == "refused":
                assert f"of user {nobody} may give no orders" in answer.text
                assert f"of user {nobody} may give no orders" in daemon.wait_log("order refused")
    assert (kept(store) is not None) is (result == "made")


def test_a_socket_over_which_nobody_is_known_is_refused_at_the_start(store: Store) -> None:
    run = subprocess.run(
        [
            sys.executable, "-m", "gatepost_events.main", "--config", str(store.config),
            "--set", "events.listen=inet:127.0.0.1:2599", "--check",
        ],
        capture_output=True, text=True, timeout=60, check=False,
    )  # fmt: skip
    assert run.returncode == 4
    assert "events.listen = 'inet:127.0.0.1:2599': expected a UNIX socket" in run.stderr


def test_over_tcp_nobody_is_known_and_so_nobody_may_give_orders(store: Store, tmp_path: Path) -> None:
    with socket.socket() as listener:
        listener.bind(("127.0.0.1", 0))
        listener.listen()
        with (
            events(store.config, tmp_path, listener=listener),
            socket.create_connection(listener.getsockname(), PATIENCE) as client,
        ):
            assert read_answer(read_line(client).encode()).result is Result.REFUSED
    assert kept(store) is None

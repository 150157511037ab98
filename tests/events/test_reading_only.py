"""Daemons that may read the directory and change nothing of it, beside a gatepost-events that may."""

from __future__ import annotations

import os
import pwd
import shutil
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from pathlib import Path

import pytest

import gatepost_core
from gatepost_core.domain import Source
from gatepost_core.domain.orders import Answer, Result
from tests.core.running import Running, connect, events, listening, read_line
from tests.core.stores import PASSWORD as STORE_PASSWORD
from tests.core.stores import Store, make_store
from tests.events.test_orders import ORDER, give, kept
from tests.sasl.pamd import PASSWORD, by_password_file, password_file, service
from tests.sasl.test_daemon import login
from tests.waiting import until

pytestmark = pytest.mark.skipif(os.geteuid() != 0, reason="only root can become another user")

# Loads everything, becomes nobody, and says for each line of its input whether there is a credential.
_READER = """
import os, pwd, sys
from gatepost_core.store import Reader, StoreUnavailable
nobody = pwd.getpwnam("nobody")
os.setgroups([])
os.setgid(nobody.pw_gid)
os.setuid(nobody.pw_uid)
reader = Reader(sys.argv[1])
for line in sys.stdin:
    try:
        print("yes" if reader.credential(line.strip()) else "no", flush=True)
    except StoreUnavailable as error:
        print(error, flush=True)
"""


class Poor:
    """A reader of the store that may write neither the database nor its folder."""

    def __init__(self, store: Store) -> None:
        self._process = subprocess.Popen(
            [sys.executable, "-c", _READER, store.settings.store.url],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            text=True,
        )

    def __enter__(self) -> Poor:
        return self

    def __exit__(self, *_: object) -> None:
        self._process.communicate()

    def has(self, username: str) -> str:
        assert self._process.stdin
        assert self._process.stdout
        self._process.stdin.write(f"{username}\n")
        self._process.stdin.flush()
        return self._process.stdout.readline().strip()


@pytest.fixture
def readable() -> Iterator[Store]:
    """A store that everybody can read and only we can write; pytest's own folders are closed to others."""
    with tempfile.TemporaryDirectory(prefix="gatepost-test-") as place:
        Path(place).chmod(0o755)
        folder = Path(place) / "store"
        folder.mkdir(0o755)
        store = make_store(folder)
        (folder / "directory.db").chmod(0o644)
        yield store


def beside(folder: Path) -> set[str]:
    """Return what lies in a folder, but the files of the journal, which gatepost-events opens in its time."""
    return {path.name for path in folder.iterdir() if not path.name.startswith("journal")}


def test_while_the_daemon_runs_and_after_it_the_directory_is_read_without_writing_anything(
    readable: Store, tmp_path: Path
) -> None:
    """A reader that may write nothing sees each change at once, and goes on when the daemon is down."""
    store, folder = readable, readable.folder
    with Poor(store) as reader:
        assert "directory.db" in reader.has("alice")  # nobody has it open: the index cannot be made
        with events(store.config, tmp_path) as daemon:
            until((folder / "directory.db-shm").exists, "the directory kept open")
            before = beside(folder)
            assert (reader.has("alice"), reader.has("lena")) == ("yes", "no")
            assert give(folder, ORDER) == Answer(Result.MADE)
            assert reader.has("lena") == "yes"
            with Poor(store) as another:
                assert another.has("lena") == "yes"
            store.external("lars", Source.PAM)
            assert reader.has("lars") == "yes"
            assert beside(folder) == before
            assert daemon.stop() == 0
        assert (folder / "directory.db-wal").stat().st_size == 0  # all is in the file that one would copy
        assert reader.has("lars") == "yes"
        store.external("mia", Source.PAM)
        assert reader.has("mia") == "yes"
        with Poor(store) as another:
            assert another.has("mia") == "yes"
    with events(store.config, tmp_path), Poor(store) as reader:
        assert reader.has("mia") == "yes"


# Loads a daemon, becomes nobody, and runs it with the arguments that follow.
_DAEMON = """
import os, pwd, sys
from importlib import import_module
main = import_module(sys.argv.pop(1)).main
nobody = pwd.getpwnam("nobody")
os.setgroups([])
os.setgid(nobody.pw_gid)
os.setuid(nobody.pw_uid)
main()
"""


def as_nobody(store: Store, name: str, socket: str, *settings: str) -> list[str]:
    """Return the arguments of a daemon whose own folder is the only one that it can write to."""
    own = own_folder(store)
    arguments = ["-c", _DAEMON, f"gatepost_{name}.main", "--config", str(store.config)]
    for setting in (
        f"spool.directory={own}/spool",
        f"sasl.logins_file={own}/logins",
        f"limits.counters={own}/counters.db",
        f"{name}.listen=unix:{own}/{socket}",
        *settings,
    ):
        arguments += ["--set", setting]
    return arguments


def own_folder(store: Store) -> Path:
    """Return a folder of nobody's, made if need be."""
    own = store.folder.parent / "own"
    if not own.exists():
        own.mkdir()
        shutil.chown(own, "nobody")
    return own


def question(path: Path, sender: str) -> str:
    """Ask policy about a recipient, as Postfix does for a login of penny's."""
    asked = (
        f"request=smtpd_access_policy\nprotocol_state=RCPT\nsasl_username=penny\nsender={sender}\n"
        "recipient=bob@elsewhere.test\nencryption_protocol=TLSv1.3\nclient_address=192.0.2.1\n\n"
    )
    with connect(path) as client:
        client.sendall(asked.encode())
        return read_line(client)


@pytest.mark.skipif(
    not all(place.stat().st_mode & 0o001 for place in Path(gatepost_core.__file__).parents),
    reason="the daemons' user may not read a program that stands below a folder like /root",
)
def test_the_daemons_serve_as_a_user_that_can_change_nothing_in_the_store(
    readable: Store, tmp_path: Path
) -> None:
    """A first login too: the order is given by a user whom the settings name."""
    store, own = readable, own_folder(readable)
    group = pwd.getpwnam("nobody").pw_gid
    for path in (store.folder / "keys", *(store.folder / "keys").iterdir()):
        os.chown(path, 0, group)
    passwords = password_file(store.folder, "penny")
    with service(*by_password_file(passwords)) as pam, listening(store.folder / "orders") as orders:
        os.chown(store.folder / "orders", 0, group)
        (store.folder / "orders").chmod(0o660)
        sasl = as_nobody(
            store, "sasl", "sasl", "sasl.backends=pam,store", "pam.names=p*", f"pam.service={pam}",
            "pam.account=acme", "pam.senders={user}@example.test",
        )  # fmt: skip
        with events(store.config, tmp_path, "events.users=nobody", listener=orders):
            until((store.folder / "directory.db-shm").exists, "the directory kept open")
            before = beside(store.folder)
            with (
                Running(sasl, tmp_path) as running,
                Running(as_nobody(store, "policy", "policy"), tmp_path) as policy,
                Running(as_nobody(store, "milter", "milter"), tmp_path) as milter,
            ):
                status = Path(f"/proc/{running.process.pid}/status").read_text()
                assert f"Uid:\t{pwd.getpwnam('nobody').pw_uid}\t" in status
                assert login(own / "sasl", "alice", STORE_PASSWORD) == "OK\t1\tuser=alice"
                assert login(own / "sasl", "penny", PASSWORD) == "OK\t1\tuser=penny"
                assert question(own / "policy", "penny@example.test") == "action=DUNNO"
                assert question(own / "policy", "other@example.test").startswith("action=550 5.7.1")
                assert running.stop() == 0
                assert policy.stop() == 0
                assert milter.stop() == 0
                assert "unavailable" not in running.log + policy.log + milter.log
            assert beside(store.folder) == before
    penny = kept(store, "penny")
    assert penny is not None
    assert penny.rules.senders == ("penny@example.test",)

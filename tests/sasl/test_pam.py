"""PAM with a stack of its own: who is who, what is our fault, and modules that hang."""

from __future__ import annotations

import os
import subprocess
import sys
import threading
import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager, suppress
from pathlib import Path

import pytest

from gatepost_core.domain import Source
from gatepost_sasl.authenticator import BackendUnavailable, Denied
from gatepost_sasl.backends.pam import PamCheck
from gatepost_sasl.backends.pool import NotAsked
from gatepost_sasl.backends.template import VerifiedUser
from tests.core.running import ROOT, Running, listening
from tests.core.stores import PASSWORD as STORE_PASSWORD
from tests.core.stores import make_store
from tests.sasl.pamd import PASSWORD, by_password_file, password_file, service
from tests.sasl.test_daemon import login
from tests.waiting import until

PERMIT = "account required pam_permit.so"


@contextmanager
def checking(name: str, seconds: float = 5, threads: int = 4) -> Iterator[PamCheck]:
    check = PamCheck(name, seconds, threads, lambda _: None)
    yield check
    check.close(0.1)


def test_users_of_the_service_log_in_and_others_do_not(tmp_path: Path) -> None:
    file = password_file(tmp_path, "penny", "jörg")
    with service(*by_password_file(file)) as name, checking(name) as check:
        assert check.check("penny", PASSWORD) == VerifiedUser("penny")
        assert check.check("jörg", PASSWORD) == VerifiedUser("jörg")
        assert check.check("penny", "wrong") == Denied("wrong password")
        assert isinstance(check.check("nobody", PASSWORD), Denied)
        assert isinstance(check.check("penny\0", PASSWORD), Denied)


def test_a_changed_password_file_holds_at_once(tmp_path: Path) -> None:
    file = password_file(tmp_path, "penny")
    with service(*by_password_file(file)) as name, checking(name) as check:
        assert isinstance(check.check("penny", PASSWORD), VerifiedUser)
        file.write_text("")
        assert isinstance(check.check("penny", PASSWORD), Denied)


def test_an_account_that_may_not_be_used_is_refused(tmp_path: Path) -> None:
    auth, _ = by_password_file(password_file(tmp_path, "penny"))
    with service(auth, "account required pam_deny.so") as name, checking(name) as check:
        assert isinstance(check.check("penny", PASSWORD), Denied)


@pytest.mark.parametrize(
    ("lines", "says"),
    [
        (("auth required pam_nonexistent.so", PERMIT), "error 28"),
        (("auth required pam_pwdfile.so nodelay pwdfile=/nonexistent", PERMIT), "error 9"),
        (("auth required pam_exec.so quiet /bin/false", PERMIT), "error 4"),
    ],
)
def test_a_service_that_does_not_work_is_our_fault(lines: tuple[str, ...], says: str) -> None:
    with service(*lines) as name, checking(name) as check, pytest.raises(BackendUnavailable, match=says):
        check.check("penny", PASSWORD)


def test_a_service_file_that_is_gone_is_our_fault_though_pam_would_refuse() -> None:
    with service("auth required pam_permit.so", PERMIT) as name, checking(name) as check:
        assert isinstance(check.check("penny", "x"), VerifiedUser)
        Path("/etc/pam.d", name).unlink()
        with pytest.raises(BackendUnavailable, match="no service file"):
            check.check("penny", "x")


@pytest.fixture
def gate(tmp_path: Path) -> Iterator[Path]:
    """A file; while it is there, a module hangs on the user ``wedged``."""
    file = tmp_path / "gate"
    file.touch()
    script = tmp_path / "module"
    script.write_text(
        f'#!/bin/sh\nif [ "$PAM_USER" = wedged ]; then while [ -e {file} ]; do sleep 0.02; done; fi\n'
    )
    script.chmod(0o755)
    yield file
    file.unlink(missing_ok=True)


def test_a_module_that_hangs_on_one_user_leaves_the_others_alone(gate: Path, tmp_path: Path) -> None:
    hanging = f"auth required pam_exec.so quiet {gate.parent / 'module'}"
    lines = by_password_file(password_file(tmp_path, "penny", "wedged"))
    with service(hanging, *lines) as name, checking(name, 0.5) as check:
        began = time.monotonic()
        with pytest.raises(BackendUnavailable, match="no answer"):
            check.check("wedged", PASSWORD)
        with pytest.raises(NotAsked, match="stuck"):
            check.check("wedged", PASSWORD)
        assert time.monotonic() - began < 20
        results: list[object] = []
        clients = [
            threading.Thread(target=lambda: results.append(check.check("penny", PASSWORD))) for _ in range(6)
        ]
        for client in clients:
            client.start()
        for client in clients:
            client.join()
        assert results == [VerifiedUser("penny")] * 6
        gate.unlink()
        until(lambda: not check._pool.stuck)
        assert check.check("wedged", PASSWORD) == VerifiedUser("wedged")


# Becomes nobody after it has loaded everything: the tree may be readable by root only.
_AS_NOBODY = """
import ctypes, grp, os, pwd, sys
import pam
from gatepost_sasl.backends.pam import PamCheck
nobody = pwd.getpwnam("nobody")
os.setgroups([grp.getgrnam("shadow").gr_gid])
os.setgid(nobody.pw_gid)
os.setuid(nobody.pw_uid)
assert ctypes.CDLL(None).prctl(38, 1, 0, 0, 0) == 0  # PR_SET_NO_NEW_PRIVS
check = PamCheck(sys.argv[1], 8, 2, lambda _: None)
for password in sys.argv[3:]:
    print(check.check(sys.argv[2], password))
"""


@contextmanager
def system_user() -> Iterator[str]:
    """Add a user to this host, with a password in its shadow file, and remove it again."""
    name = f"gptest{os.getpid()}"
    made = subprocess.run(["openssl", "passwd", "-6", PASSWORD], capture_output=True, text=True, check=True)
    subprocess.run(
        ["useradd", "--no-create-home", "--shell", "/bin/false", "-p", made.stdout.strip(), name], check=True
    )
    try:
        yield name
    finally:
        subprocess.run(["userdel", name], check=True, capture_output=True)


def test_pam_unix_works_for_an_unprivileged_daemon_in_group_shadow() -> None:
    auth = ("auth required pam_unix.so nodelay", "account required pam_unix.so")
    with system_user() as user, service(*auth) as name:
        ask = [sys.executable, "-c", _AS_NOBODY, name, user, PASSWORD, "wrong"]
        done = subprocess.run(ask, cwd=ROOT, capture_output=True, text=True, check=False, timeout=60)
    assert done.stdout.splitlines() == [
        f"VerifiedUser(name='{user}', attributes={{}}, groups=())",
        "Denied(reason='wrong password')",
    ], done.stderr


def test_a_daemon_with_a_wedged_module_serves_the_store_and_still_ends_in_time(
    gate: Path, tmp_path: Path
) -> None:
    store = make_store(tmp_path)
    hanging = f"auth required pam_exec.so quiet {gate.parent / 'module'}"
    with service(hanging, PERMIT) as name, listening(tmp_path / "socket") as listener:
        arguments = ["-m", "gatepost_sasl.main", "--config", str(store.config)]
        for setting in (
            "sasl.backends=pam,store",
            "pam.names=wedged",
            f"pam.service={name}",
            "pam.deadline=1",
        ):
            arguments += ["--set", setting]
        with Running(arguments, tmp_path, listener=listener) as daemon:
            assert login(tmp_path / "socket", "wedged") == ""
            assert login(tmp_path / "socket", "alice", STORE_PASSWORD) == "OK\t1\tuser=alice"
            assert "pam: no answer in 1 s" in daemon.wait_log("result=unavailable")
            began = time.monotonic()
            assert daemon.stop() == 0
            assert time.monotonic() - began < 20


@pytest.fixture
def wedge(tmp_path: Path) -> Iterator[Path]:
    """A file; while it is there, a module called begins to hang, and that call never ends, file or not."""
    file, never = tmp_path / "wedge", tmp_path / "never"
    file.touch()
    os.mkfifo(never)
    script = tmp_path / "module"
    script.write_text(f"#!/bin/sh\nif [ -e {file} ]; then exec cat {never}; fi\n")
    script.chmod(0o755)
    yield file
    # What was left behind waits for a writer; there is one now, and it ends at once.
    with suppress(OSError):
        os.close(os.open(never, os.O_WRONLY | os.O_NONBLOCK))


def test_a_worker_whose_threads_are_all_stuck_is_replaced_and_serves_once_pam_is_mended(
    wedge: Path, tmp_path: Path
) -> None:
    store = make_store(tmp_path)
    store.external("penny", Source.PAM)
    hanging = f"auth required pam_exec.so quiet {wedge.parent / 'module'}"
    with service(hanging, PERMIT) as name, listening(tmp_path / "socket") as listener:
        arguments = ["-m", "gatepost_sasl.main", "--config", str(store.config)]
        for setting in (
            "sasl.workers=1",
            "sasl.backends=pam,store",
            "sasl.hang_seconds=3",
            "pam.names=p*",
            f"pam.service={name}",
            "pam.deadline=0.5",
            "pam.threads=2",
            "pam.breaker_faults=0",
        ):
            arguments += ["--set", setting]
        with Running(arguments, tmp_path, listener=listener) as daemon:
            for user in ("penny", "paul", "petra"):
                assert login(tmp_path / "socket", user) == ""  # 454
            wedge.unlink()
            assert login(tmp_path / "socket", "alice", STORE_PASSWORD) == "OK\t1\tuser=alice"
            log = daemon.wait_log('event="worker died"')
            assert "pam: all 2 threads have been stuck for 3 s" in log
            assert login(tmp_path / "socket", "penny") == "OK\t1\tuser=penny"
            assert login(tmp_path / "socket", "alice", STORE_PASSWORD) == "OK\t1\tuser=alice"
            assert daemon.log.count("worker died") == 1
            assert daemon.stop() == 0


def test_eighty_guesses_at_once_reach_pam_no_more_often_than_the_limit_allows(tmp_path: Path) -> None:
    store = make_store(tmp_path)
    store.external("penny", Source.PAM)
    module, tried = tmp_path / "module", tmp_path / "tried"
    # Slow, and open to many at once; a line each in one write.
    module.write_text(f"#!/bin/sh\necho try >>{tried}\nsleep 0.3\n")
    module.chmod(0o755)
    slow = f"auth required pam_exec.so quiet {module}"
    lines = by_password_file(password_file(tmp_path, "penny"))
    with service(slow, *lines) as name, listening(tmp_path / "socket") as listener:
        arguments = ["-m", "gatepost_sasl.main", "--config", str(store.config)]
        for setting in ("sasl.workers=2", "sasl.backends=pam", f"pam.service={name}", "sasl.guess_limit=10"):
            arguments += ["--set", setting]

        def guess(number: int) -> str:
            return login(tmp_path / "socket", "penny", f"guess {number}")

        with Running(arguments, tmp_path, listener=listener) as daemon, ThreadPoolExecutor(80) as pool:
            answers = list(pool.map(guess, range(80)))
            assert daemon.stop() == 0
        assert not any(answer.startswith("OK") for answer in answers)
        assert 1 <= len(tried.read_text().splitlines()) <= 10
        assert daemon.log.count("result=denied") <= 10

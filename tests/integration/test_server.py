"""script/server as its contract says: ready, used, stopped without a trace, and clear about what is wrong."""

from __future__ import annotations

import json
import os
import shlex
import signal
import socket
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from gatepost_stack import client, delivery, layout
from gatepost_stack.stack import USUAL_PORTS
from tests.pages.people import Person
from tests.pages.visiting import Visitor
from tests.waiting import until

ROOT = Path(__file__).parents[2]
COMMAND = [sys.executable, "-m", "gatepost_stack.server"]
MESSAGE = (
    b"From: Alice <alice@example.test>\nTo: bob@example.org\nSubject: caf\xc3\xa9\nMIME-Version: 1.0\n"
    b"Content-Type: text/plain; charset=utf-8\nContent-Transfer-Encoding: 8bit\n\n"
    b"caf\xc3\xa9\n.\n..dots\n-- \n\n"
)


def free_base() -> int:
    """Return a port base for which all three ports are free."""
    for base in range(10_000 + os.getpid() % 1000 * 10, 60_000, 7):
        try:
            for port in USUAL_PORTS:
                socket.create_server(("127.0.0.1", port + base)).close()
        except OSError:
            continue
        return base
    raise AssertionError("no free ports")


def run(*options: str) -> subprocess.CompletedProcess[bytes]:
    return subprocess.run([*COMMAND, *options], check=False, capture_output=True, timeout=120)


@contextmanager
def server(var: Path, *options: str) -> Iterator[subprocess.Popen[bytes]]:
    """A server that is ready; stopped at the end if it is still there."""
    command = [*COMMAND, "--var", str(var), *options]
    with (var / "out").open("wb") as out, subprocess.Popen(command, stdout=out, stderr=out) as process:
        try:
            until(lambda: (var / "server.json").exists() or process.poll() is not None)
            assert process.poll() is None, (var / "out").read_text()
            yield process
        finally:
            stop(process)


def stop(process: subprocess.Popen[bytes]) -> None:
    for number in (signal.SIGCONT, signal.SIGTERM):
        process.send_signal(number)
    try:
        process.wait(60)
    finally:
        process.kill()


def left_over(var: Path) -> list[str]:
    """Return the command lines of processes that belong to the stack of ``var``."""
    runtime = layout.last(var).runtime
    found = []
    for process in Path("/proc").glob("[0-9]*"):
        try:
            command = (process / "cmdline").read_bytes().replace(b"\0", b" ").decode(errors="replace")
            place = str((process / "cwd").readlink())
        except OSError:
            continue
        ours = str(var) in command or str(runtime) in command or place.startswith(str(runtime))
        if ours and int(process.name) != os.getpid():
            found.append(command)
    return found


def parent(pid: int) -> int:
    return int(Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[1])


def running(pid: int) -> bool:
    """Say whether a process is there and has not ended; one that nobody waited for has no command line."""
    try:
        return Path(f"/proc/{pid}/cmdline").read_bytes() != b""
    except OSError:
        return False


@pytest.fixture
def var(tmp_path: Path) -> Path:
    return tmp_path


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT])
def test_it_serves_until_a_signal_and_leaves_nothing_running(var: Path, number: signal.Signals) -> None:
    base = free_base()
    with server(var, "--port-base", str(base), "--no-milter") as process:
        told = json.loads((var / "server.json").read_text())
        assert told["ports"] == [port + base for port in USUAL_PORTS]
        assert (var / "server.json").stat().st_mode & 0o777 == 0o600
        with client.session(told["host"], told["ports"][1], "starttls", told["ca_file"]) as connection:
            client.log_in(connection, told["username"], told["password"])
            connection.sendmail("a@example.test", ["b@example.org"], MESSAGE)
        delivery.wait_for(var / "delivered", delivery.to("b@example.org"))
        runtime = layout.last(var).runtime
        process.send_signal(number)
        assert process.wait(60) == 0
        assert left_over(var) == []
        assert not (var / "server.json").exists()
        assert not runtime.exists()
    printed = (var / "out").read_text()
    assert f"swaks --server 127.0.0.1 --port {told['ports'][0]}" in printed


def test_the_commands_that_it_prints_work_as_they_are(var: Path) -> None:
    (var / "message.eml").write_bytes(MESSAGE.replace(b"\n", b"\r\n"))
    with server(var, "--port-base", str(free_base()), "--no-milter") as process:
        until(lambda: "Ctrl-C" in (var / "out").read_text())
        printed = [
            line for line in (var / "out").read_text().splitlines() if line.startswith(("swaks", "curl"))
        ]
        sending = [line for line in printed if "Bearer" not in line]
        assert (len(printed), len(sending)) == (6, 5)
        for line in printed:
            done = subprocess.run(
                shlex.split(line), check=False, capture_output=True, text=True, cwd=var, timeout=60
            )
            assert done.returncode == 0, f"{line}\n{done.stdout}{done.stderr}"
        until(lambda: len(list((var / "delivered/new").iterdir())) == len(sending))
        told = json.loads((var / "server.json").read_text())
        visitor = Visitor(told["dashboard_url"])
        visitor.sign_in(Person(told["dashboard_user"], told["dashboard_password"]))
        assert visitor.get("/credentials").status == 200
        process.terminate()
        assert process.wait(60) == 0


def test_a_second_start_says_that_one_runs_and_does_not_disturb_it(var: Path) -> None:
    with server(var, "--port-base", str(free_base()), "--no-milter") as process:
        second = run("--var", str(var), "--port-base", str(free_base()))
        assert second.returncode == 1
        assert f"already runs from this checkout (process {process.pid})" in second.stderr.decode()
        message = var / "message.eml"
        message.write_bytes(MESSAGE)
        assert run("--var", str(var), "--once", str(message)).returncode == 1
        assert (var / "server.json").exists()
        process.terminate()
        assert process.wait(60) == 0


def test_killed_outright_it_takes_its_processes_along_and_the_next_start_begins_empty(var: Path) -> None:
    base = free_base()
    with server(var, "--port-base", str(base), "--no-milter") as process:
        (var / "delivered/new/old").write_bytes(b"X-Sink-Sender: <>\nX-Sink-Recipients: x\n")
        process.kill()
        process.wait(60)
        until(lambda: not left_over(var))
    runtime = layout.last(var).runtime
    (var / "server.json").unlink()
    with server(var, "--port-base", str(base), "--no-milter") as process:
        assert not runtime.exists()
        assert not list((var / "delivered/new").iterdir())
        process.terminate()
        assert process.wait(60) == 0


def test_a_postfix_that_was_left_running_is_ended_by_the_next_start(var: Path) -> None:
    base = free_base()
    with server(var, "--port-base", str(base), "--no-milter") as process:
        queue = layout.last(var).queue
        master = int((queue / "pid/master.pid").read_text())
        # Its guard goes first, while the server sleeps: nobody is left to tell Postfix to end.
        process.send_signal(signal.SIGSTOP)
        os.kill(parent(master), signal.SIGKILL)
        process.kill()
        process.wait(60)
        (var / "server.json").unlink()
        assert running(master)
    with server(var, "--port-base", str(base + 1), "--no-milter") as process:
        assert not running(master)
        process.terminate()
        assert process.wait(60) == 0


def test_a_port_that_is_taken_is_named_with_what_to_do(var: Path) -> None:
    base = free_base()
    with socket.create_server(("127.0.0.1", 2587 + base)):
        failed = run("--var", str(var), "--port-base", str(base))
    assert failed.returncode == 1
    assert f"port {2587 + base}" in failed.stderr.decode()
    assert "--port-base" in failed.stderr.decode()


@pytest.mark.parametrize("port", USUAL_PORTS)
def test_once_prints_the_delivered_message_alone(var: Path, port: int) -> None:
    message = var / "message.eml"
    message.write_bytes(MESSAGE)
    mechanism = "login" if port == 2465 else "plain"
    done = run(
        "--var",
        str(var),
        "--no-milter",
        "--once",
        str(message),
        "--port",
        str(port),
        "--mechanism",
        mechanism,
    )
    assert done.returncode == 0, done.stderr.decode()
    head, _, body = done.stdout.partition(b"\n\n")
    assert body == MESSAGE.partition(b"\n\n")[2]
    assert b"Subject: caf\xc3\xa9\n" in head
    assert not head.startswith(b"X-Sink")
    assert b"status=sent" in done.stderr
    assert left_over(var) == []


def test_once_prints_the_reply_of_a_refusal(var: Path) -> None:
    message = var / "message.eml"
    message.write_bytes(MESSAGE)
    failed = run("--var", str(var), "--no-milter", "--once", str(message), "--to", "b@example..org")
    assert failed.returncode == 1
    assert failed.stdout == b""
    assert failed.stderr.decode().splitlines()[-1].startswith("501 5.1.3 ")


def test_the_command_line_works_on_the_running_server_and_says_when_there_is_none(var: Path) -> None:
    checkout = var / "checkout"
    (checkout / "script").mkdir(parents=True)
    script = checkout / "script/gatepost"
    script.write_bytes((ROOT / "script/gatepost").read_bytes())
    script.chmod(0o755)
    (checkout / ".venv").symlink_to(Path(sys.prefix))
    command = [str(script), "credential", "list", "--json"]
    none = subprocess.run(command, check=False, capture_output=True, text=True, timeout=60)
    assert none.returncode == 1
    assert "does not run" in none.stderr
    place = checkout / "var"
    place.mkdir()
    with server(place, "--port-base", str(free_base())) as process:
        username = json.loads((place / "server.json").read_text())["username"]
        listed = subprocess.run(command, check=False, capture_output=True, text=True, timeout=60)
        assert listed.returncode == 0, listed.stderr
        assert username in listed.stdout
        examined = subprocess.run(
            [str(script), "doctor", "--json"], check=False, capture_output=True, text=True, timeout=120
        )
        said = json.loads(examined.stdout)
        assert (examined.returncode, said["faults"]) == (0, 0), examined.stdout
        # Where systemd runs, it is not asked for units of daemons that script/server started.
        assert "daemons" not in said["checks"]
        process.terminate()
        assert process.wait(60) == 0


def test_an_unknown_feature_is_a_usage_error_that_names_it(var: Path) -> None:
    failed = run("--var", str(var), "--feature", "sparkle")
    assert failed.returncode == 2
    assert "sparkle" in failed.stderr.decode()


@pytest.mark.parametrize(
    ("option", "value"),
    [("--port", "2587"), ("--mechanism", "login"), ("--from", "a@x.test"), ("--to", "b@x.test")],
)
def test_an_option_of_once_is_not_ignored_without_it(var: Path, option: str, value: str) -> None:
    failed = run("--var", str(var), option, value)
    assert failed.returncode == 2
    assert f"{option} goes with --once" in failed.stderr.decode()


def test_without_root_it_says_so_in_one_line(tmp_path: Path) -> None:
    script = tmp_path / "script/server"
    script.parent.mkdir()
    script.write_bytes((ROOT / "script/server").read_bytes())
    script.chmod(0o755)
    for place in (tmp_path, *tmp_path.parents):
        if place.stat().st_uid == 0 and place.name.startswith(("pytest", "popen", tmp_path.name)):
            place.chmod(place.stat().st_mode | 0o055)
    failed = subprocess.run(
        ["setpriv", "--reuid", "65534", "--regid", "65534", "--clear-groups", "bash", str(script)],
        check=False,
        capture_output=True,
        text=True,
        timeout=60,
    )
    assert failed.returncode == 1
    assert failed.stderr.count("\n") == 1
    assert "root" in failed.stderr

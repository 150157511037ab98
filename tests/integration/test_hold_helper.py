"""Whoever releases held messages, attacked: it looks for itself, and takes orders of nobody else."""

from __future__ import annotations

import re
import socket
import subprocess
import sys
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress
from pathlib import Path

import pytest

from gatepost_core.domain import Mode
from gatepost_stack.provision import ClientLogin
from tests.integration.harness import Gateway, fresh_recipient
from tests.integration.holding import (
    holding,
    in_queue,
    send,
)
from tests.waiting import until


@pytest.fixture(scope="module")
def gateway(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Gateway]:
    with holding(tmp_path_factory.mktemp("holding")) as running:
        yield running


@pytest.fixture
def login(gateway: Gateway) -> ClientLogin:
    return gateway.stack.provision.credential({"dkim": True, "tags": ("t",)}, mode=Mode.HOLD)


def helper(gateway: Gateway, said: bytes) -> list[str]:
    """Say something to the helper, and hang up; return its lines."""
    with socket.socket(socket.AF_UNIX) as client:
        client.settimeout(30)
        client.connect(str(gateway.stack.layout.sockets / "hold"))
        with suppress(BrokenPipeError, ConnectionResetError):
            client.sendall(said)
            client.shutdown(socket.SHUT_WR)
        answer = b""
        with suppress(ConnectionResetError):
            while piece := client.recv(4096):
                answer += piece
    return answer.decode().splitlines()


@pytest.fixture(scope="module")
def of_nobody(gateway: Gateway) -> str:
    """The queue id of a held message that a program of the host sent, without a login."""
    text = (
        b"From: <root@example.test>\r\nSubject: named_attribute: sasl_username=x\r\nX-Hold: yes\r\n\r\nHi\r\n"
    )
    sendmail = ["/usr/sbin/sendmail", "-F", "x\nnamed_attribute: sasl_username=gpx", "someone@example.org"]
    environ = {"MAIL_CONFIG": str(gateway.stack.layout.postfix), "PATH": "/usr/sbin:/usr/bin"}
    subprocess.run(sendmail, input=text, check=True, env=environ)

    def there() -> str | None:
        found = [line for line in gateway.log("postfix").splitlines() if "hold: header X-Hold" in line]
        return found[0].split("]: ")[1].partition(":")[0] if found else None

    number = until(there, "the message to be held")
    assert in_queue(gateway)[number] == "hold"
    return number


@pytest.mark.parametrize("verb", ["release", "drop"])
def test_mail_that_is_not_gatepost_s_is_left_alone(gateway: Gateway, of_nobody: str, verb: str) -> None:
    (answer,) = helper(gateway, f"{verb} {of_nobody}\n".encode())
    assert answer.startswith("refused nobody had logged in")
    assert in_queue(gateway)[of_nobody] == "hold"


def test_what_is_no_order_changes_nothing(gateway: Gateway, login: ClientLogin, of_nobody: str) -> None:
    number = send(gateway, login, fresh_recipient())
    queue = str(gateway.stack.layout.queue)
    before = in_queue(gateway)
    assert {before[number], before[of_nobody]} == {"hold"}
    hostile = [
        "ALL", "-", "-H", "--", "*", "", " ", f" {number}", f"{number} ", f"{number} ALL",
        f"{number} {of_nobody}", f"{number}\t", f"{number}\r", f"{number}\0", f"../hold/{number}",
        f"hold/{number}", f"./{number}", f"{queue}/hold/{number}", "/etc/passwd", "-c /tmp", f"-v {number}",
        f"{number};id", f"$({number})", number.lower() + "aeiou", number[:5], number * 4, "\u0661" * 12,
    ]  # fmt: skip
    for text in hostile:
        for verb in ("release", "drop"):
            (answer,) = helper(gateway, f"{verb} {text}\n".encode())
            assert answer.startswith("refused "), (text, answer)
    for line in (f"RELEASE {number}", f"release\t{number}", f"hold {number}", f"ping {number}", "\0", ""):
        assert all(answer.startswith("refused ") for answer in helper(gateway, f"{line}\n".encode())), line
    assert in_queue(gateway) == before


def test_what_has_no_end_is_not_waited_for_nor_kept(gateway: Gateway, login: ClientLogin) -> None:
    number = send(gateway, login, fresh_recipient())
    assert helper(gateway, b"release " + b"A" * 10_000_000) in ([], ["refused a line without an end"])
    assert helper(gateway, f"drop {number}".encode()) == []  # cut off, so maybe not whole
    assert in_queue(gateway)[number] == "hold"
    assert helper(gateway, b"ping\n" * 150) == ["done"] * 100


def test_an_id_of_no_message_is_told_as_absent(gateway: Gateway) -> None:
    (one, other) = helper(gateway, b"release 4jc55B3rFXzLKxN\ndrop 0123456789\n")
    assert (one.partition(" ")[0], other.partition(" ")[0]) == ("absent", "absent")


def test_many_who_connect_are_served_one_after_the_other(gateway: Gateway) -> None:
    with ThreadPoolExecutor(64) as threads:
        answers = list(threads.map(lambda _: helper(gateway, b"ping\n"), range(300)))
    assert answers == [["done"]] * 300


def test_nobody_else_may_order_though_the_socket_lets_him_connect(
    gateway: Gateway, login: ClientLogin
) -> None:
    number = send(gateway, login, fresh_recipient())
    path = gateway.stack.layout.sockets / "hold"
    path.chmod(0o666)
    path.parent.chmod(0o755)
    code = (
        "import socket,sys; s=socket.socket(socket.AF_UNIX); s.connect(sys.argv[1]); "
        "print(s.recv(999).decode()); s.send(sys.argv[2].encode()+b'\\n')"
    )
    nobody = ["setpriv", "--reuid=65534", "--regid=65534", "--clear-groups", sys.executable, "-I", "-c", code]
    try:
        done = subprocess.run(
            [*nobody, str(path), f"release {number}"], capture_output=True, text=True, check=False
        )
    finally:
        path.parent.chmod(0o750)
        path.chmod(0o660)
    assert done.stdout.startswith("refused process ")
    assert "of user 65534 may give no orders" in done.stdout
    assert in_queue(gateway)[number] == "hold"


def test_the_rights_that_the_unit_gives_are_enough(gateway: Gateway, login: ClientLogin) -> None:
    recipient = fresh_recipient()
    numbers = [send(gateway, login, one) for one in (recipient, fresh_recipient())]
    unit = (Path(__file__).parents[2] / "events/systemd/gatepost-hold.service").read_text()
    (rights,) = re.findall(r"(?m)^CapabilityBoundingSet=(.*)", unit)
    bounds = ",".join(["-all", *(f"+{name.removeprefix('CAP_').lower()}" for name in rights.split())])
    setpriv = ["setpriv", "--bounding-set", bounds, "--inh-caps=-all", "--no-new-privs", "--clear-groups"]
    code = (
        "import sys; from gatepost_events.holding.queue import HoldQueue; from gatepost_events.holding.verbs "
        "import read_order; print([HoldQueue(sys.argv[1]).carry_out(read_order(one.encode())).result.value "
        "for one in sys.argv[2:]])"
    )
    orders = [f"release {numbers[0]}", f"drop {numbers[1]}"]
    line = [*setpriv, sys.executable, "-P", "-c", code, str(gateway.stack.layout.postfix), *orders]
    done = subprocess.run(line, capture_output=True, text=True, check=False)
    assert (done.stdout, done.stderr) == ("['done', 'done']\n", "")
    gateway.delivered(recipient, 10)
    assert not set(numbers) & set(in_queue(gateway))

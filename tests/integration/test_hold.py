"""Held messages: edited, signed, and in Postfix's hold queue until somebody has them released."""

from __future__ import annotations

import json
import re
import socket
import subprocess
import sys
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress
from pathlib import Path
from typing import Any

import pytest

from gatepost_cli.timeline import ordered
from gatepost_core.domain import Mode
from gatepost_core.postfix import Parameter
from gatepost_core.store import events
from gatepost_core.store.events import Event
from gatepost_core.store.holding.held import held as held_messages
from gatepost_stack.provision import ClientLogin
from gatepost_stack.stack import Stack
from tests.integration.harness import SENDER, Gateway, fresh_recipient, text_message
from tests.waiting import until


@pytest.fixture(scope="module")
def gateway(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Gateway]:
    """A gateway that looks at its queue as seldom as Postfix does by default."""
    folder = tmp_path_factory.mktemp("holding")
    checks = folder / "checks"
    checks.write_text("/^X-Hold: / HOLD by the host\n")
    folder.chmod(0o755)
    own = [
        Parameter("queue_run_delay", "300s", "Postfix's default"),
        Parameter("header_checks", f"regexp:{checks}", "holds what is not Gatepost's, too"),
    ]
    with Stack(folder / "stack", extra=own) as stack:
        yield Gateway(stack)


@pytest.fixture
def login(gateway: Gateway) -> ClientLogin:
    return gateway.stack.provision.credential({"dkim": True, "tags": ("t",)}, mode=Mode.HOLD)


def run(gateway: Gateway, *words: str) -> subprocess.CompletedProcess[str]:
    config = str(gateway.stack.layout.settings_file)
    line = [sys.executable, "-m", "gatepost_cli", "--config", config, *words]
    return subprocess.run(line, capture_output=True, text=True, check=False)


def command(gateway: Gateway, *words: str) -> Any:
    """Return what a command prints, as data."""
    done = run(gateway, *words, "--json")
    assert done.returncode == 0, done.stderr
    return json.loads(done.stdout)


def send(gateway: Gateway, login: ClientLogin, *recipients: str) -> str:
    """Send a message; return its queue id."""
    with gateway.logged_in(login) as connection:
        connection.mail(SENDER)
        for recipient in recipients:
            assert connection.rcpt(recipient)[0] == 250
        code, text = connection.data(text_message())
    assert code == 250, text
    return text.decode().rpartition(" ")[2]


def in_queue(gateway: Gateway) -> dict[str, str]:
    """Return the queue that each queue id is in."""
    postqueue = ["/usr/sbin/postqueue", "-c", str(gateway.stack.layout.postfix), "-j"]
    done = subprocess.run(postqueue, capture_output=True, text=True, check=True)
    found = [json.loads(line) for line in done.stdout.splitlines()]
    return {one["queue_id"]: one["queue_name"] for one in found}


def postsuper(gateway: Gateway, *words: str) -> None:
    program = ["/usr/sbin/postsuper", "-c", str(gateway.stack.layout.postfix), *words]
    subprocess.run(program, capture_output=True, check=True)


def told(gateway: Gateway, queue_id: str) -> list[Event]:
    """Return the events of a message, as they happened."""
    number = gateway.recorded(queue_id).id
    with gateway.journal() as connection:
        return ordered(events.each(connection, events.Wanted(message=number), 100))


def types(gateway: Gateway, queue_id: str) -> list[str]:
    return [one.type for one in told(gateway, queue_id)]


def held(gateway: Gateway, login: ClientLogin) -> dict[str, str]:
    """Return why messages of a credential are held, by their queue ids."""
    with gateway.journal() as connection:
        walk = held_messages(connection, 100, credential=login.username)
        return {one.record.queue_id: one.reason for one in walk}


def carried_out(gateway: Gateway, verb: str, *names: str) -> list[tuple[str, str]]:
    """Have messages released or dropped; return what came of it, and why."""
    done = run(gateway, "message", verb, *names, "--json")
    found = [(one["state"], one["reason"]) for one in json.loads(done.stdout)]
    assert done.returncode == (0 if all(state == "done" for state, _ in found) else 1), done.stderr
    return found


def is_held(gateway: Gateway, login: ClientLogin, *numbers: str) -> None:
    until(lambda: set(numbers) <= set(held(gateway, login)), "messages to be held")


def test_a_held_message_is_edited_and_signed_waits_and_is_delivered_once_it_is_released(
    gateway: Gateway, login: ClientLogin
) -> None:
    recipients = [fresh_recipient(), fresh_recipient()]
    number = send(gateway, login, *recipients)
    assert gateway.recorded(number).mode is Mode.HOLD
    until(
        lambda: held(gateway, login) == {number: "the credential is in mode hold"}, "the message to be held"
    )
    gateway.stack.postfix.flush()
    gateway.stack.postfix.stop()
    gateway.stack.postfix.start()
    assert in_queue(gateway)[number] == "hold"
    until(lambda: "milter-hold" in gateway.log("postfix"), "Postfix to say that it holds it")
    until(lambda: types(gateway, number) == ["accepted", "held"], "one event that it is held")
    assert gateway.recorded(number).status == "held"
    (listed,) = command(gateway, "message", "held", "--credential", login.username)
    assert (listed["queue_id"], listed["recipients"], listed["asked"]) == (number, recipients, None)
    postsuper(gateway, "-H", number)
    gateway.stack.postfix.flush()
    for recipient in recipients:
        assert b"\r\nDKIM-Signature: " in b"\r\n" + gateway.delivered(recipient).message
    until(lambda: types(gateway, number).count("delivered") == len(recipients), "the deliveries to be known")
    assert types(gateway, number) == ["accepted", "held", "released", "delivered", "delivered"]
    assert gateway.recorded(number).status == "delivered"
    assert held(gateway, login) == {}


def test_what_would_be_refused_live_is_refused_and_not_held(gateway: Gateway) -> None:
    strict = gateway.stack.provision.credential(senders=("other.test",), mode=Mode.HOLD)
    with gateway.logged_in(strict) as connection:
        connection.mail(SENDER)
        assert connection.rcpt(fresh_recipient())[0] == 550
    assert held(gateway, strict) == {}


def test_a_message_that_is_dropped_by_hand_is_held_no_more(gateway: Gateway, login: ClientLogin) -> None:
    number = send(gateway, login, fresh_recipient())
    until(lambda: number in held(gateway, login), "the message to be held")
    postsuper(gateway, "-d", number)
    until(lambda: number not in held(gateway, login), "the message to be gone")
    assert types(gateway, number) == ["accepted", "held", "failed"]


def test_a_message_that_is_released_is_sent_at_once_and_once(gateway: Gateway, login: ClientLogin) -> None:
    recipients = [fresh_recipient(), fresh_recipient()]
    number, other = (send(gateway, login, one) for one in recipients)
    is_held(gateway, login, number, other)
    assert carried_out(gateway, "release", number) == [("done", "")]
    gateway.delivered(recipients[0], 5)
    until(lambda: "delivered" in types(gateway, number), "the delivery to be known")
    (released,) = [one for one in told(gateway, number) if one.type == "released"]
    assert released.detail["by"].startswith("root")
    assert list(held(gateway, login)) == [other]
    refused = run(gateway, "message", "release", number)
    assert (refused.returncode, "is not held; its status is delivered" in refused.stderr) == (2, True)
    assert sum(recipients[0] in one.recipients for one in gateway.all_delivered()) == 1


def test_a_message_that_is_dropped_is_gone_and_it_is_known_who_wanted_that(
    gateway: Gateway, login: ClientLogin
) -> None:
    recipient = fresh_recipient()
    number = send(gateway, login, recipient)
    is_held(gateway, login, number)
    assert carried_out(gateway, "drop", number) == [("done", "")]
    assert number not in in_queue(gateway)
    until(lambda: "failed" in types(gateway, number), "the log to tell it")
    (failed,) = [one for one in told(gateway, number) if one.type == "failed"]
    assert failed.detail["by"].startswith("root")
    assert gateway.recorded(number).status == "failed"
    assert held(gateway, login) == {}


def test_what_may_not_be_sent_any_more_stays_held_and_says_why(gateway: Gateway, login: ClientLogin) -> None:
    recipients = [fresh_recipient(), fresh_recipient()]
    one, two = (send(gateway, login, recipient) for recipient in recipients)
    is_held(gateway, login, one, two)
    account = command(gateway, "credential", "show", login.username)["account"]
    command(gateway, "suppression", "add", "--account", account, recipients[1])
    gateway.stack.provision.disable(login.username)
    assert carried_out(gateway, "release", one) == [("stays", f"credential disabled: {login.username}")]
    gateway.stack.provision.enable(login.username)
    found = carried_out(gateway, "release", one, two)
    assert found[0] == ("done", "")
    assert found[1][0] == "stays"
    assert found[1][1].startswith(f"<{recipients[1]}> is suppressed since ")
    gateway.delivered(recipients[0], 5)
    listed = command(gateway, "message", "held", "--credential", login.username)
    assert [(item["queue_id"], item["asked"]["state"]) for item in listed] == [(two, "stays")]
    assert in_queue(gateway)[two] == "hold"
    # Dropping asks nobody's leave.
    assert carried_out(gateway, "drop", two) == [("done", "")]


def test_what_cannot_be_done_now_is_done_later(gateway: Gateway, login: ClientLogin) -> None:
    recipient = fresh_recipient()
    number = send(gateway, login, recipient)
    is_held(gateway, login, number)
    gateway.stack.supervisor.hold("hold")
    try:
        done = run(gateway, "message", "release", number, "--wait", "0")
        assert (done.returncode, "not done yet" in done.stdout) == (1, True)
        assert in_queue(gateway)[number] == "hold"
    finally:
        gateway.stack.supervisor.release("hold")
    gateway.delivered(recipient, 30)


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
    (groups,) = re.findall(r"(?m)^SupplementaryGroups=(.*)", unit)
    bounds = ",".join(["-all", *(f"+{name.removeprefix('CAP_').lower()}" for name in rights.split())])
    setpriv = ["setpriv", "--bounding-set", bounds, "--inh-caps=-all", "--no-new-privs", f"--groups={groups}"]
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

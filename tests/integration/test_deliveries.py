"""What Postfix's log tells, through a real Postfix to what people see."""

from __future__ import annotations

import json
import os
import re
import signal
import smtplib
import socketserver
import subprocess
import sys
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest

from gatepost_core.postfix import Parameter
from gatepost_stack.stack import Stack
from tests.integration.harness import Gateway, fresh_recipient, text_message
from tests.waiting import until

# Lines that a log loses on purpose. Taken away: to the command, such a variable would be an unknown setting.
LOST = int(os.environ.pop("GATEPOST_LOST", "500"))


@contextmanager
def refusing_milter() -> Iterator[int]:
    """Serve a milter that refuses each message of the subject "spam" at its end; yield its port."""

    class Handler(socketserver.StreamRequestHandler):
        def handle(self) -> None:
            spam = False
            while head := self.rfile.read(4):
                packet = self.rfile.read(int.from_bytes(head, "big"))
                command, content = packet[:1], packet[1:]
                answer = b""
                if command == b"O":  # of what Postfix would tell, only headers and the end
                    answer = b"O" + content[:4] + bytes(4) + (0x35F).to_bytes(4, "big")
                elif command == b"L":
                    spam = spam or content.lower().startswith(b"subject\0spam")
                    answer = b"c"
                elif command == b"E":
                    answer = b"y550 5.7.1 No spam here\0" if spam else b"c"
                    spam = False
                if answer:
                    self.wfile.write(len(answer).to_bytes(4, "big") + answer)

    with socketserver.ThreadingTCPServer(("127.0.0.1", 0), Handler) as server:
        server.daemon_threads = True
        thread = threading.Thread(target=server.serve_forever)
        thread.start()
        try:
            yield server.server_address[1]
        finally:
            server.shutdown()
            thread.join()


@pytest.fixture(scope="module")
def relayed(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Gateway]:
    """A gateway whose Postfix refuses, defers and expands for some recipients."""
    folder = tmp_path_factory.mktemp("deliveries")
    transports, aliases = folder / "transports", folder / "aliases"
    transports.write_text("refused.test smtp:[127.0.0.1]:1\nnobody.test error:5.1.1 User unknown\n")
    aliases.write_text("many@example.org a@example.org, b@example.org\n")
    extra = [
        Parameter("transport_maps", f"texthash:{transports}", "outcomes"),
        Parameter("virtual_alias_maps", f"texthash:{aliases}", "outcomes"),
        Parameter("smtpd_reject_unlisted_recipient", "no", "outcomes"),
        Parameter("show_user_unknown_table_name", "no", "outcomes"),
        Parameter("maximal_queue_lifetime", "8s", "outcomes"),
        Parameter("bounce_queue_lifetime", "8s", "outcomes"),
    ]
    with refusing_milter() as port:
        extra.append(Parameter("smtpd_milters", f"unix:gatepost/milter, inet:127.0.0.1:{port}", "outcomes"))
        with Stack(folder / "var", extra=extra) as stack:
            yield Gateway(stack)


def gatepost(gateway: Gateway, *words: str) -> Any:
    command = [sys.executable, "-m", "gatepost_cli", "--config", str(gateway.stack.layout.settings_file)]
    run = subprocess.run([*command, *words, "--json"], check=True, capture_output=True, text=True)
    return json.loads(run.stdout)


def send(gateway: Gateway, *recipients: str) -> str:
    """Send a message; return its queue id."""
    login = gateway.stack.provision.credential()
    with gateway.logged_in(login) as session:
        session.sendmail("alice@example.test", recipients, text_message())
    return gateway.records(login.username)[0].queue_id


def told(gateway: Gateway, queue_id: str, *types: str) -> list[dict[str, Any]]:
    """Wait until a message has events of these types; return them, the oldest first."""

    def look() -> list[dict[str, Any]] | None:
        found: list[dict[str, Any]] = gatepost(gateway, "message", "show", queue_id)["events"][1:]
        return found if {*types} <= {one["type"] for one in found} else None

    return until(look, lambda: f"{types} of {queue_id}; the log of events:\n{gateway.log('events')}")


def test_a_delivery_is_in_message_show_with_the_hosts_reply(relayed: Gateway) -> None:
    recipient = fresh_recipient()
    queue_id = send(relayed, recipient)
    (event,) = told(relayed, queue_id, "delivered")
    assert event["recipient"] == recipient
    assert event["detail"]["reply"].startswith("250 2.0.0 Stored as ")
    assert event["detail"]["relay"].startswith("127.0.0.1[127.0.0.1]:")
    assert gatepost(relayed, "message", "show", queue_id)["status"] == "delivered"


def test_a_host_that_is_down_defers_until_the_message_is_too_old(relayed: Gateway) -> None:
    queue_id = send(relayed, "x@refused.test", fresh_recipient())
    events = told(relayed, queue_id, "deferred", "delivered", "failed")
    *deferred, failed = [one for one in events if one["recipient"] == "x@refused.test"]
    assert [one["detail"]["attempt"] for one in deferred] == list(range(1, len(deferred) + 1))
    assert failed["type"] == "failed"
    assert failed["detail"]["class"] == "infrastructure"
    assert not failed["detail"]["permanent"]
    assert "Connection refused" in failed["detail"]["reply"]


def test_an_address_that_postfix_refuses_fails(relayed: Gateway) -> None:
    queue_id = send(relayed, "bob@nobody.test", "many@example.org")
    events = told(relayed, queue_id, "failed", "delivered")
    (failed,) = [one for one in events if one["type"] == "failed"]
    assert (failed["recipient"], failed["detail"]["class"]) == ("bob@nobody.test", "mailbox")
    assert failed["detail"]["permanent"]
    delivered = {(one["recipient"], one["detail"]["final_recipient"]) for one in events if one != failed}
    assert delivered == {("many@example.org", "a@example.org"), ("many@example.org", "b@example.org")}


def test_killed_while_mail_flows_each_delivery_is_told_once(relayed: Gateway) -> None:
    login = relayed.stack.provision.credential()
    recipients = [fresh_recipient() for _ in range(60)]
    with relayed.logged_in(login) as session:
        for number, recipient in enumerate(recipients):
            session.sendmail("alice@example.test", [recipient], text_message())
            if number % 15 == 7:
                worker, *_ = until(lambda: relayed.workers("events"), "a worker")
                os.kill(worker, signal.SIGKILL)

    def deliveries() -> list[str]:
        found = gatepost(
            relayed, "event", "list", "--credential", login.username, "--type", "delivered", "--limit", "500"
        )
        return sorted(one["recipient"] for one in found)

    until(
        lambda: len(deliveries()) >= len(recipients),
        lambda: f"{len(recipients)} deliveries; {relayed.log('events')}",
    )
    assert deliveries() == sorted(recipients)
    assert lost(relayed) == 0


def test_rotated_log_files_are_read_on(relayed: Gateway) -> None:
    log = relayed.stack.layout.logs / "postfix.log"
    send(relayed, fresh_recipient())
    log.rename(log.with_name("postfix.log.1"))
    subprocess.run(
        ["/usr/sbin/postfix", "-c", str(relayed.stack.layout.postfix), "reload"],
        check=True,
        capture_output=True,
    )
    queue_id = send(relayed, fresh_recipient())
    told(relayed, queue_id, "delivered")
    assert lost(relayed) == 0


def test_lines_lost_in_a_row_are_told_and_nothing_is_made_up_for_them(relayed: Gateway) -> None:
    """With GATEPOST_LOST=10000 or more, whoever left no line at all is waited for too."""
    lines = LOST
    log = relayed.stack.layout.logs / "postfix.log"
    login = relayed.stack.provision.credential()
    told(relayed, send(relayed, fresh_recipient()), "delivered")
    before, size = lost(relayed), len(log.read_bytes())
    stopped = [relayed.stack.supervisor.pid("events"), *relayed.workers("events")]
    for process in stopped:
        os.kill(process, signal.SIGSTOP)
    recipients = []
    try:
        with relayed.logged_in(login) as session:
            while log.read_bytes().count(b"\n", size) < lines + 60:
                for _ in range(20):
                    recipients.append(fresh_recipient())
                    session.sendmail("alice@example.test", recipients[-1:], text_message())
        for recipient in (recipients[0], recipients[-1]):
            relayed.delivered(recipient)
        queue = ["/usr/sbin/postqueue", "-c", str(relayed.stack.layout.postfix), "-j"]
        until(
            lambda: not subprocess.run(queue, check=True, capture_output=True).stdout, "an empty queue", 120
        )
        kept = log.read_bytes()
        rows = kept[size:].splitlines(keepends=True)
        rows = rows[:27] + rows[27 + lines :]
        with log.open("r+b") as file:
            file.write(kept[:size] + b"".join(rows))
            file.truncate()
    finally:
        for process in stopped:
            os.kill(process, signal.SIGCONT)
    text = b"".join(rows).decode()
    sent = {*recipients} & {*re.findall(r" to=<([^>]*)>.* status=sent ", text)}
    assert 0 < len(sent) < len(recipients)

    def deliveries() -> set[str]:
        words = ("--credential", login.username, "--type", "delivered", "--limit", "100000")
        return {one["recipient"] for one in gatepost(relayed, "event", "list", *words)}

    until(lambda: sent <= deliveries() and lost(relayed) > before, lambda: relayed.log("events"), 120)
    if lines >= 10_000:
        # Who left no line is known two minutes later by the log's own clock, so mail has to flow on.
        gone = len(recipients) - len({*re.findall(r"([^: ]+): from=<[^>]*>, size=", text)})
        other = relayed.stack.provision.credential()
        looks = iter(range(1, 10**6))

        def counted() -> bool:
            if next(looks) % 100 == 0:
                with relayed.logged_in(other) as session:
                    session.sendmail("alice@example.test", [fresh_recipient()], text_message())
            return lost(relayed) - before >= gone

        until(counted, lambda: f"{gone}; there are {lost(relayed) - before}", 400)
        print(f"{lines} lines of {len(recipients)} messages: {lost(relayed) - before} counted as lost")
    assert deliveries() == sent
    words = ("message", "list", "--credential", login.username, "--limit", "100000")
    states = {one["recipients"][0]: one["status"] for one in gatepost(relayed, *words)}
    assert {one for one, state in states.items() if state == "delivered"} == sent
    assert {*states} == {*recipients}
    assert {*states.values()} <= {"delivered", "accepted", "queued"}


def lost(gateway: Gateway) -> int:
    with gateway.journal() as connection:
        return int(connection.exec_driver_sql("SELECT lost FROM log_positions").scalar_one())


def test_the_position_says_how_far_it_was_read(relayed: Gateway, tmp_path: Path) -> None:
    del tmp_path
    log = relayed.stack.layout.logs / "postfix.log"
    told(relayed, send(relayed, fresh_recipient()), "delivered")

    def reached() -> bool:
        with relayed.journal() as connection:
            text = connection.exec_driver_sql("SELECT position FROM log_positions").scalar_one()
        return bool(json.loads(text.split(" ", 2)[2])["offset"] == log.stat().st_size)

    until(reached, "the position at the end of the log")


def test_refused_by_another_milter_after_ours_it_was_not_queued(relayed: Gateway) -> None:
    login = relayed.stack.provision.credential()
    with relayed.logged_in(login) as session:
        with pytest.raises(smtplib.SMTPDataError, match="No spam here"):
            session.sendmail("alice@example.test", ["bob@example.org"], text_message("spam"))
        session.sendmail("alice@example.test", ["bob@example.org"], text_message("ham"))
    ham, spam = relayed.records(login.username)
    (event,) = told(relayed, spam.queue_id, "refused")
    assert "No spam here" in event["detail"]["reason"]
    assert gatepost(relayed, "message", "show", spam.queue_id)["status"] == "not-queued"
    told(relayed, ham.queue_id, "delivered")
    assert gatepost(relayed, "message", "list", "--status", "not-queued")[0]["id"] == spam.id
    (counts,) = gatepost(relayed, "stats", "--credential", login.username)
    assert counts["delivered"] == 1


def test_what_an_operator_holds_releases_queues_anew_or_removes_is_followed(
    relayed: Gateway,
) -> None:
    anew, gone = send(relayed, "x@refused.test"), send(relayed, "x@refused.test")
    told(relayed, anew, "deferred")
    told(relayed, gone, "deferred")
    for option, queue_id in (("-h", anew), ("-H", anew), ("-r", anew), ("-d", gone)):
        command = ["/usr/sbin/postsuper", "-c", str(relayed.stack.layout.postfix), option, queue_id]
        subprocess.run(command, check=True, capture_output=True)
    assert "by hand" in told(relayed, gone, "failed")[-1]["detail"]["reply"]
    relayed.stack.postfix.flush()

    def attempts() -> bool:
        events = told(relayed, anew, "held", "released")
        return any(one["detail"].get("queue_id", anew) != anew for one in events)

    until(attempts, lambda: relayed.log("events"))

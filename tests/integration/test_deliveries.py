"""What Postfix's log tells, through a real Postfix to what people see."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from gatepost_core.postfix import Parameter
from gatepost_stack.stack import Stack
from tests.integration.harness import Gateway, fresh_recipient, text_message
from tests.waiting import until


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
        return bool(json.loads(text.partition(" ")[2])["offset"] == log.stat().st_size)

    until(reached, "the position at the end of the log")

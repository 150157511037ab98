"""Idempotent submission through a real Postfix: once, whoever hears nothing of it and sends it again."""

from __future__ import annotations

import json
import os
import re
import signal
import smtplib
import socket
import sqlite3
import subprocess
import sys
import threading
from collections import Counter
from collections.abc import Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import closing, suppress
from pathlib import Path

import pytest

from gatepost_core.domain import Mode
from gatepost_stack.instance import HOST
from gatepost_stack.provision import ClientLogin
from gatepost_stack.stack import Stack
from tests.integration.harness import SENDER, Gateway, fresh_recipient, reply
from tests.integration.holding import command, in_queue, run
from tests.integration.test_limits import limited
from tests.waiting import until

FIELD = "X-Gatepost-Idempotency-Key"


@pytest.fixture(scope="module")
def gateway(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Gateway]:
    with Stack(tmp_path_factory.mktemp("submissions")) as stack:
        yield Gateway(stack)


def keyed(key: str, *fields: str, subject: str = "Order") -> bytes:
    lines = [f"From: <{SENDER}>", "To: <bob@example.org>", f"Subject: {subject}", f"{FIELD}: {key}", *fields]
    return "\r\n".join([*lines, "", "Hello.", ""]).encode()


def submit(gateway: Gateway, login: ClientLogin, data: bytes, recipients: Sequence[str]) -> tuple[int, str]:
    """Send a message over a session of its own; return the last reply's code and text."""
    with gateway.logged_in(login) as connection:
        return transact(connection, data, recipients)


def transact(connection: smtplib.SMTP, data: bytes, recipients: Sequence[str]) -> tuple[int, str]:
    connection.mail(SENDER)
    for recipient in recipients:
        answered = connection.rcpt(recipient)
        if answered[0] != 250:
            connection.rset()
            return answered[0], reply(answered)
    try:
        code, text = connection.data(data)
    except smtplib.SMTPDataError as error:
        code, text = error.smtp_code, error.smtp_error if isinstance(error.smtp_error, bytes) else b""
    connection.rset()
    return code, reply((code, text))


def until_taken(gateway: Gateway, login: ClientLogin, data: bytes, recipients: Sequence[str]) -> str:
    """Send a message until it is taken, as a client does that hears 451; return the queue id."""

    def taken() -> str:
        code, text = submit(gateway, login, data, recipients)
        assert code in (250, 451), text
        return text.rpartition(" ")[2] if code == 250 else ""

    return until(taken, lambda: gateway.log("milter")[-2_000:], every=0.2)


def copies(gateway: Gateway, recipient: str) -> int:
    """Return how often somebody has been sent something, once all that is in the queue is gone."""
    until(lambda: not in_queue(gateway), "an empty queue")
    arrived = [address for item in gateway.all_delivered() for address in item.recipients]
    return arrived.count(recipient)


def claims_file(gateway: Gateway) -> Path:
    return gateway.stack.settings.limits.counters.with_name("submissions.db")


def test_a_message_in_twenty_sessions_at_once_is_delivered_once(gateway: Gateway, login: ClientLogin) -> None:
    recipient, data = fresh_recipient(), keyed("order-20")
    together = threading.Barrier(20)

    def session(_: int) -> tuple[int, str]:
        with gateway.logged_in(login) as connection:
            together.wait(60)
            return transact(connection, data, [recipient])

    with ThreadPoolExecutor(20) as pool:
        answers = list(pool.map(session, range(20)))
    codes = Counter(code for code, _ in answers)
    assert codes.keys() <= {250, 451}, answers
    assert codes[250] >= 1
    assert all(
        f"{FIELD}: the message of 'order-20' came already" in text for code, text in answers if code == 451
    )
    repeat = until_taken(gateway, login, data, [recipient])
    assert copies(gateway, recipient) == 1
    (record,) = gateway.records(login.username)
    assert FIELD.encode() not in gateway.delivered(recipient).message
    # The client of the repeat was told a queue id of its own.
    shown = run(gateway, "message", "show", repeat, "--json")
    assert shown.returncode == 0, shown.stderr
    assert json.loads(shown.stdout)["id"] == record.id
    assert "was not queued twice" in shown.stderr
    assert f"event=repeated message_id={record.id}" in gateway.logged("milter", repeat)


def test_a_split_message_reaches_each_of_its_recipients_once(gateway: Gateway, login: ClientLogin) -> None:
    recipients = [fresh_recipient() for _ in range(60)]
    data = keyed("split")
    first, second = recipients[:50], recipients[50:]
    assert submit(gateway, login, data, first)[0] == submit(gateway, login, data, second)[0] == 250
    for part in (first, second):
        until_taken(gateway, login, data, part)
    # And once more, as a program that knows nothing of that; one of them was not there before.
    late = fresh_recipient()
    number = until_taken(gateway, login, data, [*recipients[45:55], late])
    assert {copies(gateway, one) for one in (*recipients, late)} == {1}
    record = gateway.recorded(number)
    assert record.recipients == (late,)
    assert record.skipped["idempotency"].startswith("10 of 11 recipients have it already, by message ")


def test_a_client_that_is_cut_off_after_the_end_of_data_sends_again_and_it_is_there_once(
    gateway: Gateway, login: ClientLogin
) -> None:
    recipient, data = fresh_recipient(), keyed("cut")
    for _ in range(3):
        with suppress(smtplib.SMTPServerDisconnected), gateway.logged_in(login) as connection:
            connection.mail(SENDER)
            connection.rcpt(recipient)
            assert connection.docmd("DATA")[0] == 354
            connection.send(data + b".\r\n")
            assert connection.sock is not None
            connection.sock.shutdown(socket.SHUT_RDWR)
    until_taken(gateway, login, data, [recipient])
    assert copies(gateway, recipient) == 1


def test_a_milter_that_is_killed_between_its_claim_and_its_answer_loses_nothing(gateway: Gateway) -> None:
    """It waits for the counters of a limit then, which come after the claim."""
    login = limited(gateway, "100/month")
    recipient, data = fresh_recipient(), keyed("killed")
    submit(gateway, login, keyed("before"), [fresh_recipient()])  # the files are there
    with (
        closing(sqlite3.connect(gateway.stack.settings.limits.counters, isolation_level=None)) as counters,
        closing(sqlite3.connect(claims_file(gateway))) as claims,
        ThreadPoolExecutor(1) as pool,
    ):
        counters.execute("BEGIN IMMEDIATE")
        answer = pool.submit(submit, gateway, login, data, [recipient])
        claimed = "SELECT count(*) FROM claims WHERE state = 0"
        until(lambda: claims.execute(claimed).fetchone() == (1,), "the claim")
        for pid in gateway.workers("milter"):
            os.kill(pid, signal.SIGKILL)
        counters.execute("ROLLBACK")
        assert answer.result(60)[0] == 451
        assert claims.execute(claimed).fetchone() == (1,)
        again = until(lambda: _heard(gateway, login, data, recipient), "an answer of another worker")
        assert "came already" in again
        # Five minutes later.
        claims.execute("UPDATE claims SET at = at - 300 WHERE state = 0")
        claims.commit()
    assert copies(gateway, recipient) == 0
    until_taken(gateway, login, data, [recipient])
    until_taken(gateway, login, data, [recipient])
    assert copies(gateway, recipient) == 1


def _heard(gateway: Gateway, login: ClientLogin, data: bytes, recipient: str) -> str:
    code, text = submit(gateway, login, data, [recipient])
    return text if code == 451 and FIELD in text else ""


def test_other_content_under_a_key_is_refused_and_the_key_of_another_credential_is_its_own(
    gateway: Gateway, login: ClientLogin
) -> None:
    recipient, data, other = fresh_recipient(), keyed("same"), keyed("same", subject="Another order")
    assert submit(gateway, login, data, [recipient])[0] == 250
    for address in (recipient, fresh_recipient()):
        code, text = submit(gateway, login, other, [address])
        assert (code, text.partition(" was used at ")[0]) == (550, f"550 5.6.0 {FIELD}: 'same'")
        assert "for a message with other content; a key stands for one content for 24 hours" in text
    neighbour = gateway.stack.provision.credential()
    assert submit(gateway, neighbour, other, [recipient])[0] == 250
    assert submit(gateway, neighbour, data, [recipient])[0] == 550
    assert copies(gateway, recipient) == 2


def test_what_a_retry_makes_anew_is_the_same_message(gateway: Gateway, login: ClientLogin) -> None:
    recipient = fresh_recipient()
    for number in range(3):
        fields = (f"Date: Mon, {number + 1} Feb 2027 10:00:00 +0000", f"Message-ID: <{number}@example.test>")
        until_taken(gateway, login, keyed("anew", *fields), [recipient])
    assert copies(gateway, recipient) == 1


@pytest.mark.parametrize("mode", [Mode.HOLD, Mode.SANDBOX])
def test_a_message_that_is_held_or_in_a_sandbox_is_there_once(gateway: Gateway, mode: Mode) -> None:
    login = gateway.stack.provision.credential(mode=mode)
    recipient, data = fresh_recipient(), keyed("once")
    until_taken(gateway, login, data, [recipient])
    until_taken(gateway, login, data, [recipient])
    (record,) = gateway.records(login.username)
    if mode is Mode.HOLD:
        assert list(in_queue(gateway)) == [record.queue_id]
        command(gateway, "message", "drop", record.id)
        until(lambda: not in_queue(gateway), "the message to be gone")
        # What somebody dropped does not come back by itself.
        until_taken(gateway, login, data, [recipient])
    assert copies(gateway, recipient) == 0
    assert len(gateway.records(login.username)) == 1


def test_a_refused_message_leaves_its_key_free(gateway: Gateway) -> None:
    login = limited(gateway, "bytes=1K/month")
    large, small = keyed("free", "X-Large: " + "x" * 900), keyed("free")
    recipient = fresh_recipient()
    code, text = submit(gateway, login, large, [recipient])
    assert code == 552, text
    assert submit(gateway, login, small, [recipient])[0] == 250


def test_while_claims_cannot_be_kept_messages_with_a_key_wait_and_others_pass(
    gateway: Gateway, login: ClientLogin
) -> None:
    recipient, data = fresh_recipient(), keyed("later")
    submit(gateway, login, keyed("before"), [fresh_recipient()])
    file, aside = claims_file(gateway), claims_file(gateway).with_name("aside")
    file.rename(aside)
    file.mkdir()
    assert submit(gateway, login, data, [recipient])[0] == 451
    assert submit(gateway, login, data.replace(FIELD.encode(), b"X-Other"), [fresh_recipient()])[0] == 250
    file.rmdir()
    aside.rename(file)
    until_taken(gateway, login, data, [recipient])
    assert copies(gateway, recipient) == 1


PAGE = (Path(__file__).parents[2] / "docs" / "idempotency.md").read_text()
EXAMPLES = re.findall(r"^```(\w+)\n(.*?)^```", PAGE, re.MULTILINE | re.DOTALL)


@pytest.mark.parametrize(("language", "text"), EXAMPLES, ids=["curl", "swaks", "python"])
def test_an_example_of_the_page_works_as_it_stands_again_and_again(
    gateway: Gateway, login: ClientLogin, tmp_path: Path, language: str, text: str
) -> None:
    recipient = fresh_recipient()
    for written, here in (
        ("mail.example.org", HOST),
        ("587", str(gateway.port("submission"))),
        ("USER", login.username),
        ("PASSWORD", login.password),
        ("ann@example.org", recipient),
    ):
        assert written in text
        text = text.replace(written, here)
    text = text.replace("sleep 60", "sleep 0.2").replace("sleep(60)", "sleep(0.2)")
    (tmp_path / "receipt.eml").write_bytes(keyed("curl"))
    authorities = {"SSL_CERT_FILE": gateway.ca_file, "CURL_CA_BUNDLE": gateway.ca_file}
    program = [sys.executable, "-c"] if language == "python" else ["sh", "-c"]

    def works() -> bool:
        done = subprocess.run(
            [*program, text],
            cwd=tmp_path,
            env={**os.environ, **authorities},
            capture_output=True,
            check=False,
            timeout=60,
        )
        assert not done.returncode or b"451 4.5.0" in done.stdout, done.stdout + done.stderr
        return not done.returncode

    for _ in range(3):
        until(works, "the example to end well", every=0.2)
    assert copies(gateway, recipient) == 1

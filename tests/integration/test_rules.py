"""Rules through a real Postfix: each at each stage at which it is asked, replies in full."""

from __future__ import annotations

import json
import re
import smtplib
import ssl
import subprocess
import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from datetime import UTC, datetime
from typing import Any

import pytest

from gatepost_core.domain import Rules
from gatepost_core.domain.rules import hours
from gatepost_core.domain.rules.asking import Stage
from gatepost_core.domain.rules.catalogue import RULES
from gatepost_stack.instance import HOST
from gatepost_stack.provision import ClientLogin
from tests.integration.harness import SENDER, Gateway, fresh_recipient, reply, text_message, whole
from tests.refs import bare

AT_RCPT = "<{}>: Recipient address rejected: "
AT_DATA = "<DATA>: Data command rejected: "


def held(gateway: Gateway, **rules: Any) -> ClientLogin:
    login = gateway.stack.provision.credential()
    gateway.stack.provision.rule(login.username, **rules)
    return login


def answers(connection: smtplib.SMTP, recipients: list[str], size: int = 0, announced: int = 0) -> list[str]:
    """Return what was answered to each recipient, and to the rest of the message if one was taken.

    ``size``: bytes of its body, of which MAIL has announced ``announced``.
    """
    connection.docmd("MAIL", f"FROM:<{SENDER}>" + (f" SIZE={announced}" if announced else ""))
    found = [said_of(connection.rcpt(one)) for one in recipients]
    if any(one.startswith("250") for one in found):
        try:
            found.append(
                said_of(connection.data(text_message(body="x" * 70 + "\r\n" + "y\r\n" * (size // 3))))
            )
        except smtplib.SMTPDataError as error:
            found.append(said_of((error.smtp_code, error.smtp_error)))
    connection.rset()
    return found


def said_of(answer: tuple[int, bytes | str]) -> str:
    """Return an answer as one line, without the reference that each refusal must end in."""
    return bare(whole(answer)) if answer[0] >= 400 else whole(answer)


def taken(found: list[str]) -> list[bool]:
    return [one.startswith("250") for one in found]


def test_only_allowed_recipients_are_taken_and_each_other_is_told_why(gateway: Gateway) -> None:
    login = held(gateway, recipients=("example.org",), denied_recipients=("boss@example.org",))
    user, good = login.username, fresh_recipient()
    with gateway.logged_in(login) as connection:
        found = answers(connection, ["bob@elsewhere.test", good, "Boss@example.org"])
    assert taken(found) == [False, True, False, True]
    assert found[0] == (
        f"550 5.7.1 {AT_RCPT.format('bob@elsewhere.test')}Recipient <bob@elsewhere.test> is not among those "
        f"that credential {user} may send to"
    )
    assert found[2] == (
        f"550 5.7.1 {AT_RCPT.format('Boss@example.org')}Recipient <Boss@example.org> is denied to credential "
        f"{user}, by its rule boss@example.org"
    )
    gateway.delivered(good)


@pytest.mark.parametrize(
    "recipient",
    [
        "bob%denied.test@localhost",
        "denied.test!bob@mail.example.test",
        '"bob@denied.test"@mail.example.test',
        "bob@DENIED.test.",
        "@denied.test,@mail.example.test:bob@denied.test",
        "bob%denied.test@denied.test",
    ],
)
def test_no_spelling_of_an_address_gets_round_a_denied_domain(gateway: Gateway, recipient: str) -> None:
    login = held(gateway, denied_recipients=("denied.test",))
    with gateway.logged_in(login) as connection:
        connection.mail(SENDER)
        answer = reply(connection.docmd("RCPT", f"TO:<{recipient}>"))
    assert answer[:3] in {"550", "501", "504"}, answer


def test_whom_postfix_takes_without_asking_is_refused_at_data_alone_and_at_the_end_beside_others(
    gateway: Gateway,
) -> None:
    """smtpd(8) asks nobody at RCPT about the sender of its own address probes."""
    login = held(gateway, recipients=("example.org",))
    good = fresh_recipient()
    with gateway.logged_in(login) as connection:
        probe = f"double-bounce@{(connection.ehlo_resp or b'').split()[0].decode()}"
        alone = answers(connection, [probe])
        beside = answers(connection, [probe, good])
    said = f"Recipient <{probe}> is not among those that credential {login.username} may send to"
    assert (taken(alone), alone[-1]) == ([True, False], f"550 5.7.1 {AT_DATA}{said}")
    assert (taken(beside), beside[-1]) == ([True, True, False], f"550 5.7.1 {said}")
    assert gateway.records(login.username) == []


def closed() -> tuple[hours.Span, ...]:
    """Return hours that are over, or yet to come, for a day at least."""
    today = datetime.now(UTC).weekday()
    return hours.read([("Mon", "Tue", "Wed", "Thu", "Fri", "Sat", "Sun")[(today + 3) % 7]])


MIDNIGHT = r"20\d\d-\d\d-\d\dT00:00:00Z"
# Of each rule: what it is, what breaks it (a body's size, what is announced, recipients), and at which stage
# whoever does hears what.
TABLE = [
    (
        "recipients",
        ("example.com",),
        {},
        "RCPT",
        "550 5.7.1",
        "Recipient <{to}> is not among those that credential {user} may send to",
    ),
    (
        "denied_recipients",
        ("example.org",),
        {},
        "RCPT",
        "550 5.7.1",
        "Recipient <{to}> is denied to credential {user}, by its rule example.org",
    ),
    (
        "max_recipients",
        2,
        {"recipients": 3},
        "DATA",
        "550 5.5.3",
        "Credential {user} may send a message to 2 recipients at most, and this one has 3; send it in parts",
    ),
    (
        "max_size",
        2_000,
        {"size": 3_000, "announced": 2_500},
        "RCPT",
        "552 5.3.4",
        "Credential {user} may send messages of 2,000 bytes at most, and this one has 2,500; send less "
        "at once",
    ),
    (
        "max_size",
        2_000,
        {"size": 3_000},
        "END",
        "552 5.3.4",
        r"Credential {user} may send messages of 2,000 bytes at most, and this one has \d,\d\d\d; send less "
        "at once",
    ),
    (
        "hours",
        closed(),
        {},
        "RCPT",
        "451 4.7.1",
        r"Credential {user} may send ... 00:00-24:00 \(UTC\); try again after " + MIDNIGHT,
    ),
    (
        "min_tls",
        "1.3",
        {"tls": "1.2"},
        "RCPT",
        "550 5.7.10",
        "Credential {user} may be used with TLS 1.3 or later, and this session has TLSv1.2; update the "
        "client",
    ),
]


@pytest.mark.parametrize(("name", "value", "breaks", "stage", "code", "text"), TABLE)
def test_whoever_breaks_a_rule_hears_which_at_the_stage_where_it_is_known(
    gateway: Gateway, name: str, value: Any, breaks: dict[str, Any], stage: str, code: str, text: str
) -> None:
    breaks = dict(breaks)
    login = held(gateway, **{name: value})
    good = [fresh_recipient() for _ in range(breaks.pop("recipients", 1))]
    newest = ssl.TLSVersion.TLSv1_2 if breaks.pop("tls", "") else ssl.TLSVersion.TLSv1_3
    with session(gateway, login, newest) as connection:
        found = answers(connection, good, **breaks)
        put_in_front = {"RCPT": AT_RCPT.format(good[0]), "DATA": AT_DATA, "END": ""}[stage]
        said = re.escape(f"{code} {put_in_front}") + text.replace("{to}", re.escape(good[0])).replace(
            "{user}", login.username
        )
        assert re.fullmatch(said, found[-1]), found
        assert taken(found[:-1]) == [True] * (len(good) if stage != "RCPT" else 0)
        assert gateway.records(login.username) == []
        # Without the rule, in the same session, the same message passes.
        gateway.stack.provision.rule(login.username, **{name: getattr(Rules(), name)})
        assert all(taken(answers(connection, good, **breaks)))


def test_each_rule_and_stage_has_its_row() -> None:
    asked = {name for name, rule in RULES.items() if rule.check is not None}
    assert {row[0] for row in TABLE} == asked
    assert {row[3] for row in TABLE} == {"RCPT", "DATA", "END"}


@contextmanager
def session(gateway: Gateway, login: ClientLogin, newest: ssl.TLSVersion) -> Iterator[smtplib.SMTP]:
    """Log in over TLS of that version at most."""
    context = ssl.create_default_context(cafile=gateway.ca_file)
    context.maximum_version = newest
    with smtplib.SMTP(HOST, gateway.port("submission"), timeout=30) as connection:
        connection.starttls(context=context)
        connection.login(login.username, login.password)
        yield connection


ADDRESS = r"127\.0\.0\.1"
# What is heard of each rule at a stage, when it is made just before that.
MADE: dict[str, tuple[Any, str]] = {
    "senders": (
        ("other.test",),
        "550 5.7.1 Sender address <alice@example.test> is not allowed for credential {user}",
    ),
    "networks": (
        ("198.51.100.0/24",),
        f"550 5.7.1 Credential {{user}} may not be used from {ADDRESS}; log in again from a network that is "
        "allowed, or ask your mail administrator",
    ),
    "recipients": (
        ("example.com",),
        "550 5.7.1 Recipient <{to}> is not among those that credential {user} may send to",
    ),
    "denied_recipients": (
        ("example.org",),
        "550 5.7.1 Recipient <{to}> is denied to credential {user}, by its rule example.org",
    ),
    "max_recipients": (
        1,
        "550 5.5.3 Credential {user} may send a message to 1 recipients at most, and this one "
        "has 2; send it in "
        "parts",
    ),
    "max_size": (
        100,
        r"552 5.3.4 Credential {user} may send messages of 100 bytes at most, and this one has "
        r"[12]\d\d; send less "
        "at once",
    ),
    "min_tls": (
        "1.3",
        "550 5.7.10 Credential {user} may be used with TLS 1.3 or later, and this session has "
        "TLSv1.2; update "
        "the client",
    ),
    "hours": (
        closed(),
        r"451 4.7.1 Credential {user} may send ... 00:00-24:00 \(UTC\); try again after " + MIDNIGHT,
    ),
    "hold_places": (  # this gateway has no database: where it has one, see test_places.py
        ("country",),
        "451 4.3.0 What credential {user} sends from new places is held, and where its client is cannot be "
        "told just now; try again later",
    ),
}
IN_FRONT = {Stage.RCPT: AT_RCPT.format("{to}"), Stage.DATA: AT_DATA, Stage.END: ""}


@pytest.mark.parametrize("stage", Stage)
@pytest.mark.parametrize("name", RULES)
def test_each_rule_is_asked_at_each_of_its_stages_and_at_no_other(
    gateway: Gateway, login: ClientLogin, name: str, stage: Stage
) -> None:
    """The rule is made just before a stage and lifted just after it: before and after that all passes."""
    value, said = MADE[name]
    user = login.username
    first, second = fresh_recipient(), fresh_recipient()

    def asked(now: Stage, act: Callable[[], tuple[int, bytes]]) -> str:
        if now is stage:
            gateway.stack.provision.rule(user, **{name: value})
        answer = said_of(act())
        if now is stage:
            gateway.stack.provision.rule(user, **{name: getattr(Rules(), name)})
        return answer

    with session(gateway, login, ssl.TLSVersion.TLSv1_2) as connection:

        def content() -> tuple[int, bytes]:
            connection.send(text_message(body="x" * 60 + "\r\n") + b".\r\n")
            return connection.getreply()

        connection.docmd("MAIL", f"FROM:<{SENDER}> SIZE=150")
        found = {Stage.RCPT: asked(Stage.RCPT, lambda: connection.rcpt(first))}
        if name == "max_recipients":  # two; else one, or policy would not hear of it at DATA
            assert connection.rcpt(second)[0] == 250
        if found[Stage.RCPT].startswith("250"):
            found[Stage.DATA] = asked(Stage.DATA, lambda: connection.docmd("DATA"))
            if found[Stage.DATA].startswith("354"):
                found[Stage.END] = asked(Stage.END, content)
    if stage not in RULES[name].stages:
        assert found[Stage.END].startswith("250"), found
        return
    if name == "senders" and stage is Stage.END:
        said = "550 5.7.1 From header address <alice@example.test> is not allowed for credential {user}"
    assert re.fullmatch(heard(said, stage, first, user), found[stage]), found
    assert stage is list(found)[-1]
    assert gateway.records(user) == []


def heard(said: str, stage: Stage, recipient: str, user: str) -> str:
    """Return the pattern of a whole reply: codes, Postfix's own words, ours."""
    code, enhanced, text = said.split(" ", 2)
    pattern = f"{code} {enhanced} {IN_FRONT[stage]}{text}"
    return pattern.replace("{to}", re.escape(recipient)).replace("{user}", user)


@pytest.mark.parametrize("name", RULES)
def test_policy_test_says_what_postfix_says(gateway: Gateway, login: ClientLogin, name: str) -> None:
    value, said = MADE[name]
    recipients = [fresh_recipient(), fresh_recipient()]
    gateway.stack.provision.rule(login.username, **{name: value})
    command = [sys.executable, "-m", "gatepost_cli", "--config", str(gateway.stack.layout.settings_file)]
    command += ["policy", "test", "--json", "--credential", login.username, "--from", SENDER]
    command += ["--size", "150", "--tls", "1.2", "--client", "127.0.0.1"]
    command += [word for one in recipients for word in ("--to", one)]
    run = subprocess.run(command, check=False, capture_output=True, text=True, timeout=60)
    told = [step["reply"] for step in json.loads(run.stdout)["steps"] if not step["passed"]]
    stage = RULES[name].stages[0]
    expected = heard(said, Stage.END, recipients[0], login.username)
    assert (run.returncode, len(told)) == (1, 2 if stage is Stage.RCPT else 1), run
    assert re.fullmatch(expected, told[0])


def test_an_accounts_rules_hold_for_credentials_without_such_rules_of_their_own(
    gateway: Gateway, login: ClientLogin
) -> None:
    own = held(gateway, recipients=("example.org",))
    free = held(gateway, lifted=frozenset({"recipients"}))
    recipient = fresh_recipient()
    gateway.stack.provision.rule_account(recipients=("example.com",))
    try:
        found = {}
        for one in (login, own, free):
            with gateway.logged_in(one) as connection:
                found[one.username] = taken(answers(connection, [recipient]))
    finally:
        gateway.stack.provision.rule_account()
    assert found == {login.username: [False], own.username: [True, True], free.username: [True, True]}


def test_a_rule_counts_in_a_session_that_is_open(gateway: Gateway, login: ClientLogin) -> None:
    recipient = fresh_recipient()
    with gateway.logged_in(login) as connection:
        assert taken(answers(connection, [recipient])) == [True, True]
        gateway.stack.provision.rule(login.username, denied_recipients=("example.org",))
        assert taken(answers(connection, [recipient])) == [False]
        gateway.stack.provision.rule(login.username, denied_recipients=())
        assert taken(answers(connection, [recipient])) == [True, True]

"""Routes through a real Postfix: whose mail takes which way, on every port, and never another one."""

from __future__ import annotations

import json
import smtplib
import subprocess
import sys
from collections.abc import Iterator
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

import pytest
from aiosmtpd.controller import Controller
from aiosmtpd.smtp import SMTP, AuthResult, Envelope, LoginPassword, Session

from gatepost_core.postfix import Parameter
from gatepost_core.store import accounts, credentials
from gatepost_core.store.opening import open_backend
from gatepost_stack.provision import ACCOUNT, BOUNCE_DOMAIN, ClientLogin
from gatepost_stack.stack import Stack, free_ports
from tests.integration.harness import (
    PORTS,
    SENDER,
    Gateway,
    Port,
    fresh_recipient,
    refusal,
    reply,
    text_message,
)
from tests.waiting import until

BIND = "127.0.0.9"


@dataclass(frozen=True)
class Came:
    """A message as the other way out got it."""

    recipients: tuple[str, ...]
    peer: str
    hostname: str
    login: str
    content: bytes


@dataclass
class Second:
    """Where routes lead: another sink, which takes logins."""

    came: list[Came] = field(default_factory=list[Came])
    port: int = 0

    async def handle_DATA(self, _server: SMTP, session: Session, envelope: Envelope) -> str:  # noqa: N802
        peer: Any = session.peer
        login: Any = session.auth_data
        content = envelope.content if isinstance(envelope.content, bytes) else b""
        came = Came(tuple(envelope.rcpt_tos), peer[0], str(session.host_name), str(login or ""), content)
        self.came.append(came)
        return "250 taken"

    def login(self, *asked: Any) -> AuthResult:
        given = asked[-1]
        assert isinstance(given, LoginPassword)
        good = given.password == b"secret"
        return AuthResult(success=good, auth_data=given.login.decode())

    def got(self, recipient: str) -> Came:
        """Wait until a recipient's message came."""
        return until(
            lambda: next((one for one in self.came if recipient in one.recipients), None),
            lambda: f"{recipient} in {self.came}",
        )


@pytest.fixture(scope="module")
def second() -> Iterator[Second]:
    handler = Second(port=free_ports()[0])
    controller = Controller(
        handler,
        "127.0.0.1",
        handler.port,
        authenticator=handler.login,
        auth_require_tls=False,
        auth_exclude_mechanism=[],
    )
    controller.start()
    yield handler
    controller.stop()


@pytest.fixture(scope="module")
def routed(second: Second, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Gateway]:
    """A gateway with routes; ``pool`` leads to the recipients' own servers."""
    folder = tmp_path_factory.mktemp("routes")
    hop = f"[127.0.0.1]:{second.port}"
    logins = folder / "logins"
    logins.write_text(f"{hop} partner:secret\n")
    tables: dict[str, dict[str, Any]] = {
        "routes.second": {"next_hop": hop, "tls": "none", "bind_address": BIND, "helo_name": "pool.example"},
        "routes.partner": {"next_hop": hop, "tls": "none", "login_file": str(logins)},
        "routes.pool": {"bind_address": BIND},
    }
    extra = [Parameter("default_filter_nexthop", "elsewhere.example", "for doctor")]
    with Stack(folder / "var", extra=extra, tables=tables) as stack:
        yield Gateway(stack)


def give(routed: Gateway, login: ClientLogin, route: str) -> ClientLogin:
    """Give a credential a route, whether or not there is one of that name."""
    with open_backend(routed.stack.settings.store).directory(write=True) as connection:
        options = credentials.get(connection, login.username).options
        credentials.change(connection, login.username, options=replace(options, route=route))
    return login


def give_account(routed: Gateway, route: str | None) -> None:
    with open_backend(routed.stack.settings.store).directory(write=True) as connection:
        accounts.change(connection, ACCOUNT, route=route)


@pytest.fixture
def login(routed: Gateway) -> ClientLogin:
    return give(routed, routed.stack.provision.credential({"dkim": True}), "second")


@pytest.mark.parametrize("port", PORTS)
def test_mail_takes_the_route_of_its_credential_on_every_port_edited_as_usual(
    routed: Gateway, second: Second, login: ClientLogin, port: Port
) -> None:
    recipients, other = [fresh_recipient() for _ in range(3)], fresh_recipient()
    with routed.logged_in(login, port) as connection:
        connection.sendmail(SENDER, recipients, text_message())
    with routed.logged_in(routed.stack.provision.credential(), port) as connection:
        connection.sendmail(SENDER, [other], text_message())
    came = second.got(recipients[0])
    assert set(came.recipients) == set(recipients)
    assert (came.peer, came.hostname, came.login) == (BIND, "pool.example", "")
    assert b"DKIM-Signature:" in came.content
    assert routed.delivered(other).recipients == (other,)
    assert other not in [one for got in second.came for one in got.recipients]
    assert not set(recipients) & {one for got in routed.all_delivered() for one in got.recipients}


def test_a_message_in_chunks_takes_it_as_well(routed: Gateway, second: Second, login: ClientLogin) -> None:
    recipient, raw = fresh_recipient(), text_message()
    with routed.logged_in(login) as connection:
        assert connection.has_extn("chunking")
        connection.mail(SENDER)
        connection.rcpt(recipient)
        connection.send(b"BDAT %d LAST\r\n%s" % (len(raw), raw))
        assert connection.getreply()[0] == 250
    assert second.got(recipient).peer == BIND


def test_a_route_logs_in_and_an_account_s_holds_unless_its_credential_has_another(
    routed: Gateway, second: Second
) -> None:
    give_account(routed, "partner")
    try:
        by_account, none, own = fresh_recipient(), fresh_recipient(), fresh_recipient()
        for route, recipient in (("", by_account), ("none", none), ("second", own)):
            with routed.logged_in(give(routed, routed.stack.provision.credential(), route)) as connection:
                connection.sendmail(SENDER, [recipient], text_message())
        assert second.got(by_account).login == "partner"
        assert second.got(own).login == ""
        assert routed.delivered(none).recipients == (none,)
    finally:
        give_account(routed, None)


def test_a_route_that_is_gone_takes_no_message_anywhere(routed: Gateway, login: ClientLogin) -> None:
    said = f"The route gone of credential {login.username} is not set up; try again later"
    with routed.logged_in(login) as connection:
        connection.mail(SENDER)
        recipient = fresh_recipient()
        assert connection.rcpt(recipient)[0] == 250
        give(routed, login, "gone")  # in the midst of a transaction
        with pytest.raises(smtplib.SMTPDataError) as refused:
            connection.data(text_message())
        assert refusal(refused.value) == f"451 4.3.5 <DATA>: Data command rejected: {said}"
        connection.rset()
        connection.mail(SENDER)
        answer = reply(connection.rcpt(recipient))
        assert answer == f"451 4.3.5 <{recipient}>: Recipient address rejected: {said}"
    found = doctor(routed)
    assert ("route gone", "fault") in found
    give(routed, login, "second")


def test_bounces_of_ours_leave_by_no_route(routed: Gateway, second: Second, login: ClientLogin) -> None:
    with routed.logged_in(login) as connection:
        connection.mail(SENDER)
        refused = reply(connection.rcpt(f"bounce-a@{BOUNCE_DOMAIN.upper()}"))
        assert refused.endswith(
            f"Mail of credential {login.username} takes the route second, which leads to no bounce address; "
            "send it by another credential"
        )
        assert refused.startswith("550 5.7.1")
        recipient = fresh_recipient()
        assert connection.rcpt(recipient)[0] == 250
        assert connection.data(text_message())[0] == 250
    assert second.got(recipient).recipients == (recipient,)


def doctor(routed: Gateway) -> set[tuple[str, str]]:
    """Return what the check finds, and how bad that is."""
    config = ["--config", str(routed.stack.layout.settings_file)]
    words = [
        "doctor",
        "--postfix-config",
        str(routed.stack.layout.postfix),
        "--only",
        "routes",
        "--all",
        "--json",
    ]
    run = subprocess.run(
        [sys.executable, "-m", "gatepost_cli", *config, *words],
        check=False, capture_output=True, text=True, timeout=60,
    )  # fmt: skip
    return {(one["looked_at"], one["status"]) for one in json.loads(run.stdout)["findings"]}


def test_doctor_says_what_stands_beside_routes(routed: Gateway) -> None:
    assert doctor(routed) == {("main.cf, default_filter_nexthop", "fault"), ("routes", "good")}


@pytest.mark.parametrize(
    ("table", "said"),
    [
        ('[routes.x]\nnext_hop = "two words"\n', "routes.x.next_hop"),
        ('[routes.x]\nlogin_file = "relative"\n', "expected the whole path of a file"),
        ('[routes.x]\nbind_address = "nowhere"\n', "routes.x.bind_address"),
        ("[routes.x]\nunknown = 1\n", "routes.x.unknown"),
        ("[routes.None]\n", "expected up to 32 small letters"),
        ('[routes]\nx = "smtp:[other]"\n', "expected a section, [routes.x]"),
    ],
)
def test_a_route_that_cannot_be_is_refused_by_name(tmp_path: Path, table: str, said: str) -> None:
    file = tmp_path / "gatepost.toml"
    file.write_text(table)
    run = subprocess.run(
        [sys.executable, "-m", "gatepost_cli", "--config", str(file), "settings"],
        check=False, capture_output=True, text=True, timeout=60,
    )  # fmt: skip
    assert run.returncode == 4
    assert said in run.stderr

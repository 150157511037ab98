"""A gateway behind another server: the logins, routes and TLS of the role's tables, with real mail."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from gatepost_core.postfix import Parameter
from gatepost_stack.provision import BOUNCE_DOMAIN, DOMAIN, ClientLogin
from gatepost_stack.stack import Stack
from tests.integration.harness import SENDER, Gateway, fresh_recipient, text_message
from tests.waiting import until

CA_OF_OTHERS = "/etc/ssl/certs/ca-certificates.crt"
OUTSIDER = "carol@elsewhere.test"

pytestmark = pytest.mark.integration


@pytest.fixture(scope="module")
def upstream(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Gateway]:
    """The server that mail is relayed to: a gateway, since that wants logins and TLS."""
    with Stack(tmp_path_factory.mktemp("upstream")) as stack:
        yield Gateway(stack)


def relaying(upstream: Gateway, outgoing: Any, folder: Path, values: dict[str, Any], **main: str) -> Stack:
    """Return a stack whose Postfix relays as the role would have it."""
    folder.mkdir()
    found = outgoing(values, [{"name": DOMAIN, "bounce_domain": BOUNCE_DOMAIN}], str(folder))
    for table in found["tables"]:
        (folder / table["name"]).write_text(table["text"])
    rows = {row["name"]: row["value"] for row in found["parameters"]}
    rows |= {
        "default_transport": "smtp",
        "smtp_tls_loglevel": "1",
        "smtp_tls_CAfile": upstream.ca_file,
        **main,
    }
    extra = [Parameter(name, value, "as the role has it") for name, value in rows.items()]
    return Stack(folder.parent / "gateway", extra=extra)


def relay(upstream: Gateway, login: ClientLogin, **more: Any) -> dict[str, Any]:
    port = upstream.port("submission")
    return {
        "host": "localhost",
        "port": port,
        "username": login.username,
        "password": login.password,
        **more,
    }


def test_each_sender_s_mail_takes_its_relay_and_login_bounce_domain_included(
    upstream: Gateway, shared: Callable[[str], Any], tmp_path: Path
) -> None:
    shop = upstream.stack.provision.credential(senders=(DOMAIN, BOUNCE_DOMAIN), label="shop")
    others = upstream.stack.provision.credential(senders=("elsewhere.test",), label="others")
    outgoing = shared("postfix_outgoing").outgoing
    values = {
        "relayhost": relay(upstream, others),
        "sender_relays": [relay(upstream, shop, domain=DOMAIN)],
    }
    with relaying(upstream, outgoing, tmp_path / "maps", values) as stack:
        gateway = Gateway(stack)
        # The upstream lets each login send from its own domains only: what arrives came by the right one.
        tracked = stack.provision.credential({"trackbounces": True})
        plain = stack.provision.credential()
        for login, sender, expected in (
            (plain, SENDER, SENDER),
            (tracked, SENDER, f"@{BOUNCE_DOMAIN}"),
            (plain, OUTSIDER, OUTSIDER),
        ):
            recipient = fresh_recipient()
            with gateway.logged_in(login) as connection:
                connection.sendmail(sender, [recipient], text_message(sender=sender))
            assert upstream.delivered(recipient).sender.endswith(expected)
        assert "Verified TLS connection established to localhost" in gateway.log("postfix")


def test_a_relay_whose_certificate_cannot_be_verified_gets_neither_mail_nor_password(
    upstream: Gateway, shared: Callable[[str], Any], tmp_path: Path
) -> None:
    login = upstream.stack.provision.credential()
    outgoing = shared("postfix_outgoing").outgoing
    values = {"relayhost": relay(upstream, login)}
    with relaying(upstream, outgoing, tmp_path / "maps", values, smtp_tls_CAfile=CA_OF_OTHERS) as stack:
        gateway, recipient = Gateway(stack), fresh_recipient()
        with gateway.logged_in(stack.provision.credential()) as connection:
            connection.sendmail(SENDER, [recipient], text_message())
        log = gateway.stack.layout.logs / "postfix.log"
        said = "Server certificate not verified"
        until(lambda: said in log.read_text(errors="replace"), lambda: f"{said!r} in {log}")
        assert login.username not in upstream.log("sasl")

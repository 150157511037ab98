"""A mail server made by hand takes the bounce domains' mail on its own port 25, and notices nothing else."""

from __future__ import annotations

import re
import smtplib
from collections.abc import Iterator

import pytest

from gatepost_core.store import events
from gatepost_stack import certificate
from gatepost_stack.provision import BOUNCE_DOMAIN, ClientLogin
from gatepost_stack.stack import Stack, free_ports
from tests.bounces.forms import MTA, failed, report
from tests.integration.harness import SENDER, Gateway, fresh_recipient, text_message
from tests.integration.house import OUTSIDE, house
from tests.integration.test_house import ByHand
from tests.waiting import until


@pytest.fixture(scope="module")
def by_hand(tmp_path_factory: pytest.TempPathFactory) -> Iterator[ByHand]:
    """The server with Gatepost's daemons beside it, before any of its files is changed."""
    folder = tmp_path_factory.mktemp("by-host")
    tls = folder / "tls"
    tls.mkdir()
    certificate.make(tls, "mail.example.test")
    port = free_ports()[0]
    # Its port 25, which is another here.
    tables = {"policy": {"bounce_ports": [port]}}
    with Stack(folder / "stack", tables=tables) as stack, house(folder / "var", stack, port) as running:
        ports = free_ports()[:2]
        own = [
            "[postfix]", f'config_directory = "{running.places.postfix}"', f"ports = {list(ports)}",
            f'queue_directory = "{running.places.queue}"', 'hostname = "mail.example.test"',
            f'tls_certificate_file = "{tls}/server.pem"', f'tls_key_file = "{tls}/server.key"',
            "bounces_by_host = true",
        ]  # fmt: skip
        text = stack.layout.settings_file.read_text()
        config = folder / "gatepost.toml"
        config.write_text(re.sub(r"(?ms)^\[postfix\]\n.*?(?=^\[|\Z)", "\n".join(own) + "\n\n", text))
        kept = folder / "kept"
        yield ByHand(running, Gateway(stack), config, (ports[0], ports[1]), kept, running.files)


@pytest.fixture(scope="module")
def applied(by_hand: ByHand) -> ByHand:
    """The server with the settings in force; ``flows``: what it did before."""
    by_hand.flows = by_hand.house.flows()
    done = by_hand.shell("set -e\ngatepost postfix-settings --apply --yes\npostfix reload")
    assert done.returncode == 0, done.stderr
    return by_hand


def returned(applied: ByHand, login: ClientLogin) -> tuple[str, str]:
    """Send a message with bounces tracked; return its recipient and the address its bounces go to."""
    recipient = fresh_recipient()
    with applied.gateway.logged_in(login) as connection:
        connection.sendmail(SENDER, [recipient], text_message())
    return recipient, applied.gateway.delivered(recipient).sender


def refusal(applied: ByHand, recipient: str) -> bytes:
    with pytest.raises(smtplib.SMTPRecipientsRefused) as refused:
        applied.house.by_port(recipient, report(MTA, failed("bob@example.org")), "")
    return b"%d %s" % refused.value.recipients[recipient]


def test_a_bounce_with_a_token_becomes_an_event(applied: ByHand) -> None:
    login = applied.gateway.stack.provision.credential({"trackbounces": True})
    recipient, address = returned(applied, login)
    applied.house.by_port(address, report(MTA, failed(recipient)), "")

    def told() -> list[str]:
        applied.gateway.caught_up()
        with applied.gateway.journal() as journal:
            found = events.each(journal, events.Wanted(credential=login.username), 100)
            return [one.recipient for one in found if one.type == "bounced"]

    assert until(told, lambda: applied.gateway.log("bounces")[-2_000:]) == [recipient]


@pytest.mark.parametrize("local_part", ["bob", "bounce-" + "a" * 40, "postmaster"])
def test_nothing_else_is_taken_for_a_bounce_domain(applied: ByHand, local_part: str) -> None:
    assert refusal(applied, f"{local_part}@{BOUNCE_DOMAIN}").startswith(b"530 5.7.0")


def test_all_other_mail_flows_as_before_and_policy_is_asked_about_none_of_it(applied: ByHand) -> None:
    before = applied.gateway.log("policy")
    assert applied.house.flows() == applied.flows
    assert b"Relay access denied" in refusal(applied, OUTSIDE)
    asked = applied.gateway.log("policy")[len(before) :]
    assert "local.house.test" not in asked
    assert OUTSIDE not in asked


def test_doctor_finds_it_as_it_should_be(applied: ByHand) -> None:
    done = applied.shell("gatepost doctor --only postfix-main-cf --only postfix-master-cf")
    assert done.returncode == 0, done.stdout


def test_the_way_back_is_to_the_byte(applied: ByHand) -> None:
    done = applied.shell("set -e\ngatepost postfix-settings --undo --yes\npostfix reload")
    assert done.returncode == 0, done.stderr
    assert applied.house.files == applied.before
    assert b"Relay access denied" in refusal(applied, f"bob@{BOUNCE_DOMAIN}")

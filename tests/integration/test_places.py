"""Mail from new countries and networks, through a real Postfix: held, released once, then known."""

from __future__ import annotations

import smtplib
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest

from gatepost_stack import client
from gatepost_stack.instance import HOST
from gatepost_stack.provision import ClientLogin
from gatepost_stack.stack import Stack
from tests.integration.harness import SENDER, Gateway, fresh_recipient, text_message
from tests.integration.holding import carried_out, command, held, in_queue, is_held, told
from tests.places import countries, network, write

HOME, ABROAD, NEXT_DOOR = "127.0.0.2", "127.0.0.3", "127.0.0.4"


@pytest.fixture(scope="module")
def files(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("databases")
    countries(folder / "country.mmdb", NL=HOME, BR=ABROAD)
    numbers = {HOME: network(64500), ABROAD: network(64501), NEXT_DOOR: network(64500)}
    write(folder / "asn.mmdb", numbers, "GeoLite2-ASN")
    return folder


@pytest.fixture(scope="module")
def gateway(files: Path, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Gateway]:
    tables: dict[str, dict[str, Any]] = {
        "milter": {"workers": 1},
        "hold": {
            "country_database": str(files / "country.mmdb"),
            "network_database": str(files / "asn.mmdb"),
        },
    }
    with Stack(tmp_path_factory.mktemp("places"), tables=tables) as stack:
        yield Gateway(stack)


def held_to(gateway: Gateway, *kinds: str) -> ClientLogin:
    login = gateway.stack.provision.credential()
    gateway.stack.provision.rule(login.username, hold_places=kinds)
    return login


@contextmanager
def session(gateway: Gateway, login: ClientLogin, source: str) -> Iterator[smtplib.SMTP]:
    """Log in from one of loopback's addresses."""
    port, ca_file = gateway.port("submission"), gateway.stack.layout.ca_file
    with client.session(HOST, port, "starttls", ca_file, source) as connection:
        client.log_in(connection, login.username, login.password)
        yield connection


def sent(gateway: Gateway, login: ClientLogin, source: str, recipient: str = "") -> str:
    """Send a message; return its queue id."""
    with session(gateway, login, source) as connection:
        connection.mail(SENDER)
        assert connection.rcpt(recipient or fresh_recipient())[0] == 250
        code, text = connection.data(text_message())
    assert code == 250, text
    return text.decode().rpartition(" ")[2]


def known(gateway: Gateway, login: ClientLogin) -> list[str]:
    return [one["place"] for one in command(gateway, "credential", "places", login.username)]


def test_what_comes_from_a_new_country_waits_for_one_release_and_then_passes(gateway: Gateway) -> None:
    login, recipients = held_to(gateway, "country"), [fresh_recipient() for _ in range(4)]
    sent(gateway, login, HOME, recipients[0])
    gateway.delivered(recipients[0])
    first, second = (sent(gateway, login, ABROAD, one) for one in recipients[1:3])
    is_held(gateway, login, first, second)
    assert in_queue(gateway)[first] == "hold"
    said = f"new country BR, client {ABROAD}; it has sent from NL"
    assert held(gateway, login) == {first: said, second: said}
    (event,) = [one for one in told(gateway, first) if one.type == "held"]
    assert (event.detail["reason"], event.detail["places"]) == (said, {"country": "BR"})
    assert known(gateway, login) == ["NL"]
    assert carried_out(gateway, "release", first) == [("done", "")]
    assert known(gateway, login) == ["BR", "NL"]
    sent(gateway, login, ABROAD, recipients[3])
    for one in (recipients[1], recipients[3]):
        gateway.delivered(one)
    assert list(held(gateway, login)) == [second]
    assert carried_out(gateway, "drop", second) == [("done", "")]


def test_what_is_dropped_teaches_nothing(gateway: Gateway) -> None:
    login = held_to(gateway, "country")
    sent(gateway, login, HOME)
    number = sent(gateway, login, ABROAD)
    is_held(gateway, login, number)
    assert carried_out(gateway, "drop", number) == [("done", "")]
    again = sent(gateway, login, ABROAD)
    is_held(gateway, login, again)
    assert known(gateway, login) == ["NL"]


def test_a_rule_counts_in_an_open_session_and_its_kinds_each_for_itself(gateway: Gateway) -> None:
    login = held_to(gateway, "network")
    sent(gateway, login, HOME)
    recipients = [fresh_recipient(), fresh_recipient()]
    with session(gateway, login, NEXT_DOOR) as connection:
        connection.sendmail(SENDER, [recipients[0]], text_message())
        gateway.delivered(recipients[0])  # the same network, if no country that anybody knows
        gateway.stack.provision.rule(login.username, hold_places=("country", "network"))
        connection.sendmail(SENDER, [recipients[1]], text_message())
        gateway.delivered(recipients[1])
        assert known(gateway, login) == ["private", "AS64500"]
    number = sent(gateway, login, ABROAD)
    is_held(gateway, login, number)
    assert held(gateway, login)[number].startswith("new country BR and new network AS64501, client ")


def test_a_file_that_is_replaced_counts_at_once_and_one_that_cannot_be_read_changes_nothing(
    gateway: Gateway, files: Path
) -> None:
    login, file = held_to(gateway, "country"), files / "country.mmdb"
    sent(gateway, login, HOME)
    countries(file, NL=ABROAD, BR=HOME)
    recipient = fresh_recipient()
    sent(gateway, login, ABROAD, recipient)
    gateway.delivered(recipient)
    file.write_bytes(b"half of a fi")
    number = sent(gateway, login, HOME)
    is_held(gateway, login, number)  # by what was read before
    gateway.logged("milter", "what was read before counts")
    countries(file, NL=HOME, BR=ABROAD)
    sent(gateway, login, HOME)

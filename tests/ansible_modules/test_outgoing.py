"""Relays, throttling and outbound TLS: what Postfix reads of them, and what is refused, by its variable."""

from __future__ import annotations

import subprocess
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from .conftest import House, Run

DOMAINS = [{"name": "shop.example", "bounce_domain": "b.shop.example"}]
MAIN = {"host": "relay.example", "username": "all", "password": "pass word", "port": 587}
SENDERS = [
    {"domain": "shop.example", "host": "eu.relay.example", "username": "shop", "password": "s3cret"},
    {"domain": "plain.example", "host": "plain.example", "tls": "encrypt", "port": 2525},
    {
        "domain": "two.example",
        "host": "eu.relay.example",
        "username": "two",
        "password": "x",
        "bounce_domains": ["r.two.example"],
    },
]
THROTTLE: list[dict[str, Any]] = [
    {"name": "slow", "domains": ["slow.example", ".slow.example"], "concurrency": 1, "rate_delay": "2s"},
    {"name": "mx", "domains": ["big.example"], "nexthop": "[mx.big.example]:25"},
]

Outgoing = Callable[..., dict[str, Any]]


@pytest.fixture
def outgoing(shared: Callable[[str], Any], tmp_path: Path) -> Outgoing:
    def result(**values: Any) -> dict[str, Any]:
        found: dict[str, Any] = shared("postfix_outgoing").outgoing(values, DOMAINS, str(tmp_path / "maps"))
        return found

    return result


@pytest.fixture
def refused(shared: Callable[[str], Any]) -> type[Exception]:
    kind: type[Exception] = shared("postfix_outgoing").RefusedError
    return kind


def land(run: Run, house: House, tmp_path: Path, found: dict[str, Any]) -> None:
    """Do what the role does: write the tables, set parameters and services."""
    (tmp_path / "maps").mkdir()
    for table in found["tables"]:
        (tmp_path / "maps" / table["name"]).write_text(table["text"])
    places = {"config_directory": str(house.folder), "state_file": str(house.state)}
    rows = {"parameters": found["parameters"], "services": found["services"]}
    result = run("gatepost_postconf", **rows, **places)
    assert result.get("changed"), result


def asked(house: House, tmp_path: Path, table: str, key: str) -> str:
    """Look a key up as Postfix's programs do."""
    command = ["/usr/sbin/postmap", "-c", str(house.folder), "-q", key, f"texthash:{tmp_path}/maps/{table}"]
    return subprocess.run(command, capture_output=True, text=True, check=False).stdout.strip()


def test_mail_of_a_domain_and_of_its_bounce_domain_goes_to_one_relay_with_one_login(
    run: Run, house: House, tmp_path: Path, outgoing: Outgoing
) -> None:
    land(run, house, tmp_path, outgoing(relayhost=MAIN, sender_relays=SENDERS))
    for sender in ("@shop.example", "@b.shop.example"):
        assert asked(house, tmp_path, "sender_relays", sender) == "[eu.relay.example]:587"
        assert asked(house, tmp_path, "passwords", sender) == "shop:s3cret"
    assert asked(house, tmp_path, "passwords", "@r.two.example") == "two:x"
    assert asked(house, tmp_path, "sender_relays", "@bounces.plain.example") == "[plain.example]:2525"
    assert asked(house, tmp_path, "passwords", "[relay.example]:587") == "all:pass word"
    assert asked(house, tmp_path, "tls_policies", "[relay.example]:587") == "secure match=nexthop"
    assert asked(house, tmp_path, "tls_policies", "[plain.example]:2525") == "encrypt"
    assert house.postconf("-h", "relayhost") == "[relay.example]:587"
    assert house.postconf("-h", "smtp_sender_dependent_authentication") == "yes"


def test_only_the_table_of_passwords_is_secret(outgoing: Outgoing) -> None:
    tables = outgoing(relayhost=MAIN, sender_relays=SENDERS)["tables"]
    assert [table["name"] for table in tables if table["secret"]] == ["passwords"]
    assert not [table["name"] for table in tables if "s3cret" in table["text"] and not table["secret"]]


def test_a_slow_destination_has_a_transport_of_its_own_behind_the_house_s_routes(
    run: Run, house: House, tmp_path: Path, outgoing: Outgoing
) -> None:
    land(run, house, tmp_path, outgoing(throttle=THROTTLE))
    assert asked(house, tmp_path, "transports", "slow.example") == "gatepost_slow:"
    assert asked(house, tmp_path, "transports", "big.example") == "gatepost_mx:[mx.big.example]:25"
    routes = house.postconf("-h", "transport_maps")
    assert routes == f"inline:{{a.example=error:no}}, texthash:{tmp_path}/maps/transports"
    assert house.postconf("-h", "gatepost_slow_destination_rate_delay") == "2s"
    assert house.postconf("-h", "gatepost_slow_destination_concurrency_limit") == "1"
    assert "gatepost_slow/unix" in house.postconf("-P")


def test_behind_a_relay_a_slow_destination_is_slow_on_the_way_to_the_relay(outgoing: Outgoing) -> None:
    found = outgoing(relayhost=MAIN, throttle=THROTTLE)
    (text,) = [table["text"] for table in found["tables"] if table["name"] == "transports"]
    assert "slow.example gatepost_slow:[relay.example]:587\n" in text


def test_dane_asks_for_validated_names_and_authorities_are_the_house_s_if_it_has_any(
    run: Run, house: House, tmp_path: Path, outgoing: Outgoing
) -> None:
    main, master = house.files
    house.write(main + "smtp_tls_CAfile = /etc/house.pem\n", master)
    policies = [{"domain": "bank.example", "level": "secure", "match": ".bank.example"}]
    land(run, house, tmp_path, outgoing(outbound_tls={"level": "dane", "policies": policies}))
    assert house.postconf("-h", "smtp_tls_security_level") == "dane"
    assert house.postconf("-h", "smtp_dns_support_level") == "dnssec"
    assert house.postconf("-h", "smtp_tls_CAfile") == "/etc/house.pem"
    assert asked(house, tmp_path, "tls_policies", "bank.example") == "secure match=.bank.example"


def test_nothing_asked_for_is_nothing_set(outgoing: Outgoing) -> None:
    found = outgoing(relayhost={}, sender_relays=[], throttle=[], outbound_tls={"level": "", "policies": []})
    assert (found["parameters"], found["services"]) == ([], [])
    assert not [table for table in found["tables"] if table["used"]]


@pytest.mark.parametrize(
    ("values", "named"),
    [
        ({"relayhost": {"username": "u", "password": "p"}}, "postfix_relayhost.host: None"),
        ({"relayhost": {**MAIN, "port": 465}}, "postfix_relayhost.port: 465"),
        ({"relayhost": {**MAIN, "port": 70000}}, "postfix_relayhost.port: 70000"),
        ({"relayhost": {**MAIN, "password": ""}}, "postfix_relayhost: expected username and password"),
        ({"relayhost": {**MAIN, "tls": "may"}}, "postfix_relayhost.tls: 'may'"),
        ({"relayhost": {**MAIN, "password": "a\nb c:d"}}, "postfix_relayhost: expected a user name"),
        ({"relayhost": {**MAIN, "host": "a b"}}, "postfix_relayhost.host: 'a b'"),
        ({"sender_relays": [{"domain": "a@b", "host": "h"}]}, "postfix_sender_relays[0].domain: 'a@b'"),
        ({"throttle": [{"name": "a-b", "domains": ["x"]}]}, "postfix_throttle[0].name: 'a-b'"),
        ({"throttle": [{"name": "a", "domains": []}]}, "postfix_throttle[0].domains"),
        ({"throttle": [THROTTLE[0], THROTTLE[0]]}, "postfix_throttle[0].name: 'slow' is there twice"),
        ({"throttle": [{**THROTTLE[0], "rate_delay": "soon"}]}, "postfix_throttle[0].rate_delay: 'soon'"),
        (
            {"outbound_tls": {"policies": [{"domain": "a b", "level": "may"}]}},
            "postfix_outbound_tls_policies[0].domain: 'a b'",
        ),
    ],
)
def test_what_cannot_be_meant_is_refused_and_no_password_told(
    outgoing: Outgoing, refused: type[Exception], values: dict[str, Any], named: str
) -> None:
    with pytest.raises(refused) as error:
        outgoing(**values)
    assert named in str(error.value)
    assert "pass word" not in str(error.value)

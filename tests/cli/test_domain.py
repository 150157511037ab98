"""``gatepost domain`` and ``gatepost account``: owners, keys, and the DNS records to publish."""

from __future__ import annotations

import re
import shlex
from datetime import UTC, datetime
from typing import Any

import pytest
from cryptography.hazmat.primitives.serialization import load_der_private_key
from hypothesis import given
from hypothesis import strategies as st

from gatepost_core.domain import DkimKey, SenderDomain
from gatepost_core.keys import Keyring
from gatepost_core.keys.sealing import unseal
from gatepost_core.service.showing import dns_records as dns
from gatepost_core.store import domains
from gatepost_core.store.sqlite.engine import open_engine

from .command import Gatepost

DOMAIN = SenderDomain(
    id=1,
    account_id=1,
    account="acme",
    name="example.test",
    click_domain="click.example.test",
    bounce_domain="bounces.example.test",
    created_at=datetime(2026, 5, 1, tzinfo=UTC),
    keys=(DkimKey("s1", "rsa", "A" * 392, b"", datetime(2026, 5, 1, tzinfo=UTC)),),
)


def add(gatepost: Gatepost, *words: str) -> Any:
    return gatepost("domain", "add", "example.test", "--account", "acme", "--json", *words).data


def test_accounts_are_made_listed_and_removed(gatepost: Gatepost) -> None:
    assert gatepost("account", "add", "beta", "--json").data["name"] == "beta"
    assert [account["name"] for account in gatepost("account", "list", "--json").data] == ["acme", "beta"]
    assert gatepost("account", "list").out.splitlines()[0] == "account\tcreated\tmessages kept"
    assert gatepost("account", "remove", "beta", "--json").data == {"removed": "beta"}
    assert [account["name"] for account in gatepost("account", "list", "--json").data] == ["acme"]


def test_an_account_that_owns_a_domain_stays(gatepost: Gatepost) -> None:
    add(gatepost)
    result = gatepost("account", "remove", "acme", "--json")
    assert result.code == 1
    assert result.error == "account 'acme' still has sender domains; remove them first"


def test_add_makes_two_keys_that_only_the_key_directory_opens(gatepost: Gatepost) -> None:
    add(gatepost)
    keyring = Keyring.load(gatepost.folder / "keys")
    engine = open_engine(f"sqlite:///{gatepost.folder}/store/directory.db", reading=True)
    with engine.connect() as connection:
        domain = domains.get(connection, "example.test")
    engine.dispose()
    assert {key.algorithm for key in domain.keys} == {"rsa", "ed25519"}
    for key in domain.keys:
        load_der_private_key(unseal(keyring, key.sealed_private, f"dkim example.test {key.selector}"), None)


def test_add_and_show_print_the_same_records_to_publish(gatepost: Gatepost) -> None:
    added = add(gatepost)
    assert gatepost("domain", "show", "Example.TEST", "--json").data == added
    published = {(record["name"], record["type"]) for record in added["dns"]}
    selectors = {(f"{selector}._domainkey.example.test", "TXT") for selector in added["selectors"]}
    assert len(selectors) == 2
    assert published == selectors | {
        ("example.test", "TXT"),
        ("_dmarc.example.test", "TXT"),
        ("click.example.test", "CNAME"),
        ("bounces.example.test", "TXT"),
        ("bounces.example.test", "MX"),
    }
    assert all(len(record["reason"]) > 10 for record in added["dns"])


def test_click_and_bounce_domain_can_be_chosen(gatepost: Gatepost) -> None:
    added = add(gatepost, "--click-domain", "Go.Example.org", "--bounce-domain", "b.example.org")
    assert (added["click_domain"], added["bounce_domain"]) == ("go.example.org", "b.example.org")
    assert gatepost("domain", "list", "--json").data[0]["click_domain"] == "go.example.org"


def test_this_hosts_name_comes_from_the_settings_or_is_marked_as_missing(gatepost: Gatepost) -> None:
    unknown = add(gatepost)
    assert any(dns.PLACEHOLDER in record["value"] for record in unknown["dns"])
    assert "set postfix.hostname" in unknown["note"]
    assert "set postfix.hostname" in gatepost("domain", "show", "example.test").err
    words = ["--set", "postfix.hostname=mx.example.net", "domain", "show", "example.test", "--json"]
    known = gatepost(*words).data
    assert known["note"] == ""
    values = {(record["name"], record["type"]): record["value"] for record in known["dns"]}
    assert values["bounces.example.test", "MX"] == "10 mx.example.net"
    assert values["click.example.test", "CNAME"] == "mx.example.net"
    assert values["example.test", "TXT"] == "v=spf1 a:mx.example.net ~all"


def test_the_table_names_every_record(gatepost: Gatepost) -> None:
    added = add(gatepost)
    shown = gatepost("domain", "show", "example.test").out
    for record in added["dns"]:
        assert f"{record['name']}\t{record['type']}\t" in shown


def test_a_removed_domain_is_gone(gatepost: Gatepost) -> None:
    add(gatepost)
    assert gatepost("domain", "remove", "example.test", "--yes", "--json").data == {"removed": "example.test"}
    assert gatepost("domain", "show", "example.test").code == 3
    assert gatepost("domain", "remove", "example.test").code == 3


@pytest.mark.parametrize("name", ["localhost", "a b.test", "*.example.test", "a@b.test"])
def test_what_is_no_domain_is_refused_by_name(gatepost: Gatepost, name: str) -> None:
    result = gatepost("domain", "add", name, "--account", "acme", "--json")
    assert result.code == 2
    assert f"sender domain {name!r} is not a host name" in result.error


def test_a_domain_is_registered_once(gatepost: Gatepost) -> None:
    add(gatepost)
    result = gatepost("domain", "add", "example.test", "--account", "acme", "--json")
    assert result.code == 1
    assert "exists already" in result.error


@given(st.text(st.characters(min_codepoint=32, max_codepoint=126), max_size=900))
def test_zone_file_strings_are_short_and_spell_the_text(text: str) -> None:
    strings = [part.encode() for part in shlex.split(dns.quoted(text))]
    assert all(len(part) <= 255 for part in strings)
    assert b"".join(strings) == text.encode()


def test_a_long_key_is_split_in_the_zone_line_and_whole_in_the_value() -> None:
    [record] = [record for record in dns.records(DOMAIN, "") if "_domainkey" in record.name]
    assert record.value.endswith("p=" + "A" * 392)
    strings = re.findall(r'"([^"]*)"', record.zone)
    assert [len(part) for part in strings] == [255, len(record.value) - 255]
    assert record.zone.startswith("s1._domainkey.example.test. IN TXT ")


def test_a_click_domain_is_changed_and_the_old_one_kept_for_links_in_sent_mail(gatepost: Gatepost) -> None:
    gatepost("domain", "add", "example.test", "--account", "acme")
    changed = gatepost("domain", "set", "example.test", "--click-domain", "go.example.test")
    assert "click.example.test is retired: links in mail that was sent still lead there" in changed.out
    shown = gatepost("domain", "show", "example.test", "--json").data
    assert (shown["click_domain"], shown["retired_click_domains"]) == (
        "go.example.test",
        ["click.example.test"],
    )
    refused = gatepost("domain", "forget-links", "go.example.test", "--yes")
    assert (refused.code, "is the click domain of a sender domain" in refused.err) == (1, True)
    gatepost("domain", "forget-links", "click.example.test", "--yes")
    assert gatepost("domain", "show", "example.test", "--json").data["retired_click_domains"] == []

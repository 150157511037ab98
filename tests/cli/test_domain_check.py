"""``gatepost domain check`` against a real DNS server with right and wrong records; ``domain rotate``."""

from __future__ import annotations

import re
from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest

from gatepost_cli import spf

from .command import Gatepost
from .nameserver import nameserver

HOST = "mail.example.net"
GATEWAY = [f"{HOST}. IN A 192.0.2.25", f"{HOST}. IN AAAA 2001:db8::25", "elsewhere IN A 192.0.2.99"]


@pytest.fixture
def gatepost(gatepost: Gatepost) -> Gatepost:
    gatepost.config.write_text(gatepost.config.read_text() + f'[postfix]\nhostname = "{HOST}"\n')
    gatepost("domain", "add", "example.test", "--account", "acme")
    return gatepost


def published(gatepost: Gatepost) -> list[str]:
    """Return the zone lines that ``domain show`` prints."""
    return [record["zone"] for record in gatepost("domain", "show", "example.test", "--json").data["dns"]]


def checked(gatepost: Gatepost, folder: Path, lines: list[str], *, code: int) -> dict[tuple[str, str], Any]:
    """Return the findings by name and type, with these lines in the zone example.test."""
    with nameserver(folder / "dns", {"example.test": lines, "example.net": GATEWAY}) as address:
        result = gatepost("domain", "check", "example.test", "--resolver", address, "--json")
    assert result.code == code, result
    assert (result.data["faults"] > 0) == (code == 5)
    return {(finding["name"], finding["type"]): finding for finding in result.data["findings"]}


def test_what_show_prints_is_what_check_wants(gatepost: Gatepost, tmp_path: Path) -> None:
    found = checked(gatepost, tmp_path, published(gatepost), code=0)
    assert {finding["status"] for finding in found.values()} == {"ok"}
    assert len(found) == 8  # two keys, DMARC, the gateway, SPF twice, clicks, bounces


def test_nothing_published_is_all_missing_with_what_to_do(gatepost: Gatepost, tmp_path: Path) -> None:
    found = checked(gatepost, tmp_path, [], code=5)
    missing = [finding for finding in found.values() if finding["status"] == "missing"]
    assert len(missing) == 7
    assert all(
        re.search(r"Publish at \S*example\.test, as (TXT|CNAME|MX): ", one["advice"]) for one in missing
    )


Change = Callable[[str], str | None]


def replaced(name: str, kind: str, text: str) -> Change:
    return lambda line: f"{name}. IN {kind} {text}" if line.startswith(f"{name}. IN {kind} ") else line


@pytest.mark.parametrize(
    ("name", "kind", "text", "status", "advice"),
    [
        ("_dmarc.example.test", "TXT", '"v=DMARC1; p=maybe"', "wrong", "Set p= to"),
        ("_dmarc.example.test", "TXT", '"v=spf1 -all"', "missing", "v=DMARC1; p=none"),
        ("example.test", "TXT", '"v=spf1 a:elsewhere.example.net ~all"', "wrong", f"Add a:{HOST}"),
        ("example.test", "TXT", '"google-site-verification=x"', "missing", f"v=spf1 a:{HOST} ~all"),
        ("example.test", "TXT", '"v=spf1 ip4:192.0.2.0/24 -all"', "wrong", "does not let 2001:db8::25 send"),
        ("example.test", "TXT", '"v=spf1 ip4:192.0.2.0/24 ip6:2001:db8::/32 -all"', "ok", ""),
        ("example.test", "TXT", '"v=spf1 redirect=bounces.example.test"', "ok", ""),
        ("example.test", "TXT", '"v=spf1 include:bounces.example.test -all"', "ok", ""),
        ("example.test", "TXT", '"v=spf1 include:example.test -all"', "wrong", f"Add a:{HOST}"),
        ("example.test", "TXT", '"v=spf1 -all a:mail.example.net"', "wrong", f"Add a:{HOST}"),
        ("click.example.test", "CNAME", "elsewhere.example.net.", "wrong", f"as CNAME: {HOST}"),
        ("bounces.example.test", "MX", "10 elsewhere.example.net.", "wrong", "bounces would be lost there"),
        ("bounces.example.test", "MX", "0 .", "wrong", "A null MX is not this server"),
    ],
)
def test_a_wrong_record_is_told_with_what_was_found_and_what_to_do(
    gatepost: Gatepost, tmp_path: Path, name: str, kind: str, text: str, status: str, advice: str
) -> None:
    change = replaced(name, kind, text)
    lines = [line for line in map(change, published(gatepost)) if line]
    found = checked(gatepost, tmp_path, lines, code=0 if status == "ok" else 5)
    finding = found[name, kind]
    assert finding["status"] == status
    assert advice in finding["advice"]
    assert status == "missing" or finding["found"]
    assert {one["status"] for key, one in found.items() if key != (name, kind)} == {"ok"}


@pytest.mark.parametrize(
    ("old", "new", "status", "advice"),
    [
        ("p=", "p=AAAA", "wrong", "has another key"),
        (" p=", " t=y; p=", "wrong", "only testing"),
        ("k=rsa", "k=ed25519", "wrong", "is for ed25519 keys, this one is rsa"),
        ("v=DKIM1", "v=DKIM2", "wrong", "has v=DKIM2"),
        (" p=", " h=sha1; p=", "wrong", "does not allow sha256"),
        ("v=DKIM1; k=rsa; ", "", "ok", ""),
    ],
)
def test_a_wrong_key_record_is_told(
    gatepost: Gatepost, tmp_path: Path, old: str, new: str, status: str, advice: str
) -> None:
    lines = published(gatepost)
    [place] = [number for number, line in enumerate(lines) if "k=rsa" in line]
    # In one string per tag, so that none grows past 255 bytes.
    strings = lines[place].replace(old, new, 1).replace("; ", '; " "').replace('" "" "', '" "')
    lines[place] = strings
    found = checked(gatepost, tmp_path, lines, code=0 if status == "ok" else 5)
    [finding] = [one for one in found.values() if "rsa key" in one["what"]]
    assert finding["status"] == status
    assert advice in finding["advice"]


def test_a_key_of_which_only_the_first_string_was_published_is_told(
    gatepost: Gatepost, tmp_path: Path
) -> None:
    lines = [re.sub(r'" ".*"$', '"', line) for line in published(gatepost)]
    found = checked(gatepost, tmp_path, lines, code=5)
    [finding] = [one for one in found.values() if one["status"] != "ok"]
    assert "cut off: publish all strings" in finding["advice"]


def test_two_records_where_one_may_be_are_told(gatepost: Gatepost, tmp_path: Path) -> None:
    lines = published(gatepost)
    doubled = [
        re.sub(r"(v=spf1 a:\S+|p=[^;\" ]{5})[^\"]*", r"\1x", line) for line in lines if " TXT " in line
    ]
    found = checked(gatepost, tmp_path, [*lines, *doubled], code=5)
    for (name, kind), finding in found.items():
        assert finding["status"] == ("wrong" if kind == "TXT" and "_dmarc" not in name else finding["status"])
    assert "a name has only one" in found["example.test", "TXT"]["advice"]


def test_a_subdomain_is_covered_by_the_dmarc_record_above_it(gatepost: Gatepost, tmp_path: Path) -> None:
    gatepost("domain", "add", "news.example.test", "--account", "acme")
    lines = [
        record["zone"]
        for record in gatepost("domain", "show", "news.example.test", "--json").data["dns"]
        if not record["name"].startswith("_dmarc")
    ]
    with nameserver(
        tmp_path / "dns",
        {"example.test": [*lines, '_dmarc IN TXT "v=DMARC1; p=reject"'], "example.net": GATEWAY},
    ) as address:
        result = gatepost("domain", "check", "news.example.test", "--resolver", address, "--json")
    assert result.code == 0, result
    assert "_dmarc.example.test" in {finding["name"] for finding in result.data["findings"]}


def test_a_server_that_refuses_or_is_not_there_is_told_apart(gatepost: Gatepost, tmp_path: Path) -> None:
    with nameserver(tmp_path / "dns", {"example.net": GATEWAY}) as address:
        refused = gatepost("domain", "check", "example.test", "--resolver", address, "--json")
    assert refused.code == 5
    assert {one["status"] for one in refused.data["findings"]} == {"unknown", "ok"}
    words = ["domain", "check", "example.test", "--resolver", address, "--timeout", "0.3", "--json"]
    gone = gatepost(*words)
    assert gone.code == 1
    assert f"DNS server {address} does not answer" in gone.error
    assert gatepost("domain", "check", "example.test", "--resolver", "ns.example.net").code == 2
    assert gatepost("domain", "check", "other.test").code == 3


def test_without_the_gateways_name_check_says_which_setting_is_missing(
    gatepost: Gatepost, tmp_path: Path
) -> None:
    gatepost.config.write_text(gatepost.config.read_text().replace(HOST, ""))
    with nameserver(tmp_path / "dns", {"example.test": published(gatepost)[:2]}) as address:
        result = gatepost("domain", "check", "example.test", "--resolver", address, "--json")
    assert result.code == 5
    assert "Set postfix.hostname" in result.data["findings"][-1]["advice"]


def test_the_table_is_for_people(gatepost: Gatepost, tmp_path: Path) -> None:
    lines = published(gatepost)
    with nameserver(tmp_path / "dns", {"example.test": lines, "example.net": GATEWAY}) as address:
        rows = gatepost("domain", "check", "example.test", "--resolver", address).out.splitlines()
    assert rows[0] == "status\tname\ttype\twhat\tfound\texpected\tto do"
    assert len(rows) == 9


class Zone:
    """Records for the SPF evaluator, without a DNS server."""

    def __init__(self, **texts: str) -> None:
        self.texts = texts

    def txt(self, name: str) -> list[str]:
        return [self.texts[name]] if name in self.texts else []

    def mx(self, name: str) -> list[tuple[int, str]]:
        return [(10, "gw")] if name == "d" else []

    def addresses(self, name: str) -> list[str]:
        return ["192.0.2.1", "2001:db8::1"] if name == "gw" else []


@pytest.mark.parametrize(
    ("record", "allowed"),
    [
        ("v=spf1 +all", True),
        ("v=spf1 ?all", False),
        ("v=spf1", False),
        ("v=spf1 a:gw -all", True),
        ("v=spf1 -a:gw +all", False),
        ("v=spf1 a:gw/16 -all", True),
        ("v=spf1 mx -all", True),
        ("v=spf1 mx:other -all", False),
        ("v=spf1 ip4:192.0.2.7/24 -all", True),
        ("v=spf1 ip4:nonsense +all", False),
        ("v=spf1 exp=x include:many -all", True),
        ("v=spf1 include:loop +all", False),
        ("v=spf1 include:gone +all", False),
        ("v=spf1 redirect=many", True),
        ("v=spf1 exists:%{i}.x ptr -all", False),
    ],
)
def test_spf_is_evaluated_as_receivers_do(record: str, allowed: bool) -> None:
    zone = Zone(many="v=spf1 ip4:192.0.2.7 a:gw -all", loop="v=spf1 include:loop -all")
    assert spf.allows("d", record, "192.0.2.1", zone) is allowed


# -- rotation ------------------------------------------------------------------------------------------


def test_rotation_publishes_first_signs_later_and_retires_at_last(gatepost: Gatepost) -> None:
    before = gatepost("domain", "show", "example.test", "--json").data
    rotated = gatepost(
        "domain", "rotate", "example.test", "--activate-in", "48h", "--keep", "7d", "--json"
    ).data
    states = {key["selector"]: key["state"] for key in rotated["keys"]}
    assert [states[selector] for selector in before["selectors"]] == ["active", "active"]
    new = [key for key in rotated["keys"] if key["selector"] not in before["selectors"]]
    assert [(key["algorithm"], key["state"]) for key in new] == [("rsa", "pending"), ("ed25519", "pending")]
    begins = datetime.fromisoformat(new[0]["activates_at"])
    assert abs(begins - datetime.now(UTC) - timedelta(hours=48)) < timedelta(minutes=1)
    for key in rotated["keys"]:
        if key not in new:
            assert datetime.fromisoformat(key["retires_at"]) == begins + timedelta(days=7)
    names = {record["name"] for record in rotated["dns"]}
    assert {f"{key['selector']}._domainkey.example.test" for key in rotated["keys"]} <= names
    shown = gatepost("domain", "show", "example.test").out
    assert "rsa, active" in shown
    assert f"rsa, pending, signs from {new[0]['activates_at']}" in shown


def test_a_second_rotation_waits_for_the_first(gatepost: Gatepost) -> None:
    assert gatepost("domain", "rotate", "example.test").code == 0
    again = gatepost("domain", "rotate", "example.test", "--json")
    assert again.code == 1
    assert "is being rotated already" in again.error


def test_an_immediate_rotation_signs_with_the_new_keys_and_the_next_deletes_the_retired(
    gatepost: Gatepost,
) -> None:
    first = gatepost("domain", "show", "example.test", "--json").data["selectors"]
    words = ["domain", "rotate", "example.test", "--activate-in", "0m", "--keep", "0m", "--json"]
    second = gatepost(*words).data
    states = {key["selector"]: key["state"] for key in second["keys"]}
    assert sorted(states.values()) == ["active", "active", "retired", "retired"]
    assert all(states[selector] == "retired" for selector in first)
    assert not {f"{selector}._domainkey.example.test" for selector in first} & {
        record["name"] for record in second["dns"]
    }
    third = gatepost(*words).data
    assert not set(first) & {key["selector"] for key in third["keys"]}
    assert len(third["keys"]) == 4


def test_times_that_are_none_are_refused(gatepost: Gatepost) -> None:
    assert gatepost("domain", "rotate", "example.test", "--activate-in", "soon").code == 2
    assert gatepost("domain", "rotate", "nowhere.test").code == 3

"""Whether the DNS has what a sender domain needs: pure but for the look-ups that are passed in.

DKIM (RFC 6376 section 3.6.1), SPF (RFC 7208), DMARC (RFC 7489), the click domain's host, the bounce domain's
MX. Each finding says what was found, what was expected and what to do.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from datetime import datetime
from typing import Literal, Protocol

from gatepost_cli import spf
from gatepost_cli.dnslookup import LookupFault
from gatepost_core.domain import DkimKey, SenderDomain
from gatepost_core.keys.dkim_keys import KeyState, key_states, txt_record
from gatepost_core.service.showing import dns_records as dns

Status = Literal["ok", "missing", "wrong", "unknown", "note"]


class Lookup(Protocol):
    """What is asked: ``gatepost_cli.dnslookup.Lookup``."""

    def txt(self, name: str) -> list[str]:
        """Return TXT records."""
        ...

    def cname(self, name: str) -> str:
        """Return the target of a CNAME."""
        ...

    def mx(self, name: str) -> list[tuple[int, str]]:
        """Return MX records, the best first."""
        ...

    def addresses(self, name: str) -> list[str]:
        """Return a host's addresses."""
        ...


@dataclass(frozen=True, slots=True)
class Finding:
    """One record: ``status`` is ok, missing, wrong, unknown (faults) or note. ``advice`` says what to do."""

    what: str
    name: str
    type: str
    status: Status
    found: list[str]
    expected: str
    advice: str = ""


def check(domain: SenderDomain, hostname: str, lookup: Lookup, now: datetime) -> list[Finding]:
    """Return a finding for each record. Raises dnslookup.Unreachable."""
    gateway = hostname.rstrip(".").lower()
    findings = list(_dkim(domain, lookup, now))
    findings.append(_guarded("DMARC", f"_dmarc.{domain.name}", "TXT", lambda: _dmarc(domain.name, lookup)))
    own = _guarded("gateway", gateway, "A", lambda: _gateway(gateway, lookup)) if gateway else _nameless()
    findings.append(own)
    if own.status == "ok":
        clicks, bounces = domain.click_domain, domain.bounce_domain
        findings += [
            _guarded("SPF", domain.name, "TXT", lambda: _spf(domain.name, own, lookup)),
            _guarded("SPF", bounces, "TXT", lambda: _spf(bounces, own, lookup)),
            _guarded("clicks", clicks, "CNAME", lambda: _clicks(clicks, own, lookup)),
            _guarded("bounces", bounces, "MX", lambda: _bounces(bounces, own, lookup)),
        ]
    return findings


def _guarded(what: str, name: str, kind: str, ask: Callable[[], Finding]) -> Finding:
    try:
        return ask()
    except LookupFault as fault:
        advice = f"Try again, or ask the zone's own server with --resolver: {fault}."
        return Finding(what, name, kind, "unknown", [], "an answer", advice)


# -- DKIM --------------------------------------------------------------------------------------------------


def _dkim(domain: SenderDomain, lookup: Lookup, now: datetime) -> Iterator[Finding]:
    states = key_states(domain.keys, now)
    if KeyState.ACTIVE not in states.values():
        yield Finding(
            "DKIM",
            domain.name,
            "",
            "missing",
            [],
            "a key that signs",
            f"Run 'gatepost domain rotate {domain.name}'.",
        )
    for key in domain.keys:
        name = f"{key.selector}._domainkey.{domain.name}"
        what = f"DKIM, {key.algorithm} key, {states[key.selector]}"
        retired = states[key.selector] is KeyState.RETIRED
        yield _guarded(what, name, "TXT", lambda: _key(what, name, key, lookup, retired=retired))  # noqa: B023


def _key(what: str, name: str, key: DkimKey, lookup: Lookup, *, retired: bool) -> Finding:
    found = lookup.txt(name)
    expected = txt_record(key.algorithm, key.public)
    if retired:
        advice = "The key has retired: the record can be removed." if found else ""
        return Finding(what, name, "TXT", "note" if found else "ok", found, "nothing", advice)
    publish = f"Publish at {name}, as TXT: {dns.quoted(expected)}"
    if not found:
        return Finding(what, name, "TXT", "missing", [], expected, f"{publish}.")
    if len(found) > 1:
        advice = "Keep one record: with several, verifiers may take any (RFC 6376 section 3.6.2.2)."
        return Finding(what, name, "TXT", "wrong", found, expected, advice)
    fault = _key_fault(found[0], key)
    if fault:
        return Finding(what, name, "TXT", "wrong", found, expected, f"The record {fault}. {publish}.")
    return Finding(what, name, "TXT", "ok", found, expected)


def _key_fault(text: str, key: DkimKey) -> str:
    """Return what is wrong with a key record, in words; empty if nothing is."""
    tags = tag_list(text)
    if tags is None:
        return "is not a list of tags"
    if tags.get("v", "DKIM1") != "DKIM1":
        return f"has v={tags['v']}, not DKIM1"
    if tags.get("k", "rsa").lower() != key.algorithm:
        return f"is for {tags.get('k', 'rsa')} keys, this one is {key.algorithm}"
    published = "".join(tags.get("p", "").split())
    if not published:
        return "has an empty p=, which revokes the key"
    if published != key.public:
        cut = key.public.startswith(published)
        return "has a key that was cut off: publish all strings" if cut else "has another key"
    if "sha256" not in tags.get("h", "sha256").lower().split(":"):
        return "does not allow sha256 (h=)"
    if not {"*", "email"} & set(tags.get("s", "*").lower().split(":")):
        return "is not for email (s=)"
    return "says that the domain is only testing (t=y)" if "y" in tags.get("t", "").lower().split(":") else ""


def tag_list(text: str) -> dict[str, str] | None:
    """Return the tags of a record (RFC 6376 section 3.2), None if it is no such list."""
    tags: dict[str, str] = {}
    for part in text.split(";"):
        if not part.strip():
            continue
        name, equals, value = part.partition("=")
        if not equals or not name.strip() or name.strip() in tags:
            return None
        tags[name.strip()] = value.strip()
    return tags


# -- SPF and DMARC -----------------------------------------------------------------------------------------


def _spf(name: str, own: Finding, lookup: Lookup) -> Finding:
    gateway, addresses = own.name, own.found
    expected = f"v=spf1 a:{gateway} …"
    found = [
        text for text in lookup.txt(name) if text.lower() == "v=spf1" or text.lower().startswith("v=spf1 ")
    ]
    if not found:
        return Finding(
            "SPF",
            name,
            "TXT",
            "missing",
            [],
            expected,
            f'Publish at {name}, as TXT: "v=spf1 a:{gateway} ~all".',
        )
    if len(found) > 1:
        return Finding(
            "SPF", name, "TXT", "wrong", found, expected, "Merge the records: a name has only one."
        )
    refused = [address for address in addresses if not spf.allows(name, found[0], address, lookup)]
    if refused:
        advice = (
            f"Add a:{gateway} to the record, before its 'all': it does not let {', '.join(refused)} send."
        )
        return Finding("SPF", name, "TXT", "wrong", found, expected, advice)
    return Finding("SPF", name, "TXT", "ok", found, expected)


def _dmarc(domain: str, lookup: Lookup) -> Finding:
    name, expected = f"_dmarc.{domain}", "v=DMARC1; p=…"
    labels = domain.split(".")
    # A domain above it counts too; where a public suffix begins does not matter, those have none.
    for place in range(len(labels) - 1):
        at = "_dmarc." + ".".join(labels[place:])
        found = [text for text in lookup.txt(at) if text.replace(" ", "").startswith("v=DMARC1")]
        if len(found) > 1:
            return Finding(
                "DMARC", at, "TXT", "wrong", found, expected, "Keep one record: several count as none."
            )
        if found:
            policy = (tag_list(found[0]) or {}).get("p", "")
            if policy in ("none", "quarantine", "reject"):
                return Finding("DMARC", at, "TXT", "ok", found, expected)
            return Finding(
                "DMARC", at, "TXT", "wrong", found, expected, "Set p= to none, quarantine or reject."
            )
    return Finding(
        "DMARC", name, "TXT", "missing", [], expected, f'Publish at {name}, as TXT: "v=DMARC1; p=none".'
    )


# -- hosts -------------------------------------------------------------------------------------------------


def _nameless() -> Finding:
    advice = "Set postfix.hostname to this server's public name; SPF, clicks and bounces are checked by it."
    return Finding("gateway", "", "A", "unknown", [], "the gateway's name", advice)


def _gateway(gateway: str, lookup: Lookup) -> Finding:
    found = lookup.addresses(gateway)
    advice = "" if found else f"Publish the public addresses of this server at {gateway}, as A and AAAA."
    return Finding("gateway", gateway, "A", "ok" if found else "missing", found, "addresses", advice)


def _clicks(name: str, own: Finding, lookup: Lookup) -> Finding:
    target = lookup.cname(name)
    if target == own.name:
        return Finding("clicks", name, "CNAME", "ok", [target], own.name)
    addresses = lookup.addresses(name)
    found = ([target] if target else []) + addresses
    publish = f"Publish at {name}, as CNAME: {own.name}."
    if not found:
        return Finding("clicks", name, "CNAME", "missing", [], own.name, publish)
    if addresses and set(addresses) <= set(own.found):
        return Finding("clicks", name, "CNAME", "ok", found, own.name)
    return Finding("clicks", name, "CNAME", "wrong", found, own.name, f"It leads elsewhere. {publish}")


def _bounces(name: str, own: Finding, lookup: Lookup) -> Finding:
    records = lookup.mx(name)
    found = [f"{preference} {host}" for preference, host in records]
    expected = f"10 {own.name}"
    publish = f"Publish at {name}, as MX: {expected}."
    if not records:
        return Finding("bounces", name, "MX", "missing", [], expected, publish)
    others = [host for _, host in records if host != own.name and not _is_here(host, own, lookup)]
    if others:
        advice = (
            f"{', '.join(others) or 'A null MX'} is not this server: bounces would be lost there. {publish}"
        )
        return Finding("bounces", name, "MX", "wrong", found, expected, advice)
    return Finding("bounces", name, "MX", "ok", found, expected)


def _is_here(host: str, own: Finding, lookup: Lookup) -> bool:
    addresses = lookup.addresses(host) if host else []
    return bool(addresses) and set(addresses) <= set(own.found)

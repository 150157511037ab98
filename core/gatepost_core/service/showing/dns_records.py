"""The DNS records that an operator publishes for a sender domain: pure functions.

DKIM (RFC 6376, RFC 8463), SPF (RFC 7208), DMARC (RFC 7489), and the names of clicks and
bounces. ``gateway`` is this server's public host name, which only the operator knows.
"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime

from gatepost_core.domain import SenderDomain
from gatepost_core.keys.dkim_keys import txt_record

PLACEHOLDER = "<gateway-host>"
_STRING = 255  # RFC 1035 section 3.3.14: a TXT record is one or more strings of up to 255 bytes


@dataclass(frozen=True, slots=True)
class Record:
    """One record: ``value`` is the whole text, ``data`` the same as a zone file has it."""

    name: str
    type: str
    value: str
    reason: str

    @property
    def data(self) -> str:
        """The value in zone-file form (RFC 1035 section 5.1): long texts are split into strings."""
        return quoted(self.value) if self.type == "TXT" else f"{self.value}."

    @property
    def zone(self) -> str:
        """The whole line of a zone file."""
        return f"{self.name}. IN {self.type} {self.data}"


def records(domain: SenderDomain, hostname: str, now: datetime | None = None) -> list[Record]:
    """Return what to publish; an empty ``hostname`` leaves PLACEHOLDER in its place.

    Keys that retired before ``now`` are left out.
    """
    gateway = hostname.rstrip(".") or PLACEHOLDER
    return [*_dkim(domain, now), *_spf(domain, gateway), *_hosts(domain, gateway)]


def explanation(hostname: str) -> str:
    """Return what to say of the placeholder, if it was used."""
    if hostname:
        return ""
    return (
        f"{PLACEHOLDER} stands for the public host name of this server; set postfix.hostname to have it "
        "filled in."
    )


def quoted(text: str) -> str:
    """Return a text as zone-file strings of up to 255 bytes each (RFC 1035 section 5.1)."""
    raw = text.encode("ascii", "replace").decode("ascii")
    parts = [raw[start : start + _STRING] for start in range(0, len(raw), _STRING)] or [""]
    return " ".join('"' + part.replace("\\", "\\\\").replace('"', '\\"') + '"' for part in parts)


def _dkim(domain: SenderDomain, now: datetime | None) -> list[Record]:
    return [
        Record(
            f"{key.selector}._domainkey.{domain.name}",
            "TXT",
            txt_record(key.algorithm, key.public),
            f"DKIM: the public key of {key.algorithm} signatures.",
        )
        for key in domain.keys
        if now is None or key.retires_at is None or key.retires_at > now
    ]


def _spf(domain: SenderDomain, gateway: str) -> list[Record]:
    return [
        Record(
            domain.name,
            "TXT",
            f"v=spf1 a:{gateway} ~all",
            f"SPF: this server may send. Where a v=spf1 record exists already, add a:{gateway} to it; "
            "a name has only one.",
        ),
        Record(
            domain.bounce_domain,
            "TXT",
            f"v=spf1 a:{gateway} -all",
            "SPF for envelope senders at the bounce domain; nobody else uses it.",
        ),
        Record(
            f"_dmarc.{domain.name}",
            "TXT",
            "v=DMARC1; p=none",
            "DMARC: a record has to be there; tighten p= once all of your mail is signed.",
        ),
    ]


def _hosts(domain: SenderDomain, gateway: str) -> list[Record]:
    return [
        Record(domain.click_domain, "CNAME", gateway, "Rewritten links lead here."),
        Record(domain.bounce_domain, "MX", f"10 {gateway}", "Bounces arrive here."),
    ]

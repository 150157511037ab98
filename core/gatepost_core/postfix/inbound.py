"""What a Postfix does beside being a gateway, read from its own files: scope ``host`` would end it.

In scope ``host`` a message without a login gets 530, unless it is a bounce for a bounce domain. So whatever
says that this host has mailboxes, relays for others, filters or has logins of its own is a reason not to.
Pure: values are those of ``postconf -x`` (postconf(5)), services the lines of ``postconf -M`` (master(5)).
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator, Mapping

_SEPARATORS = re.compile(r"[,\s]+")
# Lists of domains that mail comes in for, beside this host's own names.
_DOMAINS = ("virtual_mailbox_domains", "virtual_alias_domains", "relay_domains")
# What only somebody sets whose Postfix has other work, and what it is.
_WORK = {
    "home_mailbox": "delivers to mailboxes",
    "mailbox_command": "delivers to mailboxes",
    "mailbox_transport": "delivers to mailboxes",
    "virtual_transport": "delivers to mailboxes",
    "content_filter": "hands mail to a content filter",
    "smtpd_proxy_filter": "hands mail to a filter",
    "smtpd_milters": "asks milters about mail",
    "non_smtpd_milters": "asks milters about mail",
    "sender_canonical_maps": "rewrites senders",
    "recipient_canonical_maps": "rewrites recipients",
    "smtpd_recipient_restrictions": "has restrictions of its own",
    "smtpd_sender_restrictions": "has restrictions of its own",
    "smtpd_sasl_path": "has logins of its own",
}
NAMES = ("mydestination", "myhostname", "mydomain", *_DOMAINS)


def other_work(values: Mapping[str, str], named: Mapping[str, str], services: Iterable[str]) -> list[str]:
    """Return what would end, for people; nothing where this Postfix is as the package made it.

    ``values`` are those of ``NAMES``; ``named`` what main.cf itself names. What is Gatepost's does not count.
    """
    return [*_domains(values), *_work(named), *_ports(services)]


def own_names(values: Mapping[str, str]) -> list[str]:
    """Return the names under which the host itself takes mail, whose senders would get 530 as well."""
    return [name for name in _listed(values.get("mydestination", "")) if _own(name, values)]


def _domains(values: Mapping[str, str]) -> Iterator[str]:
    foreign = [name for name in _listed(values.get("mydestination", "")) if not _own(name, values)]
    if foreign:
        yield f"takes mail for {', '.join(foreign)} (mydestination)"
    for name in _DOMAINS:
        found = [one for one in _listed(values.get(name, "")) if not _own(one, values)]
        if found:
            yield f"takes mail for {', '.join(found)} ({name})"


def _own(name: str, values: Mapping[str, str]) -> bool:
    host = values.get("myhostname", "")
    domain = values.get("mydomain", "")
    return name.lower() in {
        host,
        host.partition(".")[0],
        "localhost",
        f"localhost.{domain}",
        "localhost.localdomain",
        f"localhost.{host.partition('.')[2]}",
    }


def _work(named: Mapping[str, str]) -> Iterator[str]:
    for name, what in _WORK.items():
        value = named.get(name, "")
        if value and "gatepost" not in value:
            yield f"{what} ({name} = {value})"


def _ports(services: Iterable[str]) -> Iterator[str]:
    for line in services:
        words = line.split()
        if len(words) < 8 or words[1] != "inet" or "gatepost" in line:
            continue
        if words[7] == "postscreen" or (words[0] in ("smtp", "25") and len(words) > 8):
            yield f"has port 25 made by hand ({' '.join(words[:8])} …)"


def _listed(text: str) -> list[str]:
    return [word for word in _SEPARATORS.split(text) if word]

"""Addresses and domains in the forms that rules compare, and as replies show them."""

from __future__ import annotations

import unicodedata
from contextlib import suppress
from typing import Final

import idna

# Stands for a From address that cannot be read for sure. Without "@", so that no rule matches it.
UNREADABLE: Final = "unreadable From"
_LABEL_MOST = 63  # RFC 1035 section 2.3.4; an A-label is never shorter than what it stands for
# RFC 1035 section 2.3.4: 255 bytes on the wire. An A-label has these four more than what it stands for.
_NAME_MOST: Final = 253
_PREFIX: Final = "xn--"
_SHOWN = 200  # characters of an address in a reply, which must be one short line
# Invisible characters aside, more than this is no domain; normalising takes quadratic time on some texts.
_TEXT_MOST = 1_000


def readable(address: str) -> str:
    """Return an address as part of a reply: printable ASCII, not too long."""
    text = address if len(address) <= _SHOWN else address[:_SHOWN] + "..."
    return text if text.isascii() and text.isprintable() else ascii(text)[1:-1]


def normal_address(address: str) -> str:
    """Return an address, domain or pattern in the form that rules compare: lower case, IDNA A-labels.

    Local parts are compared without case: no host in use tells them apart, and a rule that
    ``Info@`` slips past is worse (RFC 5321 section 2.4 leaves it to the receiving host).
    """
    local, at, domain = address.strip().rpartition("@")
    # Beyond ASCII, lower case is a mapping that joins what looks alike (the Kelvin sign and k): not here.
    return f"{local.lower() if local.isascii() else local}{at}{normal_domain(domain)}"


def normal_domain(domain: str) -> str:
    """Return a domain in lower-case A-labels, without a trailing dot (RFC 5890, RFC 5891).

    Nothing is mapped but the case of letters: IDNA 2003 took ``faß`` for ``fass`` and dropped invisible
    characters, and a rule for one name must not let another pass. What is no domain name by
    IDNA 2008 comes back as it is, and matches nothing; of a longer text its end counts.
    """
    domain = domain.strip().rstrip(".")
    if domain.isascii():
        return domain.lower()
    labels = domain.split(".")
    beyond = len(labels) - _fitting(labels)
    with suppress(idna.IDNAError):
        return ".".join([*labels[:beyond], *map(_a_label, labels[beyond:])])
    return domain


def fits(domain: str) -> bool:
    """Say whether a domain is short enough for a name of the DNS, by what its A-labels take at the least."""
    domain = domain.strip().rstrip(".")
    if len(domain) > _NAME_MOST or domain.isascii():
        return len(domain) <= _NAME_MOST
    labels = domain.split(".")
    return _fitting(labels) == len(labels)


def _fitting(labels: list[str]) -> int:
    """Return how many of the last labels a name has room for."""
    length = -1
    for number, label in enumerate(reversed(labels)):
        length += 1 + len(label) + (0 if label.isascii() else len(_PREFIX))
        if length > _NAME_MOST:
            return number
    return len(labels)


def _a_label(label: str) -> str:
    if label.isascii():
        return label.lower()
    if len(label) > _LABEL_MOST:  # idna looks at each pair of characters of some scripts
        raise idna.IDNAError("too long")
    # A capital whose small letter is ASCII (the Kelvin sign) stays, and is refused as no domain's.
    lower = "".join(char if char.lower().isascii() and not char.isascii() else char.lower() for char in label)
    return idna.alabel(lower).decode("ascii")


def plain_name(domain: str) -> str:
    """Return the name that a domain stands for, in A-labels, as the most lenient reader would take it.

    Rules for senders match nothing that is no domain by IDNA 2008; here such a one must not pass for a name
    that nobody registered, so it is mapped as UTS 46 would: width, case, dots, and what nobody sees.
    """
    if domain.isascii():
        return domain.strip().rstrip(".").lower()
    if len(domain) > _TEXT_MOST:
        return ""
    name = normal_domain(domain)
    if name.isascii():
        return name
    text = unicodedata.normalize("NFKC", unicodedata.normalize("NFKC", domain).casefold())
    seen = "".join([sign for sign in text if unicodedata.category(sign) not in ("Cf", "Cc", "Mn", "Zs")])
    return normal_domain(seen.replace("\u3002", "."))

"""What a credential may send: pure functions, used by policy at RCPT and DATA and by the
milter at end of message, so that both decide alike.

Every function takes plain values and the time, and returns a Decision. Addresses are
RFC 5321 mailboxes without angle brackets; the null sender is the empty string.
"""

from __future__ import annotations

import ipaddress
from collections.abc import Iterable
from contextlib import suppress

import idna

from gatepost_core.domain.decision import Decision, Pass, Reject
from gatepost_core.domain.memo import memo
from gatepost_core.domain.model import Credential

# Stands for a From address that cannot be read for sure. Without "@", so that no rule matches it.
UNREADABLE = "unreadable From"
_LABEL_MOST = 63  # RFC 1035 section 2.3.4; an A-label is never shorter than what it stands for
_SHOWN = 200  # characters of an address in a reply, which must be one short line
TLS_REQUIRED = Reject(530, "5.7.0", "Authentication required; issue STARTTLS, then AUTH", "no TLS")
_SENDER_ALLOWED = Pass("sender allowed")


def check_envelope_sender(credential: Credential, sender: str) -> Decision:
    """Refuse an envelope sender that the credential may not use. The null sender always passes."""
    if not sender or sender_allowed(credential.rules.senders, sender):
        return _SENDER_ALLOWED
    return Reject(
        550,
        "5.7.1",
        f"Sender address <{readable(sender)}> is not allowed for credential {credential.username}",
        "envelope sender not allowed",
    )


def check_from_header(credential: Credential, addresses: Iterable[str]) -> Decision:
    """Refuse a message unless every From address may be used by the credential.

    ``addresses`` holds those of all From header fields (RFC 5322 section 3.6.2), ``UNREADABLE`` for what
    is none. A restricted credential's message with such a one, or without any, is refused as well.
    """
    if not credential.rules.senders:
        return Pass("senders unrestricted")
    listed = list(addresses)
    if not listed:
        return Reject(
            550,
            "5.7.1",
            "The From header holds no address that can be read, and credential "
            f"{credential.username} is held to its senders",
            "no From address",
        )
    if UNREADABLE in listed:
        return Reject(
            550,
            "5.7.1",
            "The From header holds something that cannot be read as an address; expected addresses like "
            f"Name <user@example.com>, as credential {credential.username} is held to its senders",
            "unreadable From address",
        )
    for address in listed:
        if not sender_allowed(credential.rules.senders, address):
            return Reject(
                550,
                "5.7.1",
                f"From header address <{readable(address)}> is not allowed "
                f"for credential {credential.username}",
                "From address not allowed",
            )
    return Pass("From allowed")


def check_sender_header(credential: Credential, addresses: Iterable[str]) -> Decision:
    """Refuse a message whose Sender fields (RFC 5322 section 3.6.2) name one that the credential may not use.

    Mail programs show it as who sends for the author. ``addresses`` as for ``check_from_header``; a message
    without Sender passes.
    """
    for address in addresses:
        if sender_allowed(credential.rules.senders, address):
            continue
        if address == UNREADABLE:
            return Reject(
                550,
                "5.7.1",
                "The Sender header cannot be read as an address, and credential "
                f"{credential.username} is held to its senders",
                "unreadable Sender address",
            )
        return Reject(
            550,
            "5.7.1",
            f"Sender header address <{readable(address)}> is not allowed "
            f"for credential {credential.username}",
            "Sender address not allowed",
        )
    return _SENDER_ALLOWED


def readable(address: str) -> str:
    """Return an address as part of a reply: printable ASCII, not too long."""
    text = address if len(address) <= _SHOWN else address[:_SHOWN] + "..."
    return text if text.isascii() and text.isprintable() else ascii(text)[1:-1]


def sender_allowed(patterns: tuple[str, ...], address: str) -> bool:
    """Say whether ``address`` matches a pattern; no pattern at all means that any may be used."""
    if not patterns:
        return True
    local, at, domain = normal_address(address).rpartition("@")
    if not at:
        return False
    whole = f"{local}@{domain}"
    for pattern in patterns:
        if "@" in pattern:
            if pattern == whole:
                return True
        elif pattern.startswith("*."):
            if domain.endswith(pattern[1:]):
                return True
        elif pattern == domain:
            return True
    return False


def network_allowed(networks: tuple[str, ...], address: str) -> bool:
    """Say whether an IP address is in one of the CIDR blocks; no block at all means any address.

    An IPv4 address mapped into IPv6 (RFC 4291 section 2.5.5.2) counts as IPv4. An address that cannot
    be read is in no block.
    """
    if not networks:
        return True
    try:
        ip = ipaddress.ip_address(address.partition("%")[0])
    except ValueError:
        return False
    if isinstance(ip, ipaddress.IPv6Address) and ip.ipv4_mapped is not None:
        ip = ip.ipv4_mapped
    return any(ip in _network(network) for network in networks)


def normal_network(text: str) -> str:
    """Return a CIDR block, or a single address, in its usual form. Raises ValueError for another text.

    Bits below the prefix must be zero: ``192.0.2.7/24`` could mean the block or the host.
    """
    network = ipaddress.ip_network(text.strip())
    mapped = network.network_address.ipv4_mapped if isinstance(network, ipaddress.IPv6Network) else None
    if mapped is not None and network.prefixlen >= 96:
        return str(ipaddress.ip_network(f"{mapped}/{network.prefixlen - 96}"))
    return str(network)


@memo(4096)
def _network(text: str) -> ipaddress.IPv4Network | ipaddress.IPv6Network:
    return ipaddress.ip_network(text)


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
    IDNA 2008 comes back as it is, and matches nothing.
    """
    domain = domain.strip().rstrip(".")
    if domain.isascii():
        return domain.lower()
    labels = domain.split(".")
    with suppress(idna.IDNAError):
        return ".".join(_a_label(label) for label in labels)
    return domain


def _a_label(label: str) -> str:
    if label.isascii():
        return label.lower()
    if len(label) > _LABEL_MOST:  # idna looks at each pair of characters of some scripts
        raise idna.IDNAError("too long")
    # A capital whose small letter is ASCII (the Kelvin sign) stays, and is refused as no domain's.
    lower = "".join(char if char.lower().isascii() and not char.isascii() else char.lower() for char in label)
    return idna.alabel(lower).decode("ascii")

"""Who may stand as a sender: pure functions, used by policy at RCPT and DATA and by the milter at end of
message, so that both decide alike.

Every function takes plain values and returns a Decision. Addresses are RFC 5321 mailboxes without angle
brackets; the null sender is the empty string.
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import TYPE_CHECKING

from gatepost_core.domain.decision import Decision, Pass, Reject
from gatepost_core.domain.rules.addresses import UNREADABLE, normal_address, readable

if TYPE_CHECKING:
    from gatepost_core.domain.model import Credential

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

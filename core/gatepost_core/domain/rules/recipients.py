"""Whom a credential may send to: asked at RCPT, at DATA where there is one recipient, at end of message.

Postfix reads an address once more where its domain is the gateway's own: ``bob%example.org@gateway``,
``example.org!bob@gateway`` and ``"bob@example.org"@gateway`` go to example.org (resolve(8),
allow_percent_hack and swap_bangpath in postconf(5)). So an address is held to what it may be read as: each
reading has to be allowed, and none may be denied. What cannot be read, or has a domain that is too long for
one, is refused wherever a rule would have to tell.
"""

from __future__ import annotations

import unicodedata
from collections.abc import Iterable, Sequence
from typing import TYPE_CHECKING, Final

from gatepost_core.domain.decision import Reject
from gatepost_core.domain.rules.addresses import fits, normal_address, plain_name, readable

if TYPE_CHECKING:
    from gatepost_core.domain.model import Credential

# No address of a person has more than one sign that has it read again.
READINGS_MOST: Final = 5
# No mailbox has a longer local part (RFC 5321 section 4.5.3.1.1); normalising may take quadratic time.
_LOCAL_MOST: Final = 256


def not_allowed(credential: Credential, recipient: str, found: Sequence[str]) -> Reject | None:
    """Return the refusal of a recipient who is not among the allowed.

    ``recipient`` is a mailbox without angle brackets, ``found`` are its ``readings``.
    """
    if not found:
        return _unreadable(credential, recipient)
    if all(matching(credential.rules.recipients, one) for one in found):
        return None
    return Reject(
        550,
        "5.7.1",
        f"Recipient <{readable(recipient)}> is not among those that credential {credential.username} "
        "may send to",
        "recipient not allowed",
    )


def denied(credential: Credential, recipient: str, found: Sequence[str]) -> Reject | None:
    """Return the refusal of a recipient whom a rule denies, however the address is written."""
    if not found:
        return _unreadable(credential, recipient)
    for one in found:
        rule = credential.rules.denied_recipients
        pattern = matching(rule if one.isascii() else map(_leniently, rule), _leniently(one))
        if pattern:
            return Reject(
                550,
                "5.7.1",
                f"Recipient <{readable(recipient)}> is denied to credential {credential.username}, by its "
                f"rule {readable(pattern)}",
                "recipient denied",
            )
    return None


def _unreadable(credential: Credential, recipient: str) -> Reject:
    return Reject(
        550,
        "5.1.3",
        f"Recipient <{readable(recipient)}> cannot be read as one address with a domain, and credential "
        f"{credential.username} is held to recipients",
        "unreadable recipient",
    )


def readings(address: str) -> list[str]:
    """Return all that an address may be read as, itself first; empty: it is none, or could be anything."""
    found: list[str] = []
    rest = address.strip()
    while True:
        if "@" in rest:
            local, _, domain = rest.rpartition("@")
        elif not found:
            return []
        elif "!" in rest:
            domain, _, local = rest.partition("!")
        elif "%" in rest:
            local, _, domain = rest.rpartition("%")
        else:
            return found
        local = _unquoted(local)
        if not local or not domain or not fits(domain) or len(found) == READINGS_MOST:
            return []
        found.append(normal_address(f"{local}@{domain}"))
        rest = local


def matching(patterns: Iterable[str], address: str) -> str:
    """Return the first pattern that an address in the form of ``normal_address`` matches, or ''."""
    domain = address.rpartition("@")[2]
    for pattern in patterns:
        if pattern == (address if "@" in pattern else domain):
            return pattern
        if pattern.startswith("*.") and domain.endswith(pattern[1:]):
            return pattern
    return ""


def _leniently(address: str) -> str:
    """Return an address as the most lenient reader takes it: what is denied stays so."""
    if address.isascii():
        return address
    local, at, domain = address.rpartition("@")
    if len(local) <= _LOCAL_MOST:
        local = unicodedata.normalize("NFC", local.casefold())
    return f"{local}{at}{plain_name(domain)}"


def _unquoted(local: str) -> str:
    """Return a local part without quotes (RFC 5321 section 4.1.2)."""
    if len(local) < 2 or local[0] != '"' or local[-1] != '"':
        return local
    kept, escaped = list[str](), False
    for char in local[1:-1]:
        escaped = char == "\\" and not escaped
        if not escaped:
            kept.append(char)
    return "".join(kept)

"""What stands for addresses in a rule: ``a@example.com``, ``example.com``, ``*.example.com``."""

from __future__ import annotations

import re
from collections.abc import Iterable
from typing import Final

from gatepost_core.domain.errors import RuleError, shown
from gatepost_core.domain.rules.addresses import normal_address
from gatepost_core.domain.rules.networks import normal_network

# Each is compared with each recipient of each message.
PATTERNS_MOST: Final = 1_000
_TEXT_MOST: Final = 400
_SHOWN: Final = 60
EXPECTED: Final = "an address (a@example.com), a domain (example.com) or its subdomains (*.example.com)"
# RFC 5321 dot-string with RFC 6531's letters; quoted local parts are not compared by rules.
_LOCAL = re.compile(r"[^\s@<>()\[\],;:\\\"\x00-\x20\x7f]{1,64}")
_HOST = re.compile(
    r"(?=.{1,253}\Z)(?:[a-z0-9_](?:[a-z0-9_-]{0,61}[a-z0-9])?\.)+[a-z0-9](?:[a-z0-9-]{0,61}[a-z0-9])?"
)


def host(text: str) -> bool:
    """Say whether a text in lower-case A-labels is a host name with a dot in it."""
    return _HOST.fullmatch(text) is not None


def read(text: str, what: str) -> str:
    """Return a pattern in the form that rules compare; ``what``: of whom it is one. Raises RuleError."""
    pattern = normal_address(text) if len(text) <= _TEXT_MOST else ""
    local, at, domain = pattern.rpartition("@")
    usable = not at or (_LOCAL.fullmatch(local) is not None and not domain.startswith("*."))
    if not usable or not host(domain if at else domain.removeprefix("*.")):
        raise RuleError(f"{shown(text)} cannot be used as a {what}; expected {EXPECTED}")
    return pattern


def senders(texts: Iterable[str]) -> tuple[str, ...]:
    """Return patterns of senders, each once. Raises RuleError."""
    return _each(texts, "sender")


def recipients(texts: Iterable[str]) -> tuple[str, ...]:
    """Return patterns of recipients, each once. Raises RuleError."""
    return _each(texts, "recipient")


def networks(texts: Iterable[str]) -> tuple[str, ...]:
    """Return CIDR blocks in their usual form, each once. Raises RuleError."""
    return _bounded(tuple(dict.fromkeys(map(_network, texts))), "networks")


def _each(texts: Iterable[str], what: str) -> tuple[str, ...]:
    return _bounded(tuple(dict.fromkeys([read(text, what) for text in texts])), f"{what}s")


def _bounded(found: tuple[str, ...], what: str) -> tuple[str, ...]:
    if len(found) > PATTERNS_MOST:
        raise RuleError(f"{len(found):,} {what}; expected at most {PATTERNS_MOST:,}")
    return found


def _network(text: str) -> str:
    try:
        return normal_network(text[:_TEXT_MOST])
    except ValueError as error:
        why = f" ({error})" if text.isprintable() and len(text) < _SHOWN else ""
        raise RuleError(
            f"{shown(text)} is not a network{why}; expected 192.0.2.0/24, 2001:db8::/32 or one address"
        ) from error

"""What a credential is held to, as one value."""

from __future__ import annotations

from dataclasses import dataclass


class RuleError(ValueError):
    """A text is no value of a rule; it names itself, and says what may stand there."""


@dataclass(frozen=True, slots=True)
class Rules:
    """What a credential may do. What is empty holds nobody to anything.

    Patterns are addresses (``a@example.test``), domains (``example.test``) or their subdomains
    (``*.example.test``). ``senders`` may stand in the envelope and in From, ``networks`` are CIDR blocks
    (``192.0.2.0/24``, ``2001:db8::/32``) to log in from. ``recipients`` may be sent to, ``denied_recipients``
    may not, not even if they are among those.
    """

    senders: tuple[str, ...] = ()
    networks: tuple[str, ...] = ()
    recipients: tuple[str, ...] = ()
    denied_recipients: tuple[str, ...] = ()

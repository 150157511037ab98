"""What a credential is held to, as one value."""

from __future__ import annotations

from dataclasses import dataclass, fields, replace
from typing import Final

from gatepost_core.domain.rules.hours import Span


@dataclass(frozen=True, slots=True)
class Rules:
    """What a credential may do. What is empty holds nobody to anything.

    Patterns are addresses (``a@example.test``), domains (``example.test``) or their subdomains
    (``*.example.test``). ``senders`` may stand in the envelope and in From, ``networks`` are CIDR blocks
    (``192.0.2.0/24``, ``2001:db8::/32``) to log in from. ``recipients`` may be sent to, ``denied_recipients``
    may not, not even if they are among those. ``max_recipients`` and ``max_size`` (bytes) are a message's,
    ``min_tls`` (``1.2``, ``1.3``) is the session's, ``hours`` are those of the week. ``hold_places``
    (``country``, ``network``): what comes from a new one is held.
    ``lifted`` names rules that are empty on purpose, whatever the account's defaults say.
    """

    senders: tuple[str, ...] = ()
    networks: tuple[str, ...] = ()
    recipients: tuple[str, ...] = ()
    denied_recipients: tuple[str, ...] = ()
    max_recipients: int = 0
    max_size: int = 0
    min_tls: str = ""
    hours: tuple[Span, ...] = ()
    hold_places: tuple[str, ...] = ()
    lifted: frozenset[str] = frozenset()

    def over(self, defaults: Rules) -> Rules:
        """Return what holds where these are a credential's own, and below them are its account's."""
        if defaults == _FREE:
            return replace(self, lifted=_FREE.lifted) if self.lifted else self
        return Rules(
            **{
                name: getattr(self, name) or getattr(_FREE if name in self.lifted else defaults, name)
                for name in NAMES
            }
        )

    @property
    def held(self) -> bool:
        """Say whether there is a rule that refuses, beside senders and networks, which are asked about for
        themselves."""
        return bool(
            self.recipients
            or self.denied_recipients
            or self.max_recipients
            or self.max_size
            or self.min_tls
            or self.hours
        )


NAMES: Final = tuple([field.name for field in fields(Rules) if field.name != "lifted"])
_FREE: Final = Rules()

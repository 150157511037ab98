"""Decisions as values: what to answer a client, without doing it.

Rules return one of these; the edge of each daemon renders it in its own protocol
(a policy ``action=``, a milter ``setreply``). Codes follow RFC 5321 section 4.2,
enhanced codes RFC 3463. A ``text`` is public and goes to the client; a ``reason``
is for the log only. A ``reference`` is given where the client is answered (``refusals``).
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import TypeAlias

_ENHANCED = re.compile(r"[45]\.\d{1,3}\.\d{1,3}")
_UNPRINTABLE = re.compile(r"[^\x20-\x7e]+")
# RFC 5321 section 4.5.3.1.5 allows 512 bytes a reply line, and Postfix puts the address in front.
TEXT_MOST = 400


@dataclass(frozen=True, slots=True)
class Pass:
    """Nothing against it; ``reason`` says on what ground, for the log.

    ``route``: the way out that the message is to take, as Postfix names it (transport:nexthop).
    """

    reason: str = ""
    route: str = ""


@dataclass(frozen=True, slots=True)
class _Refusal:
    code: int
    enhanced: str
    text: str
    reason: str = ""
    reference: str = ""

    def __post_init__(self) -> None:
        wanted = "5" if isinstance(self, Reject) else "4"
        if not (100 <= self.code <= 599 and str(self.code)[0] == wanted and self.enhanced[0] == wanted):
            raise ValueError(
                f"{type(self).__name__} takes {wanted}xx and {wanted}.x.x, not {self.code} {self.enhanced}"
            )
        if not _ENHANCED.fullmatch(self.enhanced):
            raise ValueError(f"not an enhanced status code (RFC 3463): {self.enhanced!r}")
        object.__setattr__(self, "text", printable(self.text))

    def __str__(self) -> str:
        return f"{self.code} {self.enhanced} {self.text}"


@dataclass(frozen=True, slots=True)
class Reject(_Refusal):
    """Refuse for good: 5xx, 5.x.x and a public text. Trying again will not help."""


@dataclass(frozen=True, slots=True)
class Defer(_Refusal):
    """Refuse for now: 4xx, 4.x.x and a public text. The client keeps the message and tries again."""


Decision: TypeAlias = Pass | Reject | Defer


def printable(text: str) -> str:
    """Return ``text`` as one line of printable ASCII, at most 400 characters.

    A line break in a reply would be a reply of its own to the client, and Postfix
    answers 451 4.3.5 to a policy action that is not UTF-8.
    """
    line = _UNPRINTABLE.sub("?", text)
    return line if len(line) <= TEXT_MOST else line[: TEXT_MOST - 3] + "..."


AUTHENTICATION_REQUIRED = Reject(530, "5.7.0", "Authentication required", "no login")

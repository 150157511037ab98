"""What is asked of rules, and what each answers: alike for policy, the milter and what the command says."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from enum import StrEnum
from functools import cached_property
from typing import TYPE_CHECKING, Final, TypeAlias

from gatepost_core.domain.decision import Defer, Reject
from gatepost_core.domain.rules import hours, recipients
from gatepost_core.domain.texts import stamp

if TYPE_CHECKING:
    from gatepost_core.domain.model import Credential

_VERSIONS: Final = {"1": 0, "1.1": 1, "1.2": 2, "1.3": 3}


class Stage(StrEnum):
    """When a rule is asked."""

    RCPT = "RCPT"
    DATA = "DATA"
    END = "end of message"


@dataclass(frozen=True)
class Asked:
    """A message, as far as it is known at a stage.

    ``now`` is UTC, ``zone`` the account's time zone. ``recipients`` are those that are asked about; ``total``
    is how many the message has, ``size`` its bytes, 0: not known. ``tls`` is Postfix's encryption_protocol.
    """

    stage: Stage
    now: datetime
    zone: str
    recipients: Sequence[str] = ()
    total: int = 0
    size: int = 0
    tls: str = ""

    @cached_property
    def readings(self) -> list[tuple[str, list[str]]]:
        """Each recipient with all that it may be read as."""
        return [(one, recipients.readings(one)) for one in self.recipients]


Refusal: TypeAlias = Reject | Defer | None


def allowed_recipients(credential: Credential, asked: Asked) -> Refusal:
    """Refuse the first recipient that is not among those that may be sent to."""
    return next(filter(None, [recipients.not_allowed(credential, *one) for one in asked.readings]), None)


def denied_recipients(credential: Credential, asked: Asked) -> Refusal:
    """Refuse the first recipient that may not be sent to."""
    return next(filter(None, [recipients.denied(credential, *one) for one in asked.readings]), None)


def max_recipients(credential: Credential, asked: Asked) -> Refusal:
    """Refuse a message of too many recipients."""
    most = credential.rules.max_recipients
    if asked.total <= most:
        return None
    return Reject(
        550,
        "5.5.3",
        f"Credential {credential.username} may send a message to {most:,} recipients at most, and this one "
        f"has {asked.total:,}; send it in parts",
        "too many recipients",
    )


def max_size(credential: Credential, asked: Asked) -> Refusal:
    """Refuse a message that is too large, or is announced to be."""
    most = credential.rules.max_size
    if asked.size <= most:
        return None
    return Reject(
        552,
        "5.3.4",
        f"Credential {credential.username} may send messages of {most:,} bytes at most, and this one has "
        f"{asked.size:,}; send less at once",
        "message too large",
    )


def min_tls(credential: Credential, asked: Asked) -> Refusal:
    """Refuse a session whose TLS is too old."""
    least = credential.rules.min_tls
    if _VERSIONS.get(asked.tls.removeprefix("TLSv"), -1) >= _VERSIONS[least]:
        return None
    return Reject(
        550,
        "5.7.10",
        f"Credential {credential.username} may be used with TLS {least} or later, and this session has "
        f"{asked.tls or 'none'}; update the client",
        "TLS too old",
    )


def during(credential: Credential, asked: Asked) -> Refusal:
    """Refuse for now what comes at a time of the week at which nothing may be sent."""
    spans = credential.rules.hours
    if hours.are(spans, asked.now, asked.zone):
        return None
    opens = hours.opens(spans, asked.now, asked.zone)
    when = "the hour has come" if opens is None else stamp(opens)
    return Defer(
        451,
        "4.7.1",
        f"Credential {credential.username} may send {', '.join(map(str, spans))} ({asked.zone}); "
        f"try again after {when}",
        "outside of its hours",
    )

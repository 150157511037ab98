"""A message that was submitted before, by a key of its sender's own: what counts as its content, the replies.

Retries of a program often make some fields anew, and so does each host that a message comes through: those do
not count. All else does, field by field in their order, and the body, byte by byte. Pure; one pass.
"""

from __future__ import annotations

import hashlib
from dataclasses import dataclass
from typing import Final

from gatepost_core.domain import Defer, Reject, ids, stamp
from gatepost_core.domain.limits.submissions import Claimed, Outcome
from gatepost_core.domain.texts import quoted
from gatepost_milter.editing.message import Message

_RENDERED_ANEW: Final = frozenset(
    (
        b"received", b"return-path", b"date", b"message-id", b"dkim-signature", b"x-gatepost-idempotency-key",
        b"x-smtpeter-idempotency-key",
    )
)  # fmt: skip


@dataclass(frozen=True, slots=True)
class Repeated:
    """A message that all of its recipients have already. ``first``: the message that was there first."""

    first: str


def content(message: Message) -> bytes:
    """Return a hash of a message as it was submitted, 32 bytes."""
    digest = hashlib.sha256()
    for name, value in message.headers:
        if name.strip().lower() not in _RENDERED_ANEW:
            # With their lengths, so that no two lists of fields look alike.
            digest.update(b"%d %d\n%s:%s" % (len(name), len(value), name, value))
    digest.update(b"\n")
    digest.update(message.body)
    return digest.digest()


def refusal(claimed: Claimed, key: str, user: str, hours: float, most: int) -> Reject | Defer | None:
    """Return what is answered to a claim that is not had; None for one that is, or is repeated."""
    if claimed.outcome is Outcome.OTHER_CONTENT:
        used = stamp(ids.time_of(claimed.first))
        return Reject(
            550,
            "5.6.0",
            f"X-Gatepost-Idempotency-Key: {quoted(key)} was used at {used} for a message with other content; "
            f"a key stands for one content for {hours:g} hours, so send this one with another key",
            f"idempotency key of another content: {claimed.first}",
        )
    if claimed.outcome is Outcome.FULL:
        return Defer(
            451,
            "4.7.1",
            f"Credential {user} has used keys of X-Gatepost-Idempotency-Key for {most:,} recipients within "
            f"{hours:g} hours, as many as it may; try again later, or send without a key",
            "too many idempotency keys",
        )
    return waits(key, claimed.first) if claimed.outcome is Outcome.WAITS else None


def waits(key: str, first: str) -> Defer:
    """Return what is answered while it is not known whether the message is in the queue."""
    return Defer(
        451,
        "4.5.0",
        f"X-Gatepost-Idempotency-Key: the message of {quoted(key)} came already, and it is not known "
        "yet whether it is in the queue; try again in a minute",
        f"idempotency key of a message under way: {first}",
    )

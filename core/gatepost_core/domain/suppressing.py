"""Suppression: whom an account's mail is not to reach any more, why, and until when. Pure.

A bounce or a complaint counts for the whole account, an unsubscribe for the credential that sent, or for the
tags of its message. Only a permanent failure of the class *mailbox* says something of the recipient; what a
host thinks of the sender suppresses nobody. A report comes by mail, so it can be forged: it counts for a
recipient that it names and that the message had, for a message that is not too old, and in a message to
several only where our own log shows that this recipient got it.

Postfix's words and everybody's time are the caller's: values go in, values come out.
"""

from __future__ import annotations

import hashlib
import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field, replace
from datetime import datetime, timedelta
from enum import StrEnum
from typing import Any, Final

from gatepost_core.domain import ids
from gatepost_core.domain.decision import Reject
from gatepost_core.domain.failures import FailureClass
from gatepost_core.domain.memo import memo
from gatepost_core.domain.model import Mode
from gatepost_core.domain.rules import normal_address, normal_domain, readable
from gatepost_core.domain.texts import bounded, stamp

# RFC 5321 section 4.5.3.1: 64 bytes, @, 255.
ADDRESS_MOST: Final = 320
DETAIL_MOST: Final = 300
_DOMAIN_MOST: Final = 253
_LOCAL_MOST: Final = 64
# Begins what is kept of an address that is to be forgotten; no address or domain begins with it.
_HASHED: Final = "#"
_HASH: Final = re.compile(r"#[0-9a-f]{64}", re.ASCII)


class Reason(StrEnum):
    """Why somebody is suppressed."""

    BOUNCE = "bounce"
    COMPLAINT = "complaint"
    UNSUBSCRIBE = "unsubscribe"
    MANUAL = "manual"


class Scope(StrEnum):
    """For which of an account's mail it counts."""

    ACCOUNT = "account"
    CREDENTIAL = "credential"
    TAG = "tag"


# What says that mail to the address is wrong, whatever is in it.
HARD: Final = frozenset((Reason.BOUNCE, Reason.COMPLAINT))
# Types of events that may suppress: of our own log, of reports, of the recipient.
FAILED: Final = "failed"
REPORTS: Final[Mapping[str, Reason]] = {"bounced": Reason.BOUNCE, "complaint": Reason.COMPLAINT}
UNSUBSCRIBED: Final = "unsubscribed"
TYPES: Final = (FAILED, *REPORTS, UNSUBSCRIBED)


@dataclass(frozen=True, slots=True)
class Suppression:
    """Who is suppressed: ``address`` in its one spelling, a domain, ``*.domain``, or a hashed address.

    ``credential`` is a user name, '' for the whole account; ``tag`` one of its messages' tags, '' for all of
    them. ``event`` and ``message`` are where it comes from, '' for what somebody entered; ``detail`` is what
    the host said, or a note. Times are UTC. ``expires_at`` None: for good; ``removed_at``: it was lifted, and
    is kept so that what had happened before does not bring it back.
    """

    account_id: int
    address: str
    reason: Reason
    since: datetime
    credential: str = ""
    tag: str = ""
    expires_at: datetime | None = None
    event: str = ""
    message: str = ""
    detail: str = ""
    removed_at: datetime | None = None
    id: str = ""

    @property
    def scope(self) -> Scope:
        """For which mail it counts."""
        if self.tag:
            return Scope.TAG
        return Scope.CREDENTIAL if self.credential else Scope.ACCOUNT

    def stands(self, now: datetime) -> bool:
        """Say whether it counts: neither lifted nor expired."""
        return self.removed_at is None and (self.expires_at is None or self.expires_at > now)


@dataclass(frozen=True, slots=True)
class Told:
    """An event, and what the journal knows of its message.

    ``had``: the message had this recipient; ``several``: and others; ``delivered``: our log shows that this
    one got it. ``credential`` is the user name that sent it, '' where that is not known any more.
    """

    id: str
    type: str
    time: datetime
    message: str
    recipient: str
    account_id: int
    credential: str
    mode: Mode
    had: bool
    several: bool
    delivered: bool
    detail: Mapping[str, Any] = field(default_factory=dict)
    tags: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class Terms:
    """``oldest``: of reports, how long before them their message may have been accepted.

    ``ends``: after how long a suppression for that reason ends; for others it has no end.
    """

    oldest: timedelta
    ends: Mapping[Reason, timedelta] = field(default_factory=dict[Reason, timedelta])


def suppressed_by(told: Told, terms: Terms, *, by_tag: bool = False) -> tuple[Suppression, ...]:
    """Return whom an event suppresses, for which mail; most often nobody.

    ``by_tag``: who unsubscribes gets no more mail with the tags of that message, where it has any.
    """
    if told.mode is Mode.SANDBOX or not told.had or not told.recipient or not told.account_id:
        return ()
    reason, address = _reason(told, terms.oldest), spelled(told.recipient)
    if reason is None or len(address) > ADDRESS_MOST:
        return ()
    end = terms.ends.get(reason)
    one = Suppression(
        account_id=told.account_id,
        address=address,
        reason=reason,
        since=told.time,
        expires_at=None if end is None else told.time + end,
        event=told.id,
        message=told.message,
        detail=_detail(told),
    )
    if reason is not Reason.UNSUBSCRIBE:
        return (one,)
    if not told.credential:  # the whole account would be more than was asked for
        return ()
    one = replace(one, credential=told.credential)
    tags = dict.fromkeys(told.tags) if by_tag else ()
    return tuple(replace(one, tag=tag) for tag in tags) or (one,)


def _reason(told: Told, oldest: timedelta) -> Reason | None:
    if told.type == UNSUBSCRIBED:
        return Reason.UNSUBSCRIBE
    by_log = told.type == FAILED and told.detail.get("upgraded", "log") == "log"
    if by_log:
        return Reason.BOUNCE if _of_the_mailbox(told.detail) else None
    # A failure of our log whose class a report told counts as what that report would have.
    reason = Reason.BOUNCE if told.type == FAILED else REPORTS.get(told.type)
    if reason is None or (reason is Reason.BOUNCE and not _of_the_mailbox(told.detail)):
        return None
    if told.time - ids.time_of(told.message) > oldest or (told.several and not told.delivered):
        return None
    return reason


def _of_the_mailbox(detail: Mapping[str, Any]) -> bool:
    return detail.get("class") == FailureClass.MAILBOX and detail.get("permanent") is True


def _detail(told: Told) -> str:
    """Return what the host said, on one line."""
    for name in ("reply", "text", "feedback_type"):
        said = told.detail.get(name)
        if isinstance(said, str) and said:
            return bounded(" ".join(said.split()), DETAIL_MOST)
    return ""


def merged(known: Suppression | None, new: Suppression) -> Suppression | None:
    """Return what is to be kept in the place of ``known``, of the same address and scope; None: as it is.

    What happened before somebody lifted a suppression does not bring it back. The reason and time of one that
    stands stay, unless the new one counts for more mail, or for longer.
    """
    if known is None:
        return new
    if known.event == new.event and new.event:
        return None
    if known.removed_at is not None:
        return new if new.since > known.removed_at else None
    if not known.stands(new.since):
        return new
    harder = new.reason in HARD and known.reason not in HARD
    if not harder and not _later(new.expires_at, known.expires_at):
        return None
    expires_at = new.expires_at if _later(new.expires_at, known.expires_at) else known.expires_at
    return replace(new, expires_at=expires_at)


def _later(one: datetime | None, other: datetime | None) -> bool:
    """Say whether one end is later than another; None is never."""
    return other is not None and (one is None or one > other)


def in_force(
    found: Iterable[Suppression], now: datetime, *, transactional: bool = False
) -> Suppression | None:
    """Return the one of those that were found for an address that a refusal names: the oldest that stands.

    ``transactional``: only what says that mail to the address is wrong, whatever is in it.
    """
    standing = [one for one in found if one.stands(now) and (one.reason in HARD or not transactional)]
    return min(standing, key=lambda one: one.since, default=None)


def refusal(found: Suppression, account: str, recipient: str) -> Reject:
    """Return what a client hears at RCPT. Postfix puts the recipient in front of it."""
    why, command = _said(found, account, recipient)
    return Reject(
        550,
        "5.7.1",
        f"Suppressed since {stamp(found.since)}, reason {why}; "
        f"your mail administrator can lift it: {command}",
        f"suppressed for the {found.scope.value}",
    )


def nobody_left(found: Suppression, account: str, recipient: str) -> Reject:
    """Return what a client hears at the end of a message of which no recipient is left."""
    why, command = _said(found, account, recipient)
    return Reject(
        550,
        "5.7.1",
        f"No recipient is left: <{readable(recipient)}> is suppressed for the tag {readable(found.tag)} "
        f"since {stamp(found.since)}, reason {why}; your mail administrator can lift it: {command}",
        "all recipients suppressed for the tag",
    )


def _said(found: Suppression, account: str, recipient: str) -> tuple[str, str]:
    """Return a reason in words, and the command that lifts it."""
    address = spelled(recipient) if found.address.startswith(_HASHED) else found.address
    why = found.reason.value
    if found.reason is Reason.BOUNCE and found.detail:
        why += f" ({readable(found.detail)})"
    words = ["gatepost suppression remove", address, "--account", account]
    words += ["--credential", found.credential] if found.credential else []
    words += ["--tag", found.tag] if found.tag else []
    return why, readable(" ".join(words))


def spelled(address: str) -> str:
    """Return an address in the one spelling by which it is kept and found.

    Lower case, the domain in A-labels, a local part without quotes that it does not need (RFC 5321 section
    4.1.2: ``"bob"@example.org`` is bob). What comes after a ``+`` counts: it is another mailbox.
    """
    text = address.strip()
    if text.startswith("<") and text.endswith(">"):
        text = text[1:-1]
    local, at, domain = text.rpartition("@")
    if len(local) > 1 and local[0] == local[-1] == '"':
        local = _unquoted(local[1:-1])
    return normal_address(f"{local}{at}{domain}")


def _unquoted(text: str) -> str:
    kept, escaped = [], False
    for char in text:
        if char == "\\" and not escaped:
            escaped = True
            continue
        kept.append(char)
        escaped = False
    return "".join(kept)


@memo(256, longest=ADDRESS_MOST)  # a question at RCPT, and again at the end of the message
def keys(address: str) -> tuple[str, ...]:
    """Return all under which an address may be suppressed: itself, what is kept of it when it is forgotten,
    its domain, and each domain above it as ``*.domain``."""
    whole = spelled(address)
    _, at, domain = whole.rpartition("@")
    found = [whole, hashed(whole)] if at and len(whole) <= ADDRESS_MOST else []
    if not domain or len(domain) > _DOMAIN_MOST:
        return tuple(found)
    labels = domain.split(".")
    above = [f"*.{'.'.join(labels[number:])}" for number in range(1, len(labels))]
    return (*found, domain, *above)


def hashed(address: str) -> str:
    """Return what is kept of an address that is to be forgotten: whoever has the address still finds it."""
    return _HASHED + hashlib.sha256(b"suppressed\0" + address.encode("utf-8", "surrogatepass")).hexdigest()


class NoAddressError(ValueError):
    """A text is neither an address nor a domain; the text says what was expected."""


def entered(text: str) -> str:
    """Return what somebody wants suppressed in its one spelling: an address, ``example.org`` or
    ``*.example.org``, or what is kept of an address that was forgotten. Raises NoAddressError."""
    if _HASH.fullmatch(text) is not None:
        return text
    found = spelled(text)
    local, at, domain = found.rpartition("@")
    if not at:
        domain = normal_domain(found.removeprefix("*."))
        found = f"*.{domain}" if found.startswith("*.") else domain
    labels = domain.split(".")
    sound = domain.isascii() and len(labels) > 1 and all(_is_label(one) for one in labels)
    if not sound or len(domain) > _DOMAIN_MOST or (at and not _is_local(local)):
        raise NoAddressError(
            f"{text[:80]!r} is no address and no domain; expected something like bob@example.org, "
            "example.org, or *.example.org for all below it"
        )
    return found


def _is_label(text: str) -> bool:
    return 0 < len(text) <= 63 and text.replace("-", "").replace("_", "").isalnum() and text[0] != "-"


def _is_local(text: str) -> bool:
    return 0 < len(text) <= _LOCAL_MOST and text.isprintable()

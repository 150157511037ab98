"""Whether a held message may be sent now: what was judged when it came may be otherwise by then. Pure."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from datetime import datetime
from typing import Final, NamedTuple, Protocol

from gatepost_core.domain import Credential, Mode, Pass, Reject, WallMode, rules, stamp
from gatepost_core.domain.limits import Charges, Counters, verdicts
from gatepost_core.domain.logins import judge
from gatepost_core.domain.outcomes import HoldOrder, HoldState
from gatepost_core.domain.rules import catalogue, hours
from gatepost_core.domain.rules.asking import Asked, Stage
from gatepost_core.domain.suppressing import Suppression, in_force, keys
from gatepost_core.domain.walls import Walls

_AT_ONCE: Final = 100


class Directory(Protocol):
    """What is read of the store: ``gatepost_core.store.sqlite.reader.Reader``."""

    def credential(self, username: str) -> Credential | None:
        """Return a credential as it is now."""
        ...

    def suppressions(self, account_id: int, credential: str, keys: Sequence[str]) -> Sequence[Suppression]:
        """Return what an account has of addresses, for mail of a credential whatever its tags."""
        ...

    def suppressed_by_tag(
        self, account_id: int, credential: str, tags: Sequence[str], keys: Sequence[str]
    ) -> Sequence[Suppression]:
        """Return what an account has of addresses for a credential's mail with one of these tags."""
        ...


class Objection(NamedTuple):
    """Why a message may not be sent, in words; ``passes``: it may be later, with nothing changed.

    ``opens``: when, where that is known.
    """

    text: str
    passes: bool = False
    opens: datetime | None = None


class Carried(NamedTuple):
    """An order, and what came of it; None where it is tried again. ``text``: why.

    ``until``: when that is, where it waits for its hour. ``alone``: it failed by itself, so others may not.
    """

    order: HoldOrder
    state: HoldState | None
    text: str
    until: datetime | None = None
    alone: bool = True


class Limits:
    """What limits say by now of a message that they counted when it came."""

    def __init__(self, charges: Charges, counters: Counters) -> None:
        self._charges = charges
        self._counters = counters

    def close(self) -> None:
        """Let go of the counters."""
        self._counters.close()

    def zone(self, credential: Credential) -> str:
        """Return the time zone of a credential's account."""
        return self._charges.zone(credential)

    def objection(self, credential: Credential, order: HoldOrder, now: datetime) -> str:
        """Return which limit stands in the way, in words; '' where none does. Raises StoreUnavailable.

        One that was set or lowered since: the message is more than all of it, or more is used than it allows.
        """
        at, sandbox = now.timestamp(), credential.mode is Mode.SANDBOX
        charges = self._charges.of(
            credential, at, recipients=len(order.recipients), size=order.size, account=not sandbox
        )
        refused = verdicts.too_much(charges)
        if refused is not None:
            return refused.text.partition(";")[0]
        found = self._counters.look([charge.want for charge in charges]) if charges else ()
        for charge, buckets in zip(charges, found, strict=True):
            used = verdicts.used(buckets)
            if used > charge.want.most:
                whose = f"{charge.scope} {charge.name}"
                return f"{whose} is limited to {verdicts.said(charge)} and has used {used:,}"
        return ""


def objection(
    directory: Directory, walls: Walls, limits: Limits, order: HoldOrder, now: datetime
) -> Objection | None:
    """Return why a message may not be sent; None where it may. Raises StoreUnavailable."""
    credential = directory.credential(order.username)
    if credential is None or credential.id != order.credential_id:
        return Objection(f"credential {order.username} does not exist any more")
    judged = judge(credential, order.username, now)
    if not isinstance(judged, Pass):
        return Objection(f"{judged.reason}: {order.username}")
    if order.by_itself and credential.mode is not Mode.LIVE:
        return Objection(f"credential {order.username} is in mode {credential.mode.value} by now")
    strange = next(_senders(walls, credential, order), "")
    if strange:
        return Objection(strange)
    total, zone = len(order.recipients), limits.zone(credential)
    asked = Asked(Stage.END, now, zone, order.recipients, total, order.size)
    waits = ""
    for _, refused in catalogue.steps(credential, asked):
        if isinstance(refused, Reject):
            return Objection(refused.text.partition(";")[0])
        if refused is not None:
            waits = waits or refused.text
    if waits and order.by_itself:  # somebody who releases it now decides about the hour, and nothing else
        return Objection(waits, passes=True, opens=hours.opens(credential.rules.hours, now, zone))
    for at in range(0, len(order.recipients), _AT_ONCE):
        found = _suppressed(directory, credential, order, order.recipients[at : at + _AT_ONCE], now)
        if found:
            return Objection(found)
    limited = limits.objection(credential, order, now)
    return Objection(limited) if limited else None


def _senders(walls: Walls, credential: Credential, order: HoldOrder) -> Iterator[str]:
    """Yield why its senders may not be used, by the credential's rule, and by walls where they count.

    Of the header From is on record, as far as its addresses have room there; Sender only where our milter had
    the message held.
    """
    authors = order.header_from.split(", ") if order.header_from else []
    others = order.header_sender
    for judged in (
        rules.check_envelope_sender(credential, order.sender),
        rules.check_from_header(credential, authors),
        rules.check_sender_header(credential, others),
    ):
        if not isinstance(judged, Pass):
            yield judged.text
    if walls.mode() is WallMode.ENFORCE:
        fields = (("From", authors), ("Sender", others))
        strange = walls.envelope(credential, order.sender) or walls.headers(credential, fields)
        if strange is not None:
            yield strange.text


def _suppressed(
    directory: Directory, credential: Credential, order: HoldOrder, recipients: Sequence[str], now: datetime
) -> str:
    """Say which of these recipients is suppressed: nobody can be taken out of a queued message."""
    by_recipient = {recipient: keys(recipient) for recipient in recipients}
    names = list(dict.fromkeys(key for own in by_recipient.values() for key in own))
    found = list(directory.suppressions(credential.account_id, credential.username, names))
    if order.tags:
        found += directory.suppressed_by_tag(credential.account_id, credential.username, order.tags, names)
    if not found:
        return ""
    for recipient, own in by_recipient.items():
        those = [one for one in found if one.address in own]
        standing = in_force(those, now, transactional=credential.options.transactional)
        if standing is not None:
            since, reason = stamp(standing.since), standing.reason.value
            return f"<{recipient}> is suppressed since {since}, reason {reason}"
    return ""

"""Whether a report may go to the envelope sender of its message now: judged anew each time. Pure."""

from __future__ import annotations

import re
from collections.abc import Sequence
from datetime import datetime
from typing import Final, Protocol

from gatepost_core.domain import Bounces, Credential, Pass, WallMode, rules, stamp
from gatepost_core.domain.logins import judge
from gatepost_core.domain.outcomes import Waiting
from gatepost_core.domain.rules import normal_domain
from gatepost_core.domain.suppressing import Reason, Suppression, in_force, keys
from gatepost_core.domain.walls import Walls

# What RFC 5321 section 4.1.2 has in a Mailbox at the most; nothing that would end a path or a command, nor
# what shows that a longer one was cut for the record.
_MAILBOX: Final = re.compile(r"[^\s<>…\x00-\x1f\x7f]{1,255}@[^\s<>@…\x00-\x1f\x7f]{1,255}")


class Directory(Protocol):
    """What is read of the store: ``gatepost_core.store.sqlite.reader.Reader``. All raise StoreUnavailable."""

    def bounces(self, account_id: int) -> Bounces:
        """Return what an account hears of reports."""
        ...

    def bounce_domain(self, name: str) -> bool:
        """Say whether bounces arrive at that name."""
        ...

    def credential(self, username: str) -> Credential | None:
        """Return a credential as it is now."""
        ...

    def suppressions(self, account_id: int, credential: str, keys: Sequence[str]) -> Sequence[Suppression]:
        """Return what an account has of addresses, for mail of a credential whatever its tags."""
        ...

    def close(self) -> None:
        """Let go of it."""
        ...


def objection(directory: Directory, walls: Walls, one: Waiting, sender: str, now: datetime) -> str:
    """Say why a report may not go to ``sender``; '' where it may. Raises StoreUnavailable.

    It is mail to an address that a customer chose, so his credential has to be one that could send now, the
    address one that it may use, and nobody's who is not to be written to.
    """
    if directory.bounces(one.account_id) is not Bounces.FORWARD:
        return "its account has no reports forwarded"
    if not _MAILBOX.fullmatch(sender):
        return "the envelope sender is empty, or no address with a domain"
    domain = sender.rpartition("@")[2]
    if directory.bounce_domain(normal_domain(domain)):
        return "the envelope sender is at a bounce domain: it would come back"
    if walls.mode() is WallMode.ENFORCE and walls.wall(one.account_id, domain) is not None:
        return "the envelope sender is another account's, or the gateway's own"
    credential = directory.credential(one.username)
    if credential is None or credential.id != one.credential_id:
        return f"credential {one.username} does not exist any more"
    for judged in (judge(credential, one.username, now), rules.check_envelope_sender(credential, sender)):
        if not isinstance(judged, Pass):
            return f"{judged.reason}: {one.username}"
    found = directory.suppressions(one.account_id, one.username, keys(sender))
    # Nobody unsubscribes from what becomes of his own mail.
    standing = in_force([one for one in found if one.reason is not Reason.UNSUBSCRIBE], now)
    if standing is not None:
        return f"the envelope sender is suppressed since {stamp(standing.since)}: {standing.reason.value}"
    return ""

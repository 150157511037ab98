"""Which recipients of a message do not get it for a tag that it has: only its header fields tell tags.

Policy has asked at RCPT for what counts whatever the tags. Pure but for the look-ups that are passed in.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from datetime import datetime
from typing import Final, Protocol

from gatepost_core.domain import Credential, Reject
from gatepost_core.domain.suppressing import Suppression, in_force, keys, nobody_left
from gatepost_milter.transaction import Transaction

# Recipients of one look-up, which holds up the others of this process.
_AT_ONCE: Final = 100
_NOBODY: Mapping[str, Suppression] = {}


class Directory(Protocol):
    """What is needed of the store's reader."""

    def suppressed_by_tag(
        self, account_id: int, credential: str, tags: Sequence[str], keys: Sequence[str]
    ) -> Sequence[Suppression]:
        """Return what an account has of addresses for a credential's mail with one of these tags."""
        ...


def suppressed(
    directory: Directory,
    credential: Credential,
    transaction: Transaction,
    tags: Sequence[str],
    now: datetime,
) -> Mapping[str, Suppression] | Reject:
    """Return who does not get a message with these tags, as RCPT TO gave them; a refusal if nobody is left.

    Raises StoreUnavailable.
    """
    if not tags:
        return _NOBODY
    asked = list(dict.fromkeys(transaction.recipients))
    found: dict[str, Suppression] = {}
    for at in range(0, len(asked), _AT_ONCE):
        found |= _some(directory, credential, asked[at : at + _AT_ONCE], tags, now)
    if found and len(found) == len(asked):
        return nobody_left(found[asked[0]], credential.account, asked[0])
    return found


def _some(
    directory: Directory, credential: Credential, asked: Sequence[str], tags: Sequence[str], now: datetime
) -> dict[str, Suppression]:
    by_recipient = {recipient: keys(recipient) for recipient in asked}
    names = list(dict.fromkeys(key for own in by_recipient.values() for key in own))
    known: dict[str, list[Suppression]] = {}
    for one in directory.suppressed_by_tag(credential.account_id, credential.username, tags, names):
        known.setdefault(one.address, []).append(one)
    if not known:
        return {}
    transactional = credential.options.transactional
    found = {
        recipient: in_force(
            [one for key in own for one in known.get(key, ())], now, transactional=transactional
        )
        for recipient, own in by_recipient.items()
    }
    return {recipient: one for recipient, one in found.items() if one is not None}

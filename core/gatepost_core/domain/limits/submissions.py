"""Idempotent submission: a message with a key of its sender's own is queued once, however often it is sent.

Who it is about is a credential, a key and a recipient, each kept as a hash; beside the key stands a hash of
the content. A recipient is *claimed* while the milter is at it, *accepted* once its record is on disk, and
*queued* once the log shows that Postfix has it. Whatever is unsure ends in 451 or in accepting anew.

This is the seam to what claims are kept in, which knows no clock and no rules. Pure.
"""

from __future__ import annotations

import hashlib
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from enum import IntEnum, StrEnum
from typing import TYPE_CHECKING, Final, NamedTuple, Protocol

from gatepost_core.domain.limits.charges import own_key
from gatepost_core.domain.suppressing import spelled

if TYPE_CHECKING:
    from gatepost_core.domain.model import Credential

# A milter that has not come back to its claim by then has ended: Postfix waits two minutes for it.
CLAIM_SECONDS: Final = 300
_DIGEST: Final = 16


class Submission(NamedTuple):
    """What a message is known by. ``owner``: whose it is; ``recipients``: as RCPT TO gave them, with hashes.

    ``key`` has 16 bytes, ``content`` 32, the hash of a recipient 16. ``shown`` is the key as it came.
    """

    owner: str
    key: bytes
    content: bytes
    recipients: Mapping[str, bytes]
    shown: str


def submission(
    credential: Credential, key: str, content: bytes, recipients: Iterable[str], *, sandbox: bool
) -> Submission:
    """Return what a message is known by.

    What was tried in a sandbox says nothing of live mail, nor does what another credential sent, of this
    account or of another one, or an earlier one of the same name.
    """
    owner = own_key(credential) + ("sandbox" if sandbox else "")
    digest = hashlib.sha256(f"{owner}\0{key}".encode()).digest()[:_DIGEST]
    return Submission(owner, digest, content, {one: _recipient(digest, one) for one in recipients}, key)


def _recipient(key: bytes, address: str) -> bytes:
    text = spelled(address).encode("utf-8", "surrogatepass")
    return hashlib.blake2b(text, key=key, digest_size=_DIGEST).digest()


class ClaimState(IntEnum):
    """How far a recipient of a submission is."""

    CLAIMED = 0
    ACCEPTED = 1
    QUEUED = 2


class Outcome(StrEnum):
    """What became of a claim. ``waits``: a recipient is claimed or accepted, and not known to be queued."""

    NEW = "new"
    REPEATED = "repeated"
    WAITS = "waits"
    OTHER_CONTENT = "other content"
    FULL = "full"


@dataclass(frozen=True, slots=True)
class Claimed:
    """What became of a claim; only ``new`` and ``repeated`` changed anything.

    ``first``: the message that was there first, where there was one. ``known``: of a new one, recipients who
    have it already, by their hashes.
    """

    outcome: Outcome
    first: str = ""
    known: frozenset[bytes] = frozenset()


class Repeats(Protocol):
    """Reads which message a repeated one led to."""

    def first_of(self, queue_id: str) -> str:
        """Return the message that the one of a queue id repeated; '' for none. Raises StoreUnavailable."""
        ...

    def close(self) -> None:
        """Let go of what is open."""
        ...


class Submissions(Repeats, Protocol):
    """Keeps claims. For many threads and processes; everything is one step, and raises StoreUnavailable."""

    def claim(self, wanted: Submission, message_id: str, queue_id: str, now: int, most: int) -> Claimed:
        """Claim all recipients of a message that do not have it yet, or none.

        ``now``: seconds since 1970; ``most``: recipients that an owner may have. Where all have it, it is
        noted which message the queue id repeats.
        """
        ...

    def accept(self, message_id: str, recipients: int, state: ClaimState) -> bool:
        """Have what a message claimed accepted, or queued, durably.

        False, and nothing changed, where not so many of its claims are left: others have taken them over.
        """
        ...

    def give_back(self, message_id: str) -> bool:
        """Forget what a message has claimed, unless it is queued; say whether there was something."""
        ...

    def accepted(self, after: str, most: int) -> Sequence[str]:
        """Return messages that are accepted, and not known to be queued, after this one, the oldest first."""
        ...

    def queued(self, messages: Iterable[str]) -> None:
        """Note that messages are queued."""
        ...

    def sweep(self, oldest: str) -> int:
        """Forget some of what is older than this message id; return how many recipients."""
        ...


class Fate(NamedTuple):
    """What the journal knows of an accepted message: whether the log shows it, or shows that it is not there.

    ``held``: our milter had it held, and the log shows nothing more.
    """

    queue_id: str
    queued: bool
    refused: bool
    held: bool


class Fates(Protocol):
    """Reads what became of messages. For one thread."""

    def of(self, messages: Sequence[str]) -> Mapping[str, Fate]:
        """Return what is known; who is missing is not known yet. Raises StoreUnavailable."""
        ...

    def close(self) -> None:
        """Let go of what is open."""
        ...

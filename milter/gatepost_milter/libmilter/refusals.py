"""What a refusal at end of message gets before the client hears it: a reference; and what is recorded of it.

Only a refusal comes here. What cannot be recorded is refused all the same, and logged like any other.
"""

from __future__ import annotations

from collections.abc import Callable
from datetime import datetime
from typing import Protocol

from gatepost_core.domain import Credential, StoreUnavailable, spooled, utc_now
from gatepost_core.domain.decision.refusals import Bound, Refused, reference, referred
from gatepost_milter.transaction import Transaction

_STAGE = "END-OF-MESSAGE"
# How a reason begins where the spool failed: to write there again would only keep the client waiting.
SPOOL_FAILED = "spool: "


class Directory(Protocol):
    """What is needed of the store's reader. It raises StoreUnavailable."""

    def credential(self, username: str) -> Credential | None:
        """Return the credential of that name as it is now."""
        ...


class RecordFunction(Protocol):
    """Where what was refused goes: ``gatepost_milter.libmilter.records.Records.refused``. Never raises."""

    def __call__(self, at: datetime, content: bytes) -> object:
        """Keep a refusal, as ``spooled.refused`` writes it."""
        ...


class Refusals:
    """For many threads. ``node``: the node's name; ``beyond`` hears of each refusal above ``bound``."""

    def __init__(
        self,
        directory: Directory,
        record: RecordFunction,
        bound: Bound,
        node: str,
        *,
        beyond: Callable[[], object] = lambda: None,
        now: Callable[[], datetime] = utc_now,
    ) -> None:
        self._directory = directory
        self._record = record
        self._bound = bound
        self._node = node
        self._beyond = beyond
        self._now = now

    def __call__(self, transaction: Transaction, queue_id: str, refused: Refused) -> Refused:
        """Return a refusal as the client is to hear it, with its reference; note it. Never raises."""
        user, since = transaction.username, str(transaction.since)
        said = referred(
            refused, reference(self._node, since, queue_id, _STAGE, user, str(refused.code), refused.reason)
        )
        if refused.reason.startswith(SPOOL_FAILED):
            return said
        try:
            credential = self._directory.credential(user)
        except StoreUnavailable:
            return said
        if credential is not None:
            self._note(credential, transaction, queue_id, said)
        return said

    def _note(self, credential: Credential, transaction: Transaction, queue_id: str, said: Refused) -> None:
        now = self._now()
        more = self._bound.admitted(credential.id, said.reference, now.timestamp(), self._beyond)
        if more is None:
            return
        detail: dict[str, str | int] = {
            "source": "milter",
            "reference": said.reference,
            "credential": credential.username,
            "stage": _STAGE,
            "reply": str(said),
            "reason": said.reason,
            "sender": transaction.sender,
            "recipients": len(transaction.recipients),
            "ip": (transaction.address or "").removeprefix("IPv6:"),
            "queue_id": queue_id,
            **more,
        }
        only = transaction.recipients[0] if len(transaction.recipients) == 1 else ""
        whose = credential.account_id, credential.id
        self._record(now, spooled.refused(said.reference, whose, only, now, detail))

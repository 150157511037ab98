"""What a refusal gets before the client hears it: a reference; and what is recorded of it, within a bound.

Only a refusal comes here: what passes pays nothing for it. The reference is made of the transaction
(Postfix's ``instance``), the stage, the recipient and the reason, so a question that Postfix asks again,
after a dropped connection, is answered with the same one, and recorded once. What cannot be recorded is
refused all the same.
"""

from __future__ import annotations

from collections.abc import Callable
from datetime import datetime
from typing import Final, Protocol

from gatepost_core.domain import Credential, StoreUnavailable, spooled
from gatepost_core.domain.decision.refusals import Bound, Refused, reference, referred
from gatepost_policy.protocol import Request, number

# RFC 5321 section 4.5.3.1.5: a line of a reply, CRLF among it.
_LINE_MOST: Final = 512
# What of a text is left beside the longest of addresses.
_TEXT_LEAST: Final = 100
# How smtpd(8) begins (smtpd_check.c, smtpd_check_reject).
_AT_RCPT: Final = "<>: Recipient address rejected: "
_AT_DATA: Final = "<DATA>: Data command rejected: "


class Directory(Protocol):
    """What is needed of the store's reader. It raises StoreUnavailable."""

    def credential(self, username: str) -> Credential | None:
        """Return the credential of that name as it is now."""
        ...


class RecordFunction(Protocol):
    """Where what was refused goes: ``gatepost_policy.records.Records``. Never waits, never raises."""

    def __call__(self, at: datetime, content: bytes) -> object:
        """Keep a refusal, as ``spooled.refused`` writes it."""
        ...


class Refusals:
    """``node``: the node's name; ``beyond`` hears of each refusal that finds no room within ``bound``.

    Without ``record`` none is recorded.
    """

    def __init__(
        self,
        directory: Directory,
        record: RecordFunction | None,
        bound: Bound,
        node: str,
        now: Callable[[], datetime],
        beyond: Callable[[], object] = lambda: None,
    ) -> None:
        self._directory = directory
        self._record = record
        self._bound = bound
        self._node = node
        self._now = now
        self._beyond = beyond

    def __call__(self, request: Request, refused: Refused) -> Refused:
        """Return a refusal as the client is to hear it, with its reference; note it. Never raises."""
        stage, recipient = request["protocol_state"], request.get("recipient", "")
        user = request.get("sasl_username", "")
        instance = request.get("instance", "")
        named = reference(self._node, instance, stage, recipient, user, str(refused.code), refused.reason)
        said = referred(refused, named, _room(refused, stage, recipient))
        if user and self._record is not None:
            self._note(request, user, said)
        return said

    def _note(self, request: Request, user: str, said: Refused) -> None:
        try:
            credential = self._directory.credential(user)
        except StoreUnavailable:
            return
        if credential is None or self._record is None:
            return
        now = self._now()
        more = self._bound.admitted(credential.id, said.reference, now.timestamp(), self._beyond)
        if more is None:
            return
        detail: dict[str, str | int] = {
            "source": "policy",
            "reference": said.reference,
            "credential": user,
            "stage": request["protocol_state"],
            "reply": str(said),
            "reason": said.reason,
            "sender": request.get("sender", ""),
            "recipients": number(request, "recipient_count"),
            "ip": request.get("client_address", ""),
            "queue_id": request.get("queue_id", ""),
            **more,
        }
        whose = credential.account_id, credential.id
        self._record(now, spooled.refused(said.reference, whose, request.get("recipient", ""), now, detail))


def _room(refused: Refused, stage: str, recipient: str) -> int:
    """Return how long a text may be, so that the whole line, as Postfix sends it, is not too long."""
    before = len(_AT_DATA) if stage == "DATA" else len(_AT_RCPT) + len(recipient.encode("utf-8", "replace"))
    return max(_LINE_MOST - len("\r\n") - len(f"{refused.code} {refused.enhanced} ") - before, _TEXT_LEAST)

"""What happens to one message at end of message: state, senders, features, record.

Runs in a Python-owned thread, never in a libmilter callback (libraries that take the GIL
through PyGILState_Ensure would crash the process there). A store that cannot be read
raises StoreUnavailable, which the shell turns into 451: never an unprocessed message.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Protocol

from gatepost_core import ids, rules
from gatepost_core.decision import Defer, Pass, Reject
from gatepost_core.features import in_force
from gatepost_core.model import Credential, MessageRecord, SenderDomain
from gatepost_core.tokens import ClickTokens, TokenError
from gatepost_milter.dkim.signing import FEATURE, Choice, Signing, room
from gatepost_milter.message import ClickRewriter, Context, Message, Plan
from gatepost_milter.pipeline import from_addresses, process
from gatepost_milter.transaction import Transaction

_SUBJECT_KEPT = 500


class Directory(Protocol):
    """What is read of the store: ``gatepost_core.store.reader.Reader``."""

    def credential(self, username: str) -> Credential | None:
        """Return a credential as it is now."""
        ...

    def domain(self, name: str) -> SenderDomain | None:
        """Return a registered sender domain."""
        ...


@dataclass(frozen=True, slots=True)
class Tracking:
    """How links lead back here; ``fallback_domain`` serves From domains that are not registered."""

    scheme: str = "https"
    fallback_domain: str = ""


@dataclass(frozen=True, slots=True)
class SizeLimits:
    """Bytes: above ``edit`` a message is not edited; above ``queue`` Postfix refuses it. 0: no limit."""

    edit: int = 0
    queue: int = 0


@dataclass(frozen=True, slots=True)
class Accepted:
    """The message passes with this plan, once ``record`` is committed."""

    plan: Plan
    record: MessageRecord


Verdict = Accepted | Reject | Defer


class Judge:
    """Decides about messages. One for a process; its methods may run in many threads."""

    def __init__(
        self,
        directory: Directory,
        tokens: ClickTokens,
        tracking: Tracking,
        *,
        limits: SizeLimits,
        signing: Signing | None = None,
        clock: Callable[[], datetime] = lambda: datetime.now(UTC),
    ) -> None:
        self._directory = directory
        self._tokens = tokens
        self._tracking = tracking
        self._limits = limits
        self._signing = signing
        self._clock = clock

    def decide(self, transaction: Transaction, queue_id: str) -> Verdict:
        """Return what to do with a message. Raises StoreUnavailable."""
        now = self._clock()
        credential = self._directory.credential(transaction.username)
        state = rules.check_state(credential, transaction.username, now)
        if credential is None or not isinstance(state, Pass):
            return state if not isinstance(state, Pass) else _GONE
        message = transaction.message()
        authors = from_addresses(message.headers)
        allowed = rules.check_from_header(credential, authors)
        if not isinstance(allowed, Pass):
            return allowed
        signer = self._signer(credential, authors, now)
        if isinstance(signer, Reject):
            return signer
        message_id = ids.new(int(now.timestamp() * 1000))
        plan: Plan | Reject | Defer = process(message, self._context(credential, authors, message_id))
        if isinstance(plan, Plan) and self._signing is not None and signer is not None:
            plan = self._signing.apply(message, plan, signer, now)
        if not isinstance(plan, Plan):
            return plan
        record = _record(message_id, now, credential, transaction, queue_id, message, authors, plan)
        return Accepted(plan, record)

    def _signer(self, credential: Credential, authors: list[str], now: datetime) -> Choice | Reject | None:
        """Return who signs, a refusal, or None when the credential does not ask for signatures."""
        if self._signing is None or not credential.features.get(FEATURE):
            return None
        return self._signing.choose(self._directory.domain, credential, authors, now)

    def _context(self, credential: Credential, authors: list[str], message_id: str) -> Context:
        return Context(
            features=in_force(credential.features),
            click=self._click_rewriter(authors, message_id),
            edit_size_limit=self._limits.edit,
            queue_size_limit=room(self._limits.queue) if self._signing else self._limits.queue,
        )

    def _click_rewriter(self, authors: list[str], message_id: str) -> ClickRewriter | None:
        """Return what rewrites links for the first From domain, None when it has no click domain."""
        domain = None
        if authors:
            domain = self._directory.domain(rules.normal_domain(authors[0].rpartition("@")[2]))
        host = domain.click_domain if domain is not None else self._tracking.fallback_domain
        if not host:
            return None
        return _Clicks(self._tokens, f"{self._tracking.scheme}://{host}/", message_id)


class _Clicks:
    """Makes the new beginning of a link: scheme, click domain and token."""

    def __init__(self, tokens: ClickTokens, base: str, message_id: str) -> None:
        self._tokens = tokens
        self._base = base
        self._message_id = message_id

    def __call__(self, scheme: str, authority: str, path_and_query: str) -> str | None:
        """Return what replaces ``scheme://authority``, or None for a link that must stay as it is."""
        if f"{scheme}://{authority}/".lower() == self._base:
            return None
        try:
            return self._base + self._tokens.issue(scheme, authority, path_and_query, self._message_id)
        except TokenError:
            return None


_GONE = Reject(550, "5.7.1", "This credential does not exist any more", "unknown credential")


def _record(
    message_id: str,
    now: datetime,
    credential: Credential,
    transaction: Transaction,
    queue_id: str,
    message: Message,
    authors: list[str],
    plan: Plan,
) -> MessageRecord:
    before = len(message.body)
    after = before if plan.body is None else len(plan.body)
    return MessageRecord(
        id=message_id,
        created_at=now,
        credential_id=credential.id,
        username=credential.username,
        queue_id=queue_id,
        sender=transaction.sender,
        recipients=tuple(transaction.recipients),
        header_from=", ".join(authors),
        subject=_subject(message),
        size=transaction.size,
        size_after=transaction.size + after - before + sum(len(f.name) + len(f.value) + 3 for f in plan.top),
        tags=plan.tags,
        features=tuple(name for name, value in plan.features.items() if value),
        applied=plan.applied,
        skipped=plan.skipped,
        seconds=plan.seconds,
    )


def _subject(message: Message) -> str:
    for header in message.headers:
        if header.name.lower() == b"subject":
            text = header.value.decode("utf-8", "replace")
            return " ".join(text.split())[:_SUBJECT_KEPT]
    return ""

"""What happens to one message at end of message: state, senders, features, record.

Features use libraries that may take the GIL through PyGILState_Ensure, which would crash the process in a
libmilter callback. So a message with features is answered with ``Later``, a function to call in a thread
that Python made. A message without features is decided at once: waking a thread would cost an eighth of the
milter's time for it. A store that cannot be read raises StoreUnavailable, which the shell turns into 451:
never an unprocessed message.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime
from operator import itemgetter
from typing import Protocol

from gatepost_core.domain import (
    Credential,
    Defer,
    FeatureValues,
    MessageRecord,
    Mode,
    Options,
    Pass,
    Reject,
    SenderDomain,
    WallMode,
    ids,
    in_force,
    metadata,
    rules,
)
from gatepost_core.domain.features import DEFAULTS
from gatepost_core.domain.limits import Charge, Charges, Defaults
from gatepost_core.domain.limits.submissions import Submission, submission
from gatepost_core.domain.logins import UNKNOWN, GrantedLogin, judge
from gatepost_core.domain.rules import catalogue
from gatepost_core.domain.rules.asking import Asked, Stage
from gatepost_core.domain.rules.places import Origin, origin_of
from gatepost_core.domain.suppressing import Suppression
from gatepost_core.domain.texts import bounded
from gatepost_core.domain.walls import RECORDED, Walls
from gatepost_milter import recipients
from gatepost_milter.contexts import ContextMaker
from gatepost_milter.dkim.signing import FEATURE, Choice, Signing
from gatepost_milter.editing.headers import Call, calls
from gatepost_milter.editing.message import Message, Plan, size_change
from gatepost_milter.holding import CANNOT_HOLD, CANNOT_SEND_LATER, HOLDING, Hold, Holding, too_far
from gatepost_milter.parts import authors as names
from gatepost_milter.parts.addresses import from_addresses, sender_addresses
from gatepost_milter.parts.words import decoded
from gatepost_milter.pipeline import process, untouched
from gatepost_milter.submitted import content
from gatepost_milter.surgery.context import Context
from gatepost_milter.surgery.overrides import is_override
from gatepost_milter.transaction import FIELDS_MOST, Transaction

UNSUBSCRIBE = "unsubscribe"
_TOO_MANY_FIELDS = Reject(
    550, "5.6.0", f"The message has more than {FIELDS_MOST} header fields", "too many header fields"
)
# Postfix goes through all header fields for each change; real mail has a handful.
EDITS_MOST = 1000
_TOO_MANY_EDITS = Reject(
    550, "5.6.0", f"More than {EDITS_MOST} header fields would have to be changed", "too many header changes"
)
# Characters of a record's fields, so that nobody fills the journal by what a message says of itself. Postfix
# bounds the number of recipients, the catalogue that of tags and features.
# Of a subject, so much is decoded: 500 characters take no more, each of them an encoded word's.
_SUBJECT_READ = 20_000
_SUBJECT_KEPT, _TEXT_KEPT, _ADDRESS_KEPT, _AUTHORS_KEPT, _MESSAGE_ID_KEPT = 500, 1_000, 1_000, 50, 250
_NO_OPTIONS = Options()
_NAME = itemgetter(0)


class Directory(Protocol):
    """What is read of the store: ``gatepost_core.store.sqlite.reader.Reader``."""

    def credential(self, username: str) -> Credential | None:
        """Return a credential as it is now."""
        ...

    def domain(self, name: str) -> SenderDomain | None:
        """Return a registered sender domain."""
        ...

    def suppressed_by_tag(
        self, account_id: int, credential: str, tags: Sequence[str], keys: Sequence[str]
    ) -> Sequence[Suppression]:
        """Return what an account has of addresses for a credential's mail with one of these tags."""
        ...


@dataclass(frozen=True, slots=True)
class Accepted:
    """The message passes with this plan, once ``record`` is committed; in sandbox mode it goes no further.

    ``header_calls`` are libmilter's for the header fields that the plan gives it. ``suppressed``: recipients
    that do not get it, as RCPT TO gave them; some others do. ``charges``: what it takes of limits. ``held``:
    why it goes into the hold queue; None for one that does not. ``submission``: what it is known by, so that
    it is queued once; ``known``: recipients who have it by that already, as RCPT TO gave them.
    ``senders``: the addresses in fields Sender. ``origin``: where it comes from, if what comes from a new
    place is held.
    """

    plan: Plan
    record: MessageRecord
    header_calls: tuple[Call, ...]
    suppressed: Mapping[str, Suppression] = field(default_factory=dict[str, Suppression])
    charges: tuple[Charge, ...] = ()
    held: Hold | None = None
    submission: Submission | None = None
    known: tuple[str, ...] = ()
    senders: tuple[str, ...] = ()
    origin: Origin | None = None


def held_for(accepted: Accepted, reason: str) -> Accepted:
    """Return a message that is held for somebody to look at it, whatever its time."""
    if accepted.held is not None and accepted.held.until is None:
        return accepted
    return replace(accepted, held=Hold(reason))


Verdict = Accepted | Reject | Defer
Later = Callable[[], Verdict]


class Judge:
    """Decides about messages. One for a process; its methods may run in many threads."""

    def __init__(
        self,
        directory: Directory,
        contexts: ContextMaker,
        *,
        walls: Walls,
        signing: Signing | None = None,
        charges: Charges | None = None,
        holding: Holding = HOLDING,
        clock: Callable[[], datetime] = lambda: datetime.now(UTC),
    ) -> None:
        self._directory = directory
        self._contexts = contexts
        self._walls = walls
        self._signing = signing
        self._charges = charges or Charges(Defaults())
        self._holding = holding
        self._clock = clock

    def decide(self, transaction: Transaction, queue_id: str) -> Verdict:
        """Return what to do with a message. Raises StoreUnavailable."""
        verdict = self.at_once(transaction, queue_id)
        return verdict() if callable(verdict) else verdict

    def at_once(self, transaction: Transaction, queue_id: str) -> Verdict | Later:
        """Return what to do with a message, or what decides it where a feature is in force: see above.

        Both raise StoreUnavailable.
        """
        now = self._clock()
        credential = self._directory.credential(transaction.username)
        # Policy, which knows more of the session, judged it at DATA.
        since = transaction.since
        login = None if since is None else GrantedLogin(UNKNOWN, UNKNOWN, since)
        judged = judge(credential, transaction.username, now, login, transaction.address)
        if not isinstance(judged, Pass):
            return judged
        assert credential is not None  # noqa: S101  # a login that is gone is refused
        if transaction.fields > FIELDS_MOST:
            return _TOO_MANY_FIELDS
        size = transaction.size
        refused = self._held(credential, transaction, size, now)
        if refused is not None:
            return refused
        message = transaction.message()
        authors = from_addresses(message.headers)
        allowed = rules.check_from_header(credential, authors)
        if not isinstance(allowed, Pass):
            return allowed
        # Looking through all names once tells most messages from those that have such fields.
        fields = b"\n".join(map(_NAME, message.headers)).lower()
        senders = sender_addresses(message.headers) if b"sender" in fields else []
        allowed = rules.check_sender_header(credential, senders)
        if not isinstance(allowed, Pass):
            return allowed
        strange = names.refusal(self._walls, credential, message.headers, authors, senders)
        if strange is not None and self._walls.mode() is WallMode.ENFORCE:
            return strange
        signer = self._signer(credential, authors, now)
        if isinstance(signer, Reject):
            return signer
        message_id = ids.new(int(now.timestamp() * 1000))
        overridden = (b"gatepost" in fields or b"smtpeter" in fields) and any(
            is_override(header.name) for header in message.headers
        )

        def verdict(plan: Plan | Reject | Defer) -> Verdict:
            if not isinstance(plan, Plan):
                return plan
            if plan.send_at is not None and plan.send_at > now + self._holding.ahead:
                return too_far(plan.send_at, self._holding.ahead)
            suppressed = recipients.suppressed(self._directory, credential, transaction, plan.tags, now)
            if isinstance(suppressed, Reject):
                return suppressed
            header_calls = calls(plan.headers)
            if len(header_calls) > EDITS_MOST:
                return _TOO_MANY_EDITS
            if strange is not None:
                plan = replace(
                    plan, skipped={**plan.skipped, RECORDED: f"would be refused: {strange.reason}"}
                )
            said = _said(message, fields, authors)
            sizes = size, size + size_change(message, plan)
            record = _record(message_id, now, credential, transaction, queue_id, said, sizes, plan)
            charges = self._charges.of(
                credential,
                now.timestamp(),
                recipients=sum([one not in suppressed for one in transaction.recipients]),
                size=size,
                account=record.mode is not Mode.SANDBOX,
            )
            held = self._holding.of(credential, plan.send_at, now)
            if held is not None and self._holding.skips:
                return CANNOT_HOLD if held.until is None else CANNOT_SEND_LATER
            known_by = _known_by(credential, plan, message, transaction, suppressed)
            placed = credential.rules.hold_places and record.mode is not Mode.SANDBOX
            return Accepted(
                plan,
                record,
                header_calls,
                suppressed,
                charges,
                held,
                known_by,
                senders=tuple(senders),
                origin=origin_of(credential, transaction.address) if placed else None,
            )

        def conclude() -> Verdict:
            context = self._contexts.make(credential, authors, message_id, transaction, overridden=overridden)
            if overridden:
                context = replace(context, now=now)
            return verdict(self._plan(message, context, signer, now))

        if not overridden and signer is None and _asks_nothing(credential):
            return verdict(untouched(message))
        return conclude

    def _held(
        self, credential: Credential, transaction: Transaction, size: int, now: datetime
    ) -> Reject | Defer | None:
        """Return a refusal by the credential's rules. smtpd(8) takes some recipients without asking."""
        if not credential.rules.held:
            return None
        asked = Asked(
            Stage.END,
            now,
            self._charges.zone(credential),
            recipients=transaction.recipients,
            total=len(transaction.recipients),
            size=size,
        )
        return catalogue.refusal(credential, asked)

    def _plan(
        self, message: Message, context: Context, signer: Choice | None, now: datetime
    ) -> Plan | Reject | Defer:
        """Return what is to change, signatures included, or a refusal."""
        if signer is None or signer.domain is None:
            context = _without_unsubscribe(context, signer.reason if signer else "the feature dkim is off")
        plan: Plan | Reject | Defer = process(message, context)
        if not isinstance(plan, Plan) or self._signing is None or signer is None:
            return plan
        signed = self._signing.apply(message, plan, signer, now)
        if not isinstance(signed, Plan) or FEATURE in signed.applied or UNSUBSCRIBE not in signed.applied:
            return signed
        # A message that cannot be signed shows it only now.
        plan = process(message, _without_unsubscribe(context, signed.skipped[FEATURE]))
        return self._signing.apply(message, plan, signer, now) if isinstance(plan, Plan) else plan

    def _signer(self, credential: Credential, authors: list[str], now: datetime) -> Choice | Reject | None:
        """Return who signs, a refusal, or None when the credential does not ask for signatures."""
        if self._signing is None:
            return None
        if not credential.features.get(FEATURE):
            return self._signing.refusal(self._directory.domain, credential, authors)
        return self._signing.choose(self._directory.domain, credential, authors, now)


def _known_by(
    credential: Credential,
    plan: Plan,
    message: Message,
    transaction: Transaction,
    suppressed: Mapping[str, Suppression],
) -> Submission | None:
    """Return what a message with a key of its sender's own is known by. In the crew: it has an override."""
    if not plan.idempotency_key:
        return None
    reached = [one for one in transaction.recipients if one not in suppressed]
    sandbox = credential.mode is Mode.SANDBOX
    return submission(credential, plan.idempotency_key, content(message), reached, sandbox=sandbox)


def _asks_nothing(credential: Credential) -> bool:
    """Say whether a credential has neither features nor options, so that nothing is to be made for them."""
    features, options = credential.features, credential.options
    if options.transactional or options.unsubscribe_scope != "credential":  # nothing is made for those
        options = replace(options, transactional=False, unsubscribe_scope="credential")
    return options == _NO_OPTIONS and (not features or in_force(features) == DEFAULTS)


def _without_unsubscribe(context: Context, why: str) -> Context:
    """Return a context for a message that nobody signs: RFC 8058 section 4 wants its fields signed."""
    if not context.unsubscribe:
        return context
    missing = {**context.missing, UNSUBSCRIBE: f"RFC 8058 asks for a DKIM signature, and {why}"}
    return replace(context, unsubscribe="", missing=missing)


def _record(
    message_id: str,
    now: datetime,
    credential: Credential,
    transaction: Transaction,
    queue_id: str,
    said: tuple[str, str, str],
    sizes: tuple[int, int],
    plan: Plan,
) -> MessageRecord:
    header_from, subject, reference = said
    size, size_after = sizes
    return MessageRecord(
        id=message_id,
        created_at=now,
        credential_id=credential.id,
        username=credential.username,
        queue_id=queue_id,
        sender=bounded(transaction.sender, _ADDRESS_KEPT),
        recipients=tuple([bounded(address, _ADDRESS_KEPT) for address in transaction.recipients]),
        header_from=header_from,
        subject=subject,
        size=size,
        size_after=size_after,
        tags=plan.tags,
        features=_in_force(plan.features),
        applied=plan.applied,
        skipped={name: bounded(why, _TEXT_KEPT) for name, why in plan.skipped.items()},
        seconds=plan.seconds,
        mode=credential.mode,
        metadata=metadata.as_object(plan.metadata),
        account_id=credential.account_id,
        message_id=reference,
    )


def _said(message: Message, fields: bytes, authors: list[str]) -> tuple[str, str, str]:
    """Return what a message says of itself, for its record: From, Subject, Message-ID.

    ``fields`` has the names of its fields, in lower case, a line each.
    """
    names = fields.split(b"\n")
    return (
        bounded(", ".join(authors[:_AUTHORS_KEPT]), _TEXT_KEPT),
        _shown(_text(message, names, b"subject", _SUBJECT_READ)),
        _text(message, names, b"message-id", _MESSAGE_ID_KEPT),
    )


def _shown(subject: str) -> str:
    """Return a subject as readers see it, on one line; PostgreSQL takes no NUL."""
    text = " ".join(decoded(subject).replace("\0", "\N{REPLACEMENT CHARACTER}").split())
    return bounded(text, _SUBJECT_KEPT)


def _in_force(features: FeatureValues) -> tuple[str, ...]:
    if features is DEFAULTS:
        return ()
    return tuple([name for name, value in features.items() if value != DEFAULTS[name]])


def _text(message: Message, names: list[bytes], name: bytes, most: int) -> str:
    """Return the value of the first field of a name, on one line; empty when there is none."""
    if name not in names:
        return ""
    text = message.headers[names.index(name)].value.decode("utf-8", "replace")
    return bounded(" ".join(text.split()), most)

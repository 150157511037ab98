"""The whole decision about one message, made by the daemons' own code, without sending it.

Policy's questions, then the milter's judge, whose record nobody keeps. Each feature's share is found
by deciding once more without it. Only the store is read; nothing is written.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from datetime import datetime

from gatepost_cli import places, rule_options
from gatepost_cli.maildiff import Change, changes, summary
from gatepost_cli.trial import Transaction as Sending
from gatepost_cli.trial import questions, requests
from gatepost_core.domain import (
    CATALOGUE,
    Credential,
    Decision,
    Defer,
    FeatureValues,
    Mode,
    Pass,
    Reject,
    SenderDomain,
    ids,
    in_force,
    stamp,
)
from gatepost_core.domain.limits import Bucket, Charge, Charges, Looking, verdicts
from gatepost_core.domain.rules.values import NAMES
from gatepost_core.domain.suppressing import Suppression
from gatepost_core.domain.walls import RECORDED, Walls
from gatepost_core.keys import Keyring
from gatepost_core.settings import Settings
from gatepost_core.store import Reader
from gatepost_core.store.images import FileImageStore
from gatepost_milter.contexts import ContextMaker, SizeLimits, Tracking
from gatepost_milter.dkim.signing import FEATURE as DKIM
from gatepost_milter.dkim.signing import Limits, Signing
from gatepost_milter.editing.headers import Header
from gatepost_milter.editing.message import Message, Plan, new_headers, outcome, render
from gatepost_milter.holding import Holding, held_too
from gatepost_milter.judge import UNSUBSCRIBE, Accepted, Judge, Verdict, held_for
from gatepost_milter.parts import eml
from gatepost_milter.surgery.context import Context
from gatepost_milter.surgery.overrides import is_override
from gatepost_milter.transaction import Transaction


@dataclass(frozen=True, slots=True)
class Mail:
    """What would be sent: the login, the envelope, the file's bytes.

    ``client`` is the IP address that it comes from; empty: one that the credential may log in from.
    """

    username: str
    sender: str
    recipients: tuple[str, ...]
    raw: bytes
    client: str = ""


@dataclass(frozen=True, slots=True)
class FeatureOutcome:
    """One feature: its value in force, whether it acts, why it does not, and what it alone changes.

    ``changes`` says it in a few words, ``shares`` holds the lines.
    """

    name: str
    value: object
    applied: bool
    skipped: str = ""
    changes: str = ""
    shares: tuple[Change, ...] = ()


@dataclass(frozen=True, slots=True)
class Explanation:
    """Everything that would happen. ``message`` are the bytes after the milter; empty when it is refused.

    In sandbox mode they are what a live credential would send, and ``delivered`` is false. ``sender`` is the
    envelope sender after the milter.
    """

    answers: list[tuple[str, Decision]]
    features: list[FeatureOutcome] = field(default_factory=list[FeatureOutcome])
    changes: list[Change] = field(default_factory=list[Change])
    notes: list[str] = field(default_factory=list[str])
    message: bytes = b""
    delivered: bool = True
    sender: str = ""

    @property
    def accepted(self) -> bool:
        """Whether the message would be taken, for one recipient at least."""
        return bool(self.message)


class _Contexts(ContextMaker):
    """Contexts of one message id, so that two decisions can be compared."""

    def __init__(self, settings: Settings, keyring: Keyring, reader: Reader, now: datetime) -> None:
        images = FileImageStore(settings.images.directory).trial()  # nothing is sent, so none is kept
        super().__init__(reader, keyring, images, Tracking.of(settings), SizeLimits.of(settings))
        self._message_id = ids.new(int(now.timestamp() * 1000))

    def make(
        self,
        credential: Credential,
        authors: list[str],
        message_id: str,
        transaction: Transaction,
        *,
        overridden: bool = True,
    ) -> Context:
        """Return the context of the message."""
        del message_id
        own = self._message_id
        return super().make(credential, authors, own, transaction, overridden=overridden)


@dataclass(frozen=True, slots=True)
class _Directory:
    """The store's reader, with other features for every credential when they are given."""

    reader: Reader
    features: FeatureValues | None = None

    def credential(self, username: str) -> Credential | None:
        """Return a credential as it is now."""
        found = self.reader.credential(username)
        return found if found is None or self.features is None else replace(found, features=self.features)

    def domain(self, name: str) -> SenderDomain | None:
        """Return a registered sender domain."""
        return self.reader.domain(name)

    def suppressed_by_tag(
        self, account_id: int, credential: str, tags: Sequence[str], keys: Sequence[str]
    ) -> list[Suppression]:
        """Return what an account has of addresses for a credential's mail with one of these tags."""
        return self.reader.suppressed_by_tag(account_id, credential, tags, keys)


class Explainer:
    """Explains messages with these settings, keys and store, as of ``now`` (UTC)."""

    def __init__(
        self, settings: Settings, keyring: Keyring, reader: Reader, counters: Looking, now: datetime
    ) -> None:
        self._settings = settings
        self._keyring = keyring
        self._reader = reader
        self._counters = counters
        self._charges = Charges(settings.limits.defaults)
        self._now = now
        self._contexts = _Contexts(settings, keyring, reader, now)
        self._walls = Walls(reader, settings.own_names, settings.accounts.wall_mode)

    def explain(self, mail: Mail) -> Explanation:
        """Return what would happen. Raises StoreUnavailable."""
        answers = self._policy(mail)
        if not isinstance(answers[-1][1], Pass):
            return Explanation(answers)
        passed_on = zip(mail.recipients, answers, strict=False)
        taken = tuple([one for one, (_, answer) in passed_on if isinstance(answer, Pass)])
        mail = replace(mail, recipients=taken)
        headers, body = eml.read(mail.raw)
        verdict = self._verdict(mail, headers, body, None)
        if not isinstance(verdict, Accepted):
            return Explanation([*answers, ("end of message", verdict)])
        found = self._counters.look([charge.want for charge in verdict.charges])
        over = verdicts.over(verdict.charges, found, for_good=self._settings.limits.for_good)
        if refused := verdicts.too_much(verdict.charges) or over:
            return Explanation([*answers, ("end of message", refused)])
        plan = verdict.plan
        message = Message(headers, body)
        credential = self._reader.credential(mail.username)
        sandbox = credential is not None and credential.mode is Mode.SANDBOX
        beyond = verdicts.beyond(verdict.charges, [verdicts.used(buckets) for buckets in found])
        if beyond and not sandbox:
            verdict = held_for(verdict, f"over a limit: {beyond}")
        verdict, placed = self._placed(verdict)
        if not isinstance(verdict, Accepted):
            return Explanation([*answers, ("end of message", verdict)])
        held = verdict.held.reason if verdict.held else ""
        passed = ("end of message", Pass(_passed(plan, held, sandbox=sandbox)))
        return Explanation(
            [*answers, passed],
            self._features(mail, headers, body, plan),
            changes(message, outcome(message, plan)),
            [
                *plan.notes,
                *_wall_notes(plan),
                *map(_taken_out, verdict.suppressed.items()),
                *map(_used, verdict.charges, found),
                *placed,
                *_held_to(credential),
                *_postfix_notes(mail, headers, self._settings),
            ],
            render(message, plan),
            delivered=not sandbox,
            sender=mail.sender if plan.sender is None else plan.sender,
        )

    def _placed(self, accepted: Accepted) -> tuple[Verdict, list[str]]:
        """Return a message, held if it comes from a new place, and a note about that."""
        if accepted.origin is None:
            return accepted, []
        deferred, why, told = places.looked(self._settings, accepted.origin)
        if deferred is not None:
            return deferred, []
        if why:
            return replace(accepted, held=held_too(accepted.held, why)), []
        return accepted, [f"places: {told}"]

    def _policy(self, mail: Mail) -> list[tuple[str, Decision]]:
        """Return gatepost-policy's answers at RCPT, for each recipient, and at DATA if one is left."""
        asked = questions(self._settings, self._keyring, self._reader, self._counters, self._now)
        transaction = Sending(mail.username, mail.sender, mail.recipients, len(mail.raw), mail.client)
        common = requests(transaction, self._reader.credential(mail.username))
        answers: list[tuple[str, Decision]] = []
        taken: list[str] = []
        for recipient in mail.recipients:
            request = {**common, "protocol_state": "RCPT", "recipient": recipient}
            answers.append((f"RCPT <{recipient}>", asked.decide(request)))
            if isinstance(answers[-1][1], Pass):
                taken.append(recipient)
        if taken:
            data = {
                "protocol_state": "DATA",
                "recipient": taken[0] if len(taken) == 1 else "",
                "recipient_count": str(len(taken)),
            }
            answers.append(("DATA", asked.decide({**common, **data})))
        return answers

    def _decide(
        self, mail: Mail, headers: tuple[Header, ...], body: bytes, features: FeatureValues
    ) -> Plan | Reject | Defer:
        """Return what the milter would change, with other features for the credential."""
        verdict = self._verdict(mail, headers, body, features)
        return verdict.plan if isinstance(verdict, Accepted) else verdict

    def _verdict(
        self, mail: Mail, headers: tuple[Header, ...], body: bytes, features: FeatureValues | None
    ) -> Verdict:
        """Return the milter's verdict, with other features for the credential when they are given."""
        settings = self._settings
        judge = Judge(
            _Directory(self._reader, features),
            self._contexts,
            walls=self._walls,
            signing=Signing(settings.dkim, self._keyring, Limits.of(settings)),
            charges=self._charges,
            holding=Holding.of_settings(settings.hold, settings.postfix.milters_after),
            clock=lambda: self._now,
        )
        transaction = Transaction(mail.username, mail.sender.encode(), address=mail.client or None)
        for recipient in mail.recipients:
            transaction.add_recipient(recipient.encode())
        for header in headers:
            transaction.add_header(header.name.decode("utf-8", "surrogateescape"), header.value)
        transaction.add_body(body)
        return judge.decide(transaction, "explained")

    def _features(
        self, mail: Mail, headers: tuple[Header, ...], body: bytes, plan: Plan
    ) -> list[FeatureOutcome]:
        outcomes: list[FeatureOutcome] = []
        plain = tuple(header for header in headers if not is_override(header.name))
        asked = in_force(plan.features)
        for name, value in asked.items():
            applied, skipped = name in plan.applied, plan.skipped.get(name, "")
            found, envelope = self._share(mail, (plain, body), asked, name) if applied else ([], "")
            words = "; ".join(filter(None, [envelope, summary(found)]))
            if applied and not words:
                words = "nothing in the message"
            outcomes.append(FeatureOutcome(name, value, applied, skipped, words, tuple(found)))
        return outcomes

    def _share(
        self,
        mail: Mail,
        content: tuple[tuple[Header, ...], bytes],
        asked: Mapping[str, bool | str | tuple[str, ...]],
        name: str,
    ) -> tuple[list[Change], str]:
        """Return what the outcome has that it would not have without one feature, the envelope in words."""
        # Any other change changes the signature too, which would be told of every feature. What RFC 8058
        # wants signed is there only in a message that is: the signature is then left out of the comparison.
        needs_signature = name == UNSUBSCRIBE and bool(asked[DKIM])
        full = dict(asked) if name == DKIM or needs_signature else {**asked, DKIM: False}
        message = Message(*content)
        outcomes: list[Message] = []
        senders: list[str | None] = []
        for values in ({**full, name: CATALOGUE[name].default}, full):
            plan = self._decide(mail, *content, values)
            if not isinstance(plan, Plan):
                return [], ""
            if needs_signature:
                plan = replace(plan, headers=replace(new_headers(message, plan), top=()))
            outcomes.append(outcome(message, plan))
            senders.append(plan.sender)
        changed = f"envelope sender becomes <{senders[1]}>" if senders[0] != senders[1] else ""
        return changes(*outcomes), changed


def _passed(plan: Plan, held: str, *, sandbox: bool) -> str:
    if sandbox:
        return "recorded and discarded, for the credential is in sandbox mode; live, it would be as shown"
    done = "edited and recorded" if plan.applied else "passes as it is"
    return f"{done}, into the hold queue: {held}" if held else done


def _used(charge: Charge, buckets: Sequence[Bucket]) -> str:
    """Return how much of a limit is used before the message."""
    whose, has = f"{charge.scope} {charge.name}", verdicts.used(buckets)
    held = "; what is beyond is held" if charge.limit.hold else ""
    takes = f"this message takes {charge.want.amount:,}"
    return f"limit of {whose}: {verdicts.said(charge)}, {has:,} used; {takes}{held}"


def _held_to(credential: Credential | None) -> list[str]:
    """Return the rules that the message kept to."""
    if credential is None:
        return []
    rules = credential.rules
    shown = rule_options.facts(rules, credential.own_rules)
    return [
        f"rule {title}: {text}"
        for name, (title, text) in zip(NAMES, shown, strict=True)
        if getattr(rules, name)
    ]


def _wall_notes(plan: Plan) -> list[str]:
    """Return what walls would have done, where they only report."""
    return [f"walls: {plan.skipped[RECORDED]}"] if RECORDED in plan.skipped else []


def _taken_out(of: tuple[str, Suppression]) -> str:
    """Return why a recipient does not get the message."""
    recipient, found = of
    return (
        f"<{recipient}> does not get it: suppressed for the tag {found.tag} since {stamp(found.since)}, "
        f"reason {found.reason.value}."
    )


def _postfix_notes(mail: Mail, headers: tuple[Header, ...], settings: Settings) -> list[str]:
    """Return what Postfix does by itself, which is no part of the bytes shown."""
    notes = ["Postfix itself puts a Received field on top, and drops Bcc, Return-Path and Content-Length."]
    added = eml.missing(headers)
    if added:
        notes.append(
            f"Postfix adds {', '.join(added)} before the milter sees it; a signature covers that too."
        )
    limit = settings.postfix.message_size_limit
    if len(mail.raw) > limit:
        notes.append(f"Postfix refuses it with 552: it has {len(mail.raw)} bytes, the limit is {limit}.")
    return notes

"""From a message and its credential's features to a plan: what changes, what stays and why.

Here is decided which features are asked: those in force, by the credential and the message's own header
(``surgery.overrides``), as far as an author's signature and the limits of size allow. ``surgery.asking`` asks
them. What cannot be edited safely passes untouched with a reason; a header override that is not understood is
a ``Reject``. ``process`` is pure and never raises: the shell carries the plan out.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field, replace
from itertools import chain

from gatepost_core.domain import FeatureValues, Reject, in_force
from gatepost_core.domain.features import DEFAULTS
from gatepost_milter.css.weight import Allowance
from gatepost_milter.editing.headers import Header, Headers
from gatepost_milter.editing.message import Message, Plan, message_size
from gatepost_milter.features.authorsignature import is_signed
from gatepost_milter.features.order import FEATURES
from gatepost_milter.surgery import overrides
from gatepost_milter.surgery.asking import ask, editors
from gatepost_milter.surgery.context import Context
from gatepost_milter.surgery.feature import OWN, Feature
from gatepost_milter.surgery.record import Record

SIGNED = "the message carries a DKIM signature of its own"
# With a milter, cleanup(8) drops the lines of a header field that go beyond this (KLUDGE_HEADER_LIMIT in
# cleanup_message.c). A line is a record, of at most line_length_limit bytes, and goes as a whole.
_FIELD_LIMIT = 60_000
_RECORD = 2_048
_CUT_MOST = 3  # named in the record
_NOTHING = Plan(features=DEFAULTS)


@dataclass(frozen=True, slots=True)
class _Work:
    """What there is to do. ``headers`` are those that overrides left (None: all of them).

    ``skipped`` and ``notes`` go on record whatever the features do.
    """

    message: Message
    context: Context
    features: FeatureValues
    headers: Headers | None
    notes: tuple[str, ...] = ()
    skipped: dict[str, str] = field(default_factory=dict[str, str])

    def without(self, names: Iterable[str], reason: str, *notes: str) -> _Work:
        """Return the same work for fewer features."""
        return replace(
            self, skipped={**self.skipped, **dict.fromkeys(names, reason)}, notes=self.notes + notes
        )

    def asked(self, kinds: Sequence[type[Feature]]) -> Plan:
        """Return what these features make of it."""
        record = Record(skipped={name: [why] for name, why in self.skipped.items()}, notes=[*self.notes])
        return ask(kinds, self.message, self.context, self.features, record, self.headers)


def process(message: Message, context: Context) -> Plan | Reject:
    """Return what is to become of ``message``, or the refusal of an override. Never raises."""
    try:
        asked = overrides.read(message.headers, ignore=context.options.overrides == "ignored")
    except Exception as error:  # noqa: BLE001  # an override that we cannot read must not pass unread
        return Reject(
            550, "5.6.0", "The X-Gatepost- headers cannot be read", f"{type(error).__name__}: {error}"
        )
    if isinstance(asked, Reject):
        return asked
    features = in_force(context.features, asked.values) if asked.values else context.features
    work = _work(message, context.in_mode(features) if asked.values else context, features, asked)
    return _planned(work, [kind for kind in FEATURES if kind.wanted(features, context.options)])


def untouched(message: Message) -> Plan:
    """Return the same for a message that asks for nothing, and whose credential does not: quicker."""
    cut = _cut_fields(message.headers)
    return Plan(features=DEFAULTS, skipped=_told(cut), notes=tuple(cut)) if cut else _NOTHING


def _work(message: Message, context: Context, features: FeatureValues, asked: overrides.Overrides) -> _Work:
    ignored = ("header overrides ignored: " + ", ".join(asked.ignored)[:200],) if asked.ignored else ()
    cut = _cut_fields(message.headers)
    if context.allowance is None:  # one for all attempts
        context = replace(context, allowance=Allowance())
    return _Work(message, context, features, asked.headers, (*ignored, *cut), _told(cut))


def _told(cut: list[str]) -> dict[str, str]:
    return {OWN: "; ".join(cut[:_CUT_MOST])} if cut else {}


def _cut_fields(headers: tuple[Header, ...]) -> list[str]:
    """Return a note for each field so long that Postfix may have cut it; nothing else tells."""
    longest = max(map(len, chain.from_iterable(headers)), default=0)  # names and values; few are that long
    if 2 * longest < _FIELD_LIMIT - _RECORD:
        return []
    # The limit counts name, colon and value, folded with LF.
    return [
        f"{header.name.decode('ascii', 'backslashreplace')[:80]} has {size} bytes and may have been cut: "
        f"Postfix drops a header field's lines beyond {_FIELD_LIMIT} bytes when there is a milter"
        for header in headers
        if (size := len(header.name) + 1 + len(header.value)) > _FIELD_LIMIT - _RECORD
    ]


def _planned(work: _Work, kinds: list[type[Feature]]) -> Plan:
    """Return the plan of those features that may act on this message."""
    message, context = work.message, work.context
    if not kinds:
        return Plan(work.headers, features=work.features, skipped=work.skipped, notes=work.notes)
    if not context.options.edit_signed and is_signed(message.headers):
        names = [kind.name for kind in kinds if not kind.on_signed and kind.name in DEFAULTS]
        work, kinds = work.without(names, SIGNED), [kind for kind in kinds if kind.on_signed]
    if not editors(kinds):
        return work.asked(kinds)
    others = [kind for kind in kinds if not kind.reads_html]
    most = context.edit_size_limit
    if most and message_size(message) > most:
        return work.without(editors(kinds), f"the message has more than {most} bytes").asked(others)
    try:
        return _fitting(work, kinds, others)
    except Exception as error:  # noqa: BLE001  # whatever it is, the message must pass
        note = f"{type(error).__name__}: {error}"
        return work.without(editors(kinds), "internal error", note).asked(others)


def _fitting(work: _Work, kinds: list[type[Feature]], others: list[type[Feature]]) -> Plan:
    """Return the plan of all features, or of fewer if the message would grow too large: in the end of
    those alone that edit no part.
    """
    plan, most = work.asked(kinds), work.context.queue_size_limit
    if not most or plan.body is None or message_size(work.message, plan) <= most:
        return plan
    reason = f"the message would grow past {most} bytes"
    rest = work.without(editors(kinds), reason).asked(others)
    most = max(most, message_size(work.message, rest))
    if message_size(work.message, plan) <= most:
        return plan
    large = [kind.name for kind in kinds if kind.left_out_first]
    small = [kind for kind in kinds if not kind.left_out_first]
    if {*large} & {*plan.applied} and {*editors(small)} & {*plan.applied}:
        fewer = work.without(large, reason).asked(small)
        if message_size(work.message, fewer) <= most:
            return fewer
    return replace(rest, seconds=plan.seconds, notes=plan.notes)

"""From a message and its credential's features to a plan: which headers and bytes change, which stay and why.

``process`` is pure and never raises: the shell carries the plan out. What cannot be edited safely passes
untouched with a reason; a header override that is not understood is a ``Reject``.
"""

from __future__ import annotations

from dataclasses import replace
from itertools import chain
from time import perf_counter

from gatepost_core.domain.decision import Reject
from gatepost_core.domain.features import DEFAULTS, FeatureValues, in_force
from gatepost_core.domain.rules import UNREADABLE
from gatepost_milter.css.weight import Allowance
from gatepost_milter.dkim.author import without_broken
from gatepost_milter.editing.edits import Edit, ordered, splice
from gatepost_milter.editing.headers import Header, Headers
from gatepost_milter.editing.message import Message, Plan, message_size, new_headers, render, size_change
from gatepost_milter.features import overrides
from gatepost_milter.features.context import ClickRewriter, Context
from gatepost_milter.features.headers import OWN
from gatepost_milter.features.hostedimages import HostedImages
from gatepost_milter.features.overrides import Overrides
from gatepost_milter.features.surgery import Asked, NewPart, PartError, Record, operate, reasons
from gatepost_milter.outside import SIGNED, is_signed, outside
from gatepost_milter.parts import bodies
from gatepost_milter.parts.addresses import from_addresses
from gatepost_milter.parts.labels import labelled
from gatepost_milter.parts.locations import locations
from gatepost_milter.parts.mime import Part, view

__all__ = [
    "UNREADABLE",
    "ClickRewriter",
    "Context",
    "Header",
    "Message",
    "Plan",
    "Reject",
    "from_addresses",
    "process",
    "render",
]

_HTML_FEATURES = ("inlinecss", "trackclicks", "trackopens", "preventscam", "images")
# Skip these words in reasons: a part without HTML is no failure worth a sentence of its own.
_NO_HTML = "no HTML part"
# With a milter, cleanup(8) drops the lines of a header field that go beyond this (KLUDGE_HEADER_LIMIT in
# cleanup_message.c). A line is a record, of at most line_length_limit bytes, and goes as a whole.
_FIELD_LIMIT = 60_000
_RECORD = 2_048
_CUT_MOST = 3  # named in the record
_NOTHING = Plan(features=DEFAULTS)


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
    plan = _planned(message, context, asked)
    return without_broken(message, plan) if context.options.edit_signed else plan


def untouched(message: Message) -> Plan:
    """Return the same for a message that asks for nothing, and whose credential does not: quicker."""
    return _with_cuts(message, _NOTHING)


def _planned(message: Message, context: Context, asked: Overrides) -> Plan:
    """Return what is to become of a message whose overrides are understood."""
    features = in_force(context.features, asked.values) if asked.values else context.features
    plan = _with_cuts(message, outside(message, context, features, asked))
    wanted = _wanted(features)
    if not wanted:
        return plan
    if is_signed(message, context):
        return replace(plan, skipped={**plan.skipped, **dict.fromkeys(wanted, SIGNED)})
    try:
        return _edited(message, context, plan)
    except Exception as error:  # noqa: BLE001  # whatever it is, the message must pass as it came
        return replace(
            plan,
            skipped={**plan.skipped, **dict.fromkeys(wanted, "internal error")},
            notes=(*plan.notes, f"{type(error).__name__}: {error}"),
        )


def _with_cuts(message: Message, plan: Plan) -> Plan:
    """Return ``plan`` with what is to be said of fields that may have been cut; few messages have any."""
    longest = max(map(len, chain.from_iterable(message.headers)), default=0)  # names and values
    if 2 * longest < _FIELD_LIMIT - _RECORD or not (cut := _cut_fields(message.headers)):
        return plan
    known = "; ".join(cut[:_CUT_MOST])
    return replace(plan, skipped={**plan.skipped, OWN: known}, notes=(*plan.notes, *cut))


def _cut_fields(headers: tuple[Header, ...]) -> list[str]:
    """Return a note for each field so long that Postfix may have cut it; nothing else tells."""
    # The limit counts name, colon and value, folded with LF.
    return [
        f"{header.name.decode('ascii', 'backslashreplace')[:80]} has {size} bytes and may have been cut: "
        f"Postfix drops a header field's lines beyond {_FIELD_LIMIT} bytes when there is a milter"
        for header in headers
        if (size := len(header.name) + 1 + len(header.value)) > _FIELD_LIMIT - _RECORD
    ]


def _wanted(features: FeatureValues) -> list[str]:
    return [name for name in _HTML_FEATURES if features[name] != DEFAULTS[name]]


def _edited(message: Message, context: Context, plan: Plan) -> Plan:
    """Return ``plan`` with the edits of the HTML parts, with fewer if the message would grow too large."""
    wanted = _wanted(plan.features)
    if context.edit_size_limit and message_size(message) > context.edit_size_limit:
        reason = f"the message has more than {context.edit_size_limit} bytes"
        return replace(plan, skipped={**plan.skipped, **dict.fromkeys(wanted, reason)})
    if context.allowance is None:
        context = replace(context, allowance=Allowance())
    edited = _attempt(message, context, plan, wanted, inlined=True)
    if _fits(message, plan, edited, context.queue_size_limit):
        return edited
    reason = f"the message would grow past {context.queue_size_limit} bytes"
    if "inlinecss" in edited.applied and len(edited.applied) > len(plan.applied) + 1:
        # Styles grow a message most, and a message without them still reads.
        fewer = _attempt(message, context, plan, wanted, inlined=False)
        if _fits(message, plan, fewer, context.queue_size_limit):
            return replace(fewer, skipped={**fewer.skipped, "inlinecss": reason})
    skipped = {**plan.skipped, **dict.fromkeys(wanted, reason)}
    return replace(plan, skipped=skipped, seconds=edited.seconds, notes=edited.notes)


def _fits(message: Message, plan: Plan, edited: Plan, limit: int) -> bool:
    """Say whether the message as edited keeps the limit, or is no longer than by ``plan`` alone."""
    if not limit or edited.body is None:
        return True
    change = size_change(message, edited)
    return message_size(message) + change <= limit or change <= size_change(message, plan)


def _attempt(message: Message, context: Context, plan: Plan, wanted: list[str], *, inlined: bool) -> Plan:
    """Return ``plan`` with the edits of the HTML parts, whatever their size."""
    record = Record()
    record.notes += plan.notes
    asked = _asked(wanted, context, record, inlined)
    body: bytes | None = None
    headers = plan.headers
    if asked.anything or ("images" in wanted and context.host is not None):
        body, headers = _operate_all(message, context, asked, wanted, record, new_headers(message, plan))
    _explain(record, wanted)
    return replace(
        plan,
        headers=headers,
        body=body,
        applied=(*(name for name in wanted if name in record.applied), *plan.applied),
        skipped={**plan.skipped, **reasons(record.skipped)},
        seconds={**plan.seconds, **record.seconds},
        notes=tuple(record.notes),
    )


def _operate_all(
    message: Message,
    context: Context,
    asked: Asked,
    wanted: list[str],
    record: Record,
    headers: Headers,
) -> tuple[bytes | None, Headers]:
    """Return the body after all parts' edits (None: unchanged), and the header as it then is."""
    began = perf_counter()
    root = view(message.headers, message.body)
    parts = _html_parts(root, wanted, record)
    if "images" in wanted and context.host is not None and parts:
        images = HostedImages(root, parts, message.body, context.host, context.image_size_limit)
        if images:
            asked = replace(asked, images=images)
        else:
            record.skip("images", images.reason or "no embedded image")
    if asked.opens is not None:
        asked = replace(asked, located=locations(root))
    record.spend("view", began)
    edits: list[Edit[bytes]] = []
    operated = _all_operated(parts, message.body, asked, wanted, record)
    edits += [(part.start, part.end, new.body) for part, new in operated]
    labels = [(part, new.encoding) for part, new in operated if new.encoding is not None]
    headers = labelled(labels, headers, edits)
    if asked.images is not None:
        edits += asked.images.removals()
        if asked.images.reason:
            record.skip("images", asked.images.reason)
    if not edits:
        return None, headers
    return splice(message.body, ordered(edits, len(message.body))), headers


def _all_operated(
    parts: list[Part], body: bytes, asked: Asked, wanted: list[str], record: Record
) -> list[tuple[Part, NewPart]]:
    """Return the parts that change. The 1x1 image goes into the first, and only if no part has another."""
    several = len(parts) > 1
    without = replace(asked, pixel="") if several else asked
    done = [(part, _operated(part, body, without, wanted, record)) for part in parts]
    if several and asked.pixel and not record.fetched:
        record.skipped.pop("trackopens", None)
        again = Record()
        done[0] = (parts[0], _operated(parts[0], body, asked, wanted, again))
        record.count("trackopens", "trackopens" in again.applied)
        for reason in again.skipped.get("trackopens", ()):
            record.skip("trackopens", reason)
    return [(part, new) for part, new in done if new is not None]


def _asked(wanted: list[str], context: Context, record: Record, inlined: bool) -> Asked:
    click = context.click if "trackclicks" in wanted else None
    opens = context.opens if "trackopens" in wanted else None
    for name, missing in (("trackclicks", click), ("trackopens", opens), ("images", context.host)):
        if name in wanted and missing is None:
            record.skip(name, "no click domain for the From domain")
    return Asked(
        inlined and "inlinecss" in wanted,
        click,
        "preventscam" in wanted,
        opens,
        context.pixel,
        allowance=context.allowance,
        calculate=context.calculate,
    )


def _explain(record: Record, wanted: list[str]) -> None:
    """Say why preventscam did nothing: it acts only on links that would have been tracked."""
    if (
        "preventscam" in wanted
        and "preventscam" not in record.applied
        and "preventscam" not in record.skipped
    ):
        tracking = "trackclicks" in wanted and "trackclicks" not in record.skipped
        record.skip("preventscam", "no link shows a URL" if tracking else "links are not tracked")


def _skip(record: Record, wanted: list[str], reason: str) -> None:
    for name in wanted:
        record.skip(name, reason)


def _html_parts(root: Part, wanted: list[str], record: Record) -> list[Part]:
    """Return the HTML parts that may be edited; the others' reasons go on record."""
    parts: list[Part] = []
    reason = _NO_HTML
    attached = {id(part): why for part, why in bodies.files(root)}
    for part in root.walk():
        why = part.fault or part.protected or attached.get(id(part), "")
        if why and (part.fault or part.type == "text/html" or not part.children):
            if part.type == "text/html" or part.fault or part.protected:
                reason = ""
                _skip(record, wanted, f"{part.label} {why}")
        elif part.type == "text/html":
            parts.append(part)
    if not parts and reason:
        _skip(record, wanted, reason)
    return parts


def _operated(part: Part, body: bytes, asked: Asked, wanted: list[str], record: Record) -> NewPart | None:
    """Return one part's new body; a part that cannot be edited is put on record and stays."""
    label = f"HTML part {part.number}" if part.number else "the HTML body"
    try:
        return operate(part, body[part.start : part.end], asked, record)
    except PartError as error:
        _skip(record, wanted, f"{label} {error}")
        reason = f"{label} {error}"
    except Exception as error:  # noqa: BLE001  # the other parts are still worth editing
        record.notes.append(f"{label}: {type(error).__name__}: {error}")
        _skip(record, wanted, "internal error")
        reason = "internal error"
    if asked.images is not None:
        asked.images.close(f"may be referred to where nothing can be changed: {reason}")
    return None

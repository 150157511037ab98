"""What changes outside the body: header fields, tags, the envelope sender.

Overrides are always removed. Mail that carries its author's DKIM signature keeps every other field, unless
the credential says that it is to be edited; its envelope is no part of the signature.
"""

from __future__ import annotations

from time import perf_counter

from gatepost_core.domain.features import FeatureValues
from gatepost_core.domain.options import Options
from gatepost_milter.dkim import author
from gatepost_milter.editing.headers import Headers
from gatepost_milter.editing.message import Message, Plan
from gatepost_milter.features import headers as header_features
from gatepost_milter.features.context import Context
from gatepost_milter.features.headers import edit_headers
from gatepost_milter.features.overrides import Overrides
from gatepost_milter.features.surgery import Record, reasons

SIGNED = "the message carries a DKIM signature of its own"


def outside(message: Message, context: Context, features: FeatureValues, asked: Overrides) -> Plan:
    """Return the plan for everything but the body: header fields, tags, envelope sender."""
    record = Record()
    began = perf_counter()
    labels = features["tags"]
    tags = labels if isinstance(labels, tuple) else ()
    headers, sender = asked.headers, None
    if asked.ignored:
        record.notes.append("header overrides ignored: " + ", ".join(asked.ignored)[:200])
    if _touches_headers(features, context.options):
        if is_signed(message, context):
            for name in header_features.NAMES:
                if features[name]:
                    record.skip(name, SIGNED)
        else:
            left = Headers.of(message.headers) if headers is None else headers
            headers = edit_headers(left, context, features, tags, record)
        record.spend("headers", began)
    if features["trackbounces"]:
        sender = context.bounce_sender or None
        if sender:
            record.count("trackbounces", 1)
        else:
            record.skip("trackbounces", context.missing.get("trackbounces", "no bounce domain"))
    if tags:
        record.count("tags", 1)
    return Plan(
        headers=headers,
        applied=tuple(record.applied),
        skipped=reasons(record.skipped),
        tags=tags,
        features=features,
        seconds=record.seconds,
        notes=tuple(record.notes),
        sender=sender,
    )


def _touches_headers(features: FeatureValues, options: Options) -> bool:
    own = options.header_add or options.header_drop
    return bool(own) or any(features[name] for name in header_features.NAMES)


def is_signed(message: Message, context: Context) -> bool:
    """Say whether the message must not be changed for its author's signature (RFC 6376)."""
    return not context.options.edit_signed and author.is_signed(message.headers)

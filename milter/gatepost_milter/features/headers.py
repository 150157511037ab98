"""The header fields that a credential has added or removed: unsubscribe, Feedback-ID, privacy, its own.

``unsubscribe`` is RFC 8058: List-Unsubscribe with an https address, List-Unsubscribe-Post; a DKIM signature
has to cover both. Fields are added at the end, so that signing, which comes last, sees them. Never
raises for any message.
"""

from __future__ import annotations

import re
from email.charset import QP, Charset
from email.header import Header as EncodedHeader

from gatepost_core.domain.features import FeatureValues
from gatepost_milter.editing.headers import Header, Headers
from gatepost_milter.features.context import Context
from gatepost_milter.features.surgery import Record

# What a mail program, a web mailer or a script tells of itself, its user and its machine.
PRIVATE = frozenset(
    (
        "x-mailer",
        "user-agent",
        "x-user-agent",
        "mail-user-agent",
        "x-newsreader",
        "x-mimeole",
        "x-mozilla-draft-info",
        "x-mozilla-keys",
        "x-originating-ip",
        "x-originating-email",
        "x-originalarrivaltime",
        "x-sender-ip",
        "x-client-ip",
        "x-remote-ip",
        "x-remote-addr",
        "x-http-user-agent",
        "x-php-script",
        "x-php-originating-script",
        "x-authenticated-sender",
        "x-authenticated-user",
        "x-authentication-warning",
        "x-auth-user",
        "x-get-message-sender-via",
        "x-source",
        "x-source-args",
        "x-source-dir",
        "x-antiabuse",
        "x-envelope-from",
    )
)
_QUOTED = Charset("utf-8")
_QUOTED.header_encoding = QP
_LABEL = re.compile(r"[^A-Za-z0-9_.-]+")
NAMES = ("unsubscribe", "privacy", "feedbackid")
OWN = "headers"  # the credential's own fields, and what became of others, under this name on record


def edit_headers(
    headers: Headers, context: Context, features: FeatureValues, tags: tuple[str, ...], record: Record
) -> Headers:
    """Return the fields with all that is asked for; what is not done goes on record."""
    present = {header.name.lower() for header in headers}
    left = _left(headers, context, features, record)
    added: list[Header] = []
    if features["unsubscribe"]:
        added += _unsubscribe(present, context, record)
    if features["feedbackid"]:
        added += _feedback(present, context, tags, record)
    own = [_field(name, value) for name, value in context.options.header_add]
    record.count(OWN, len(own))
    return left.added(*added, *own)


def _left(headers: Headers, context: Context, features: FeatureValues, record: Record) -> Headers:
    """Return the fields without those to remove."""
    own = {name.lower() for name in context.options.header_drop}
    wanted = own | (PRIVATE if features["privacy"] else frozenset())
    if not wanted:
        return headers
    for header in headers:
        if (name := _plain(header)) in wanted:
            record.count(OWN if name in own else "privacy", 1)
    if features["privacy"] and "privacy" not in record.applied:
        record.skip("privacy", "no such field")
    return headers.without(lambda header: _plain(header) in wanted)


def _plain(header: Header) -> str:
    return header.name.decode("latin-1").rstrip().lower()


def _unsubscribe(present: set[bytes], context: Context, record: Record) -> list[Header]:
    if present & {b"list-unsubscribe", b"list-unsubscribe-post"}:
        record.skip("unsubscribe", "the message has List-Unsubscribe of its own")
    elif not context.unsubscribe:
        record.skip("unsubscribe", context.missing.get("unsubscribe", "no address to unsubscribe at"))
    else:
        record.count("unsubscribe", 1)
        return [
            Header(b"List-Unsubscribe", f" <{context.unsubscribe}>".encode("ascii")),
            Header(b"List-Unsubscribe-Post", b" List-Unsubscribe=One-Click"),
        ]
    return []


def _feedback(present: set[bytes], context: Context, tags: tuple[str, ...], record: Record) -> list[Header]:
    if b"feedback-id" in present:
        record.skip("feedbackid", "the message has a Feedback-ID of its own")
    elif not context.feedback:
        record.skip("feedbackid", "no sender to name in Feedback-ID")
    else:
        record.count("feedbackid", 1)
        first = _LABEL.sub("-", tags[0])[:40] if tags else ""
        return [Header(b"Feedback-ID", f" {first}:{context.feedback}".encode("ascii"))]
    return []


def _field(name: str, value: str) -> Header:
    """Return a field to add; what is not ASCII becomes RFC 2047 words, folded with LF."""
    if not value.isascii():
        value = EncodedHeader(value, _QUOTED, header_name=name).encode(linesep="\n")
    return Header(name.encode("ascii"), f" {value}".encode("ascii"))

"""What of a report is taken over: fields for programs, of the report and of the message that came back. Pure.

Anybody may have written it, so nothing is taken as it is: of a multipart/report (RFC 6522) the blocks of its
delivery status (RFC 3464, RFC 6533), and of the returned part its header, field by field. What is looked at,
``LOOKED_AT``, bounds all work here; the standard library reads the header of one part at a time.
"""

from __future__ import annotations

import binascii
import quopri
import re
from collections.abc import Iterator
from email import message_from_bytes, policy
from email.errors import MessageError
from email.message import Message
from typing import Final, NamedTuple

# Of a report, its beginning: what it tells comes first.
LOOKED_AT: Final = 128 * 1024
_HEADER_MOST: Final = 64 * 1024
_LINES_MOST: Final = 1_000
_CONTENT_TYPE_MOST: Final = 1_000
_PARTS_MOST: Final = 20
_STATUS: Final = ("message/delivery-status", "message/global-delivery-status")
_RETURNED: Final = ("text/rfc822-headers", "message/rfc822", "message/global-headers", "message/global")
_BLANK: Final = re.compile(rb"\r?\n\r?\n")
_NAME: Final = re.compile(rb"[!-9;-~]{1,100}:")
_CONTROL: Final = re.compile(rb"[\x00-\x08\x0b-\x1f\x7f]")
_ACTION: Final = re.compile(rb"(?i)\naction:[ \t]*([a-z]{1,20})")
_RECIPIENT: Final = re.compile(rb"(?i)\n(?:final|original)-recipient:")


class UnfitError(ValueError):
    """A report that is not forwarded. The text says why, for people."""


class Found(NamedTuple):
    """Blocks of fields, lines ending in LF; both empty where a report is none of RFC 3464.

    ``actions``: what it says of its recipients, in lower case.
    """

    status: bytes
    returned: bytes
    actions: frozenset[str]


def header_of(raw: bytes) -> tuple[bytes, bytes]:
    """Return a report's header and body. Raises UnfitError for a header that is too large."""
    found = _BLANK.search(raw, 0, _HEADER_MOST)
    if found is None and len(raw) > _HEADER_MOST:
        raise UnfitError(f"its header is larger than {_HEADER_MOST} bytes")
    end = len(raw) if found is None else found.start()
    if raw.count(b"\n", 0, end) > _LINES_MOST:
        raise UnfitError(f"its header has more than {_LINES_MOST} lines")
    return raw[:end], b"" if found is None else raw[found.end() :]


def take_apart(raw: bytes) -> Found:
    """Return what is taken over of a report's beginning. Raises UnfitError."""
    head, body = header_of(raw)
    message = _header(head)
    boundary = _boundary(message)
    if not boundary or message is None or message.get_content_type() != "multipart/report":
        return Found(b"", b"", frozenset())
    status = returned = b""
    for kind, text in _parts(body, boundary):
        if kind in _STATUS and not status:
            status = _fields(text)
        elif kind in _RETURNED and not returned:
            returned = _fields(_BLANK.split(text.lstrip(b"\r\n"), maxsplit=1)[0])
    actions = frozenset(one.decode("ascii").lower() for one in _ACTION.findall(b"\n" + status))
    if not actions or _RECIPIENT.search(b"\n" + status) is None:
        return Found(b"", b"", frozenset())
    return Found(status, returned, actions)


def _header(head: bytes) -> Message | None:
    """Return a header, None where it is none that is read."""
    if len(head) > _HEADER_MOST or head.count(b"\n") > _LINES_MOST:
        return None
    try:
        message = message_from_bytes(head + b"\n\n", policy=policy.compat32)
        return None if len(str(message.get("Content-Type", ""))) > _CONTENT_TYPE_MOST else message
    except (MessageError, ValueError, LookupError):
        return None


def _boundary(message: Message | None) -> bytes:
    try:
        found = None if message is None else message.get_boundary()
        return (found or "").encode("ascii")
    except (MessageError, ValueError, LookupError, TypeError):
        return b""


def _parts(body: bytes, boundary: bytes) -> Iterator[tuple[str, bytes]]:
    """Yield the content types of the first parts and their texts, transfer encodings undone."""
    divider = re.compile(rb"(?m)^--" + re.escape(boundary) + rb"(?:--)?[ \t]*\r?$\n?")
    for piece in divider.split(body, maxsplit=_PARTS_MOST)[1 : _PARTS_MOST + 1]:
        # A part may begin with the blank line that ends its header, which is empty then.
        head, text = (b"", piece) if piece[:1] in b"\r\n" else _divided(piece)
        message = _header(head)
        if message is not None:
            coding = str(message.get("Content-Transfer-Encoding", "")).strip().lower()
            yield message.get_content_type(), _decoded(text, coding)


def _divided(piece: bytes) -> tuple[bytes, bytes]:
    found = _BLANK.search(piece)
    return (piece, b"") if found is None else (piece[: found.start()], piece[found.end() :])


def _decoded(text: bytes, coding: str) -> bytes:
    if coding == "quoted-printable":
        return quopri.decodestring(text)
    if coding == "base64":
        try:
            return binascii.a2b_base64(text)
        except binascii.Error:
            return b""
    return text


def _fields(text: bytes) -> bytes:
    """Return blocks of fields with nothing else between them, each block ending in a line end."""
    blocks: list[bytes] = []
    lines: list[bytes] = []
    for line in [*_CONTROL.sub(b" ", text.replace(b"\r\n", b"\n").replace(b"\r", b"\n")).split(b"\n"), b""]:
        if not line.strip():
            if lines:
                blocks.append(b"\n".join(lines) + b"\n")
            lines = []
        elif _NAME.match(line) or (lines and line[:1] in b" \t"):
            lines.append(line[:998])  # RFC 5322 section 2.1.1
    return b"\n".join(blocks)

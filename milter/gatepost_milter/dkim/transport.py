"""Making a message stay as it is on its way, before it is signed.

smtp(8) breaks lines over 998 bytes (RFC 5321 section 4.5.3.1.6, smtp_line_length_limit), after all milters:
a signature made before would not hold. So such parts are encoded here, long header lines are folded, and what
must not be encoded (signed or embedded parts) is broken where smtp(8) would break it. On request, parts with
8-bit bytes are encoded too, for next hops without 8BITMIME. ``notes`` tells each change. Never fails.
"""

from __future__ import annotations

import binascii
import bisect
from collections.abc import Iterable
from dataclasses import dataclass, field

from gatepost_milter.editing.edits import Edit, Range, ordered, splice
from gatepost_milter.editing.headers import Header, Headers, wire_size
from gatepost_milter.parts.labels import labelled
from gatepost_milter.parts.mime import Part, view
from gatepost_milter.parts.transfer import (
    LINE_MOST,
    TransferError,
    in_pieces,
    open_part,
    to_quoted_printable,
    wrapped_lines,
)

_IDENTITY = ("", "7bit", "8bit", "binary")
# Up to this share of bytes to escape, quoted-printable is about as short as base64, and can be read.
_QUOTED_SHARE = 0.17
_BASE64_LINE = 57  # bytes that make 76 characters
_EIGHT_BIT = bytes(range(0x80, 0x100))


@dataclass(slots=True)
class Prepared:
    """The message as it will stay: header fields and body (None: unchanged)."""

    headers: Headers
    body: bytes | None = None
    unsignable: frozenset[bytes] = frozenset()
    notes: list[str] = field(default_factory=list[str])


def prepare(headers: Headers, body: bytes, *, encode_8bit: bool, most: int, limit: int) -> Prepared:
    """Return the message without lines that smtp(8) would break, and without 8-bit parts if asked for.

    A body of more than ``most`` bytes is not encoded, nor one that would make the message outgrow ``limit``
    bytes (0: none); its long lines are broken instead.
    """
    prepared = Prepared(headers)
    long = has_long_line(body)
    if long or (encode_8bit and not body.isascii()):
        _prepare_body(prepared, body, encode_8bit, most, limit)
        if long and has_long_line(body if prepared.body is None else prepared.body):
            prepared.body = broken_lines(body if prepared.body is None else prepared.body)
            prepared.notes.append("lines over 998 bytes were broken where SMTP would have broken them")
    _prepare_headers(prepared)
    return prepared


def has_long_line(body: bytes) -> bool:
    """Say whether a line has more than 998 bytes; looks at about one byte in a thousand."""
    at, length, window = 0, len(body), LINE_MOST + 2
    while length - at > LINE_MOST:
        end = body.rfind(b"\n", at, at + window)
        if end < 0:
            return True
        at = end + 1
    return False


def broken_lines(body: bytes) -> bytes:
    """Return the body with long lines broken as smtp(8) does: CRLF and a space after 998 bytes."""
    return b"".join(_broken(piece) if has_long_line(piece) else piece for piece in in_pieces(body))


def _broken(piece: bytes) -> bytes:
    lines = piece.split(b"\r\n")
    return b"\r\n".join(line if len(line) <= LINE_MOST else b"\r\n ".join(_cut(line)) for line in lines)


def _cut(line: bytes) -> Iterable[bytes]:
    yield line[:LINE_MOST]
    for place in range(LINE_MOST, len(line), LINE_MOST - 1):
        yield line[place : place + LINE_MOST - 1]


# -- the body ----------------------------------------------------------------------------------------------


def _prepare_body(prepared: Prepared, body: bytes, encode_8bit: bool, most: int, limit: int) -> None:
    """Encode the parts that need it, unless the message must not, or cannot, be changed that much."""
    if any(header.name.lower() == b"dkim-signature" for header in prepared.headers):
        prepared.notes.append("not encoded: the message carries a DKIM signature of its own")
        return
    if most and len(body) > most:
        prepared.notes.append(f"not encoded: the body has more than {most} bytes")
        return
    root = view(prepared.headers, body)
    found = _Found()
    for part in root.walk():
        _encode_part(part, body, encode_8bit, found)
    headers = labelled(found.labels, prepared.headers, found.edits)
    if encode_8bit:
        headers = labelled(_now_7bit(root, body, found.edits), headers, found.edits)
    if not found.edits and headers is prepared.headers:
        prepared.notes += found.notes
        return
    new = splice(body, ordered(found.edits, len(body)))
    if limit and len(new) > len(body) and len(new) + 2 + wire_size(headers) > limit:
        prepared.notes.append(f"not encoded: the message would grow past {limit} bytes")
        return
    prepared.headers, prepared.body = headers, new
    prepared.notes += found.notes


@dataclass(slots=True)
class _Found:
    """Parts to encode: their bodies, their transfer encodings from now on, and why."""

    edits: list[Edit[bytes]] = field(default_factory=list[Edit[bytes]])
    labels: list[tuple[Part, str]] = field(default_factory=list[tuple[Part, str]])
    notes: list[str] = field(default_factory=list[str])


def _encode_part(part: Part, body: bytes, encode_8bit: bool, found: _Found) -> None:
    """Put the edits that one part needs into ``found``."""
    if part.children and not part.fault:
        return
    raw = body[part.start : part.end]
    long, eight = has_long_line(raw), encode_8bit and not raw.isascii()
    if not long and not eight:
        return
    if part.fault or part.protected:
        found.notes.append(f"{part.label} was not encoded: it {part.fault or part.protected}")
        return
    why = "it has lines over 998 bytes" if long else "it has 8-bit text"
    if part.encoding not in _IDENTITY:
        new = _wrapped(part.encoding, raw)
        if new is not None:
            found.edits.append((part.start, part.end, new))
            found.notes.append(f"{part.label} was wrapped anew: {why}")
        return
    encoding, new = _encoded(part.type, raw)
    found.edits.append((part.start, part.end, new))
    found.notes.append(f"{part.label} was encoded as {encoding}: {why}")
    found.labels.append((part, encoding))


def _encoded(kind: str, raw: bytes) -> tuple[str, bytes]:
    """Return the shorter of the two encodings and the body in it (RFC 2045 sections 6.7 and 6.8)."""
    escaped = len(raw) - len(raw.translate(None, _EIGHT_BIT)) + raw.count(b"=")
    if kind.startswith("text/") and escaped <= _QUOTED_SHARE * len(raw):
        return "quoted-printable", to_quoted_printable(raw)
    return "base64", _base64(raw) + _line_end(raw)


def _base64(data: bytes) -> bytes:
    places = range(0, len(data), _BASE64_LINE)
    lines = [binascii.b2a_base64(data[place : place + _BASE64_LINE], newline=False) for place in places]
    return b"\r\n".join(lines)


def _line_end(raw: bytes) -> bytes:
    """Return the line end that a part's body has after its last line, if any."""
    return b"\r\n" if raw.endswith(b"\r\n") else b""


def _wrapped(encoding: str, raw: bytes) -> bytes | None:
    """Return an encoded part with shorter lines that mean the same, None if it cannot be read for sure."""
    try:
        if encoding == "quoted-printable":
            open_part(encoding, raw)
            return wrapped_lines(raw)
        if encoding == "base64":
            data = binascii.a2b_base64(raw.translate(None, b" \t\r\n"), strict_mode=True)
            return _base64(data) + _line_end(raw)
    except (TransferError, binascii.Error):
        pass
    return None


def _now_7bit(root: Part, body: bytes, edits: list[Edit[bytes]]) -> list[tuple[Part, str]]:
    """Return the multiparts that said 8bit, and in which nothing is any more (RFC 2045 section 6.4)."""
    ranges = sorted((start, end) for start, end, _ in edits)
    return [
        (part, "7bit")
        for part in root.walk()
        if part.children and not part.protected and part.encoding in ("8bit", "binary")
        if _stays_ascii(body, part, ranges)
    ]


def _stays_ascii(body: bytes, part: Part, edited: list[Range]) -> bool:
    """Say whether what stays of a part beside what is edited is ASCII."""
    at = part.start
    for place in range(bisect.bisect_left(edited, (part.start, part.start)), len(edited)):
        start, end = edited[place]
        if end > part.end:
            break
        if not body[at:start].isascii():
            return False
        at = max(at, end)
    return body[at : part.end].isascii()


# -- the header --------------------------------------------------------------------------------------------


def _prepare_headers(prepared: Prepared) -> None:
    """Fold header lines over 998 bytes; those that cannot be written back are named as unsignable."""
    if all(len(name) + len(value) < LINE_MOST for name, value in prepared.headers):
        return
    unsignable: set[bytes] = set()

    def fold(header: Header) -> bytes:
        value = _folded(header) if len(header.name) + len(header.value) >= LINE_MOST else header.value
        if value == header.value or _writable(value):
            return value
        unsignable.add(header.name.lower())
        return header.value

    folded = prepared.headers.edited(fold)
    if folded != prepared.headers:
        prepared.notes.append("header lines over 998 bytes were folded")
        prepared.headers = folded
    prepared.unsignable = frozenset(unsignable)


def _writable(value: bytes) -> bool:
    """Say whether libmilter's binding takes these bytes."""
    try:
        value.decode("utf-8")
    except UnicodeDecodeError:
        return False
    return True


def _folded(header: Header) -> bytes:
    lines: list[bytes] = []
    begin = len(header.name) + 1
    for line in (header.name + b":" + header.value).split(b"\n"):
        at, lead = 0, b""
        while len(lead) + len(line) - at > LINE_MOST:
            head = lead + line[at : at + LINE_MOST + 1]
            place = _fold_at(head, begin)
            lines.append(head[:place])
            at += place - len(lead)
            # Where there is no white space to fold at, smtp(8) would put some.
            lead = b"" if line[at : at + 1] in (b" ", b"\t") else b" "
            begin = 0
        lines.append(lead + line[at:])
        begin = 0
    return b"\n".join(lines)[len(header.name) + 1 :]


def _fold_at(line: bytes, begin: int) -> int:
    """Return where to fold a line: before its last white space that fits, else between characters.

    Before it something must stand from ``begin`` on: a line of white space alone would be obsolete syntax.
    """
    head = line[:LINE_MOST]
    place = max(head.rfind(b" "), head.rfind(b"\t"))
    if head[begin : max(place, begin)].strip():
        return place
    place = LINE_MOST
    while place > LINE_MOST - 3 and line[place] & 0xC0 == 0x80:  # within a UTF-8 character
        place -= 1
    return place

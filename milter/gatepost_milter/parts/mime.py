"""A view over a message's MIME structure: parts with offsets into the original body (RFC 2045, RFC 2046).

Nothing is copied or rebuilt. What is malformed or ambiguous (two Content-Type fields, a header line without
a colon, no boundary, too deep, too many) becomes a part with a ``fault`` in words, which nobody edits; the
rest of the message is read on. Never raises. Time is linear in the size times the depth, which is bounded.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field

from gatepost_milter.editing.headers import Header

# Real mail nests five deep and has dozens of parts; a part beyond these is left as it came.
DEPTH_MOST = 20
PARTS_MOST = 1000
HEADER_MOST = 65536  # bytes of one part's header
# Views that are kept, of bodies of a usual size.
_KEPT_MOST = 4
_SIZE_MOST = 65536

_BLANK_LINE = re.compile(rb"\r?\n\r?\n")
_FIELD = re.compile(rb"([!-9;-~]+)[ \t]*:((?:[^\r\n]|\r(?!\n)|\r?\n[ \t])*)(?:\r?\n|\Z)")
_PARAMETER = re.compile(
    r';[ \t\r\n]*([^\s=;"]++)[ \t\r\n]*=[ \t\r\n]*(?:"((?:[^"\\]|\\.)*)"|([^\s;]*+))', re.DOTALL
)
_TYPE = re.compile(r"\s*([!-.0-:<-~]+)/([!-.0-:<-~]+)\s*(?:;|\Z|\()")
_ESCAPED, _LINE_END = re.compile(r"\\(.)"), re.compile(r"\r?\n")
_FILE_NAME = re.compile(r"(?i);[ \t\r\n]*filename\*?(?:[0-9]+\*?)?[ \t\r\n]*=")
_COMMENT = re.compile(r"\([^()\"]*\)")


@dataclass(slots=True)
class Field:
    """A header field of a part; offsets of its value within the body (-1 for the message's own header)."""

    name: str
    value: str
    start: int = -1
    end: int = -1


@dataclass(slots=True)
class Part:
    """One entity. ``start`` and ``end`` bound its body within the message's body.

    ``number`` is its place as IMAP counts (``1.2``; empty for the message itself). ``header_end`` is where
    another header field would go. ``protected`` is why it must not be edited. ``whole`` is the range from its
    delimiter line to the next one, (-1, -1) where there is none. ``location`` is Content-Location or
    Content-Base (RFC 2557), ``named`` says that the part has a file's name.
    """

    number: str
    type: str
    parameters: dict[str, str]
    encoding: str
    disposition: str
    start: int
    end: int
    encoding_field: Field | None = None
    header_end: int = -1
    protected: str = ""
    fault: str = ""
    content_id: str = ""
    location: str = ""
    named: bool = False
    whole: tuple[int, int] = (-1, -1)
    children: list[Part] = field(default_factory=list["Part"])

    def walk(self) -> Iterator[Part]:
        """Yield this part and all parts in it, in their order."""
        yield self
        for child in self.children:
            yield from child.walk()

    @property
    def label(self) -> str:
        """What to call it in a sentence."""
        return f"part {self.number}" if self.number else "the message"


def view(headers: Iterable[Header], body: bytes) -> Part:
    """Return the structure of a message."""
    own = [
        Field(header.name.decode("latin-1").lower(), header.value.decode("latin-1"))
        for header in headers
        if header.name[:8].lower() == b"content-"
    ]
    return _Reader(body).entity("", own, (0, len(body), -1), "text/plain", 0, "")


class _Reader:
    """Reads the entities of one body and counts them."""

    def __init__(self, body: bytes) -> None:
        self._body = body
        self._parts = 0

    def entity(
        self,
        number: str,
        fields: list[Field],
        span: tuple[int, int, int],
        default: str,
        depth: int,
        protected: str,
    ) -> Part:
        """Return the part with this header; ``span`` is (body's start, its end, end of the header)."""
        self._parts += 1
        named: dict[str, Field] = {}
        twice = False
        for one in fields:
            first = named.setdefault(one.name, one)
            twice |= first is not one and one.name in _CONTENT
        kind, parameters = _content_type(named.get("content-type"), default)
        encoding, disposition = named.get("content-transfer-encoding"), named.get("content-disposition")
        part = Part(
            number,
            kind,
            parameters,
            _token(encoding.value) if encoding else "",
            _token(disposition.value) if disposition else "",
            span[0],
            span[1],
            encoding,
            span[2],
            protected or _protection(kind),
        )
        for one in fields:
            if one.name == "content-id":
                part.content_id = _COMMENT.sub(" ", one.value).strip().removeprefix("<").removesuffix(">")
        location = named.get("content-location") or named.get("content-base")
        if location is not None:
            part.location = "".join(location.value.split()).strip('<>"')
        part.named = any(name.partition("*")[0] == "name" for name in parameters) or (
            disposition is not None and _FILE_NAME.search(disposition.value) is not None
        )
        if twice:
            part.fault = "has a Content- header field twice"
        elif not kind:
            part.fault = "has a malformed Content-Type"
        elif kind.startswith("multipart/"):
            self._children(part, depth)
        return part

    def _children(self, part: Part, depth: int) -> None:
        boundary = part.parameters.get("boundary", "").rstrip(" \t")
        if not boundary:
            part.fault = "is multipart and has no boundary"
        elif part.encoding not in ("", "7bit", "8bit", "binary"):
            part.fault = "is multipart and has a transfer encoding"
        elif depth >= DEPTH_MOST:
            part.fault = f"is nested more than {DEPTH_MOST} deep"
        else:
            default = "message/rfc822" if part.type == "multipart/digest" else "text/plain"
            spans = self._bodies(boundary.encode("latin-1", "replace"), part.start, part.end)
            for place, (start, end, *whole) in enumerate(spans, 1):
                if self._parts >= PARTS_MOST:
                    part.fault = f"is in a message of more than {PARTS_MOST} parts"
                    break
                number = f"{part.number}.{place}" if part.number else str(place)
                child = self._child(number, start, end, default, depth + 1, part.protected)
                child.whole = (whole[0], whole[1])
                part.children.append(child)
            if not spans:
                part.fault = "is multipart and its boundary does not occur"

    def _bodies(self, boundary: bytes, start: int, end: int) -> list[tuple[int, int, int, int]]:
        """Return the ranges between delimiter lines (RFC 2046 section 5.1.1), and from one to the next."""
        body, delimiter = self._body, b"--" + boundary
        spans: list[tuple[int, int, int, int]] = []
        opened = opened_at = -1
        for at in self._delimiters(delimiter, start, end):
            ending = self._delimiter_end(at + len(delimiter), end)
            if ending is None:
                continue
            rest, next_line = ending
            if opened >= 0:
                last = max(opened, at - (2 if body[at - 2 : at] == b"\r\n" else 1))
                spans.append((opened, last, opened_at, at))
            opened, opened_at = (-1 if rest else next_line), at
            if rest or len(spans) >= PARTS_MOST:
                break
        if opened >= 0:
            spans.append((opened, end, -1, -1))
        return spans

    def _delimiters(self, delimiter: bytes, start: int, end: int) -> Iterator[int]:
        """Yield where lines begin with a delimiter; no line is gone through for what stands within it."""
        find, line = self._body.find, b"\n" + delimiter
        if self._body.startswith(delimiter, start, end):
            yield start
            start += len(delimiter)
        while at := find(line, start, end) + 1:
            yield at
            start = at + len(delimiter)

    def _delimiter_end(self, after: int, end: int) -> tuple[bytes, int] | None:
        """Return ``--`` or nothing, and where the next line begins; None where more follows a delimiter."""
        line_end = self._body.find(b"\n", after, end)
        next_line = end if line_end < 0 else line_end + 1
        rest = self._body[after : min(next_line, after + 1000)].rstrip(b" \t\r\n")
        return (rest, next_line) if rest in (b"", b"--") else None

    def _child(self, number: str, start: int, end: int, default: str, depth: int, protected: str) -> Part:
        """Return the entity that fills ``[start, end)``, header and body."""
        if self._body[start : start + 2] == b"\r\n" or self._body[start : start + 1] == b"\n":
            skip = 2 if self._body[start] == 13 else 1
            return self.entity(number, [], (start + skip, end, start), default, depth, protected)
        blank = _BLANK_LINE.search(self._body, start, min(end, start + HEADER_MOST))
        if blank is None:
            return _faulty(number, start, end, "has no end to its header")
        header_end = blank.start() + (2 if blank[0][0] == 13 else 1)
        fields = self._fields(start, header_end)
        if fields is None:
            return _faulty(number, start, end, "has a malformed header")
        return self.entity(number, fields, (blank.end(), end, header_end), default, depth, protected)

    def _fields(self, start: int, end: int) -> list[Field] | None:
        """Return the header fields in ``[start, end)``, or None if a line is none of a field."""
        fields: list[Field] = []
        at = start
        while at < end:
            match = _FIELD.match(self._body, at, end)
            if match is None:
                return None
            name = match[1].decode("latin-1").lower()
            if name.startswith("content-"):
                fields.append(Field(name, match[2].decode("latin-1"), match.start(2), match.end(2)))
            at = match.end()
        return fields


_CONTENT = frozenset(("content-type", "content-transfer-encoding", "content-disposition"))


def _faulty(number: str, start: int, end: int, fault: str) -> Part:
    return Part(number, "", {}, "", "", start, end, fault=fault)


def _token(value: str) -> str:
    """Return the first word of a field's value in lower case, comments left out."""
    plain = _COMMENT.sub(" ", value) if "(" in value else value
    return plain.strip().partition(";")[0].strip().lower()


def _content_type(field: Field | None, default: str) -> tuple[str, dict[str, str]]:
    """Return type and parameters; the type is empty if it cannot be read."""
    if field is None:
        return default, {}
    value = field.value
    match = _TYPE.match(value)
    if match is None:
        return "", {}
    parameters: dict[str, str] = {}
    for name, quoted, plain in _PARAMETER.findall(value):
        text = quoted or plain
        if quoted and ("\n" in quoted or "\\" in quoted):
            text = _ESCAPED.sub(r"\1", _LINE_END.sub("", quoted))
        parameters.setdefault(name.lower(), text)
    return f"{match[1]}/{match[2]}".lower(), parameters


def _protection(kind: str) -> str:
    """Return why a part of this type, and all in it, must not be edited; empty if it may."""
    if kind == "multipart/signed":
        return "is signed"
    if kind in ("multipart/encrypted", "application/pgp-encrypted"):
        return "is encrypted"
    if kind in ("application/pkcs7-mime", "application/x-pkcs7-mime"):
        return "is S/MIME"
    if kind.startswith("message/"):
        return "is an embedded message"
    if kind == "text/calendar":
        return "is a calendar entry"
    return "is AMP" if kind == "text/x-amp-html" else ""

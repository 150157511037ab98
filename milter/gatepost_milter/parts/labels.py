"""Content-Transfer-Encoding written into the header of what was encoded anew (RFC 2045 sections 4 and 6)."""

from __future__ import annotations

from collections.abc import Iterable

from gatepost_milter.editing.edits import Edit
from gatepost_milter.editing.headers import Header, Headers
from gatepost_milter.parts.mime import Part

_NAME = b"Content-Transfer-Encoding"
_VERSION = b"MIME-Version"


def labelled(labels: Iterable[tuple[Part, str]], headers: Headers, edits: list[Edit[bytes]]) -> Headers:
    """Write parts' transfer encodings into their headers: those in the body (``edits``), and the message's.

    Returns the message's, with MIME-Version if that was missing: without it no encoding means anything.
    """
    written = False
    for part, encoding in labels:
        written = True
        value = b" " + encoding.encode("ascii")
        if not part.number:
            headers = headers.with_value(_NAME, value)
        elif part.encoding_field is not None:
            edits.append((part.encoding_field.start, part.encoding_field.end, value))
        else:
            edits.append((part.header_end, part.header_end, _NAME + b":" + value + b"\r\n"))
    if not written or _VERSION.lower() in headers.names():
        return headers
    return headers.added(Header(_VERSION, b" 1.0"))

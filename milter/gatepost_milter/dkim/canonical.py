"""The relaxed canonicalisation of header fields and bodies (RFC 6376 sections 3.4.2 and 3.4.4).

Pure functions over bytes; never fail. Header values come as libmilter gives them, folded with LF or CRLF; the
body has CRLF line ends. A bare CR or LF is a character like any other, which is what verifiers take it for.
"""

from __future__ import annotations

import hashlib
import re

# Bodies are read in pieces of about this size, so that a large one is never copied whole.
_PIECE = 512 * 1024
_RUN = re.compile(rb"  +")
_FOLD = re.compile(rb"\r?\n(?=[ \t])")
_WHITE = re.compile(rb"[ \t]+")


def header_field(name: bytes, value: bytes) -> bytes:
    """Return one header field in relaxed form, with its line end."""
    return name.strip().lower() + b":" + header_value(value) + b"\r\n"


def header_value(value: bytes) -> bytes:
    """Return a field's value unfolded, white space runs as one space, none at its ends."""
    # bytes.split() parts at these three as well, which are no white space to DKIM.
    if b"\r" in value or b"\x0b" in value or b"\x0c" in value:
        return _WHITE.sub(b" ", _FOLD.sub(b"", value)).strip(b" ")
    return b" ".join(value.split())


def body_digest(body: bytes) -> bytes:
    """Return the SHA-256 digest of a body in relaxed form."""
    digest = hashlib.sha256()
    anything = False
    blank_lines = 0  # those that go into the hash only if something follows them
    start, length = 0, len(body)
    while start < length:
        end = _piece_end(body, start, length)
        text, ends = _relaxed(body[start:end])
        if text:
            digest.update(b"\r\n" * blank_lines)
            digest.update(text)
            anything, blank_lines = True, ends
        else:
            blank_lines += ends
        start = end
    if anything:
        digest.update(b"\r\n")
    return digest.digest()


def _piece_end(body: bytes, start: int, length: int) -> int:
    """Return where a piece that begins at ``start`` ends: after a whole line."""
    if length - start <= _PIECE:
        return length
    line_end = body.find(b"\r\n", start + _PIECE)
    return length if line_end < 0 else line_end + 2


def _relaxed(piece: bytes) -> tuple[bytes, int]:
    """Return whole lines in relaxed form without their last line ends, and how many those are."""
    if b"\t" in piece:
        piece = piece.replace(b"\t", b" ")
    # Most texts have no run, and this is found out far sooner than what a pattern would put in its place.
    text = _RUN.sub(b" ", piece) if b"  " in piece else piece
    text = text.replace(b" \r\n", b"\r\n")
    end = _trailing(text)
    if end == len(text) and text.endswith(b" "):  # a last line that nothing ends
        text = text[:-1]
        end = _trailing(text)
    return text[:end], (len(text) - end) // 2


def _trailing(text: bytes) -> int:
    """Return where the line ends at the end of ``text`` begin; in one go, for there may be millions."""
    if not text.endswith(b"\r\n"):
        return len(text)
    start = len(text.rstrip(b"\r\n"))
    # From here on only CR and LF; the pairs begin after the last two that are alike.
    alike = max(text.rfind(b"\r\r", start), text.rfind(b"\n\n", start))
    start = max(start, alike + 1)
    return start + 1 if text[start] == 10 else start

"""Content-Transfer-Encoding, read and edited in place (RFC 2045 section 6).

``open_part`` gives a part's decoded bytes together with the way back: ``spliced`` returns the
encoded bytes after edits of the decoded ones. 7bit and 8bit are spliced as they are;
quoted-printable is spliced in the encoded text and only touched lines are wrapped; base64 keeps
the original's line length. What could not be written back the same is ``TransferError`` with a reason.
"""

from __future__ import annotations

import binascii
import re
from collections.abc import Iterator
from dataclasses import dataclass
from functools import lru_cache
from typing import Protocol

from gatepost_milter.edits import Edit, Range, splice

LINE_MOST = 998  # RFC 5322 section 2.1.1, without the line end
_USUAL = 512
_PIECE = 512 * 1024
_WRAP = 76  # RFC 2045 section 6.7, rule 5; the soft line break's "=" counts
# As much of a line as fits with its soft line break, no escape cut in two; a last chunk needs no break.
_CHUNK = re.compile(rb".{1,76}+\Z|.{75}(?<!=)(?<!=.)|.{74}(?<!=)(?<!=.)|.{73}(?<!=)(?<!=.)", re.DOTALL)
_ENCODE = re.compile(rb"[^\t -<>-~]|=")


class TransferError(ValueError):
    """The encoded part is malformed, or could not be written back the same; the text says how."""


class Transfer(Protocol):
    """One part's body: ``decoded`` is what it means."""

    decoded: bytes

    def places(self, ranges: list[Range]) -> list[Range]:
        """Return where ranges of ``decoded`` are for ``written``; in order, none overlapping."""
        ...

    def written(self, places: list[Range], new: list[bytes]) -> bytes:
        """Return the encoded body with what stands at ``places`` replaced by ``new``, one for each."""
        ...


def spliced(transfer: Transfer, edits: list[Edit[bytes]]) -> bytes:
    """Return the encoded body after ``edits`` of what it means, which come from ``edits.ordered``."""
    places = transfer.places([(start, end) for start, end, _ in edits])
    return transfer.written(places, [new for _, _, new in edits])


@dataclass(slots=True)
class Identity:
    """7bit, 8bit and binary: the bytes are what they mean."""

    decoded: bytes

    def places(self, ranges: list[Range]) -> list[Range]:
        """Return the same ranges."""
        return ranges

    def written(self, places: list[Range], new: list[bytes]) -> bytes:
        """Return the bytes with the edits done; lines may come out longer than ``LINE_MOST``."""
        return splice(self.decoded, _edits(places, new))


@dataclass(slots=True)
class QuotedPrintable:
    """Quoted-printable with LF line ends inside; ``crlf`` says what they are outside."""

    encoded: bytes
    decoded: bytes
    crlf: bool

    @classmethod
    def read(cls, raw: bytes) -> QuotedPrintable:
        """Read an encoded body. Raises TransferError."""
        encoded, crlf = _with_lf(raw)
        decoded = binascii.a2b_qp(encoded)
        # Every "=" opens an escape (3 bytes for 1) or a soft line break (2 for 0): the map below leans on it.
        # Whatever is neither is kept by a2b_qp, and makes the text longer.
        if len(decoded) != len(encoded) - 2 * encoded.count(b"="):
            raise TransferError("has malformed quoted-printable")
        return cls(encoded, decoded, crlf)

    def places(self, ranges: list[Range]) -> list[Range]:
        """Return the ranges within the encoded text."""
        result: list[Range] = []
        count, counted, signs = self.encoded.count, 0, 0
        for start, end in ranges:
            # Two bytes more for each "=" before the place; these push it on past others.
            first = start + 2 * signs
            while more := count(b"=", counted, first):
                counted, signs = first, signs + more
                first = start + 2 * signs
            last = first
            if start != end:
                last = end + 2 * signs
                while more := count(b"=", counted, last):
                    counted, signs = last, signs + more
                    last = end + 2 * signs
            result.append((first, last))
        return result

    def written(self, places: list[Range], new: list[bytes]) -> bytes:
        """Return the encoded body with the edits done, soft line breaks added on touched lines only."""
        result = self.encoded
        if places:
            result = _wrapped_splice(self.encoded, _edits(places, _all_quoted(new)))
        return result.replace(b"\n", b"\r\n") if self.crlf else result


@dataclass(slots=True)
class Base64:
    """Base64 in lines of ``width`` characters ended by ``newline``, with ``tail`` after the last."""

    decoded: bytes
    width: int
    newline: bytes
    tail: bytes

    @classmethod
    def read(cls, raw: bytes) -> Base64:
        """Read an encoded body. Raises TransferError if writing it again would not give ``raw``."""
        newline = b"\r\n" if b"\r\n" in raw else b"\n"
        text = raw.rstrip(b"\r\n")
        width = len(text.partition(newline)[0])
        try:
            decoded = binascii.a2b_base64(text)
        except binascii.Error:
            raise TransferError("has malformed base64") from None
        part = cls(decoded, width, newline, raw[len(text) :])
        if part._encode(decoded) != raw:
            raise TransferError("has base64 that would not come out the same")
        return part

    def places(self, ranges: list[Range]) -> list[Range]:
        """Return the same ranges: the whole is encoded again."""
        return ranges

    def written(self, places: list[Range], new: list[bytes]) -> bytes:
        """Return the encoded body after the edits, in lines as long as the original's."""
        return self._encode(splice(self.decoded, _edits(places, new)))

    def _encode(self, data: bytes) -> bytes:
        text = binascii.b2a_base64(data, newline=False)
        width = self.width or _WRAP
        lines = [text[place : place + width] for place in range(0, len(text), width)]
        return self.newline.join(lines) + self.tail


def open_part(encoding: str, raw: bytes) -> Transfer:
    """Return a part's body by its Content-Transfer-Encoding (lower case). Raises TransferError."""
    if encoding in ("", "7bit", "8bit", "binary"):
        return Identity(raw)
    if encoding == "quoted-printable":
        return QuotedPrintable.read(raw)
    if encoding == "base64":
        return Base64.read(raw)
    raise TransferError(f"has an unknown transfer encoding {encoding[:40]!r}")


def has_long_line(data: bytes) -> bool:
    """Say whether a line is longer than SMTP allows."""
    return len(data) > LINE_MOST and max(map(len, data.split(b"\n"))) > LINE_MOST + 1


def quoted(data: bytes) -> bytes:
    """Return ``data`` (without line ends) with every byte escaped that has to be."""
    return _ENCODE.sub(_escape, data)


def _all_quoted(insertions: list[bytes]) -> list[bytes]:
    """Return ``quoted`` of each, in one go where they are plain."""
    joined = b"".join(insertions)
    if joined.isascii() and joined.decode("ascii").isprintable():
        return [insertion.replace(b"=", b"=3D") for insertion in insertions]
    return [quoted(insertion) for insertion in insertions]


def in_pieces(data: bytes) -> Iterator[bytes]:
    """Yield whole lines (CRLF) of about half a megabyte together, so that few lines are held one by one.

    A line of its own takes ten times the memory of its bytes.
    """
    start, length = 0, len(data)
    while length - start > _PIECE:
        line_end = data.find(b"\r\n", start + _PIECE)
        if line_end < 0:
            break
        yield data[start : line_end + 2]
        start = line_end + 2
    yield data[start:] if start else data


def to_quoted_printable(data: bytes) -> bytes:
    """Return text with CRLF line ends as quoted-printable with CRLF line ends."""
    return b"".join(b"\r\n".join(map(_whole_line, piece.split(b"\r\n"))) for piece in in_pieces(data))


def _whole_line(line: bytes) -> bytes:
    text = quoted(line)
    if text.endswith((b" ", b"\t")):
        text = text[:-1] + b"=%02X" % text[-1]
    return _crlf_wrap(text)


def _escape(match: re.Match[bytes]) -> bytes:
    return b"=%02X" % match[0][0]


def _with_lf(raw: bytes) -> tuple[bytes, bool]:
    """Return ``raw`` with LF line ends and whether they were CRLF. Raises TransferError for a mixture."""
    ends = raw.count(b"\r\n")
    if ends == 0 and b"\r" not in raw:
        # A body of one line gets the line ends that mail has.
        return raw, b"\n" not in raw
    # A bare CR is a character like any other; a bare LF among CRLFs would not come out as it was.
    if ends != raw.count(b"\n"):
        raise TransferError("has mixed line ends")
    return raw.replace(b"\r\n", b"\n"), True


def _edits(places: list[Range], new: list[bytes]) -> list[Edit[bytes]]:
    return [(start, end, what) for (start, end), what in zip(places, new, strict=True)]


def _wrapped_splice(encoded: bytes, edits: list[Edit[bytes]]) -> bytes:
    """Return ``encoded`` with ``edits`` done and each touched line wrapped."""
    pieces: list[bytes] = []
    position = 0  # up to here the original is in pieces
    line_end = 0  # end of the line being put together
    line: list[bytes] = []
    for start, end, new in edits:
        if start > line_end or not line:
            if line:
                line.append(encoded[position:line_end])
                pieces.append(_wrap(b"".join(line)))
                position = line_end
            line_start = encoded.rfind(b"\n", position, start) + 1 or position
            pieces.append(encoded[position:line_start])
            line, position = [], line_start
        line += (encoded[position:start], new)
        position = end
        if end > line_end or len(line) == 2:
            line_end = encoded.find(b"\n", end)
            line_end = len(encoded) if line_end < 0 else line_end
    line.append(encoded[position:line_end])
    pieces += (_wrap(b"".join(line)), encoded[line_end:])
    return b"".join(pieces)


def _wrap(line: bytes) -> bytes:
    """Return encoded text with soft line breaks where a line of it is over 76 characters."""
    if len(line) <= _WRAP:
        return line
    # The same lines come again in messages of one template.
    return _usual_wrap(line) if len(line) < _USUAL else _made_wrap(line)


def _made_wrap(line: bytes) -> bytes:
    if b"\n" in line:  # an edit that spans a line break brings several lines here
        return b"\n".join(map(_wrap, line.split(b"\n")))
    return b"=\n".join(_CHUNK.findall(line))


_usual_wrap = lru_cache(maxsize=2048)(_made_wrap)


def wrapped_lines(encoded: bytes) -> bytes:
    """Return quoted-printable with CRLF line ends and soft line breaks in lines that are too long."""
    return b"".join(b"\r\n".join(map(_crlf_wrap, piece.split(b"\r\n"))) for piece in in_pieces(encoded))


def _crlf_wrap(line: bytes) -> bytes:
    return _wrap(line).replace(b"\n", b"\r\n")

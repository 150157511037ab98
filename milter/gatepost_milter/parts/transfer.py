"""Content-Transfer-Encoding, read and edited in place (RFC 2045 section 6).

``open_part`` gives a part's decoded bytes together with the way back: ``at`` finds the places of edits in the
encoded bytes, and what it returns writes them, as often as wanted. 7bit and 8bit are spliced as they are;
quoted-printable is spliced in the encoded text and only touched lines are wrapped; base64 keeps
the original's line length. What could not be written back the same is ``TransferError`` with a reason.
"""

from __future__ import annotations

import binascii
import re
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import NamedTuple, Protocol, TypeVar

from gatepost_milter.editing.edits import Edit, Range, between, woven

T = TypeVar("T", str, bytes)
LINE_MOST = 998  # RFC 5322 section 2.1.1, without the line end
_PIECE = 512 * 1024
_BLANKS = b" \t\r\n"
_WRAP = 76  # RFC 2045 section 6.7, rule 5; the soft line break's "=" counts
# As much of a line as fits with its soft line break, no escape cut in two; a last chunk needs no break.
_CUT = rb".{75}(?<!=)(?<!=.)|.{74}(?<!=)(?<!=.)|.{73}(?<!=)(?<!=.)"
_CHUNK = re.compile(rb".{1,76}+\Z|" + _CUT, re.DOTALL)
# The same in a text of many lines; the line end goes with what is in front of it.
_PIECES = re.compile(rb".{0,76}+\n|.{1,76}+\Z|" + _CUT)
_PRINTABLE = b"\t" + bytes(range(0x20, 0x7F))
_ENCODE = re.compile(rb"[^\t -<>-~]|=")


class TransferError(ValueError):
    """The encoded part is malformed, or could not be written back the same; the text says how."""


class Places(Protocol):
    """Places of edits in an encoded body. For many threads."""

    def written(self, new: list[T], as_bytes: Callable[[list[T]], list[bytes]]) -> bytes:
        """Return the encoded body with each place's text replaced by that of ``new``.

        ``as_bytes`` is called for some of them or for all, and raises what it likes.
        """
        ...


class Transfer(Protocol):
    """One part's body: ``decoded`` is what it means."""

    decoded: bytes

    def at(self, ranges: list[Range]) -> Places:
        """Return the places of ranges of ``decoded``, which are in order and do not overlap."""
        ...


def spliced(transfer: Transfer, edits: list[Edit[bytes]]) -> bytes:
    """Return the encoded body after ``edits`` of what it means, which come from ``edits.ordered``."""
    places = transfer.at([(start, end) for start, end, _ in edits])
    return places.written([new for _, _, new in edits], lambda new: new)


class _Spliced:
    """Places in decoded text, all of which is encoded again."""

    def __init__(self, decoded: bytes, ranges: list[Range], encode: Callable[[bytes], bytes]) -> None:
        self._between = between(decoded, ranges)
        self._encode = encode

    def written(self, new: list[T], as_bytes: Callable[[list[T]], list[bytes]]) -> bytes:
        """Return the text with the edits done, encoded."""
        return self._encode(woven(self._between, as_bytes(new)))


@dataclass(slots=True)
class Identity:
    """7bit, 8bit and binary: the bytes are what they mean."""

    decoded: bytes

    def at(self, ranges: list[Range]) -> Places:
        """Return the same places; lines may come out longer than ``LINE_MOST``."""
        return _Spliced(self.decoded, ranges, lambda data: data)


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

    def at(self, ranges: list[Range]) -> Places:
        """Return the places within the encoded text."""
        newline = b"\r\n" if self.crlf else b"\n"
        places = self._places(ranges)
        if max(map(len, self.encoded.split(b"\n"))) > _WRAP:
            return _Lines(self.encoded, places, newline)
        return _Rewrapped(self.encoded, places, newline)

    def _places(self, ranges: list[Range]) -> list[Range]:
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


class _Touched(NamedTuple):
    """Whole lines in ``[start, end)``, without the last line end, and the edits there, from ``first`` on."""

    first: int
    last: int
    start: int
    end: int


class _Rewrapped:
    """Places in quoted-printable with LF line ends, no line of which is longer than it should be.

    Lines that edits made longer are wrapped; so all others stay as they are.
    """

    def __init__(self, encoded: bytes, places: list[Range], newline: bytes) -> None:
        self._between = between(encoded, places)
        self._newline = newline

    def written(self, new: list[T], as_bytes: Callable[[list[T]], list[bytes]]) -> bytes:
        """Return the encoded body with the edits done."""
        text = _all_wrapped(woven(self._between, _all_quoted(as_bytes(new))))
        return text if self._newline == b"\n" else text.replace(b"\n", self._newline)


def _all_wrapped(text: bytes) -> bytes:
    """Return encoded text with LF line ends in which no line is over 76 characters."""
    pieces = _PIECES.findall(text)
    # All but the first get a soft line break before them, and lose it again where a line had ended.
    return b"=\n".join(pieces).replace(b"\n=\n", b"\n")


class _Lines:
    """Places in quoted-printable with LF line ends, by the lines they touch; only these are wrapped.

    For what has long lines of its own, which stay.
    """

    def __init__(self, encoded: bytes, places: list[Range], newline: bytes) -> None:
        self._encoded = encoded
        self._places = places
        self._newline = newline
        self._touched = _touched_lines(encoded, places)
        lines = [(touched.start, touched.end) for touched in self._touched]
        self._between = [piece.replace(b"\n", newline) for piece in between(encoded, lines)]

    def written(self, new: list[T], as_bytes: Callable[[list[T]], list[bytes]]) -> bytes:
        """Return the encoded body with the edits done."""
        quoted = _all_quoted(as_bytes(new))
        return woven(self._between, [self._line(touched, quoted) for touched in self._touched])

    def _line(self, touched: _Touched, new: list[bytes]) -> bytes:
        """Return touched lines with their edits done, with soft line breaks."""
        first, last, start, end = touched
        places = [(one - start, other - start) for one, other in self._places[first:last]]
        line = woven(between(self._encoded[start:end], places), new[first:last])
        return _wrap(line).replace(b"\n", self._newline)


def _touched_lines(encoded: bytes, places: list[Range]) -> list[_Touched]:
    touched: list[_Touched] = []
    first, line_start, line_end = 0, 0, -1
    for number, (start, end) in enumerate(places):
        if start > line_end:
            if number:
                touched.append(_Touched(first, number, line_start, line_end))
            after = max(line_end, 0)
            first, line_start = number, encoded.rfind(b"\n", after, start) + 1 or after
        elif end <= line_end:
            continue
        line_end = encoded.find(b"\n", end)
        if line_end < 0:
            line_end = len(encoded)
    if places:
        touched.append(_Touched(first, len(places), line_start, line_end))
    return touched


@dataclass(slots=True)
class Base64:
    """Base64 in lines of ``width`` characters ended by ``newline``, with ``tail`` after the last.

    Decoders ignore white space wherever it stands (RFC 2045 section 6.8): lines of any length, blank lines
    and blanks at their ends are read, and written as lines of the longest one's length.
    """

    decoded: bytes
    width: int
    newline: bytes
    tail: bytes

    @classmethod
    def read(cls, raw: bytes) -> Base64:
        """Read an encoded body. Raises TransferError for what decoders read in two ways."""
        newline = b"\r\n" if b"\r\n" in raw else b"\n"
        text = raw.rstrip(_BLANKS)
        tail = raw[len(text) :].translate(None, b" \t")
        try:
            # Strict: nothing after the padding, none missing, no other characters.
            decoded = binascii.a2b_base64(text.translate(None, _BLANKS), strict_mode=True)
        except binascii.Error:
            raise TransferError("has malformed base64") from None
        width = len(text.partition(newline)[0])
        part = cls(decoded, width, newline, tail)
        if not part._is_as_written(raw, text):
            longest = max(map(len, text.translate(None, b" \t").split(newline)))
            part.width = longest if 0 < longest <= _WRAP else _WRAP
        return part

    def at(self, ranges: list[Range]) -> Places:
        """Return the same places: the whole is encoded again, in lines as long as the original's."""
        return _Spliced(self.decoded, ranges, self._encode)

    def _is_as_written(self, raw: bytes, text: bytes) -> bool:
        """Say whether ``raw``, and ``text`` of it without what follows, are as ``_encode`` writes them."""
        *lines, last = text.split(self.newline)
        even = set(map(len, lines)) <= {self.width} and len(last) <= self.width
        joined = text.replace(self.newline, b"")
        return (
            even
            and len(raw) == len(text) + len(self.tail)
            and joined == binascii.b2a_base64(self.decoded, newline=False)
        )

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
    joined = b"\n".join(insertions)
    if joined.translate(None, _PRINTABLE) == b"\n" * (len(insertions) - 1):
        return joined.replace(b"=", b"=3D").split(b"\n") if insertions else []
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


def _wrap(line: bytes) -> bytes:
    """Return encoded text with soft line breaks where a line of it is over 76 characters."""
    if len(line) <= _WRAP:
        return line
    if b"\n" in line:  # an edit that spans a line break brings several lines here
        return b"\n".join(map(_wrap, line.split(b"\n")))
    return b"=\n".join(_CHUNK.findall(line))


def wrapped_lines(encoded: bytes) -> bytes:
    """Return quoted-printable with CRLF line ends and soft line breaks in lines that are too long."""
    return b"".join(b"\r\n".join(map(_crlf_wrap, piece.split(b"\r\n"))) for piece in in_pieces(encoded))


def _crlf_wrap(line: bytes) -> bytes:
    return _wrap(line).replace(b"\n", b"\r\n")

"""HTML parts read: transfer encoding and charset undone, the text scanned, and the way back.

A part that was read lately is not read again: bulk mail without personal texts is one part, sent many times.
Only parts of a usual size are kept, and few of them. What cannot be read, or not be written back the
same, is ``TransferError`` or ``CharsetError`` with a reason in words.
"""

from __future__ import annotations

import re

from gatepost_core.domain.memo import Recent
from gatepost_milter.editing.edits import Edit, Range
from gatepost_milter.html.part import HtmlPart
from gatepost_milter.html.room import Room
from gatepost_milter.html.samples import Samples, few_tags
from gatepost_milter.html.scanner import scan
from gatepost_milter.parts.charsets import CharsetError, byte_ranges, decode, insertions
from gatepost_milter.parts.transfer import Base64, Places, Transfer, TransferError, open_part

_KEPT_MOST = 4
_SIZE_MOST = 65536
# Within foreign content CDATA sections are text, and raw-text elements hold markup (HTML sections 13.2.5.42
# and 13.2.6.5); whether they stand within it takes a parser to say.
_AMBIGUOUS = re.compile(
    r"(?i)<!\[CDATA\[|<(style|script|title|textarea|xmp|iframe|noembed|noframes|plaintext)(?=[ \t\n\f\r/>])"
    r"[^<>]*+(?:<|>[^<]*+<(?!/\1[ \t\n\f\r/>]))"
)
_FOREIGN = re.compile(r"(?i)<(?:svg|math)[ \t\n\f\r/>]")


class Opened:
    """One part read. For many threads; ``written`` remembers where the edits of the last time stood."""

    def __init__(self, transfer: Transfer, html: HtmlPart) -> None:
        self.transfer = transfer
        self.html = html
        self._last: tuple[list[Range], Places] | None = None

    def written(self, edits: list[Edit[str]]) -> bytes:
        """Return the encoded body after edits of the text, from ``edits.ordered``. Raises CharsetError."""
        html, ranges, last = self.html, [(start, end) for start, end, _ in edits], self._last
        if last is None or last[0] != ranges:
            transfer = self.transfer
            places = transfer.at(byte_ranges(transfer.decoded, html.text, html.codec, ranges))
            last = self._last = (ranges, places)
        return last[1].written([edit[2] for edit in edits], lambda texts: insertions(texts, html.codec))


_kept: Recent[tuple[str, str | None, bytes], Opened] = Recent(_KEPT_MOST)
_samples = Samples()


def open_html(
    encoding: str, charset: str | None, raw: bytes, owner: object = None, room: Room | None = None
) -> Opened:
    """Return the part of these encoded bytes. Raises TransferError, CharsetError.

    ``owner``: whose message it is, so that it can be read as others of the same template; None: nobody's.
    ``room``: what is left of the message's; None: it is the message's only part.
    """
    room = room or Room(len(raw))
    if len(raw) > _SIZE_MOST:
        return _opened(encoding, charset, raw, room)
    key = (encoding, charset, raw)
    known = _kept.get(key)
    if known is None:
        known = _opened(encoding, charset, raw, room, owner)
        if known.html.sample is None and few_tags(known.html.scan):
            _kept.put(key, known)
    else:
        room.take(len(known.transfer.decoded), known.html.text)
    return known


def _opened(encoding: str, charset: str | None, raw: bytes, room: Room, owner: object = None) -> Opened:
    room.expect(len(raw))
    transfer = open_part(encoding, raw)
    text, codec = decode(transfer.decoded, charset)
    room.take(len(transfer.decoded), text)
    if "-----BEGIN PGP" in text:
        raise TransferError("holds inline PGP")
    if codec.startswith("utf-16") and not isinstance(transfer, Base64):
        raise CharsetError("is UTF-16 and not in base64")  # its line ends are none to mail
    utf8 = bool(charset) and codec == "utf-8"
    like = _samples.like(owner, charset, text) if owner is not None else None
    if like is not None:
        return Opened(transfer, HtmlPart(text, codec, None, utf8, like))
    foreign = _FOREIGN.search(text)
    if foreign and _AMBIGUOUS.search(text, foreign.end()):
        raise TransferError("holds SVG or MathML that is read in two ways")
    part = HtmlPart(text, codec, scan(text), utf8)
    if owner is not None:
        _samples.learn(owner, charset, part)
    return Opened(transfer, part)

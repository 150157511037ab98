"""A part's text in its declared charset, and edits of that text as edits of its bytes.

RFC 2045 section 5.2 and RFC 2046 section 4.1.2: us-ascii unless declared. Decoding is strict. A text
is used only if encoding it again gives the same bytes, cut at the edits too; anything else is
``CharsetError`` with a reason in words, and the part stays as it came.
"""

from __future__ import annotations

import codecs

from gatepost_milter.edits import Edit

# Declared by habit where the larger set is meant (encoding.spec.whatwg.org, "Names and labels").
_SUPERSETS = {
    "gb2312": "gb18030",
    "gbk": "gb18030",
    "x-gbk": "gb18030",
    "shift_jis": "cp932",
    "x-sjis": "cp932",
    "euc_kr": "cp949",
    "ks_c_5601-1987": "cp949",
    "iso-8859-8-i": "iso-8859-8",
    "windows-874": "cp874",
    "unicode-1-1-utf-8": "utf-8",
}
# Codecs of Python's that are no charset of any mail, some of them quadratic.
_REFUSED = frozenset({"idna", "punycode", "unicode_escape", "raw_unicode_escape", "undefined", "utf-7"})
_ASCII_LIKE = frozenset({"utf-8", "ascii"})


class CharsetError(ValueError):
    """The bytes cannot be read as the charset, or not be written back the same; the text says which."""


def canonical(charset: str) -> str:
    """Return Python's name of a declared charset. Raises CharsetError for one that is not known."""
    label = charset.strip().lower()
    try:
        name = codecs.lookup(_SUPERSETS.get(label, label)).name
    except (LookupError, ValueError):
        raise CharsetError(f"has an unknown charset {charset[:40]!r}") from None
    name = _SUPERSETS.get(name, name)
    if name in _REFUSED or name.replace("-", "_") in _REFUSED:
        raise CharsetError(f"has an unusable charset {charset[:40]!r}")
    return name


def decode(data: bytes, charset: str | None) -> tuple[str, str]:
    """Return the text of ``data`` and the codec's name. Raises CharsetError.

    Without a declared charset 8-bit bytes are taken as UTF-8 if they are valid as such.
    """
    name = "utf-8" if not charset else canonical(charset)
    try:
        text = data.decode(name)
    except (UnicodeError, LookupError):
        raise CharsetError(f"cannot be decoded as {charset or 'utf-8'}") from None
    return text, name


def byte_edits(data: bytes, text: str, codec: str, edits: list[Edit[str]]) -> list[Edit[bytes]]:
    """Return ``edits`` of ``text`` as edits of ``data``; both lists in order. Raises CharsetError.

    What a charset cannot hold is inserted as a numeric character reference (HTML section 13.1.4).
    """
    if codec in _ASCII_LIKE:
        return _utf8_edits(text, edits)
    result: list[Edit[bytes]] = []
    segments: list[bytes] = []
    position = place = 0
    for start, end, new in edits:
        before, cut = text[position:start].encode(codec), text[start:end].encode(codec)
        segments += (before, cut)
        place += len(before)
        result.append((place, place + len(cut), _insertion(new, codec)))
        place += len(cut)
        position = end
    segments.append(text[position:].encode(codec))
    if b"".join(segments) != data:
        raise CharsetError(f"does not come out the same when written as {codec}")
    return result


def _utf8_edits(text: str, edits: list[Edit[str]]) -> list[Edit[bytes]]:
    """Return the edits of a UTF-8 part, whose strict decoding always comes out the same."""
    result: list[Edit[bytes]] = []
    position = place = 0
    for start, end, new in edits:
        place += _bytes(text[position:start])
        first = place
        if start != end:
            place += _bytes(text[start:end])
        result.append((first, place, new.encode("ascii", "xmlcharrefreplace")))
        position = end
    return result


def _bytes(segment: str) -> int:
    return len(segment) if segment.isascii() else len(segment.encode())


def _insertion(new: str, codec: str) -> bytes:
    # Only ASCII characters, so that a 7bit part stays 7bit.
    return new.encode("ascii", "xmlcharrefreplace").decode("ascii").encode(codec)

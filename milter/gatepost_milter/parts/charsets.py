"""A part's text in its declared charset, and edits of that text as edits of its bytes.

RFC 2045 section 5.2 and RFC 2046 section 4.1.2: us-ascii unless declared. Decoding is strict. A text
is used only if encoding it again gives the same bytes, cut at the edits too; anything else is
``CharsetError`` with a reason in words, and the part stays as it came.
"""

from __future__ import annotations

import codecs
import encodings
import pkgutil
from encodings.aliases import aliases

from gatepost_milter.editing.edits import Range, between

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
# Asked about any other name, Python looks for a module on disk and remembers the name for good.
_KNOWN = frozenset((*aliases, *(module.name for module in pkgutil.iter_modules(encodings.__path__))))
_LABEL_MOST = 60
_MARKED = {"utf-16": ((codecs.BOM_UTF16_LE, "utf-16-le"), (codecs.BOM_UTF16_BE, "utf-16-be"))}
# How a text in one of the ISO-2022 charsets leaves ASCII (RFC 1468, RFC 1557, RFC 1922). Read as another
# charset its characters would be ASCII, tags among them; mail programs go by a <meta>, or guess.
_ISO_2022_MARKS = (b"\x1b$", b"\x1b(")
_ISO_2022 = ("iso2022", "utf-16", "utf-32")  # where these bytes are what they should be
_ASCII_LIKE = frozenset({"utf-8", "ascii"})


class CharsetError(ValueError):
    """The bytes cannot be read as the charset, or not be written back the same; the text says which."""


def canonical(charset: str) -> str:
    """Return Python's name of a declared charset. Raises CharsetError for one that is not known."""
    label = charset.strip().lower()
    label = _SUPERSETS.get(label, label)
    plain = encodings.normalize_encoding(label[:_LABEL_MOST])
    try:
        name = codecs.lookup(plain).name if plain in _KNOWN else ""
    except (LookupError, ValueError):
        name = ""
    if not name:
        raise CharsetError(f"has an unknown charset {charset[:40]!r}")
    name = _SUPERSETS.get(name, name)
    if name in _REFUSED or name.replace("-", "_") in _REFUSED:
        raise CharsetError(f"has an unusable charset {charset[:40]!r}")
    return name


def decode(data: bytes, charset: str | None) -> tuple[str, str]:
    """Return the text of ``data`` and the codec's name. Raises CharsetError.

    Without a declared charset 8-bit bytes are taken as UTF-8 if they are valid as such.
    """
    name = "utf-8" if not charset else canonical(charset)
    if name in _MARKED:
        name = _by_mark(data, name)
    if b"\x1b" in data and not name.startswith(_ISO_2022) and any(mark in data for mark in _ISO_2022_MARKS):
        raise CharsetError("holds ISO-2022 text, as in iso-2022-jp, but does not declare it")
    try:
        text = data.decode(name)
    except (UnicodeError, LookupError):
        raise CharsetError(f"cannot be decoded as {charset or 'utf-8'}") from None
    return text, name


def _by_mark(data: bytes, name: str) -> str:
    """Return the codec of UTF-16 with a byte order mark, which is then a character like others."""
    for mark, codec in _MARKED[name]:
        if data.startswith(mark):
            return codec
    raise CharsetError(f"is {name} without a byte order mark")


def byte_ranges(data: bytes, text: str, codec: str, ranges: list[Range]) -> list[Range]:
    """Return ranges of ``text`` as ranges of ``data``; both lists in order. Raises CharsetError."""
    if codec in _ASCII_LIKE:
        # A strict decoding of UTF-8 always comes out the same.
        return ranges if len(data) == len(text) else _utf8_ranges(text, ranges)
    result: list[Range] = []
    segments: list[bytes] = []
    position = place = 0
    for start, end in ranges:
        before, cut = text[position:start].encode(codec), text[start:end].encode(codec)
        segments += (before, cut)
        place += len(before)
        result.append((place, place + len(cut)))
        place += len(cut)
        position = end
    segments.append(text[position:].encode(codec))
    if b"".join(segments) != data:
        raise CharsetError(f"does not come out the same when written as {codec}")
    return result


def insertions(texts: list[str], codec: str) -> list[bytes]:
    """Return texts to insert as bytes of a charset, all of them ASCII so that a 7bit part stays 7bit.

    What is not ASCII becomes a numeric character reference (HTML section 13.1.4).
    """
    joined = "\n".join(texts)
    if codec in _ASCII_LIKE and joined.isascii() and joined.count("\n") == len(texts) - 1:
        return joined.encode("ascii").split(b"\n")
    new = [text.encode("ascii", "xmlcharrefreplace") for text in texts]
    return new if codec in _ASCII_LIKE else [data.decode("ascii").encode(codec) for data in new]


def _utf8_ranges(text: str, ranges: list[Range]) -> list[Range]:
    result: list[Range] = []
    place = 0
    sizes = map(len, map(str.encode, between(text, ranges)))
    for (start, end), size in zip(ranges, sizes, strict=False):
        place += size
        first = place
        if start != end:
            place += len(text[start:end].encode())
        result.append((first, place))
    return result

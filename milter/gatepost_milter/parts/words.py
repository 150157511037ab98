"""Encoded words of header fields (RFC 2047; language tags: RFC 2231 section 5), as mail programs read them.

Programs are lenient, so whoever looks for what they show has to be: any text up to ``?=`` counts, white space
between two words does not, bytes that a charset has not become U+FFFD, an unknown charset is ISO-8859-1.
Every step is linear, which ``email.header.decode_header`` is not.
"""

from __future__ import annotations

import binascii
import re

from gatepost_milter.parts.charsets import CharsetError, canonical

_UTF_7 = re.compile(rb"\+([A-Za-z0-9+/]*+)-?")
_NO_BASE64 = bytes(sorted(frozenset(range(256)) - frozenset(binascii.b2a_base64(bytes(range(256)))) - {61}))
# Where a word ends, its charset, its bytes.
_Word = tuple[int, str, bytes]


class WordError(ValueError):
    """An encoded word cannot be read for sure."""


def decoded(text: str, *, strict: bool = False) -> str:
    """Return ``text`` with its words decoded. ``strict``: raises WordError for one that is not clear."""
    if "=?" not in text:
        return text
    pieces: list[str] = []
    run: list[tuple[str, bytes]] = []  # words with nothing between them: one charset's bytes go together
    at = 0
    while (start := text.find("=?", at)) >= 0:
        word = _word(text, start)
        if word is None:
            break
        end, charset, data = word
        if end < 0:
            end = start + 2
            pieces += (_joined(run, strict), text[at:end])
        else:
            between = text[at:start]
            if between.strip(" \t\r\n") or not run:
                pieces += (_joined(run, strict), between)
            run.append((charset, data))
        at = end
    pieces += (_joined(run, strict), text[at:])
    return "".join(pieces)


def _word(text: str, start: int) -> _Word | None:
    """Return the word that begins at ``start`` (its end is -1 if it is none); None: no more can follow."""
    mark = text.find("?", start + 2)
    if mark < 0:
        return None
    if text[mark + 1 : mark + 2] not in tuple("bBqQ") or text[mark + 2 : mark + 3] != "?":
        return -1, "", b""
    end = text.find("?=", mark + 3)
    if end < 0:
        return None
    encoded = text[mark + 3 : end].encode("utf-8", "surrogateescape")
    data = _base64(encoded) if text[mark + 1] in "bB" else binascii.a2b_qp(encoded, header=True)
    return end + 2, text[start + 2 : mark].partition("*")[0], data


def _base64(encoded: bytes) -> bytes:
    """Return what base64 means to those who skip what is none, and read on after padding."""
    pieces: list[bytes] = []
    for piece in encoded.translate(None, _NO_BASE64).split(b"="):
        whole = piece[: len(piece) - (len(piece) % 4 == 1)]
        pieces.append(binascii.a2b_base64(whole + b"=" * (-len(whole) % 4)))
    return b"".join(pieces)


def _joined(run: list[tuple[str, bytes]], strict: bool) -> str:
    """Return the text of words that stand together, and empty the list."""
    texts: list[str] = []
    place = 0
    while place < len(run):
        charset, first = run[place][0], place
        while place < len(run) and run[place][0] == charset:
            place += 1
        texts.append(_text(b"".join([data for _, data in run[first:place]]), charset, strict))
    run.clear()
    return "".join(texts)


def _text(data: bytes, charset: str, strict: bool) -> str:
    label = charset.strip().lower()
    if label in ("utf-7", "utf7", "unicode-1-1-utf-7") and not strict:
        return _UTF_7.sub(_utf_7, data).decode("utf-8", "replace")
    try:
        return data.decode(canonical(label), "strict" if strict else "replace")
    except (CharsetError, LookupError, UnicodeError):
        if strict:
            raise WordError(f"not {charset[:40]!r}") from None
        return data.decode("latin-1")


def _utf_7(match: re.Match[bytes]) -> bytes:
    """Return a shifted sequence of UTF-7 (RFC 2152) as UTF-8; Python's own decoder takes quadratic time."""
    if not match[1]:
        return b"+"
    data = _base64(match[1])
    return data[: len(data) // 2 * 2].decode("utf-16-be", "replace").encode()

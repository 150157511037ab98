"""Path and query of an address in the one form that a token's MAC covers (RFC 3986 section 6.2.2).

Browsers differ in what they escape on the way; what means the same page is the same form before and after,
and what means another stays another.
"""

from __future__ import annotations

import re

_ESCAPE = re.compile(rb"%([0-9A-Fa-f]{2})")
_UNRESERVED = frozenset(b"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-._~")
# Browsers differ in what else they escape on the way (quotes, brackets, braces): in the normal form it is
# escaped always. What separates parts of a query is kept apart from its escaped form.
_KEPT = _UNRESERVED | frozenset(b"/?&=+;:@!$*(),%#")
_ESCAPED = {byte: f"%{byte:02X}".encode() for byte in range(256) if byte not in _KEPT}
_PLAIN_BYTES = bytes(_UNRESERVED | frozenset(b"/?&=+;:@!$*(),"))
_PLAIN = re.compile(rb"[" + re.escape(_PLAIN_BYTES) + rb"]*")
_LINES_BYTES = _PLAIN_BYTES + b"\n"
_DOTS = re.compile(rb"(?:^|/)\.\.?(?:/|$)")


class PathError(ValueError):
    """The path climbs above the root: a browser would resolve it before it asks."""


def normal_path(path_and_query: str) -> bytes:
    """Return path and query in the form that a MAC covers, the same before and after a browser had it.

    Escapes of unreserved characters are undone and the others written in capitals (RFC 3986
    section 6.2.2), anything that clients may escape is escaped, dot segments are resolved. Raises
    PathError for dot segments that climb above the root.
    """
    raw = path_and_query.encode("utf-8", "replace")
    if not _PLAIN.fullmatch(raw):
        raw = raw.replace(b"\t", b"").replace(b"\n", b"").replace(b"\r", b"")
        raw = _ESCAPE.sub(_unescape, raw)
        raw = b"".join(_ESCAPED.get(byte) or bytes((byte,)) for byte in raw)
    path, question, query = raw.partition(b"?")
    if _DOTS.search(path):
        path = _resolved(path)
    return (path or b"/") + question + query


def normal_paths(paths_and_queries: list[str]) -> list[bytes | None]:
    """Return ``normal_path`` of each, in one go where they are plain; None where it would raise PathError."""
    raw = "\n".join(paths_and_queries).encode("utf-8", "replace")
    ends = raw.count(b"\n")
    plain = not raw.translate(None, _LINES_BYTES) and ends == max(len(paths_and_queries) - 1, 0)
    if paths_and_queries and plain and b"/." not in raw and b"\n." not in raw and raw[:1] != b".":
        return [one if one[:1] not in (b"", b"?") else b"/" + one for one in raw.split(b"\n")]
    return list(map(_normal_or_none, paths_and_queries))


def _normal_or_none(path_and_query: str) -> bytes | None:
    try:
        return normal_path(path_and_query)
    except PathError:
        return None


def _unescape(match: re.Match[bytes]) -> bytes:
    byte = int(match[1], 16)
    return bytes((byte,)) if byte in _UNRESERVED else b"%" + match[1].upper()


def _resolved(path: bytes) -> bytes:
    segments: list[bytes] = []
    parts = path.split(b"/")[1:]
    for number, part in enumerate(parts):
        last = number == len(parts) - 1
        if part == b"..":
            if not segments:
                raise PathError("the path climbs above the root")
            segments.pop()
        elif part != b".":
            segments.append(part)
            continue
        if last:
            segments.append(b"")
    return b"/" + b"/".join(segments)

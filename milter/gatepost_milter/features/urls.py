"""Web addresses that lead through the click domain: only ``scheme://authority`` of a raw value is replaced.

Of the raw value nothing else changes, so path, query, character references and fragment stay readable and
byte-identical. Whatever a browser would read differently from what the token's MAC covers is left
alone, as are marks of template languages. Errors of the rewriter are its caller's.
"""

from __future__ import annotations

import re
from collections.abc import Collection, Iterable
from typing import TypeAlias

from gatepost_milter.editing.edits import Edit
from gatepost_milter.html.attributes import decode
from gatepost_milter.parts.locations import comparable
from gatepost_milter.surgery.context import ClickRewriter, Many

# Where ``scheme://authority`` starts and ends, scheme, authority, path and query.
Found: TypeAlias = tuple[int, int, str, str, str]
# The same without its end.
Target: TypeAlias = tuple[int, str, str, str]

_ABSOLUTE = re.compile(
    r"[ \t\n\f\r]*+((https?)://([^\x00-\x20\x7f/?#\\<>\"'`{}|^&]++))(?=[/?#]|[ \t\n\f\r]*+\Z)", re.IGNORECASE
)
# Most addresses: nothing in them asks for a second look, but "&" for its references.
_PLAIN_ADDRESS = (
    r"(https?)://([A-Za-z0-9.:-]++)((?:(?!/\.)[/?](?:[A-Za-z0-9_~+,:@!=;&?.-]++|/(?!\.))*)?)(?:#[\w-]*+)?"
)
_PLAIN = re.compile(_PLAIN_ADDRESS)
# A line of addresses: the parts of such a one, or the line.
_EACH = re.compile(rf"(?:{_PLAIN_ADDRESS}|([^\n]*+))\n")
# Marks of the template languages that senders fill in later. A name between percent signs is one unless
# these are escapes: "%recipient.id%", not "%E4%BD%A0".
_PLACEHOLDER = re.compile(
    r"\{\{|\{%|\*\||%%|\$\{|<%|\[\[|#\{|\|\*|\{\$?[A-Za-z_][\w.-]*\}"
    r"|%(?![0-9A-Fa-f]{2})[A-Za-z_][\w.-]*%|%[A-Za-z_][\w.-]*%(?![0-9A-Fa-f]{2})"
)
# A browser resolves these before it asks, and the token would be cut away (URL Standard, section 4.4).
_DOT_SEGMENT = re.compile(r"/(?:\.|%2e){1,2}(?=[/?#]|\Z)|\\", re.IGNORECASE)
# URL Standard section 4.4: control characters and spaces at the end go, tabs and line ends go everywhere.
_TRIMMED = "".join(map(chr, range(0x21)))
_STRIPPED = str.maketrans("", "", "\t\n\r")
_SAFE_PREFIX = re.compile(r"https?://([A-Za-z0-9.:_-]+)/[A-Za-z0-9._~/-]+")
_SAFE_PREFIXES = re.compile(r"(?:https?://[A-Za-z0-9.:_-]++/[A-Za-z0-9._~/-]++(?:\n|\Z))*")
_AUTHORITIES_MOST = 8  # each is sought in all prefixes


def follow(raws: list[str], *, utf8: bool) -> list[Target | None]:
    """Return ``follows`` of each address; most are plain, and are read in one go."""
    joined = "\n".join([*raws, ""])
    if joined.count("\n") != len(raws):
        return [follows(raw, utf8=utf8) for raw in raws]
    meant = joined.count("&") == joined.count("&amp;")
    if meant:
        joined = joined.replace("&amp;", "&")
    return [
        (0, scheme, authority, rest)
        if scheme and (rest := path if meant or "&" not in path else _meant(path)) is not None
        else follows(raw, utf8=utf8)
        for raw, (scheme, authority, path, _) in zip(raws, _EACH.findall(joined), strict=True)
    ]


def follows(raw: str, *, utf8: bool) -> Target | None:
    """Return where what is to be followed begins in an address, its scheme, authority, path and query.

    ``utf8``: the document is declared to be UTF-8. None for what is left alone.
    """
    found = _ABSOLUTE.match(raw)
    if found is None or _PLACEHOLDER.search(raw):
        return None
    rest = decode(raw[found.end(1) :]).rstrip(_TRIMMED).partition("#")[0]
    if "\n" in rest or "\t" in rest or "\r" in rest:
        rest = rest.translate(_STRIPPED)
    if _DOT_SEGMENT.search(rest.partition("?")[0]) or _PLACEHOLDER.search(rest):
        return None
    # A browser writes a query in the document's charset: only for UTF-8 is it known what it will ask for.
    if not utf8 and not rest.isascii():
        return None
    return found.start(1), found[2], found[3], rest


def is_plain(raw: str) -> bool:
    """Say whether an address asks for no second look, whatever other words stand in its path and query."""
    plain = _PLAIN.fullmatch(raw)
    return plain is not None and plain[3].count("&") == plain[3].count("&amp;")


def _meant(rest: str) -> str | None:
    """Return what a plain path and query mean; None where a reference asks for a second look.

    ``&num;`` ends the path, ``&bsol;`` parts it, ``&eacute;`` is written by the document's charset.
    """
    if "&" not in rest:
        return rest
    if rest.count("&") == rest.count("&amp;"):
        return rest.replace("&amp;", "&")
    return rest if decode(rest) == rest else None


class Redirector:
    """Replaces the beginning of addresses. ``utf8``: the document is declared to be UTF-8.

    ``located`` are addresses that name parts of the message (RFC 2557 section 8.2): they stay.
    """

    def __init__(
        self, rewrite: ClickRewriter, *, utf8: bool, located: frozenset[str] = frozenset[str]()
    ) -> None:
        self._rewrite = rewrite
        self._many: Many | None = getattr(rewrite, "many", None)
        self.utf8 = utf8
        self._located = located

    def edits(self, targets: Iterable[Found], kept: Collection[int] = ()) -> list[Edit[str]]:
        """Return the edits of addresses that ``follows`` read, but for those that start at ``kept``.

        Raises ValueError for a prefix that needs escaping.
        """
        located = self._located
        wanted = list(targets)
        if kept or located:
            wanted = [
                target
                for target in wanted
                if target[0] not in kept and not (located and comparable(*target[2:]) in located)
            ]
        if not wanted:
            return []
        starts, ends, schemes, authorities, rests = zip(*wanted, strict=True)
        links = list(zip(map(str.lower, schemes), authorities, rests, strict=True))
        many = self._many
        prefixes = [self._rewrite(*link) for link in links] if many is None else many(links)
        if not _all_fit(set(authorities), prefixes):
            prefixes = [
                prefix if prefix and _fits(authority, prefix) else None
                for authority, prefix in zip(authorities, prefixes, strict=True)
            ]
        return [(start, end, new) for start, end, new in zip(starts, ends, prefixes, strict=True) if new]


def _all_fit(authorities: set[str], prefixes: list[str | None]) -> bool:
    """Say whether all prefixes can be written as they are, and none leads where its link leads anyway.

    Where it says no, each is looked at.
    """
    joined = "\n".join(filter(None, set(prefixes)))
    if len(authorities) > _AUTHORITIES_MOST or not _SAFE_PREFIXES.fullmatch(joined):
        return False
    lowered = joined.lower()
    return not any(f"//{authority.lower()}/" in lowered for authority in authorities)


def _fits(authority: str, prefix: str) -> bool:
    """Say whether a prefix is to stand for an authority. Raises ValueError for one that needs escaping."""
    safe = _SAFE_PREFIX.fullmatch(prefix)
    if safe is None:
        raise ValueError(f"the rewriter returned {prefix!r}, which needs escaping")
    return safe[1].lower() != authority.lower()

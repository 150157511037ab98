"""Web addresses that lead through the click domain: only ``scheme://authority`` of a raw value is replaced.

Of the raw value nothing else changes, so path, query, character references and fragment stay readable and
byte-identical. Whatever a browser would read differently from what the token's MAC covers is left
alone, as are marks of template languages. Errors of the rewriter are its caller's.
"""

from __future__ import annotations

import re
from collections.abc import Container, Iterable
from typing import TypeAlias

from gatepost_milter.editing.edits import Edit
from gatepost_milter.html.attributes import decode
from gatepost_milter.parts.locations import comparable
from gatepost_milter.surgery.context import ClickRewriter, Many

# Where ``scheme://authority`` starts and ends, scheme, authority, path and query.
Found: TypeAlias = tuple[int, int, str, str, str]

_ABSOLUTE = re.compile(
    r"[ \t\n\f\r]*+((https?)://([^\x00-\x20\x7f/?#\\<>\"'`{}|^&]++))(?=[/?#]|[ \t\n\f\r]*+\Z)", re.IGNORECASE
)
# Most addresses: nothing in them asks for a second look, but "&" for its references.
_PLAIN = re.compile(
    r"((https?)://([A-Za-z0-9.:-]++))((?:[/?](?:[A-Za-z0-9_~+,:@!=;&?.-]++|/(?!\.))*)?)(?:#[\w-]*+)?"
)
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


def follows(raw: str, *, utf8: bool) -> tuple[int, str, str, str] | None:
    """Return where an address to follow begins in ``raw``, its scheme, authority, path and query.

    ``utf8``: the document is declared to be UTF-8. None for what is left alone.
    """
    plain = _PLAIN.fullmatch(raw)
    if plain is not None:
        rest = _meant(plain[4])
        if rest is not None and not rest.startswith("/."):
            return 0, plain[2], plain[3], rest
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
    return plain is not None and plain[4].count("&") == plain[4].count("&amp;") and plain[4][:2] != "/."


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

    def edits(self, targets: Iterable[Found], kept: Container[int] = ()) -> list[Edit[str]]:
        """Return the edits of addresses that ``follows`` read, but for those that start at ``kept``.

        Raises ValueError for a prefix that needs escaping.
        """
        located = self._located
        wanted = [
            target
            for target in targets
            if target[0] not in kept and not (located and comparable(*target[2:]) in located)
        ]
        if not wanted:
            return []
        links = [(scheme.lower(), authority, rest) for _, _, scheme, authority, rest in wanted]
        many = self._many
        prefixes = [self._rewrite(*link) for link in links] if many is None else many(links)
        if not _all_fit(links, prefixes):
            prefixes = [
                prefix if prefix and _fits(link[1], prefix) else None
                for link, prefix in zip(links, prefixes, strict=True)
            ]
        return [(one[0], one[1], new) for one, new in zip(wanted, prefixes, strict=True) if new]


def _all_fit(links: list[tuple[str, str, str]], prefixes: list[str | None]) -> bool:
    """Say whether all prefixes can be written as they are, and none leads where its link leads anyway.

    Where it says no, each is looked at.
    """
    joined = "\n".join(filter(None, prefixes))
    authorities = {authority.lower() for _, authority, _ in links}
    if len(authorities) > _AUTHORITIES_MOST or not _SAFE_PREFIXES.fullmatch(joined):
        return False
    lowered = joined.lower()
    return not any(f"//{authority}/" in lowered for authority in authorities)


def _fits(authority: str, prefix: str) -> bool:
    """Say whether a prefix is to stand for an authority. Raises ValueError for one that needs escaping."""
    safe = _SAFE_PREFIX.fullmatch(prefix)
    if safe is None:
        raise ValueError(f"the rewriter returned {prefix!r}, which needs escaping")
    return safe[1].lower() != authority.lower()

"""trackclicks: links lead through the click domain; only ``scheme://authority`` is replaced.

Of the raw value nothing else changes, so path, query, character references and fragment stay readable and
byte-identical. Followed are ``href`` of ``<a>`` and ``<area>``, and of VML elements in conditional comments.
Whatever a browser would read differently from what the token's MAC covers is left alone. Errors of the
rewriter are its caller's.
"""

from __future__ import annotations

import re

from gatepost_milter.edits import Edit
from gatepost_milter.features.preventscam import shows_url
from gatepost_milter.html.attributes import Finder, decode
from gatepost_milter.html.part import HtmlPart, Outcome
from gatepost_milter.html.scanner import Scan
from gatepost_milter.message import ClickRewriter

_HREF = Finder("href")
_ABSOLUTE = re.compile(
    r"[ \t\n\f\r]*+((https?)://([^\x00-\x20\x7f/?#\\<>\"'`{}|^&]++))(?=[/?#]|[ \t\n\f\r]*+\Z)", re.IGNORECASE
)
# Marks of the template languages that senders fill in later.
_PLACEHOLDER = re.compile(r"\{\{|\{%|\*\||%%|\$\{|<%|\[\[|#\{|\|\*")
# A browser resolves these before it asks, and the token would be cut away (URL Standard, section 4.4).
_DOT_SEGMENT = re.compile(r"/(?:\.|%2e){1,2}(?=[/?#]|\Z)|\\", re.IGNORECASE)
_FOLLOWED = frozenset({"a", "area"})
# URL Standard section 4.4: control characters and spaces at the end go, tabs and line ends go everywhere.
_TRIMMED = "".join(map(chr, range(0x21)))
_STRIPPED = str.maketrans("", "", "\t\n\r")
_SAFE_PREFIX = re.compile(r"https?://([A-Za-z0-9.:_-]+)/[A-Za-z0-9._~/-]+")


def track(part: HtmlPart, rewrite: ClickRewriter, prevent_scam: bool) -> tuple[Outcome, int]:
    """Return the edits of a part's links, and how many were left alone because their text is a URL."""
    run = _Run(part, rewrite, prevent_scam)
    run.follow(part.scan, vml=False)
    for conditional in part.scan.conditionals:
        run.follow(conditional.scan, vml=True)
    return Outcome(run.edits, "" if run.edits else "no link to track"), run.kept


class _Run:
    def __init__(self, part: HtmlPart, rewrite: ClickRewriter, prevent_scam: bool) -> None:
        self.edits: list[Edit[str]] = []
        self.kept = 0
        self._rewrite = rewrite
        self._prevent_scam = prevent_scam
        self._utf8 = part.codec in ("utf-8", "ascii")

    def follow(self, scan: Scan, vml: bool) -> None:
        """Collect the edits of one scan."""
        for index, (start, name, attributes, _) in enumerate(scan.tags):
            if name in _FOLLOWED or (vml and name.startswith("v:")):
                href = _HREF(attributes)
                target = None if href is None else self._target(href.raw)
                if href is None or target is None:
                    continue
                if self._prevent_scam and name == "a" and shows_url(scan, index):
                    self.kept += 1
                    continue
                prefix = self._prefix(*target)
                if prefix:
                    raw = href.raw
                    where = start + 1 + len(name) + href.start + len(raw) - len(raw.lstrip(" \t\n\f\r"))
                    self.edits.append((where, where + len(target[0]) + 3 + len(target[1]), prefix))

    def _target(self, raw: str) -> tuple[str, str, str] | None:
        """Return scheme, authority, path and query of a link to follow, else None."""
        found = _ABSOLUTE.match(raw)
        if found is None or _PLACEHOLDER.search(raw):
            return None
        rest = decode(raw[found.end(1) :]).rstrip(_TRIMMED).partition("#")[0]
        if "\n" in rest or "\t" in rest or "\r" in rest:
            rest = rest.translate(_STRIPPED)
        if _DOT_SEGMENT.search(rest.partition("?")[0]) or _PLACEHOLDER.search(rest):
            return None
        # A browser writes a query in the document's charset: only for UTF-8 is it known what it will ask for.
        if not self._utf8 and not rest.isascii():
            return None
        return found[2], found[3], rest

    def _prefix(self, scheme: str, authority: str, path_and_query: str) -> str:
        """Return what replaces scheme and authority; empty for a link that stays."""
        prefix = self._rewrite(scheme.lower(), authority, path_and_query)
        if prefix is None:
            return ""
        safe = _SAFE_PREFIX.fullmatch(prefix)
        if safe is None:
            raise ValueError(f"the click rewriter returned {prefix!r}, which needs escaping")
        return "" if safe[1].lower() == authority.lower() else prefix

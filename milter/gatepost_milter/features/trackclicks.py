"""trackclicks: links lead through the click domain (``urls`` says how, and which are left alone).

Followed are ``href`` of ``<a>`` and ``<area>``, and of VML elements in conditional comments. Errors of the
rewriter are its caller's.
"""

from __future__ import annotations

from gatepost_milter.edits import Edit
from gatepost_milter.features.preventscam import shows_url
from gatepost_milter.features.urls import Redirector
from gatepost_milter.html.attributes import Finder
from gatepost_milter.html.part import HtmlPart, Outcome
from gatepost_milter.html.scanner import Scan
from gatepost_milter.message import ClickRewriter

_HREF = Finder("href")
_FOLLOWED = frozenset({"a", "area"})


def track(part: HtmlPart, rewrite: ClickRewriter, prevent_scam: bool) -> tuple[Outcome, int]:
    """Return the edits of a part's links, and how many were left alone because their text is a URL."""
    run = _Run(Redirector(rewrite, utf8=part.utf8), prevent_scam)
    run.follow(part.scan, vml=False)
    for conditional in part.scan.conditionals:
        run.follow(conditional.scan, vml=True)
    return Outcome(run.edits, "" if run.edits else "no link to track"), run.kept


class _Run:
    def __init__(self, redirector: Redirector, prevent_scam: bool) -> None:
        self.edits: list[Edit[str]] = []
        self.kept = 0
        self._redirector = redirector
        self._prevent_scam = prevent_scam

    def follow(self, scan: Scan, vml: bool) -> None:
        """Collect the edits of one scan."""
        redirector = self._redirector
        for index, (start, name, attributes, _) in enumerate(scan.tags):
            if name in _FOLLOWED or (vml and name.startswith("v:")):
                href = _HREF(attributes)
                target = None if href is None else redirector.follows(href.raw)
                if href is None or target is None:
                    continue
                if self._prevent_scam and name == "a" and shows_url(scan, index):
                    self.kept += 1
                    continue
                at, scheme, authority, rest = target
                prefix = redirector.prefix(scheme, authority, rest)
                if prefix:
                    where = start + 1 + len(name) + href.start + at
                    self.edits.append((where, where + len(scheme) + 3 + len(authority), prefix))

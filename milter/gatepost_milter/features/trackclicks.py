"""trackclicks: links lead through the click domain (``links`` says which, ``urls`` how)."""

from __future__ import annotations

from gatepost_milter.features.links import links, showing_url
from gatepost_milter.features.urls import Redirector
from gatepost_milter.html.part import HtmlPart, Outcome
from gatepost_milter.surgery.context import ClickRewriter
from gatepost_milter.surgery.feature import NO_CLICK_DOMAIN, TRACKING_OFF, Feature, NotPossible
from gatepost_milter.surgery.letter import Letter, Page


class TrackClicks(Feature):
    """Rewrites links, but those that preventscam is to leave alone."""

    name = step = "trackclicks"
    reads_html = True

    def __init__(self, letter: Letter) -> None:
        super().__init__(letter)
        if letter.features["tracking"] == "off":
            raise NotPossible(TRACKING_OFF)
        if letter.context.click is None:
            raise NotPossible(NO_CLICK_DOMAIN)
        self._rewrite = letter.context.click

    def edits(self, page: Page) -> Outcome:
        """Return the edits of a page's links."""
        return track(page.html, self._rewrite, prevent_scam=bool(self.letter.features["preventscam"]))


def track(part: HtmlPart, rewrite: ClickRewriter, *, prevent_scam: bool) -> Outcome:
    """Return the edits of a part's links; ``prevent_scam``: but those that show a URL."""
    kept = part.once(showing_url) if prevent_scam else frozenset[int]()
    edits = Redirector(rewrite, utf8=part.utf8).edits(part.once(links), kept)
    return Outcome(edits, "" if edits else "no link to track")

"""trackclicks: links lead through the click domain (``links`` says which, ``urls`` how).

honeylink: one more, which no reader sees, for programs that follow every link of a message. It has no content
and is not displayed, so nothing moves; screen readers and the Tab key pass it by.
"""

from __future__ import annotations

from typing import Final

from gatepost_milter.features.links import links, showing_url
from gatepost_milter.features.trackopens import last_place
from gatepost_milter.features.urls import Redirector
from gatepost_milter.html.part import HtmlPart, Outcome
from gatepost_milter.surgery.context import ClickRewriter
from gatepost_milter.surgery.feature import NO_CLICK_DOMAIN, TRACKING_OFF, Feature, NotPossible
from gatepost_milter.surgery.letter import Letter, Page

_HIDDEN: Final = (
    '<a href="{}" tabindex="-1" aria-hidden="true" rel="nofollow" style="display:none!important"></a>'
)


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


class HoneyLink(Feature):
    """Adds the hidden link once, in the first page that has room for it, where clicks are told of.

    Asked after trackopens, whose image may stand in the same place.
    """

    name = "honeylink"
    reads_html = True

    def __init__(self, letter: Letter) -> None:
        super().__init__(letter)
        if not letter.features["trackclicks"]:
            raise NotPossible("trackclicks is off")
        if letter.features["tracking"] == "off":
            raise NotPossible(TRACKING_OFF)
        if not letter.context.honey:
            raise NotPossible(NO_CLICK_DOMAIN)
        self._added = False

    def edits(self, page: Page) -> Outcome:
        """Return the edit that adds the link, or make it part of what is inserted there already."""
        if self._added:
            return Outcome()
        place = last_place(page.html)
        if place is None:
            return Outcome(reason="the HTML ends within a tag or an element that shows no link")
        self._added, link = True, hidden_link(self.letter.context.honey)
        for number, (start, end, new) in enumerate(page.edits):
            if start == end == place:
                page.edits[number] = (start, end, new + link)
                return Outcome(done=True)
        return Outcome([(place, place, link)])


def hidden_link(address: str) -> str:
    """Return the element of this address, which needs no escaping."""
    return _HIDDEN.format(address)

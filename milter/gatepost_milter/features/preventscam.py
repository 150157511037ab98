"""preventscam: links whose visible text is itself a URL or a host name stay as they are.

trackclicks leaves them out (``links.showing_url`` finds them for both); here it is put on record.
"""

from __future__ import annotations

from gatepost_milter.editing.headers import Headers
from gatepost_milter.features.links import showing_url
from gatepost_milter.html.part import Outcome
from gatepost_milter.surgery.feature import NOTHING, Change, Feature
from gatepost_milter.surgery.letter import Letter, Page

_TRACKING = "trackclicks"


class PreventScam(Feature):
    """Tells of the links that trackclicks left alone. By itself it has no message opened."""

    name = "preventscam"
    reads_html = True

    def __init__(self, letter: Letter) -> None:
        super().__init__(letter)
        self.reads_html = bool(letter.features[_TRACKING]) and letter.context.click is not None

    def edits(self, page: Page) -> Outcome:
        """Return nothing to edit, and whether there was a link to leave alone."""
        return Outcome(done=bool(page.html.once(showing_url)))

    def finish(self, headers: Headers) -> Change:
        """Say why there was no link to leave alone, where nothing else says so."""
        del headers
        skipped = self.letter.record.skipped
        if self.acted or self.name in skipped:
            return NOTHING
        tracked = self.reads_html and _TRACKING not in skipped
        return Change(reason="no link shows a URL" if tracked else "links are not tracked")

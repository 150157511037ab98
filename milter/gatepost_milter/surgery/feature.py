"""What a feature is: an object, made for one message, that edits its HTML parts and then the rest of it.

``features.order`` has all of them, in the order in which ``asking`` asks them. They work together by values
alone: by what stands in the ``Page`` and ``Letter``, and what a part says of itself (``HtmlPart.once``).
"""

from __future__ import annotations

from dataclasses import dataclass

from gatepost_core.domain import FeatureValues, Options
from gatepost_core.domain.features import DEFAULTS
from gatepost_milter.editing.edits import Edit
from gatepost_milter.editing.headers import Header, Headers
from gatepost_milter.html.part import Outcome
from gatepost_milter.surgery.letter import Letter, Page

NO_CLICK_DOMAIN = "no click domain for the From domain"
TRACKING_OFF = "tracking is off"
OWN = "headers"  # the credential's own fields, and what became of others, under this name on record


class NotPossible(Exception):  # noqa: N818  # nothing is wrong: the text is the reason on record
    """The feature cannot act here; the text says why. ``note`` is for the log alone."""

    def __init__(self, reason: str, note: str = "") -> None:
        super().__init__(reason)
        self.note = note


@dataclass(frozen=True, slots=True)
class Change:
    """What a feature does to a message beside its pages.

    ``done``: it acted, though nothing else here may show it. ``reason``: why it did not, or not everywhere.
    ``headers``: all header fields as they are to be, ``body``: edits of the body's bytes, ``sender``: the new
    envelope sender; None or empty: unchanged.
    """

    done: bool = False
    reason: str = ""
    headers: Headers | None = None
    body: tuple[Edit[bytes], ...] = ()
    sender: str = ""

    @property
    def acted(self) -> bool:
        """Whether there is any change."""
        return self.done or self.headers is not None or bool(self.body) or bool(self.sender)


NOTHING = Change()
NO_EDITS = Outcome()


class Feature:
    """One feature at work on one message. A subclass overrides what it needs.

    ``name``: the catalogue's, and that of the record. ``step``: what its time is recorded under; empty: it
    takes none to speak of. ``reads_html``: ``edits`` is to be asked, and the message opened for it.
    ``on_signed``: what it changes is no part of an author's DKIM signature. ``left_out_first``: it makes
    messages grow most, and they read without it, so it gives way first where one would grow too large.
    ``acted``: whether it has done anything so far.
    """

    name = ""
    step = ""
    reads_html = False
    on_signed = False
    left_out_first = False

    def __init__(self, letter: Letter) -> None:
        """Raises NotPossible."""
        self.letter = letter
        self.acted = False

    @classmethod
    def wanted(cls, features: FeatureValues, options: Options) -> bool:
        """Say whether a message with these features in force, of a credential with these options, has it."""
        del options
        return features[cls.name] != DEFAULTS[cls.name]

    def edits(self, page: Page) -> Outcome:
        """Return the edits of one HTML part's text. Raises NotPossible."""
        del page
        return NO_EDITS

    def finish(self, headers: Headers) -> Change:
        """Return what else is to change, after all pages; ``headers`` are as the features before left them.

        Raises NotPossible.
        """
        del headers
        return NOTHING


def plain_name(header: Header) -> str:
    """Return a field's name as names are compared."""
    return header.name.decode("latin-1").rstrip().lower()

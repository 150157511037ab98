"""trackbounces: the envelope sender becomes an address to which bounces come back."""

from __future__ import annotations

from gatepost_milter.editing.headers import Headers
from gatepost_milter.surgery.feature import Change, Feature, NotPossible
from gatepost_milter.surgery.letter import Letter


class TrackBounces(Feature):
    """Changes the envelope sender, which no signature covers."""

    name = "trackbounces"
    on_signed = True

    def __init__(self, letter: Letter) -> None:
        super().__init__(letter)
        if not letter.context.bounce_sender:
            raise NotPossible(letter.context.missing.get(self.name, "no bounce domain"))

    def finish(self, headers: Headers) -> Change:
        """Return the new envelope sender."""
        del headers
        return Change(sender=self.letter.context.bounce_sender)

"""sendat: a message that is to be sent later says so in its Date; the judge has it held until then."""

from __future__ import annotations

from datetime import datetime
from email.utils import format_datetime

from gatepost_milter.editing.headers import Headers
from gatepost_milter.features.authorsignature import is_signed
from gatepost_milter.surgery.feature import Change, Feature, NotPossible
from gatepost_milter.surgery.letter import Letter

PASSED = "that time has passed: it is sent at once"


class SendAt(Feature):
    """Sets Date, unless its author has signed the message."""

    name = "sendat"
    step = "headers"
    on_signed = True

    def __init__(self, letter: Letter) -> None:
        super().__init__(letter)
        self._at = datetime.fromisoformat(str(letter.features[self.name]))
        if letter.context.now is not None and self._at <= letter.context.now:
            raise NotPossible(PASSED)

    def finish(self, headers: Headers) -> Change:
        """Return the header with the time at which the message is sent."""
        if is_signed(headers):
            return Change(done=True)
        return Change(headers=headers.with_value(b"Date", f" {format_datetime(self._at)}".encode("ascii")))

"""unsubscribe: List-Unsubscribe with an https address, and List-Unsubscribe-Post (RFC 8058, one click).

A DKIM signature has to cover both. They are added at the end, so that signing, which comes last, sees them.
"""

from __future__ import annotations

from gatepost_milter.editing.headers import Header, Headers
from gatepost_milter.surgery.feature import Change, Feature, NotPossible
from gatepost_milter.surgery.letter import Letter

_FIELDS = {b"list-unsubscribe", b"list-unsubscribe-post"}


class Unsubscribe(Feature):
    """Adds the two fields to a message that has neither."""

    name = "unsubscribe"
    step = "headers"

    def __init__(self, letter: Letter) -> None:
        super().__init__(letter)
        context = letter.context
        if any(header.name.lower() in _FIELDS for header in letter.message.headers):
            raise NotPossible("the message has List-Unsubscribe of its own")
        if not context.unsubscribe:
            raise NotPossible(context.missing.get(self.name, "no address to unsubscribe at"))

    def finish(self, headers: Headers) -> Change:
        """Return the header with the two fields."""
        added = headers.added(
            Header(b"List-Unsubscribe", f" <{self.letter.context.unsubscribe}>".encode("ascii")),
            Header(b"List-Unsubscribe-Post", b" List-Unsubscribe=One-Click"),
        )
        return Change(headers=added)

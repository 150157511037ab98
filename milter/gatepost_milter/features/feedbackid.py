"""feedbackid and cfbl: what mailbox providers report complaints by, and where to (RFC 9477)."""

from __future__ import annotations

import re

from gatepost_milter.editing.headers import Header, Headers
from gatepost_milter.surgery.feature import Change, Feature, NotPossible
from gatepost_milter.surgery.letter import Letter

_CFBL = {b"cfbl-address", b"cfbl-feedback-id"}
_LABEL = re.compile(r"[^A-Za-z0-9_.-]+")


class FeedbackId(Feature):
    """Adds the field to a message that has none."""

    name = "feedbackid"
    step = "headers"

    def __init__(self, letter: Letter) -> None:
        super().__init__(letter)
        if any(header.name.lower() == b"feedback-id" for header in letter.message.headers):
            raise NotPossible("the message has a Feedback-ID of its own")
        if not letter.context.feedback:
            raise NotPossible("no sender to name in Feedback-ID")

    def finish(self, headers: Headers) -> Change:
        """Return the header with the field."""
        tags = self.letter.features["tags"]
        first = _LABEL.sub("-", tags[0])[:40] if isinstance(tags, tuple) and tags else ""
        value = f" {first}:{self.letter.context.feedback}".encode("ascii")
        return Change(headers=headers.added(Header(b"Feedback-ID", value)))


class ComplaintAddress(Feature):
    """Adds CFBL-Address and CFBL-Feedback-ID to a message that has neither; a signature has to cover both."""

    name = "cfbl"
    step = "headers"

    def __init__(self, letter: Letter) -> None:
        super().__init__(letter)
        if any(header.name.lower() in _CFBL for header in letter.message.headers):
            raise NotPossible("the message has CFBL-Address of its own")
        if not letter.features["dkim"]:
            raise NotPossible("RFC 9477 asks for a signature (dkim)")
        if not letter.context.complaints:
            raise NotPossible(letter.context.missing.get(self.name, "no address for complaints"))

    def finish(self, headers: Headers) -> Change:
        """Return the header with the two fields."""
        token, _, address = self.letter.context.complaints.partition(" ")
        added = headers.added(
            Header(b"CFBL-Address", f" {address}; report=arf".encode("ascii")),
            Header(b"CFBL-Feedback-ID", f" {token}".encode("ascii")),
        )
        return Change(headers=added)

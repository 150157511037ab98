"""feedbackid: a Feedback-ID (first tag, credential, account, sender); providers report complaints by it."""

from __future__ import annotations

import re

from gatepost_milter.editing.headers import Header, Headers
from gatepost_milter.surgery.feature import Change, Feature, NotPossible
from gatepost_milter.surgery.letter import Letter

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

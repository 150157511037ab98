"""tags: labels kept with the message's record, which takes them from the features in force."""

from __future__ import annotations

from gatepost_milter.editing.headers import Headers
from gatepost_milter.surgery.feature import Change, Feature


class Tags(Feature):
    """Changes nothing in the message."""

    name = "tags"
    on_signed = True

    def finish(self, headers: Headers) -> Change:
        """Say that there are some."""
        del headers
        return Change(done=True)

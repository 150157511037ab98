"""metadata: what the sender's own programs know the message by, kept with its record.

The record takes it from the features in force; its header field goes as every override does.
"""

from __future__ import annotations

from gatepost_milter.editing.headers import Headers
from gatepost_milter.surgery.feature import Change, Feature


class Metadata(Feature):
    """Changes nothing in the message."""

    name = "metadata"
    on_signed = True

    def finish(self, headers: Headers) -> Change:
        """Say that there is some."""
        del headers
        return Change(done=True)

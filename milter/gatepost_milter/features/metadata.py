"""metadata, idempotency: what the sender's own programs know the message by.

Metadata are kept with its record, which takes them from the features in force; by an idempotency key it is
queued once (``submitted``). The header fields go as every override does.
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


class Idempotency(Metadata):
    """Changes nothing, either."""

    name = "idempotency"

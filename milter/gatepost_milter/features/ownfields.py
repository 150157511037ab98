"""The header fields that a credential has removed and added (``gatepost_core.domain.options``)."""

from __future__ import annotations

from email.charset import QP, Charset
from email.header import Header as EncodedHeader

from gatepost_core.domain import FeatureValues, Options
from gatepost_milter.editing.headers import Header, Headers
from gatepost_milter.surgery.feature import NOTHING, OWN, Change, Feature, plain_name

_QUOTED = Charset("utf-8")
_QUOTED.header_encoding = QP


class RemovedFields(Feature):
    """Removes the fields that a credential names."""

    name = OWN
    step = "headers"

    @classmethod
    def wanted(cls, features: FeatureValues, options: Options) -> bool:
        """Say whether the credential names fields to remove."""
        del features
        return bool(options.header_drop)

    def finish(self, headers: Headers) -> Change:
        """Return the header without these fields."""
        names = {name.lower() for name in self.letter.context.options.header_drop}
        left = headers.without(lambda header: plain_name(header) in names)
        return NOTHING if left == headers else Change(headers=left)


class AddedFields(Feature):
    """Adds a credential's own fields, below all others."""

    name = OWN
    step = "headers"

    @classmethod
    def wanted(cls, features: FeatureValues, options: Options) -> bool:
        """Say whether the credential has fields to add."""
        del features
        return bool(options.header_add)

    def finish(self, headers: Headers) -> Change:
        """Return the header with these fields."""
        own = [_field(name, value) for name, value in self.letter.context.options.header_add]
        return Change(headers=headers.added(*own))


def _field(name: str, value: str) -> Header:
    """Return a field to add; what is not ASCII becomes RFC 2047 words, folded with LF."""
    if not value.isascii():
        value = EncodedHeader(value, _QUOTED, header_name=name).encode(linesep="\n")
    return Header(name.encode("ascii"), f" {value}".encode("ascii"))

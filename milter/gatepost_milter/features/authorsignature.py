"""The signatures that a message's author made (RFC 6376): noticed, and taken out when our edits break them.

A signature that no longer fits says nothing (section 6.1), yet receivers report it, and some count it
against the sender. So where a credential has signed mail edited, those signatures go that the edits break,
each by what it covers; one that still holds stays. What cannot be read covers everything. Never raises.
"""

from __future__ import annotations

import re
from collections.abc import Iterable

from gatepost_core.domain import FeatureValues, Options
from gatepost_milter.editing.headers import Header, Headers
from gatepost_milter.surgery.feature import NOTHING, Change, Feature

NAME = b"dkim-signature"
_SPACE = re.compile(rb"[ \t\r\n]+")


def is_signed(headers: Iterable[Header]) -> bool:
    """Say whether the message carries a signature of its author's."""
    return any(header.name.lower() == NAME for header in headers)


class BrokenSignatures(Feature):
    """Takes out what the features before have broken."""

    name = "edit_signed"  # on record when a signature went: the credential's option allows it
    on_signed = True

    @classmethod
    def wanted(cls, features: FeatureValues, options: Options) -> bool:
        """Say whether the credential has signed mail edited."""
        del features
        return options.edit_signed

    def finish(self, headers: Headers) -> Change:
        """Return the header without signatures that no longer fit."""
        letter, touched = self.letter, headers.touched()
        own = [header for header in letter.message.headers if header.name.lower() == NAME]
        broken = [one for one in own if _breaks(one.value, touched, letter.edited)]
        if not broken:
            return NOTHING
        note = f"{len(broken)} DKIM signature(s) of the author's removed: the edits break them"
        letter.record.notes.append(note)
        return Change(headers=headers.without(frozenset(broken).__contains__))


def _breaks(value: bytes, touched: set[bytes], body: bool) -> bool:
    covered = _covered(value)
    return body or not covered or not covered.isdisjoint(touched)


def _covered(value: bytes) -> set[bytes]:
    """Return the names in a signature's h= tag in lower case; empty if it cannot be read."""
    for tag in _SPACE.sub(b"", value).split(b";"):
        name, equals, names = tag.partition(b"=")
        if equals and name == b"h":
            return set(names.lower().split(b":"))
    return set()

"""SASLprep (RFC 4013): one form for user names and passwords, whatever keyboard they came from.

A profile of stringprep (RFC 3454), for queries: unassigned code points are allowed (section 2.5).
Raises PrepError for what the profile prohibits; its text holds nothing of the string.
"""

from __future__ import annotations

import re
import stringprep
from unicodedata import ucd_3_2_0

_ASCII_ALLOWED = re.compile(r"[\x20-\x7e]*")
_PROHIBITED = (
    stringprep.in_table_c12,
    stringprep.in_table_c21_c22,
    stringprep.in_table_c3,
    stringprep.in_table_c4,
    stringprep.in_table_c5,
    stringprep.in_table_c6,
    stringprep.in_table_c7,
    stringprep.in_table_c8,
    stringprep.in_table_c9,
)


class PrepError(ValueError):
    """The string holds characters that no user name or password may have."""


def saslprep(text: str) -> str:
    """Return ``text`` mapped, normalised (NFKC) and checked. Raises PrepError."""
    if _ASCII_ALLOWED.fullmatch(text):
        return text
    mapped = "".join(
        " " if stringprep.in_table_c12(char) else char for char in text if not stringprep.in_table_b1(char)
    )
    prepared = ucd_3_2_0.normalize("NFKC", mapped)
    for char in prepared:
        if any(prohibited(char) for prohibited in _PROHIBITED):
            raise PrepError("a character that SASLprep prohibits")
    _check_bidirectional(prepared)
    return prepared


def _check_bidirectional(text: str) -> None:
    """Hold ``text`` to RFC 3454 section 6: right-to-left strings do not mix, and end as they begin."""
    if any(stringprep.in_table_d1(char) for char in text):
        if any(stringprep.in_table_d2(char) for char in text):
            raise PrepError("left-to-right and right-to-left characters mixed")
        if not (stringprep.in_table_d1(text[0]) and stringprep.in_table_d1(text[-1])):
            raise PrepError("a right-to-left string that does not begin and end as one")

"""Rows of text, and text that is safe to show.

Texts that came with a message (a subject, an address) are shown with control characters
escaped: they must not move the terminal's cursor, nor look like another row.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Sequence
from dataclasses import dataclass

# C0, DEL and C1 controls; line separators and bidirectional overrides; halves of surrogate pairs.
_UNSAFE = re.compile("[\x00-\x1f\x7f-\x9f\u2028-\u202e\u2066-\u2069\ud800-\udfff]")


# The columns of a table about one thing.
FACTS = ("field", "value")


@dataclass(frozen=True, slots=True)
class Table:
    """Rows of text under column names.

    On a terminal, columns of ``prose`` may be wrapped between words, and those of ``drop`` go, in that order,
    when the others would not fit beside them.
    """

    columns: Sequence[str]
    rows: Iterable[Sequence[str]]
    prose: Sequence[str] = ()
    drop: Sequence[str] = ()


def clean(text: str) -> str:
    """Return ``text`` with characters escaped that a terminal would act on."""
    return _UNSAFE.sub(lambda match: match[0].encode("unicode_escape").decode("ascii"), text)

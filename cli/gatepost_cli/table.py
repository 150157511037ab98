"""Rows of text, and text that is safe to show.

Texts that came with a message (a subject, an address) are shown with control characters
escaped: they must not move the terminal's cursor, nor look like another row.
"""

from __future__ import annotations

import re
import textwrap
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
    when the others would not fit beside them. Where no table fits, each row is a block of fields; with
    ``flow``, its cells follow on each other, over as many lines as they need.
    """

    columns: Sequence[str]
    rows: Iterable[Sequence[str]]
    prose: Sequence[str] = ()
    drop: Sequence[str] = ()
    flow: bool = False


def clean(text: str) -> str:
    """Return ``text`` with characters escaped that a terminal would act on."""
    return _UNSAFE.sub(lambda match: match[0].encode("unicode_escape").decode("ascii"), text)


def wrapped(text: str, width: int, indent: int) -> list[str]:
    """Return prose as lines of at most ``width`` where its words allow it, all but the first indented."""
    lines = textwrap.wrap(
        text, width, subsequent_indent=" " * indent, break_long_words=False, break_on_hyphens=False
    )
    return lines or [""]

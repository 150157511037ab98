"""Which user names a back end claims: patterns held against the whole name, without case.

``*`` stands for any characters, also none; every other character stands for itself. The work is bounded
by the lengths of pattern and name, whatever a client sends.
"""

from __future__ import annotations

from collections.abc import Iterable

ANY = "*"


class Names:
    """The names that at least one of the patterns matches."""

    def __init__(self, patterns: Iterable[str]) -> None:
        self._patterns = tuple(patterns)
        self._pieces = [pattern.casefold().split(ANY) for pattern in self._patterns]
        self.every = any(set(pattern) == {ANY} for pattern in self._patterns)

    def __contains__(self, name: str) -> bool:
        if self.every:
            return True
        folded = name.casefold()
        return any(_matches(pieces, folded) for pieces in self._pieces)

    def __str__(self) -> str:
        return ", ".join(self._patterns)


def _matches(pieces: list[str], name: str) -> bool:
    """Say whether the name is the pieces with anything between them."""
    first, last = pieces[0], pieces[-1]
    if len(pieces) == 1:
        return name == first
    if len(name) < len(first) + len(last) or not (name.startswith(first) and name.endswith(last)):
        return False
    at, end = len(first), len(name) - len(last)
    for piece in pieces[1:-1]:
        # The earliest place leaves the most room for the rest.
        found = name.find(piece, at, end)
        if found < 0:
            return False
        at = found + len(piece)
    return True

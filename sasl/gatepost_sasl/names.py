"""Which user names a back end claims: patterns held against the whole name, without case.

``*`` stands for any characters, also none; every other character stands for itself.
"""

from __future__ import annotations

import re
from collections.abc import Iterable

ANY = "*"


class Names:
    """The names that at least one of the patterns matches."""

    def __init__(self, patterns: Iterable[str]) -> None:
        self._patterns = tuple(patterns)
        self.every = any(set(pattern) == {ANY} for pattern in self._patterns)
        parts = (
            ".*".join(re.escape(piece) for piece in re.sub(r"\*+", ANY, pattern.casefold()).split(ANY))
            for pattern in self._patterns
        )
        self._match = re.compile("|".join(f"(?:{part})" for part in parts) or r"(?!)", re.DOTALL).fullmatch

    def __contains__(self, name: str) -> bool:
        return self.every or self._match(name.casefold()) is not None

    def __str__(self) -> str:
        return ", ".join(self._patterns)

"""One HTML part as features see it: text, scan, and what a feature makes of it. Values only.

What features derive from a text alone is computed when it is first asked for and kept with it.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any, TypeVar

from gatepost_milter.editing.edits import Edit
from gatepost_milter.html.scanner import Scan

_T = TypeVar("_T")


@dataclass(frozen=True, slots=True)
class HtmlPart:
    """``codec`` is Python's name of the part's charset. ``derived`` belongs to ``once``.

    ``utf8``: it is declared to be UTF-8, so that a browser writes the queries of its addresses as UTF-8. What
    is declared as us-ascii, or not at all, is windows-1252 to a browser (Encoding Standard section 4.2).
    """

    text: str
    codec: str
    scan: Scan
    utf8: bool = True
    derived: dict[Callable[..., Any], Any] = field(default_factory=dict[Callable[..., Any], Any])

    def once(self, derive: Callable[[HtmlPart], _T]) -> _T:
        """Return ``derive(self)``, which must depend on nothing else and whose result nobody may change."""
        if derive not in self.derived:
            self.derived[derive] = derive(self)
        result: _T = self.derived[derive]
        return result


@dataclass(frozen=True, slots=True)
class Outcome:
    """What one feature did to one part: its edits, or the reason why there are none.

    ``done``: it acted, though these edits may not show it.
    """

    edits: list[Edit[str]] = field(default_factory=list[Edit[str]])
    reason: str = ""
    done: bool = False

"""One HTML part as features see it: text, scan, and what a feature makes of it. Values only.

What features derive from a text alone is computed when it is first asked for and kept with it; of a text that
is like an earlier one but for its slots (``template``) it is what was derived from that one, moved.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any, TypeVar

from gatepost_milter.editing.edits import Edit
from gatepost_milter.html.scanner import Scan
from gatepost_milter.html.scanner import scan as scanned
from gatepost_milter.html.template import Like, Template

_T = TypeVar("_T")


class HtmlPart:
    """``codec`` is Python's name of the part's charset. ``derived`` belongs to ``once``.

    ``utf8``: it is declared to be UTF-8, so that a browser writes the queries of its addresses as UTF-8. What
    is declared as us-ascii, or not at all, is windows-1252 to a browser (Encoding Standard section 4.2).
    ``sample`` is an earlier part of the same template, and ``like`` says how this one is like it.
    ``template`` is that of later ones, if any.
    """

    __slots__ = ("_scan", "codec", "derived", "like", "sample", "template", "text", "utf8")

    def __init__(
        self,
        text: str,
        codec: str,
        scan: Scan | None = None,
        utf8: bool = True,
        like: tuple[HtmlPart, Like] | None = None,
    ) -> None:
        self.text = text
        self.codec = codec
        self.utf8 = utf8
        self._scan = scan
        self.derived: dict[Callable[..., Any], Any] = {}
        self.sample: HtmlPart | None = like[0] if like else None
        self.like: Like | None = like[1] if like else None
        self.template: Template | None = None

    @property
    def scan(self) -> Scan:
        """Return the scan, which nobody may change."""
        if self._scan is None:
            self._scan = scanned(self.text)
        return self._scan

    def once(self, derive: Callable[[HtmlPart], _T]) -> _T:
        """Return ``derive(self)``, which must depend on nothing else and whose result nobody may change.

        A result with a method ``moved(part, like)`` may be moved to a part that is like this one; it returns
        None where that part has to be looked at.
        """
        if derive not in self.derived:
            moved = self._moved(derive)
            self.derived[derive] = derive(self) if moved is None else moved
        result: _T = self.derived[derive]
        return result

    def _moved(self, derive: Callable[[HtmlPart], _T]) -> _T | None:
        if self.sample is None:
            return None
        move: Callable[..., _T | None] | None = getattr(self.sample.once(derive), "moved", None)
        return None if move is None else move(self, self.like)


@dataclass(frozen=True, slots=True)
class Outcome:
    """What one feature did to one part: its edits, or the reason why there are none.

    ``done``: it acted, though these edits may not show it.
    """

    edits: list[Edit[str]] = field(default_factory=list[Edit[str]])
    reason: str = ""
    done: bool = False

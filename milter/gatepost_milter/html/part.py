"""One HTML part as features see it: text, scan, and what a feature makes of it. Values only.

What features derive from a text alone is computed when it is first asked for and kept with it, so that a
text that was seen just before (``view_of``) costs nothing again: bulk mail without personal texts is one
text, sent many times. Only texts of a usual size are kept, and few of them.
"""

from __future__ import annotations

import threading
from collections import OrderedDict
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any, TypeVar

from gatepost_milter.edits import Edit
from gatepost_milter.html.scanner import Scan, scan

_T = TypeVar("_T")
_KEPT: OrderedDict[tuple[str, str], HtmlPart] = OrderedDict()
_KEPT_MOST = 4
_TEXT_MOST = 65536
_TAGS_MOST = 2000
_LOCK = threading.Lock()


@dataclass(frozen=True, slots=True)
class HtmlPart:
    """``codec`` is Python's name of the part's charset. ``derived`` belongs to ``once``."""

    text: str
    codec: str
    scan: Scan
    derived: dict[Callable[..., Any], Any] = field(default_factory=dict[Callable[..., Any], Any])

    @property
    def utf8(self) -> bool:
        """Whether a browser writes this part's addresses as UTF-8."""
        return self.codec in ("utf-8", "ascii")

    def once(self, derive: Callable[[HtmlPart], _T]) -> _T:
        """Return ``derive(self)``, which must depend on nothing else and whose result nobody may change."""
        if derive not in self.derived:
            self.derived[derive] = derive(self)
        result: _T = self.derived[derive]
        return result


def view_of(text: str, codec: str) -> HtmlPart:
    """Return the part of this text, the same one as before if it was seen lately. For many threads."""
    if len(text) > _TEXT_MOST:
        return HtmlPart(text, codec, scan(text))
    key = (text, codec)
    with _LOCK:
        part = _KEPT.get(key)
        if part is not None:
            _KEPT.move_to_end(key)
            return part
    part = HtmlPart(text, codec, scan(text))
    if len(part.scan.tags) <= _TAGS_MOST:
        with _LOCK:
            _KEPT[key] = part
            while len(_KEPT) > _KEPT_MOST:
                _KEPT.popitem(last=False)
    return part


@dataclass(frozen=True, slots=True)
class Outcome:
    """What one feature did to one part: its edits, or the reason why there are none."""

    edits: list[Edit[str]] = field(default_factory=list[Edit[str]])
    reason: str = ""

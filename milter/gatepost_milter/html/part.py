"""One HTML part as features see it: text, scan, and what a feature makes of it. Values only."""

from __future__ import annotations

from dataclasses import dataclass, field

from gatepost_milter.edits import Edit
from gatepost_milter.html.scanner import Scan


@dataclass(frozen=True, slots=True)
class HtmlPart:
    """``codec`` is Python's name of the part's charset."""

    text: str
    codec: str
    scan: Scan

    @property
    def utf8(self) -> bool:
        """Whether a browser writes this part's addresses as UTF-8."""
        return self.codec in ("utf-8", "ascii")


@dataclass(frozen=True, slots=True)
class Outcome:
    """What one feature did to one part: its edits, or the reason why there are none."""

    edits: list[Edit[str]] = field(default_factory=list[Edit[str]])
    reason: str = ""

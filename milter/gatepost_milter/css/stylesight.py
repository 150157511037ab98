"""Selectors that look at ``style`` attributes, which inlinecss writes (Selectors Level 4 section 6).

``[style]``, ``:not([style])`` or ``[style^="color"]`` may match other elements once rules are copied into
attributes, so a document with one is left alone. ``[style*="margin: 16px 0"]``, by which templates tell one
mail program from another, is harmless unless what it looks for is written. Linear time; never raises.
"""

from __future__ import annotations

import re

from gatepost_core.domain.memo import memo
from gatepost_milter.html.csstext import uncommented

_SELECTOR = re.compile(
    r"\[[ \t\n\f\r]*(?:[*\w-]*\|)?style[ \t\n\f\r]*(?:([~|^$*]?=)[ \t\n\f\r]*(\"[^\"]*\"|'[^']*'|[\w-]*))?"
)
_IN_PARENTHESES = re.compile(r"\([^(){}]*\[[ \t\n\f\r]*(?:[*\w-]*\|)?style\b")
_ESCAPED = re.compile(r"\[[^\[\]{}\"']*\\")
_REASON = "a rule looks at style attributes"


@memo(16, longest=65_536)
def sought(sheets: str) -> tuple[str, tuple[str, ...]]:
    """Return why rules must not be copied into attributes, and texts not to be written there.

    ``sheets`` is all sheets' text. The texts are in lower case; the reason is empty where there is none.
    """
    css = uncommented(sheets.lower())
    if "[" not in css:
        return "", ()
    if _IN_PARENTHESES.search(css) or _ESCAPED.search(css):
        return _REASON, ()
    texts: list[str] = []
    for match in _SELECTOR.finditer(css):
        text = (match[2] or "").strip("\"'")
        # A semicolon might stand between what is written and what was there.
        if match[1] != "*=" or not text or ";" in text or "\\" in text:
            return _REASON, ()
        texts.append(text)
    return "", tuple(texts)


def seen(texts: tuple[str, ...], style: str) -> str:
    """Return why ``style`` must not be written, if one of the texts of ``sought`` is in it; else nothing."""
    lowered = style.lower()
    found = next((text for text in texts if text in lowered), "")
    return f"a rule looks for {found[:40]!r} in style attributes" if found else ""

"""Edits that write declarations into ``style`` attributes (CSS Style Attributes, HTML section 3.2.6.5).

What is normal stands in front of an element's own declarations, what was ``!important`` behind them. An
own style that leaves a quote, a bracket or a comment open would swallow what follows: then nothing does.
"""

from __future__ import annotations

import re

from gatepost_core.domain.memo import memo
from gatepost_milter.editing.edits import Edit
from gatepost_milter.html.attributes import Finder, decode

_DECLARED = re.compile(r"(?:^|;)\s*([a-zA-Z-]+)\s*:")
_FIND_STYLE = Finder("style")
_BARE_STYLE = re.compile(r"(?i)(?:^|[ \t\n\f\r/\"'])style(?:[ \t\n\f\r]*=)?[ \t\n\f\r]*(?=[ \t\n\f\r/]|\Z)")
# Strings, and brackets that hold no other bracket: what is sound in a style attribute.
_WHOLE = re.compile(
    r"""[^"'()\[\]{}\\/]++|"[^"\\\n]*"|'[^'\\\n]*'|\([^"'()\[\]{}\\*]*\)|\((?:"[^"\\\n]*"|'[^'\\\n]*')\)|/(?!\*)"""
)


@memo(4096, longest=1024)  # tags recur, in a message and from message to message
def edits(name: str, attributes: str, normal: str, important: str) -> tuple[Edit[str], ...]:
    """Return the edits that write declarations (as they stand between double quotes) into a tag.

    Their offsets count from the tag's "<".
    """
    after_name = 1 + len(name)
    own = _FIND_STYLE(attributes) if "tyle" in attributes or "TYLE" in attributes else None
    if own is None:
        # A style attribute without a value stays so: a second one would not count.
        if "tyle" in attributes.lower() and _BARE_STYLE.search(attributes):
            return ()
        both = ";".join(filter(None, (normal, important)))
        return ((after_name, after_name, f' style="{both}"'),)
    before, behind = _before(normal, own.raw), _behind(important, own.raw)
    if not before and not behind:
        return ()
    start, end = after_name + own.start, after_name + own.end
    if not own.quote:
        return ((start, end, '"' + before + own.raw.replace('"', "&quot;") + behind + '"'),)
    if own.quote == "'":
        before, behind = before.replace("'", "&#39;"), behind.replace("'", "&#39;")
    return tuple([edit for edit in ((start, start, before), (end, end, behind)) if edit[2]])


def has_style(attributes: str) -> bool:
    """Say whether a tag has a style of its own."""
    return _FIND_STYLE(attributes) is not None


def _before(normal: str, own: str) -> str:
    """Return what of ``normal`` the element's own declarations do not override, ending in a semicolon."""
    if not normal:
        return ""
    # Semicolons within brackets, quotes or references: then all of it, which is longer and means the same.
    if not own.strip() or any(sign in own or sign in normal for sign in "(&'\""):
        return normal + ";"
    declared = {name.lower() for name in _DECLARED.findall(own)}
    kept = [each for each in normal.split(";") if each.partition(":")[0].strip().lower() not in declared]
    return ";".join(kept) + ";" if kept else ""


def _behind(important: str, own: str) -> str:
    """Return ``important`` as it may follow the element's own; nothing if that would swallow it."""
    if not important:
        return ""
    text = decode(own).rstrip()
    position = 0
    while position < len(text):
        piece = _WHOLE.match(text, position)
        if piece is None:
            return ""
        position = piece.end()
    return important if not text or text.endswith(";") else f";{important}"

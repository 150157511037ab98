"""Pieces of style sheets written so that they can stand in an attribute (CSS Syntax Level 3, section 4).

Quotes within strings and escaped ones are written as hexadecimal escapes, which mean the same everywhere.
"""

from __future__ import annotations

import re

# A comment that never ends takes the rest with it; in a string or an address without quotes there is none.
_COMMENT_OR = re.compile(
    r"""(/\*.*?(?:\*/|\Z))|\\."""
    r"""|"(?:[^"\\\n\r\f]|\\(?:\r\n|.))*"|'(?:[^'\\\n\r\f]|\\(?:\r\n|.))*'"""
    r"""|(?i:url)\([ \t\r\n\f]*[^"'() \t\r\n\f\\]+(?=[) \t\r\n\f])""",
    re.DOTALL,
)
_IN_STRING = re.compile(r"""\\(?:\r\n|[\n\r\f])|\\?["']|\\.""", re.DOTALL)
_CODES = {'"': r"\22 ", "'": r"\27 "}
_ESCAPE = re.compile(r"\\(?:([0-9a-fA-F]{1,6})(?:\r\n|[ \t\n\r\f])?|(.))", re.DOTALL)


class CssTextError(Exception):
    """A sheet cannot be used; the text says why."""


def uncommented(css: str, *, blank: bool = False) -> str:
    """Return CSS without its comments, or with spaces in their place, so that all else stays where it was."""
    if "/*" not in css:
        return css
    return _COMMENT_OR.sub(
        lambda match: (" " * len(match[0]) if blank else "") if match[1] else match[0], css
    )


def plain_token(text: str) -> str:
    """Return a string or an escape written without double quotes, or quotes within, of the same meaning.

    So it can stand in an attribute in double quotes.
    """
    if text[0] in _CODES:
        return "'" + _IN_STRING.sub(lambda match: _signs(match[0]), text[1:-1]) + "'"
    return _CODES.get(text[1:], text) if text[0] == "\\" else text


def _signs(text: str) -> str:
    if text[-1] in _CODES:
        return _CODES[text[-1]]
    return "" if text[-1] in "\n\r\f" else text  # an escaped line break is none


def unescaped(name: str) -> str:
    """Return what a name with escapes means (section 4.3.7)."""
    return _ESCAPE.sub(_decoded, name)


def _decoded(match: re.Match[str]) -> str:
    if not match[1]:
        return match[2]
    code = int(match[1], 16)
    return chr(code) if 0 < code < 0x110000 else "\ufffd"

"""Style sheets in the form that css_inline's result can be used in (CSS Syntax Level 3, section 4).

It writes any double quote as a single one, and property names without their escapes. So quotes within strings
and escaped ones are written as hexadecimal escapes, which mean the same everywhere. A sheet with a property
name that could not stand in a style attribute is ``CssTextError``. Quotes within an unquoted ``url(`` stay.
"""

from __future__ import annotations

import re

_TOKEN = re.compile(
    r"""/\*.*?(?:\*/|\Z)|\\(?:[0-9a-fA-F]{1,6}[ \t\n\r\f]?|\r\n|.)"""
    r"""|"(?:[^"\\\n\r\f]|\\(?:\r\n|.))*"|'(?:[^'\\\n\r\f]|\\(?:\r\n|.))*'""",
    re.DOTALL,
)
# A comment that never ends takes the rest with it; in a string or an address without quotes there is none.
_COMMENT_OR = re.compile(
    r"""(/\*.*?(?:\*/|\Z))|\\."""
    r"""|"(?:[^"\\\n\r\f]|\\(?:\r\n|.))*"|'(?:[^'\\\n\r\f]|\\(?:\r\n|.))*'"""
    r"""|(?i:url)\([ \t\r\n\f]*[^"'() \t\r\n\f\\]+(?=[) \t\r\n\f])""",
    re.DOTALL,
)
_IN_STRING = re.compile(r"""\\(?:\r\n|[\n\r\f])|\\?["']|\\.""", re.DOTALL)
_CODES = {'"': r"\22 ", "'": r"\27 "}
# A selector in a nested rule looks alike up to its brace.
_NAME = re.compile(r"[{;]\s*((?:[\w-]|\\[0-9a-fA-F]{1,6}[ \t]?|\\[^\n])++)\s*:[^{};]*(?=[;}]|\Z)")
_ESCAPE = re.compile(r"\\(?:([0-9a-fA-F]{1,6})[ \t]?|(.))")
_PLAIN_NAME = re.compile(r"[\w-]+")


class CssTextError(Exception):
    """A sheet cannot be used; the text says why."""


def uncommented(css: str, *, blank: bool = False) -> str:
    """Return CSS without its comments, or with spaces in their place, so that all else stays where it was."""
    if "/*" not in css:
        return css
    return _COMMENT_OR.sub(
        lambda match: (" " * len(match[0]) if blank else "") if match[1] else match[0], css
    )


def plain_quotes(sheet: str) -> str:
    """Return a sheet of the same meaning without quotes in strings. Raises CssTextError."""
    if "\\" in sheet:
        _check_names(sheet)
    elif '"' not in sheet or "'" not in sheet:
        return sheet
    return _TOKEN.sub(lambda match: _token(match[0]), sheet)


def _token(text: str) -> str:
    if text[0] in _CODES:
        return text[0] + _IN_STRING.sub(lambda match: _signs(match[0]), text[1:-1]) + text[-1]
    return _CODES.get(text[1:], text) if text[0] == "\\" else text


def _signs(text: str) -> str:
    if text[-1] in _CODES:
        return _CODES[text[-1]]
    return "" if text[-1] in "\n\r\f" else text  # an escaped line break is none


def _check_names(sheet: str) -> None:
    bare = _TOKEN.sub(lambda match: match[0] if match[0][0] == "\\" else "", sheet)
    for name in _NAME.findall(bare):
        if not _PLAIN_NAME.fullmatch(_ESCAPE.sub(_decoded, name)):
            raise CssTextError(f"the property name {name[:40]!r} cannot be written in a style attribute")


def _decoded(match: re.Match[str]) -> str:
    if not match[1]:
        return match[2]
    code = int(match[1], 16)
    return chr(code) if 0 < code < 0x110000 else "\ufffd"

"""A message's metadata: a JSON object (RFC 8259) that its sender gives it, kept with its record.

It is shown again and again, and read by programs of every kind. So it is small and shallow, its names are
unique and can be seen, and its numbers fit what others read numbers into (RFC 7493 section 2). Size and depth
are found out before it is read. What is not understood is ``MetadataError``, whose text says what is wrong.
"""

from __future__ import annotations

import json
import math
import re
from typing import Any, NoReturn

from gatepost_core.domain.texts import quoted, unfit

SIZE_MOST = 2_048  # bytes in UTF-8
DEPTH_MOST = 16
EXPECTED = f'a JSON object of at most {SIZE_MOST:,} bytes, such as {{"order": "1234"}}'
# Digits of the largest 64-bit float; Python's own limit for reading an integer can be set, to 640 at least.
_DIGITS_MOST = 309
# As it stands in JSON, where a backslash of the text's own is two.
_UNKEPT = re.compile(r"(?<!\\)(?:\\\\)*+\\u0000|[\ud800-\udfff]")
_NO_BRACKET = re.compile(r'"(?:[^"\\]|\\.)*+"?|[^"\[\]{}]++', re.DOTALL)


class MetadataError(ValueError):
    """A text is no metadata; says why."""


def parse(text: str) -> str:
    """Return the object that ``text`` spells, in JSON of one spelling; empty for one without members.

    Raises MetadataError.
    """
    size = len(text.encode("utf-8", "surrogatepass"))
    if size > SIZE_MOST:
        raise MetadataError(f"has {size:,} bytes")
    if _depth(text) > DEPTH_MOST:
        raise MetadataError(f"is nested more than {DEPTH_MOST} levels deep")
    try:
        value: object = json.loads(
            text, object_pairs_hook=_object, parse_int=_integer, parse_float=_float, parse_constant=_constant
        )
    except json.JSONDecodeError as error:
        raise MetadataError(f"is no JSON: {error.msg} (character {error.pos + 1})") from None
    if not isinstance(value, dict):
        raise MetadataError("is JSON, but no object")
    found = json.dumps(value, ensure_ascii=False, separators=(",", ":"))
    if _UNKEPT.search(found):
        raise MetadataError("holds U+0000 or half of a surrogate pair, which databases cannot keep")
    return found if value else ""


def as_object(text: str) -> dict[str, Any]:
    """Return what ``parse`` returned as an object."""
    found: dict[str, Any] = json.loads(text) if text else {}
    return found


def _depth(text: str) -> int:
    deepest = depth = 0
    for bracket in _NO_BRACKET.sub("", text):
        depth += 1 if bracket in "[{" else -1
        deepest = max(deepest, depth)
    return deepest


def _object(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    found: dict[str, Any] = {}
    for name, value in pairs:
        if name in found:
            raise MetadataError(f"has the name {quoted(name)} twice")
        if wrong := unfit(name):
            raise MetadataError(f"has the name {quoted(name)}, which holds {wrong}")
        found[name] = value
    return found


def _integer(digits: str) -> int:
    if len(digits.lstrip("-")) > _DIGITS_MOST:
        raise MetadataError(f"holds a number of {len(digits)} digits; at most {_DIGITS_MOST}")
    return int(digits)


def _float(digits: str) -> float:
    number = float(digits)
    if math.isinf(number):
        raise MetadataError(f"holds the number {quoted(digits)}, which is too large")
    return number


def _constant(word: str) -> NoReturn:
    raise MetadataError(f"is no JSON: {word} is no number")

"""Which CSS properties set the same: shorthands and what they stand for (CSS Cascade Level 4, section 2.1).

It errs on the side of "the same": then one declaration more stays in its block alone. Nothing here fails.
"""

from __future__ import annotations

import re

from gatepost_core.domain.memo import memo

_VENDOR = re.compile(r"-(?:webkit|moz|ms|o)-")
# Properties that are not named after the shorthand that also sets them.
_FAMILIES = {
    "line-height": "font",
    "top": "inset",
    "right": "inset",
    "bottom": "inset",
    "left": "inset",
    "width": "size-x",
    "height": "size-x",
    "inline-size": "size-x",
    "block-size": "size-x",
    "min-width": "size-min",
    "min-height": "size-min",
    "min-inline-size": "size-min",
    "min-block-size": "size-min",
    "max-width": "size-max",
    "max-height": "size-max",
    "max-inline-size": "size-max",
    "max-block-size": "size-max",
    "columns": "column",
    "row-gap": "gap",
    "column-gap": "gap",
    "grid-row-gap": "gap",
    "grid-column-gap": "gap",
    "grid-gap": "gap",
    "justify-content": "place",
    "justify-items": "place",
    "justify-self": "place",
    "align-content": "place",
    "align-items": "place",
    "align-self": "place",
    "white-space-collapse": "white",
    "white-space": "white",
    "text-wrap": "white",
    "text-wrap-mode": "white",
    "text-wrap-style": "white",
    "word-wrap": "overflow-wrap",
    "overflow-wrap": "overflow-wrap",
    "glyph-orientation-vertical": "text-orientation",
    "page-break-before": "break-before",
    "page-break-after": "break-after",
    "page-break-inside": "break-inside",
    "overflow-clip-margin": "overflow-clip-margin",
    "border-collapse": "border-collapse",
    "border-spacing": "border-spacing",
}
# Among properties of these families any two may set the same.
_TANGLED = frozenset(
    (
        "border",
        "inset",
        "gap",
        "place",
        "white",
        "overflow-wrap",
        "grid",
        "column",
        "mask",
        "scroll",
        "animation",
    )
) | {"break-before", "break-after", "break-inside", "transition", "font-variant", "columns"}
_SHORTHANDS = frozenset(
    (
        "font",
        "background",
        "margin",
        "padding",
        "list-style",
        "text-decoration",
        "text-emphasis",
        "flex",
        "flex-flow",
    )
) | {
    "outline",
    "overflow",
    "all",
    "size-x",
    "offset",
    "container",
    "background-position",
    "overscroll-behavior",
}
_SIDES = re.compile(r"(?:margin|padding)-(?:inline|block)(?:-start|-end)?")


@memo(4096, longest=64)
def family(name: str) -> tuple[str, bool]:
    """Return a property's family, and whether it sets what any other one of the family sets."""
    if name.startswith(("--", "mso-")):
        return name, False
    name = _VENDOR.sub("", name, count=1) if name.startswith("-") else name
    known = _FAMILIES.get(name)
    if known is not None:
        # A size's logical name may be either of the two.
        return known, known in _TANGLED or name.endswith(("inline-size", "block-size"))
    first = name.partition("-")[0]
    whole = first in _TANGLED or name in _SHORTHANDS or _SIDES.fullmatch(name) is not None
    return first, whole


def same(one: str, other: str) -> bool:
    """Say whether two properties may set the same thing."""
    if one == other:
        return True
    if "all" in (one, other):
        return not (one if other == "all" else other).startswith("--")
    (first, first_whole), (second, second_whole) = family(one), family(other)
    if first != second:
        return False
    bare, other_bare = _bare(one), _bare(other)
    return bare == other_bare or first_whole or second_whole


def _bare(name: str) -> str:
    return _VENDOR.sub("", name, count=1) if name.startswith("-") and not name.startswith("--") else name

"""Which HTML parts of a message are its text, and which are files that it carries.

RFC 2183 section 2.8: a disposition that is not known is an attachment. Programs also attach a page with
``inline`` and a file name beside the text; it is a file as well, and its bytes are its sender's. Never
raises.
"""

from __future__ import annotations

from collections.abc import Iterator

from gatepost_milter.parts.mime import Part

_SHOWN = frozenset(("", "inline"))
_TEXTS = frozenset(("text/plain", "text/html"))
# The parts of the one stand for each other, those of the other belong to the first: none is beside a text.
_ALTERNATIVE, _RELATED = "multipart/alternative", "multipart/related"


def files(root: Part) -> Iterator[tuple[Part, str]]:
    """Yield the HTML parts that are files, each with the reason in words."""
    yield from _files(root, beside=False)


def _files(part: Part, *, beside: bool) -> Iterator[tuple[Part, str]]:
    """``beside``: the message has a text before this part, and this is no other form of it."""
    if part.type == "text/html":
        if part.disposition not in _SHOWN:
            yield part, "is an attachment"
        elif beside and part.named:
            yield part, "is a file beside the text"
    beside = beside and part.type != _ALTERNATIVE
    for child in part.children:
        yield from _files(child, beside=beside)
        beside = beside or (part.type not in (_ALTERNATIVE, _RELATED) and _has_text(child))


def _has_text(part: Part) -> bool:
    return any(one.type in _TEXTS and one.disposition in _SHOWN and not one.named for one in part.walk())

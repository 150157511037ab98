"""What a reply means and what to do about it: tables of docs/replies.md, and which of their rows a reply is.

``table.toml`` beside this file has the rows, those of rules are ``rules.replies``. Looking for a row is
linear in the reply, whatever is in it: pieces of text are looked for one after the other.
"""

from __future__ import annotations

import functools
import re
import tomllib
from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import Final, Literal, NamedTuple

from gatepost_core.domain.rules.replies import REPLIES

Part = Literal["rcpt", "end"]
_REPLY_MOST: Final = 600
_QUOTED: Final = re.compile(r"`([^`]+)`")
_LINK: Final = re.compile(r"\[([^\]]+)\]\([^)]*\)")
_OPEN: Final = re.compile("… |…|USER")
_CODES: Final = len("550 5.7.1 ")


class Row(NamedTuple):
    """A row of a table: replies in backticks, when they come, what to do. In Markdown."""

    reply: str
    when: str
    remedy: str


class Advice(NamedTuple):
    """When a reply comes, and what to do, in plain words."""

    when: str
    remedy: str


def rows(part: Part) -> tuple[Row, ...]:
    """Return the rows of one of the tables."""
    return tuple([Row(one["reply"], one["when"], one["remedy"]) for one in _table()[part]])


def advice(reply: str, username: str) -> Advice | None:
    """Return what a reply of ours means, by the row that says most of it; None where none fits."""
    reply = reply[:_REPLY_MOST]
    fitting = [(sum(map(len, pieces)), row) for pieces, row in _known() if _fits(pieces, reply)]
    if not fitting:
        return None
    _, row = max(fitting, key=lambda one: one[0])  # of equals the first
    return Advice(_plain(row.when, username), _plain(row.remedy, username))


@functools.cache
def _known() -> list[tuple[Sequence[str], Row]]:
    ours = [Row(f"`{one.text}`", one.when, one.remedy) for of in REPLIES.values() for one in of]
    return [(pieces, row) for row in (*rows("rcpt"), *ours, *rows("end")) for pieces in _pieces(row)]


def _pieces(row: Row) -> Iterable[Sequence[str]]:
    """Yield of each reply of a row the texts between what differs. One without a code has the last one's."""
    head = ""
    for text in _QUOTED.findall(row.reply):
        head = text[:_CODES] if text[0].isdigit() else head
        yield _OPEN.split(text if text[0].isdigit() else head + text)


def _fits(pieces: Sequence[str], reply: str) -> bool:
    """Say whether a reply begins and ends as a row does, with all that is between in its order."""
    first, *middle = pieces
    if not middle or not reply.startswith(first):
        return reply == first
    at, last = len(first), middle.pop()
    for piece in middle:
        begin = reply.find(piece, at)
        if begin < 0:
            return False
        at = begin + len(piece)
    return len(reply) - at >= len(last) and reply.endswith(last)


def _plain(text: str, username: str) -> str:
    return _LINK.sub(r"\1", text).replace("`", "'").replace("USER", username)


@functools.cache
def _table() -> dict[str, list[dict[str, str]]]:
    return tomllib.loads(Path(__file__).with_name("table.toml").read_text(encoding="utf-8"))

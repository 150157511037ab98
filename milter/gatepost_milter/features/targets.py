"""The addresses of a part that may be led elsewhere, as columns; each is read once, by ``urls.follow``.

Of a part that is like an earlier one (``html.template``) most is known: where a slot is in the path or query,
and holds nothing unusual, what stands there is the new path and query. Otherwise addresses are read anew.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field
from functools import partial
from operator import add
from typing import NamedTuple

from gatepost_milter.features.urls import follow, is_plain
from gatepost_milter.html.part import HtmlPart
from gatepost_milter.html.slots import Slot
from gatepost_milter.html.template import Like, Spans


class _Moves(NamedTuple):
    """What it takes to move targets: where they and all values stand, and where the rests of ``changing`` do.

    ``plain``: what stands in the slots decides about paths and queries alone.
    """

    places: Spans
    values: Spans
    changing: list[int]
    rests: Spans
    plain: bool


@dataclass(slots=True)
class Targets:
    """Those addresses that may be led elsewhere, in their order.

    From ``starts`` to ``ends`` stands ``scheme://authority``; ``rests`` are path and query. ``values``: where
    all addresses stand, and what is written there; ``followed`` are the numbers of those that may be led
    elsewhere. ``moves`` belongs to ``moved``. ``same``: they are
    those of an earlier part, one for one.
    """

    starts: list[int]
    ends: list[int]
    schemes: list[str]
    authorities: list[str]
    rests: list[str]
    values: list[tuple[int, str]] = field(default_factory=list[tuple[int, str]])
    followed: list[int] = field(default_factory=list[int])
    moves: _Moves | None = None
    same: bool = False

    def __iter__(self) -> Iterator[tuple[int, int, str, str, str]]:
        """Yield start, end, scheme, authority, path and query of each."""
        return zip(self.starts, self.ends, self.schemes, self.authorities, self.rests, strict=True)

    def moved(self, part: HtmlPart, like: Like) -> Targets:
        """Return the addresses of a part that is like this one's."""
        moves = self.moves
        if moves is None:
            moves = self.moves = _moves(self, like)
        text = part.text
        if not (moves.plain and like.plain):
            values = moves.values.moved(like)
            found = targets([(start, text[start:end]) for start, end in values], utf8=part.utf8)
            found.same = found.followed == self.followed
            return found
        rests = list(self.rests)
        for number, (start, end) in zip(moves.changing, moves.rests.moved(like), strict=True):
            rests[number] = text[start:end].replace("&amp;", "&")
        return Targets(
            *moves.places.columns(like),
            self.schemes,
            self.authorities,
            rests,
            followed=self.followed,
            same=True,
        )


def targets(values: Iterable[tuple[int, str]], *, utf8: bool) -> Targets:
    """Return those of addresses (their places, and what is written there) that may be led elsewhere."""
    written = list(values)
    found = follow([raw for _, raw in written], utf8=utf8)
    followed = [number for number, target in enumerate(found) if target is not None]
    good = list(filter(None, found))
    starts = [written[number][0] + target[0] for number, target in zip(followed, good, strict=True)]
    schemes, authorities = [target[1] for target in good], [target[2] for target in good]
    sizes = map(add, map(len, schemes), map(len, authorities))
    ends = [start + size + 3 for start, size in zip(starts, sizes, strict=True)]
    rests = [target[3] for target in good]
    return Targets(starts, ends, schemes, authorities, rests, written, followed)


def _moves(found: Targets, like: Like) -> _Moves:
    template = like.template
    spans = [(place, place + len(raw)) for place, raw in found.values]
    raws = dict(found.values)
    numbers = {start: number for number, start in enumerate(found.starts)}
    changing: list[int] = []
    rests: list[tuple[int, int]] = []
    plain = True
    for start, end in spans:
        slots = [template.slots[number] for number in template.within(start, end)]
        if slots:
            raw, number = raws[start], numbers.get(start)
            if number is None or not _in_rest(raw, start, found.ends[number], slots):
                plain = False
                continue
            changing.append(number)
            rests.append((found.ends[number], start + len(raw.partition("#")[0])))
    place = partial(Spans, template)
    ranges = list(zip(found.starts, found.ends, strict=True))
    return _Moves(place(ranges), place(spans), changing, place(rests), plain)


def _in_rest(raw: str, start: int, authority_end: int, slots: list[Slot]) -> bool:
    """Say whether slots are within path and query of a plain address, and no reference reaches into them."""
    fixed, end = "", start
    for slot in slots:
        fixed += raw[end - start : slot.start - start] + "\0"
        end = slot.end
    fixed += raw[end - start :]
    hash_at = fixed.find("#")
    return (
        is_plain(raw)
        and slots[0].start > authority_end
        and fixed.count("&") == fixed.count("&amp;")
        and (hash_at < 0 or "\0" not in fixed[hash_at:])
    )

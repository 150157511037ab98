"""The templates of which messages came lately, so that the next message of one is not read from scratch.

Each is kept with the credential whose message it was, and serves no other: what one customer sends tells
nothing about another's, not by time either. Few are kept, none of unusual size, and no credential keeps all.
"""

from __future__ import annotations

from types import MappingProxyType
from typing import NamedTuple

from gatepost_milter.html.part import HtmlPart
from gatepost_milter.html.scanner import Scan
from gatepost_milter.html.slots import Read, Same, alike
from gatepost_milter.html.template import Like, Template

SAMPLES_MOST = 8
OWN_MOST = 4
_TEXT_MOST = 65536
_TAGS_MOST = 2000


def few_tags(scan: Scan) -> bool:
    """Say whether a scan is small enough to be kept, with those of its conditional comments."""
    most = _TAGS_MOST - len(scan.tags) - len(scan.conditionals)
    return most >= 0 and sum([len(conditional.scan.tags) for conditional in scan.conditionals]) <= most


class Sample(NamedTuple):
    """A part that was read, whose it is, and what was the same in it and those before it."""

    owner: object
    charset: str | None
    part: HtmlPart
    same: Same = MappingProxyType({})


class Samples:
    """The samples of a process, the last used first. For many threads: they are replaced as a whole."""

    def __init__(self) -> None:
        self._all: tuple[Sample, ...] = ()

    def like(self, owner: object, charset: str | None, text: str) -> tuple[HtmlPart, Like] | None:
        """Return an earlier part of the same template, and how a text is like it."""
        for sample in self._all:
            template = sample.part.template
            if template is not None and sample.owner == owner and sample.charset == charset:
                like = template.fits(text)
                if like is not None:
                    if sample is not self._all[0]:
                        self._put(sample, sample)
                    return sample.part, like
        return None

    def learn(self, owner: object, charset: str | None, part: HtmlPart) -> None:
        """Keep a part that was read, and see what an earlier one of the same template shares with it."""
        if len(part.text) > _TEXT_MOST or not few_tags(part.scan):
            return
        read = Read(part.text, part.scan)
        for sample in self._all:
            if sample.owner == owner and sample.charset == charset:
                found = alike(read, Read(sample.part.text, sample.part.scan), sample.same)
                if found is not None:
                    template = Template(part.text, found[0])
                    fit = found[0] and template.sound
                    if fit and all(template.fits(text) for text in (part.text, sample.part.text)):
                        part.template = template
                        self._put(Sample(owner, charset, part, found[1]), sample)
                        return
        self._put(Sample(owner, charset, part))

    def _put(self, new: Sample, instead: Sample | None = None) -> None:
        others = [sample for sample in self._all if sample is not instead]
        own = [sample for sample in others if sample.owner == new.owner]
        if len(own) >= OWN_MOST:
            others.remove(own[-1])
        self._all = (new, *others[: SAMPLES_MOST - 1])

    def clear(self) -> None:
        """Forget all."""
        self._all = ()

    def __len__(self) -> int:
        """Return how many are kept."""
        return len(self._all)

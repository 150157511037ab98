"""Which clicks of one message show, seen together, that a machine followed its links. Pure.

The tracker says what it takes a click for when it comes, each of its processes by what it has seen itself.
Link scanners follow a message's links one after the other within seconds: only the last look like it then.
"""

from __future__ import annotations

from collections import Counter, deque
from collections.abc import Iterable
from typing import Final, NamedTuple

LINKS: Final = 3
SECONDS: Final = 2.0  # nobody opens three pages in that
VERDICT: Final = ("scanner", "several links within seconds")
# What may turn out to be a machine's.
_OPEN: Final = frozenset(("person", "unknown"))


class Click(NamedTuple):
    """A click as it was noted: its event's id, seconds of one clock, where it led, its verdict so far."""

    id: str
    at: float
    url: str
    verdict: str


def machines(clicks: Iterable[Click]) -> list[str]:
    """Return the ids of clicks of one message, in the order of time, that are a machine's and not said to be.

    So are those that have so many links (``LINKS``) followed within ``SECONDS``. Linear.
    """
    near: deque[Click] = deque()
    links: Counter[str] = Counter()
    found: list[str] = []
    new: deque[Click] = deque()  # of those in ``near``, what is not found yet
    for one in clicks:
        near.append(one)
        new.append(one)
        links[one.url] += 1
        while one.at - near[0].at > SECONDS:
            gone = near.popleft()
            if new and new[0] is gone:
                new.popleft()
            links[gone.url] -= 1
            if not links[gone.url]:
                del links[gone.url]
        if len(links) >= LINKS:
            found += [click.id for click in new if click.verdict in _OPEN]
            new.clear()
    return found

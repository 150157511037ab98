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
# For how long before and after a click of the link that no reader sees others are whoever's followed it.
HONEY_SECONDS: Final = 10.0
BESIDE: Final = ("scanner", "the hidden link was followed within seconds")
# What may turn out to be a machine's.
_OPEN: Final = frozenset(("person", "unknown"))


class Click(NamedTuple):
    """A click as it was noted: its event's id, seconds of one clock, where it led, its verdict so far.

    ``honey``: of the link that no reader sees.
    """

    id: str
    at: float
    url: str
    verdict: str
    honey: bool = False


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


def beside_honey(clicks: Iterable[Click]) -> list[str]:
    """Return the ids of clicks of one message, in the order of time, near one of the link that nobody sees.

    Whoever follows that is a program, and the others within ``HONEY_SECONDS`` are taken for its. Linear.
    """
    found: list[str] = []
    before: deque[Click] = deque()
    last = float("-inf")
    for one in clicks:
        while before and one.at - before[0].at > HONEY_SECONDS:
            before.popleft()
        if one.honey:
            found += [click.id for click in before]
            before.clear()
            last = one.at
        elif one.verdict in _OPEN:
            if one.at - last <= HONEY_SECONDS:
                found.append(one.id)
            else:
                before.append(one)
    return found

"""What limits can be counted in: each test of behaviour runs over all of them."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Final

from gatepost_core.domain import ids
from gatepost_core.domain.limits import Counters, Want
from gatepost_core.store import open_counters

NOW: Final = 1_800_000_000


def _sqlite(folder: Path) -> Counters:
    return open_counters(folder / "counters" / "counters.db", f"sqlite:///{folder}/journal.db")


# What opens the counters that are kept in a folder, as each process of a node does for itself.
ENGINES: Mapping[str, Callable[[Path], Counters]] = {"sqlite": _sqlite}


def want(key: str = "c1.1.0 messages hour", amount: int = 1, most: int = 5, start: int | None = None) -> Want:
    """Return what a message wants of a calendar window that is yet to come: the journal has nothing of it."""
    begin = NOW * 2 if start is None else start
    return Want(key, begin, begin, begin + 3600, amount, most)


def sliding(part: int, amount: int = 1, most: int = 5, key: str = "c1.1.0 messages hour sliding") -> Want:
    """Return what a message wants of a sliding window, in the given sixtieth of an hour."""
    start = NOW * 2 + 60 * part
    return Want(key, start, start - 3600, start + 3660, amount, most)


def message() -> str:
    """Return a new message's id."""
    return ids.new(NOW * 1000)

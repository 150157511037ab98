"""Waiting for something to become true: looked at again and again; a failure says what was missing."""

from __future__ import annotations

import time
from collections.abc import Callable
from typing import TypeVar

_Found = TypeVar("_Found")


def until(
    look: Callable[[], _Found | None],
    what: str | Callable[[], str] = "what was waited for",
    seconds: float = 30.0,
    *,
    every: float = 0.02,
) -> _Found:
    """Look until something comes, and return it. Fails with ``what`` was missing, told when time is over."""
    deadline = time.monotonic() + seconds
    while not (found := look()):
        if time.monotonic() > deadline:
            raise AssertionError(f"not within {seconds:g} s: {what() if callable(what) else what}")
        time.sleep(every)
    return found

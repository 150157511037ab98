"""Waiting for what another process does in a moment."""

from __future__ import annotations

import time
from collections.abc import Callable
from typing import TypeVar

_Found = TypeVar("_Found")
_REST_SECONDS = 0.1


def wait(look: Callable[[], _Found], seconds: float, *, over: Callable[[_Found], object] = bool) -> _Found:
    """Look until ``over`` holds for what was found, or ``seconds`` are over; return what was found last."""
    until = time.monotonic() + seconds
    while not over(found := look()) and time.monotonic() < until:
        time.sleep(_REST_SECONDS)
    return found

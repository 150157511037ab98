"""Turns at what takes long: one is at it, a few wait, and all others are told so at once.

A turn is taken before a thread is, so that those who wait for one keep none from other pages and the API.
"""

from __future__ import annotations

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Final

from anyio import Lock

WAITING: Final = 8


class BusyError(Exception):
    """So many wait already that it is better to come back."""


class Turns:
    """One at a time; ``waiting`` of them wait."""

    def __init__(self, waiting: int = WAITING) -> None:
        self._lock, self._most, self._here = Lock(), waiting + 1, 0

    @asynccontextmanager
    async def turn(self) -> AsyncIterator[None]:
        """Wait for a turn and have it. Raises BusyError at once where too many wait."""
        if self._here >= self._most:
            raise BusyError
        self._here += 1
        try:
            async with self._lock:
                yield
        finally:
            self._here -= 1

"""How the C library's allocator treats large blocks: given back to the system as soon as they are free.

By default the GNU C library raises its limit for that with each large block that is freed, up to 32 MB
(mallopt(3), M_MMAP_THRESHOLD), so that a process keeps for good what one large message needed. A limit that
was set stays. Where there is no mallopt(3), nothing happens.
"""

from __future__ import annotations

import ctypes
from contextlib import suppress

_M_MMAP_THRESHOLD = -3
# Blocks of usual messages stay below: to the system and back takes longer than from the heap.
LARGE = 256 * 1024


def give_back_large_blocks() -> None:
    """Have blocks of ``LARGE`` bytes and more returned to the system when they are freed."""
    with suppress(AttributeError, OSError):
        ctypes.CDLL(None).mallopt(_M_MMAP_THRESHOLD, LARGE)

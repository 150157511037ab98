"""How the C library's allocator treats memory: large blocks go back as soon as they are free, few arenas.

By default the GNU C library raises its limit for that with each large block that is freed, up to 32 MB
(mallopt(3), M_MMAP_THRESHOLD), so that a process keeps for good what one large message needed. A limit that
was set stays. Of arenas it makes eight a processor, for threads that allocate at the same time; ours
wait for Python's lock, and each arena keeps free memory of its own. Where there is no mallopt(3), nothing
happens.
"""

from __future__ import annotations

import ctypes
from contextlib import suppress

_M_MMAP_THRESHOLD, _M_ARENA_MAX = -3, -8
_ARENAS = 2
# Blocks of usual messages stay below: to the system and back takes longer than from the heap.
LARGE = 256 * 1024


def spare_memory() -> None:
    """Have blocks of ``LARGE`` bytes and more returned to the system when they are freed, the rest shared."""
    with suppress(AttributeError, OSError):
        library = ctypes.CDLL(None)
        library.mallopt(_M_MMAP_THRESHOLD, LARGE)
        library.mallopt(_M_ARENA_MAX, _ARENAS)

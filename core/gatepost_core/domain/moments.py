"""What time it is, and how a time is written wherever somebody reads it: RFC 3339 in UTC, to the second."""

from __future__ import annotations

import functools
from collections.abc import Callable
from datetime import UTC, datetime

# The time, in UTC; without a Python function, as it is asked for at each request.
utc_now: Callable[[], datetime] = functools.partial(datetime.now, UTC)


def stamp(time: datetime) -> str:
    """Return an aware time as ``2027-01-31T18:00:00Z``."""
    return time.astimezone(UTC).strftime("%Y-%m-%dT%H:%M:%SZ")

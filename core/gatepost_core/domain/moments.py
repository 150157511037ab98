"""How a time is written wherever somebody reads it: RFC 3339 in UTC, to the second."""

from __future__ import annotations

from datetime import UTC, datetime


def stamp(time: datetime) -> str:
    """Return an aware time as ``2027-01-31T18:00:00Z``."""
    return time.astimezone(UTC).strftime("%Y-%m-%dT%H:%M:%SZ")

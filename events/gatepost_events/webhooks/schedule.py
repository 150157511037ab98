"""When an event is tried again, and when an endpoint is given up. Pure."""

from __future__ import annotations

from datetime import datetime, timedelta
from typing import Final

# Before each attempt; as Svix does (https://docs.svix.com/retries). After the last one it is given up.
DELAYS: Final = (
    timedelta(0),
    timedelta(seconds=5),
    timedelta(minutes=5),
    timedelta(minutes=30),
    timedelta(hours=2),
    timedelta(hours=5),
    timedelta(hours=10),
    timedelta(hours=10),
)
# An endpoint at which nothing has arrived for so long is switched off; not for one failure long ago, and
# another one now, with nothing to send in between.
OFF_AFTER: Final = timedelta(days=5)
OFF_FAILURES: Final = len(DELAYS)
# RFC 9110 section 15.5.11: what was there is gone, and meant to be.
GONE: Final = 410


def next_at(attempts: int, at: datetime) -> datetime | None:
    """Return when to try again after so many attempts, the last one at ``at``; None for no more."""
    return at + DELAYS[attempts] if attempts < len(DELAYS) else None


def off_reason(status: int, failures: int, failing_since: datetime | None, now: datetime) -> str:
    """Return in words why an endpoint is to be switched off now, '' if it is not.

    ``status``: of its last answer; ``failures``: in a row, the first of them at ``failing_since``.
    """
    if status == GONE:
        return "it answered 410 Gone"
    if failing_since is None or failures < OFF_FAILURES or now - failing_since < OFF_AFTER:
        return ""
    return f"all {failures} attempts of {OFF_AFTER.days} days failed"

"""When an event is tried again, and when an endpoint is given up. Pure."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from email.utils import parsedate_to_datetime
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
# RFC 6585 section 4, RFC 9110 section 15.6.4: too many requests, and not available now.
ASKING: Final = (429, 503)


def next_at(attempts: int, at: datetime, asked: timedelta = timedelta(0)) -> datetime | None:
    """Return when to try again after so many attempts, the last one at ``at``; None for no more.

    ``asked``: how long the endpoint wants to be left alone; it makes no wait shorter.
    """
    return at + max(DELAYS[attempts], asked) if attempts < len(DELAYS) else None


def asked_wait(status: int, retry_after: str, now: datetime) -> timedelta:
    """Return for how long an answer asks to be left alone: RFC 9110 section 10.2.3, seconds or a date.

    Only what is said with 429 or 503 counts, and at most the longest wait of the schedule; what cannot be
    understood is no wait.
    """
    text = retry_after.strip()[:40]
    if status not in ASKING or not text:
        return timedelta(0)
    try:
        seconds = int(text) if text.isascii() and text.isdigit() else _until(text, now)
    except (ValueError, OverflowError, TypeError):
        return timedelta(0)
    return timedelta(seconds=min(max(seconds, 0), DELAYS[-1].total_seconds()))


def _until(date: str, now: datetime) -> float:
    at = parsedate_to_datetime(date)  # OverflowError: of a year, hour or zone that no integer of C holds
    return ((at if at.tzinfo else at.replace(tzinfo=UTC)) - now).total_seconds()


def off_reason(status: int, failures: int, failing_since: datetime | None, now: datetime) -> str:
    """Return in words why an endpoint is to be switched off now, '' if it is not.

    ``status``: of its last answer; ``failures``: in a row, the first of them at ``failing_since``.
    """
    if status == GONE:
        return "it answered 410 Gone"
    if failing_since is None or failures < OFF_FAILURES or now - failing_since < OFF_AFTER:
        return ""
    return f"all {failures} attempts of {OFF_AFTER.days} days failed"

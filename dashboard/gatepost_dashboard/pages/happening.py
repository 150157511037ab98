"""Events of a message in words, for its timeline. Pure."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from datetime import datetime
from typing import Any, Final, NamedTuple, Protocol


class Event(Protocol):
    """Of an event, what its line is made of."""

    @property
    def type(self) -> str: ...  # noqa: D102 - as in events of the store

    @property
    def time(self) -> datetime: ...  # noqa: D102

    @property
    def recipient(self) -> str: ...  # noqa: D102

    @property
    def detail(self) -> Mapping[str, Any]: ...  # noqa: D102


_VERDICTS: Final = {"person": "a person", "proxy": "a mail program's proxy", "scanner": "a scanner"}
_KINDS: Final = {
    "delivered": "good", "deferred": "warn", "held": "warn", "suppressed": "warn", "failed": "bad",
    "bounced": "bad", "complaint": "bad", "refused": "bad", "opened": "mark", "clicked": "mark",
    "unsubscribed": "warn", "released": "mark", "suspended": "bad", "limit": "warn",
}  # fmt: skip
_WORDS: Final = {
    "accepted": "Accepted", "held": "Held", "released": "Released", "delivered": "Delivered",
    "deferred": "Put off", "failed": "Failed", "bounced": "Bounced, a report says",
    "response": "Answered by itself",
    "complaint": "Complained about", "suppressed": "Not sent: suppressed", "refused": "Not queued",
    "unsubscribed": "Unsubscribed",
}  # fmt: skip
_TO: Final = {"delivered": " to ", "complaint": " by ", "unsubscribed": " by "}
# Of one moment (many a log knows seconds) the order in which things must have happened.
_RANKS: Final = {"accepted": 0, "held": 1, "released": 2}
_SAID_MOST: Final = 2_000


class Happened(NamedTuple):
    """A line of the timeline: what, of which kind, when, what was said, and what is of less weight."""

    what: str
    kind: str
    time: datetime
    said: str = ""
    soft: str = ""


def timeline(events: Iterable[Event]) -> list[Happened]:
    """Return events in words, as they happened."""
    ordered = sorted(events, key=lambda one: (one.time, _RANKS.get(one.type, len(_RANKS))))
    return [told(event) for event in ordered]


def told(event: Event) -> Happened:
    """Return an event in words: the reply that was given stands by itself, all else beside it."""
    detail = event.detail
    said = _text(detail, "reply") or _text(detail, "report_reply") or _text(detail, "url")
    what = _what(event)
    soft = "; ".join(filter(None, _beside(detail)))
    return Happened(what, _kind(event), event.time, said[:_SAID_MOST], soft)


def _what(event: Event) -> str:
    if event.type in ("opened", "clicked"):
        verb = "Opened" if event.type == "opened" else "Clicked"
        who = _VERDICTS.get(_text(event.detail, "verdict"), "somebody, or something")
        return f"{verb} by {who}" + (f" ({event.recipient})" if event.recipient else "")
    words = _WORDS.get(event.type, event.type.capitalize())
    if not event.recipient:
        return words
    return f"{words}{_TO.get(event.type, ': ')}{event.recipient}"


def _kind(event: Event) -> str:
    if event.type in ("opened", "clicked") and _text(event.detail, "verdict") in ("proxy", "scanner"):
        return ""
    return _KINDS.get(event.type, "")


def _beside(detail: Mapping[str, Any]) -> list[str]:
    attempt = detail.get("attempt", 1)
    found = [f"attempt {attempt}" if attempt != 1 else ""]
    for name in ("class", "relay", "kind", "named", "reason", "why", "by"):
        text = _text(detail, name)
        if text and text != "none":
            found.append({"relay": f"by {text}", "by": f"by {text}"}.get(name, text))
    return found


def _text(detail: Mapping[str, Any], name: str) -> str:
    value = detail.get(name)
    return value if isinstance(value, str) else ""

"""What is kept with an outcome: relay, reply, attempt, and what a failure means. Pure."""

from __future__ import annotations

import re
from typing import Any, Final

from gatepost_core.domain.failures import classify, permanent
from gatepost_core.domain.texts import bounded
from gatepost_events.maillog.entries import Outcome
from gatepost_events.maillog.items import born
from gatepost_events.maillog.lines import Line
from gatepost_events.maillog.parsing import QUEUE_ID

TEXT_MOST: Final = 1_000
_CODE_LENGTH: Final = 3
_SECOND: Final = 1_000_000
# A program of this host, by loopback or by a socket: as Postfix names a relay or a client.
_HERE = re.compile(r"[^\[\]]*+\[(?:127\.[0-9.]+|::1|/[^\]]*|private/[^\]]*)\](?::\d+)?", re.ASCII)
_QUEUED_AS = re.compile(rf"queued as ({QUEUE_ID})(?![0-9A-Za-z])")
_FORWARDED_AS = re.compile(rf"forwarded as ({QUEUE_ID})")


def attempt(entry: Outcome, number: int, type_: str) -> dict[str, Any]:
    """Return the detail of an event about one attempt of a recipient; ``number``: which one it was."""
    detail: dict[str, Any] = {
        "source": "log",
        "relay": bounded(entry.relay, TEXT_MOST),
        "status": entry.status,
        "reply": bounded(entry.text, TEXT_MOST),
        "delay": entry.delay,
        "delays": entry.delays,
        "attempt": number,
        "queue_id": entry.id,
    }
    if entry.original:
        detail["final_recipient"] = entry.to
    return detail | failure(entry.status, entry.text) if type_ == "failed" else detail


def failure(status: str, text: str) -> dict[str, Any]:
    """Return what a failure means, by its status and what the host said."""
    code = _code(text)
    return {
        "class": classify(status, code, text).value,
        "permanent": permanent(status, code, text),
        "code": code,
    }


def here(host: str) -> bool:
    """Say whether a relay or a client is a program of this host."""
    return _HERE.fullmatch(host) is not None


def queued_as(entry: Outcome) -> str:
    """Return the queue id that a relay of this host says it gave a message; '' for none.

    It may only pass on what another host says: whose queue id it is has to be known from elsewhere.
    """
    found = _QUEUED_AS.search(entry.text[:TEXT_MOST]) if here(entry.relay) else None
    return found[1] if found is not None else ""


def forwarded_as(entry: Outcome) -> str:
    """Return the queue id under which local(8) forwards a message; '' for none."""
    found = _FORWARDED_AS.fullmatch(entry.text)
    return found[1] if found is not None else ""


def moment(line: Line, number: str, delay: str | None) -> int:
    """Return when a line was written; where only its second is known, by how long the message was there."""
    if not line.whole:
        return line.at
    end, came = line.at + _SECOND - 1_000, born(number)
    if delay is None or not came:
        return end
    return min(max(line.at, came + round(float(delay) * _SECOND)), end)


def _code(text: str) -> str:
    """Return the code of a reply: smtp(8) writes ``host mx[192.0.2.1] said: 550 …``."""
    _, said, reply = text.partition(" said: ")
    code = (reply if said else text)[:_CODE_LENGTH]
    return code if code.isascii() and code.isdecimal() and code[0] in "45" else ""

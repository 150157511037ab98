"""Bounces in no standard form: qmail's, Exim's and others', by Mailman's detectors (flufl.bounce). Pure.

The detectors search with many patterns, some of which are slow on what nobody sends. So they get little: the
first lines, none of them long. Whatever a detector raises means that it found nothing.
"""

from __future__ import annotations

import functools
import logging
from email import message_from_bytes, policy
from typing import Any, Final

from gatepost_bounces import mime, saying
from gatepost_bounces.told import Told, address, line
from gatepost_core.domain.failures import classify, permanent

_LINES: Final = 200
_LINE_MOST: Final = 200
_RECIPIENTS: Final = 10


def read(mail: mime.Mail, raw: bytes) -> list[Told]:
    """Return what a message tells of recipients that bounced; most often nothing."""
    lines = raw[: _LINES * _LINE_MOST].replace(b"\r\n", b"\n").split(b"\n", _LINES)[:_LINES]
    short = b"\n".join(one[:_LINE_MOST] for one in lines)
    try:
        passing, final = _detectors()(message_from_bytes(short, policy=policy.compat32))
    except Exception:  # noqa: BLE001 - detectors raise whatever a message has them raise
        return []
    text, named = saying.text_of(mail), short.lower()
    found = [*((one, "bounced") for one in sorted(final)), *((one, "deferred") for one in sorted(passing))]
    # Some detectors make up addresses of what is none: a name without a domain.
    sure = [(one.decode("utf-8", "replace"), kind) for one, kind in found if one.lower() in named]
    addresses = [one for one, _ in sure[:_RECIPIENTS]]
    return [
        told
        for one, kind in sure[:_RECIPIENTS]
        if (told := _told(kind, address(one), text, addresses)) is not None
    ]


def _told(kind: str, recipient: str, text: str, others: list[str]) -> Told | None:
    if not recipient:
        return None
    said = saying.near(text, recipient, others)
    detail: dict[str, Any] = {"source": "flufl", "status": "", "reply": line(said), "reporter": ""}
    if kind == "bounced":
        detail["class"] = classify("", "", said).value
        detail["permanent"] = permanent("", "", said)
    return Told(kind, recipient, detail)


@functools.cache
def _detectors() -> Any:
    from flufl.bounce import all_failures  # noqa: PLC0415 - loaded when the first such message comes

    # It tells of each detector that it runs, and of each exception, with its traceback.
    logging.getLogger("flufl.bounce").disabled = True
    return all_failures

"""A queue id that is in the queue, and what is remembered of it; when a queue id was given. Pure."""

from __future__ import annotations

import json
from dataclasses import dataclass, field
from typing import Final

# The digits of long queue ids: 6 of seconds and 4 of microseconds (src/global/mail_queue.h).
_DIGITS: Final = "0123456789BCDFGHJKLMNPQRSTVWXYZbcdfghjklmnpqrstvwxyz"
_SECONDS, _TIME = 6, 10
_SECOND: Final = 1_000_000


@dataclass(slots=True)
class Item:
    """A queue id that is in the queue. ``root``: that of the message's record.

    ``expected``: recipients that it has; -1 where nobody said so. ``done``: final outcomes; ``seen``: others
    of the present attempt. ``waiting``: of each recipient without a final outcome, by ``to`` and ``orig_to``,
    its attempts so far, and status and text of the last one. ``hop``: a content filter took the message and
    gave it back under another queue id, whose outcomes are those that count.
    """

    root: str
    expected: int = -1
    done: int = 0
    seen: int = 0
    waiting: dict[str, tuple[int, str, str]] = field(default_factory=dict)
    hop: bool = False

    def text(self) -> str:
        """Return it as text."""
        values = [self.root, self.expected, self.done, self.seen, self.waiting, self.hop]
        return json.dumps(values, separators=(",", ":"))

    @classmethod
    def read(cls, text: str) -> Item:
        """Return what ``text`` wrote."""
        root, expected, done, seen, waiting, hop = json.loads(text)
        last = {to: (one[0], one[1], one[2]) for to, one in waiting.items()}
        return cls(root, expected, done, seen, last, hop)


def born(number: str) -> int:
    """Return when a queue id was given, in microseconds since 1970; 0 for one that does not tell.

    postconf(5), enable_long_queue_ids: seconds and microseconds, then z.
    """
    if len(number) <= _TIME or number[_TIME] != "z":
        return 0
    seconds, micro = number[:_SECONDS], number[_SECONDS:_TIME]
    return _number(seconds) * _SECOND + _number(micro)


def _number(digits: str) -> int:
    value = 0
    for digit in digits:
        value = value * len(_DIGITS) + _DIGITS.index(digit)
    return value

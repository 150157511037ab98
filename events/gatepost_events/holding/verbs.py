"""What is said to the helper and what it answers: one line each. Pure; loaded by a process of root's.

``release QUEUE-ID``, ``drop QUEUE-ID``, ``look QUEUE-ID`` (whether it is there), ``ping``, ``where``. The
answer is a word, and after a space a reason; to ``where`` the directory of the queue that it looks at.
"""

from __future__ import annotations

import re
from enum import StrEnum
from typing import Final, NamedTuple

# Longer than any order is.
LINE_MOST: Final = 64
ANSWER_MOST: Final = 1_024
_TEXT_MOST: Final = 300
# Postfix's two forms of a queue id (src/global/mail_queue.h), neither of which is a path, an option or ALL.
_QUEUE_ID: Final = re.compile(r"[0-9A-F]{6,20}|[0-9B-DF-HJ-NP-TV-Zb-df-hj-np-tv-z]{11,30}")


class Verb(StrEnum):
    """What can be asked for."""

    RELEASE = "release"
    DROP = "drop"
    LOOK = "look"
    PING = "ping"
    WHERE = "where"


class Result(StrEnum):
    """What came of it. ``absent``: it is not in the hold queue; ``failed``: worth another try."""

    DONE = "done"
    ABSENT = "absent"
    REFUSED = "refused"
    FAILED = "failed"


class Order(NamedTuple):
    """A line that is understood; ``ping`` and ``where`` have no queue id."""

    verb: Verb
    queue_id: str = ""


class Answer(NamedTuple):
    """What is answered; ``text`` is for people."""

    result: Result
    text: str = ""


def write_order(order: Order) -> bytes:
    """Return an order as a line."""
    return f"{order.verb} {order.queue_id}".rstrip().encode("ascii", "replace") + b"\n"


def read_order(line: bytes) -> Order | Answer:
    """Return the order in a line without its end, or why there is none."""
    if len(line) > LINE_MOST:
        return Answer(Result.REFUSED, f"a line of more than {LINE_MOST} bytes")
    word, space, number = line.decode("ascii", "replace").partition(" ")
    if word not in list(Verb):
        return Answer(Result.REFUSED, f"no such verb {word!a}; known are release, drop, look, ping, where")
    if word in (Verb.PING, Verb.WHERE):
        return Answer(Result.REFUSED, f"{word} stands alone") if space else Order(Verb(word))
    if not _QUEUE_ID.fullmatch(number):
        return Answer(Result.REFUSED, f"{number!a} is no queue id")
    return Order(Verb(word), number)


def write_answer(answer: Answer) -> bytes:
    """Return an answer as a line: printable ASCII, not too long."""
    text = " ".join(answer.text[:_TEXT_MOST].encode("ascii", "backslashreplace").decode().split())
    return f"{answer.result} {text}".rstrip().encode() + b"\n"


def read_answer(line: bytes) -> Answer:
    """Return the answer in a line without its end. Raises ValueError."""
    word, _, text = line.decode("ascii", "replace").partition(" ")
    return Answer(Result(word), text)

"""Asking the helper, and only while it looks at the queue that this node's messages are in.

A host may have several Postfix instances, and queue ids of one may be those of other messages in another.
"""

from __future__ import annotations

import os
import time
from collections.abc import Callable
from typing import Final

from gatepost_core.serving import asking
from gatepost_core.serving.asking import NoAnswer
from gatepost_events.holding import verbs
from gatepost_events.holding.verbs import Answer, Order, Result, Verb

# As long as an end of the daemon may wait for it. The helper goes on with what it has begun.
_SECONDS: Final = 20.0
# For so long it is believed that the helper looks at our queue.
_OURS_SECONDS: Final = 60.0


class Helper:
    """The helper at an address. For one thread."""

    def __init__(self, listen: str) -> None:
        self._listen = listen

    def __call__(self, order: Order) -> Answer:
        """Return what it answers. Raises NoAnswer."""
        until = time.monotonic() + _SECONDS
        line = asking.ask(self._listen, verbs.write_order(order), until, verbs.ANSWER_MOST)
        try:
            return verbs.read_answer(line)
        except ValueError as error:
            raise NoAnswer(f"{self._listen}: an answer that is not understood: {line[:60]!r}") from error


class OwnQueue:
    """A helper, and Postfix's queue directory. For one thread. ``clock``: monotonic seconds."""

    def __init__(
        self, helper: Callable[[Order], Answer], queue: str, clock: Callable[[], float] = time.monotonic
    ) -> None:
        self._helper = helper
        self._queue = os.path.realpath(queue)
        self._clock = clock
        self._ours_until = 0.0

    def __call__(self, order: Order) -> Answer:
        """Return what the helper answers. Raises NoAnswer."""
        try:
            return self._helper(order)
        except NoAnswer:
            self._ours_until = 0.0  # it may be another one the next time
            raise

    def look(self, order: Order) -> Answer:
        """Return what it answers about a message of ours. Raises NoAnswer also where it has another queue."""
        elsewhere = self.elsewhere()
        if elsewhere:
            raise NoAnswer(elsewhere)
        return self(order)

    def elsewhere(self) -> str:
        """Say why the helper is not to be asked: its queue is not the one that messages are in; else ''."""
        if self._clock() < self._ours_until:
            return ""
        try:
            answer = self._helper(Order(Verb.WHERE))
        except NoAnswer as error:
            return str(error)
        if answer.result is not Result.DONE:
            return answer.text
        if answer.text != self._queue:
            return (
                f"gatepost-hold looks at the queue in {answer.text or 'an unknown place'}, not in "
                f"{self._queue}; see its option --config-directory, and postfix.queue_directory"
            )
        self._ours_until = self._clock() + _OURS_SECONDS
        return ""

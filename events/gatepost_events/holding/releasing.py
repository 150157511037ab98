"""Carrying out what is asked for of held messages: judged anew, then the helper is asked."""

from __future__ import annotations

import time
from collections.abc import Callable
from datetime import datetime, timedelta
from typing import Final, Protocol

from gatepost_core.domain import StoreUnavailable
from gatepost_core.domain.outcomes import HoldOrder, HoldState
from gatepost_core.serving import asking
from gatepost_core.serving.asking import NoAnswer
from gatepost_core.store.backend import Holder
from gatepost_events.holding import verbs
from gatepost_events.holding.judging import Carried, Directory, Limits, Objection, objection
from gatepost_events.holding.verbs import Answer, Order, Result, Verb

# As long as an end of the daemon may wait for it. The helper goes on with what it has begun.
_SECONDS: Final = 20.0
# Until what could not be done is tried again, and what may be sent at another hour looked at.
_AGAIN: Final = timedelta(seconds=5)
_LATER: Final = timedelta(minutes=1)
# Begins what is noted of an order that the helper may have carried out.
_ASKED: Final = "it was asked, and did not answer: "
_STATES: Final = {Result.DONE: HoldState.DONE, Result.ABSENT: HoldState.GONE, Result.REFUSED: HoldState.STAYS}


class Closing(Directory, Protocol):
    """A directory that is open."""

    def close(self) -> None:
        """Let go of it."""
        ...


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


class Releasing:
    """For one thread. ``now``: the time in UTC."""

    def __init__(
        self,
        holder: Holder,
        directory: Closing,
        limits: Limits,
        helper: Callable[[Order], Answer],
        now: Callable[[], datetime],
    ) -> None:
        self._holder = holder
        self._directory = directory
        self._limits = limits
        self._helper = helper
        self._now = now

    def step(self) -> list[Carried]:
        """Carry out what is due; return what came of it. Raises StoreUnavailable."""
        done: list[Carried] = []
        for order in self._holder.due(self._now()):
            try:
                carried = self._carried(order)
            except (StoreUnavailable, ValueError) as error:  # of this order; all others go on
                carried = Carried(order, None, str(error))
            if carried.state is not None:
                self._holder.settle(order, carried.state, carried.text, self._now())
            else:
                self._holder.postpone(
                    order, carried.text, self._now() + (_LATER if carried.waits else _AGAIN)
                )
            done.append(carried)
        return done

    def close(self) -> None:
        """Let go of what is open."""
        self._holder.close()
        self._directory.close()
        self._limits.close()

    def _objection(self, order: HoldOrder) -> Objection | None:
        return objection(self._directory, self._limits, order, self._now())

    def _carried(self, order: HoldOrder) -> Carried:
        verb = Verb(order.verb)
        if verb is Verb.RELEASE and (why := self._objection(order)):
            return Carried(order, None if why.passes else HoldState.STAYS, why.text, why.passes)
        try:
            answer = self._helper(Order(verb, order.queue_id))
        except NoAnswer as error:
            return Carried(order, None, f"{_ASKED}{error}" if error.sent else str(error))
        if answer.result is Result.ABSENT and order.note.startswith(_ASKED):  # it was done, unheard
            return Carried(order, HoldState.DONE, "")
        return Carried(order, _STATES.get(answer.result), answer.text)

"""Carrying out what is asked for of held messages: judged anew, then the helper is asked."""

from __future__ import annotations

from collections import deque
from collections.abc import Callable
from datetime import datetime, timedelta
from typing import Final, Protocol

from gatepost_core.domain import StoreUnavailable, ids
from gatepost_core.domain.outcomes import HELPER_ASKED, HoldOrder, HoldState
from gatepost_core.domain.rules.places import Seen, owner_of
from gatepost_core.domain.walls import Walls
from gatepost_core.serving.asking import NoAnswer
from gatepost_core.store.backend import Holder
from gatepost_events.holding.judging import Carried, Directory, Limits, Objection, objection
from gatepost_events.holding.own_queue import OwnQueue
from gatepost_events.holding.verbs import Answer, Order, Result, Verb

# Until what could not be done is tried again; and at most until what waits for its hour is looked at, as
# somebody may give it another.
_AGAIN: Final = timedelta(seconds=5)
_LATER: Final = timedelta(hours=1)
_STATES: Final = {Result.DONE: HoldState.DONE, Result.ABSENT: HoldState.GONE, Result.REFUSED: HoldState.STAYS}


class Closing(Directory, Protocol):
    """A directory that is open."""

    def close(self) -> None:
        """Let go of it."""
        ...


class Releasing:
    """For one thread. ``now``: the time in UTC."""

    def __init__(
        self,
        holder: Holder,
        directory: Closing,
        walls: Walls,
        limits: Limits,
        seen: Seen,
        helper: OwnQueue,
        now: Callable[[], datetime],
    ) -> None:
        self._holder = holder
        self._directory = directory
        self._walls = walls
        self._limits = limits
        self._seen = seen
        self._helper = helper
        self._now = now
        self._waiting: deque[HoldOrder] = deque()

    def step(self) -> Carried | None:
        """Carry out one order that is due; return what came of it. Raises StoreUnavailable.

        Only one, so that an end of the daemon waits for no more than that.
        """
        carried = None
        while carried is None:
            if not self._waiting:
                self._waiting.extend(self._holder.due(self._now()))
            if not self._waiting:
                return None
            order = self._waiting.popleft()
            try:
                carried = self._carried(order)
            except (StoreUnavailable, ValueError) as error:  # of this order; all others go on
                carried = Carried(order, None, str(error))
        now = self._now()
        if carried.state is not None:
            self._holder.settle(carried.order, carried.state, carried.text, now)
        else:
            until = now + _AGAIN if carried.until is None else min(carried.until, now + _LATER)
            self._holder.postpone(carried.order, carried.text, until)
        return carried

    def close(self) -> None:
        """Let go of what is open."""
        self._holder.close()
        self._directory.close()
        self._limits.close()
        self._seen.close()

    def _objection(self, order: HoldOrder) -> Objection | None:
        return objection(self._directory, self._walls, self._limits, order, self._now())

    def _carried(self, order: HoldOrder) -> Carried | None:
        """Return what came of an order; None where something else is wanted by now."""
        verb = Verb(order.verb)
        if verb is Verb.RELEASE and (why := self._objection(order)):
            if why.passes:
                return Carried(order, None, why.text, why.opens or self._now() + _LATER)
            return Carried(order, HoldState.STAYS, why.text)
        # What is noted of an earlier attempt counts until it is known what came of that.
        before = order.note.startswith(HELPER_ASKED)
        elsewhere = self._helper.elsewhere()
        if elsewhere:
            return Carried(order, None, _noted(elsewhere, asked=before), alone=False)
        if not self._holder.begin(order):
            return None
        try:
            answer = self._helper(Order(verb, order.queue_id))
        except NoAnswer as error:
            return Carried(order, None, _noted(str(error), asked=before or error.sent), alone=False)
        if answer.result is Result.ABSENT and before:  # it was done, unheard
            answer = Answer(Result.DONE)
        if answer.result is Result.DONE:
            fault = self._learned(order)
            if fault:
                return Carried(order, None, _noted(fault, asked=True))
        if answer.result is Result.FAILED:  # after how much of it, only the helper knows
            return Carried(order, None, _noted(answer.text, asked=True))
        return Carried(order, _STATES[answer.result], answer.text)

    def _learned(self, order: HoldOrder) -> str:
        """Have known where a released message came from, as somebody wanted it sent; say why it cannot be."""
        if not order.places:
            return ""
        try:
            credential = self._directory.credential(order.username)
            if credential is not None and credential.id == order.credential_id:
                owner = owner_of(credential)
                if ids.time_of(order.message).timestamp() >= owner.since:  # else it was an earlier one's
                    by, now = f"release of message {order.message}", int(self._now().timestamp())
                    self._seen.teach(owner, order.places, by, now)
        except StoreUnavailable as error:
            return str(error)
        return ""


def _noted(text: str, *, asked: bool) -> str:
    return f"{HELPER_ASKED}: {text}" if asked else text

"""Limits at end of message: taken as the last act before the record, given back if the message ends there.

What is over a limit takes nothing. Counters that cannot be used raise StoreUnavailable: 451.
"""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Mapping
from typing import Any, Final, NamedTuple, Protocol

from gatepost_core.domain import Defer, MessageRecord, Mode, Reject, StoreUnavailable
from gatepost_core.domain.limits import Counters, verdicts
from gatepost_core.domain.memo import Recent
from gatepost_core.serving import log
from gatepost_core.spool import SpoolError
from gatepost_milter.holding import CANNOT_HOLD
from gatepost_milter.judge import Accepted, held_for

_KEEP_SECONDS: Final = 1.0
_BUSY: Final = Defer(
    451, "4.7.1", "A limit has no room for the message just now; try again later", "limit, and room again"
)


class KeptCounters(Counters, Protocol):
    """Counters that want to be looked after."""

    def keep(self) -> None:
        """See that they can be used, and forget what is over. Raises StoreUnavailable."""
        ...


class TellFunction(Protocol):
    """Who hears of a limit that fills: ``gatepost_milter.libmilter.records.Records.tell``."""

    def __call__(self, record: MessageRecord, type_: str, detail: Mapping[str, Any]) -> None:
        """Have an event of a message on disk. Raises SpoolError."""
        ...


class Taken(NamedTuple):
    """A message that took of its limits, which may hold it; ``tell``: to be done once its record is kept."""

    accepted: Accepted
    tell: Callable[[], None]


def _nothing() -> None:
    """Tell nobody."""


class Limits:
    """For many threads of one worker. ``for_good``: what is over is refused by 550.

    ``holds``: Postfix can hold messages here, without another milter's not seeing them.
    """

    def __init__(
        self, counters: KeptCounters, tell: TellFunction, *, for_good: bool = False, holds: bool = True
    ) -> None:
        self._counters = counters
        self._tell = tell
        self._for_good = for_good
        self._holds = holds
        self._told: Recent[tuple[str, int], float] = Recent(10_000)
        self._ended = threading.Event()

    def take(self, accepted: Accepted) -> Reject | Defer | Taken:
        """Take what a message wants; return its refusal, or what was taken. Raises StoreUnavailable."""
        charges = accepted.charges
        refused = verdicts.too_much(charges)
        if refused is not None:
            return refused
        wants = [charge.want for charge in charges]
        before = self._counters.take(accepted.record.id, wants, [charge.quiet for charge in charges])
        if before is None:
            found = self._counters.look(wants)
            return verdicts.over(charges, found, for_good=self._for_good) or _BUSY
        if not before:
            return Taken(accepted, _nothing)
        crossed = list(verdicts.crossings(charges, before))
        beyond = verdicts.beyond(charges, before)
        if beyond and accepted.record.mode is not Mode.SANDBOX:
            if not self._holds:
                self.give_back(accepted)
                return CANNOT_HOLD
            accepted = held_for(accepted, f"over a limit: {beyond}")
        return Taken(accepted, lambda: self._tell_of(accepted.record, crossed))

    def give_back(self, accepted: Accepted) -> None:
        """Undo what a message took, which goes no further. What cannot be undone now is logged."""
        if accepted.charges:
            try:
                self._counters.give_back(accepted.record.id)
            except StoreUnavailable as error:
                log.warning("limits not given back", message_id=accepted.record.id, error=str(error))

    def begin(self) -> None:
        """Look after the counters from now on, in a thread."""
        threading.Thread(target=self._keep, name="limits", daemon=True).start()

    def end(self) -> None:
        """Look after them no longer."""
        self._ended.set()

    def _keep(self) -> None:
        said = ""
        while True:
            try:
                self._counters.keep()
                said = ""
            except StoreUnavailable as error:
                if str(error) != said:
                    said = str(error)
                    log.warning("counters of limits unavailable, messages with limits get 451", error=said)
            if self._ended.wait(_KEEP_SECONDS):
                return

    def _tell_of(self, record: MessageRecord, crossed: list[verdicts.Crossing]) -> None:
        for one in crossed:
            want, now = one.charge.want, time.time()
            # A sliding window may fill again and again; once in its time is enough.
            key = f"{want.key} {one.share}", want.start if want.first == want.start else 0
            if now < self._told.get(key, 0.0):
                continue
            self._told.put(key, now + (want.ends - want.start))
            detail = one.detail()
            log.info("limit", message_id=record.id, credential=record.username, **detail)
            try:
                self._tell(record, "limit", detail)
            except SpoolError as error:  # the message itself is on disk, and the log has it
                log.warning("event of a limit lost", message_id=record.id, error=str(error))

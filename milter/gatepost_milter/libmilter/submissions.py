"""Idempotent submission at end of message: claimed before limits count it, accepted once it is recorded.

A message without a key never comes here. Claims that cannot be kept raise StoreUnavailable: 451.
"""

from __future__ import annotations

import time
from collections.abc import Callable
from dataclasses import replace

from gatepost_core.domain import Defer, Mode, Reject, StoreUnavailable
from gatepost_core.domain.limits import with_recipients
from gatepost_core.domain.limits.submissions import ClaimState, Outcome, Submission
from gatepost_core.domain.limits.submissions import Submissions as Claims
from gatepost_core.serving import log
from gatepost_milter.judge import Accepted
from gatepost_milter.submitted import Repeated, refusal, waits


class Submissions:
    """For many threads of one worker. ``hours``, ``most``: as in the settings; ``clock``: since 1970."""

    def __init__(
        self, claims: Claims, *, hours: float, most: int, clock: Callable[[], float] = time.time
    ) -> None:
        self._claims = claims
        self._hours = hours
        self._most = most
        self._clock = clock

    def claim(self, accepted: Accepted, wanted: Submission) -> Accepted | Repeated | Reject | Defer:
        """Return a message with those recipients that do not have it, or what becomes of it.

        Raises StoreUnavailable.
        """
        record, now = accepted.record, int(self._clock())
        found = self._claims.claim(wanted, record.id, record.queue_id, now, self._most)
        if found.outcome is Outcome.REPEATED:
            return Repeated(found.first)
        refused = refusal(found, wanted.shown, record.username, self._hours, self._most)
        if refused is not None:
            return refused
        if not found.known:
            return accepted
        known = [address for address, digest in wanted.recipients.items() if digest in found.known]
        return _without(accepted, wanted, known, found.first)

    def keep(self, accepted: Accepted, wanted: Submission) -> Defer | None:
        """Have a message accepted whose record is on disk; return a reply where another took its place.

        In a sandbox it ends here, as if it were in the queue. Raises StoreUnavailable.
        """
        state = ClaimState.QUEUED if accepted.record.mode is Mode.SANDBOX else ClaimState.ACCEPTED
        if self._claims.accept(accepted.record.id, len(set(wanted.recipients.values())), state):
            return None
        return waits(wanted.shown, accepted.record.id)

    def give_back(self, accepted: Accepted) -> None:
        """Forget what a message claimed, which goes no further. What cannot be undone now is logged."""
        try:
            self._claims.give_back(accepted.record.id)
        except StoreUnavailable as error:
            log.warning("idempotency key not given back", message_id=accepted.record.id, error=str(error))


def _without(accepted: Accepted, wanted: Submission, known: list[str], first: str) -> Accepted:
    """Return a message without recipients who have it."""
    gone, record = set(known), accepted.record
    left = tuple([address for address in record.recipients if address not in gone])
    said = f"{len(known)} of {len(record.recipients)} recipients have it already, by message {first}"
    return replace(
        accepted,
        record=replace(record, recipients=left, skipped={**record.skipped, "idempotency": said}),
        charges=with_recipients(
            accepted.charges, len([one for one in left if one not in accepted.suppressed])
        ),
        submission=wanted._replace(
            recipients={one: digest for one, digest in wanted.recipients.items() if one not in gone}
        ),
        known=tuple(known),
    )

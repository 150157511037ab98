"""Whether a limit is used up already: a look, so that a client hears of it before it sends a message.

Counts up to a second old are good enough for that: the milter takes, and decides. Counters that cannot be
read raise StoreUnavailable; damaged ones are the milter's to mend, so it is left to it.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Sequence
from typing import Final, NamedTuple

from gatepost_core.domain import Credential, Decision, Mode
from gatepost_core.domain.limits import Bucket, Charge, Charges, CountersDamaged, Kind, Looking, verdicts
from gatepost_core.domain.memo import Recent
from gatepost_policy.protocol import Request, number

_FRESH_SECONDS: Final = 1.0
_KNOWN_MOST: Final = 5_000
_ANY: Final = 10**18


class LimitsLook:
    """Looks. ``clock`` counts seconds for what is remembered, ``now`` is the time since 1970."""

    def __init__(
        self,
        charges: Charges,
        counters: Looking,
        *,
        for_good: bool = False,
        clock: Callable[[], float] = time.monotonic,
        now: Callable[[], float] = time.time,
    ) -> None:
        self._charges = charges
        self._counters = counters
        self._for_good = for_good
        self._clock = clock
        self._now = now
        self._rooms: Recent[str, _Room] = Recent(_KNOWN_MOST)

    def refusal(self, credential: Credential, request: Request) -> Decision | None:
        """Return the refusal of a message that a limit has no room for; None: there may be room.

        At RCPT its recipients are not known, and its size, if at all, is what the client declared. Raises
        StoreUnavailable.
        """
        recipients, size = number(request, "recipient_count") or 1, number(request, "size") or 1
        clock, room = self._clock(), self._rooms.get(credential.username)
        if (
            room is not None
            and room.credential is credential
            and clock < room.until
            and recipients <= room.recipients
            and size <= room.bytes
        ):
            return None
        account = credential.mode is not Mode.SANDBOX
        charges = self._charges.of(credential, self._now(), recipients=recipients, size=size, account=account)
        if not charges:
            return None
        refused = verdicts.too_much(charges)
        if refused is not None:
            return refused
        try:
            found = self._counters.look([charge.want for charge in charges])
        except CountersDamaged:
            return None
        refused_now = verdicts.over(charges, found, for_good=self._for_good)
        if refused_now is None:
            self._rooms.put(credential.username, _room(credential, clock + _FRESH_SECONDS, charges, found))
        return refused_now


class _Room(NamedTuple):
    """What one more message of a credential may have at most, as of the last look."""

    credential: Credential
    until: float
    recipients: int
    bytes: int


def _room(
    credential: Credential, until: float, charges: Sequence[Charge], found: Sequence[Sequence[Bucket]]
) -> _Room:
    left = {Kind.RECIPIENTS: _ANY, Kind.BYTES: _ANY, Kind.MESSAGES: _ANY}
    for charge, buckets in zip(charges, found, strict=True):
        kind = charge.limit.kind
        left[kind] = min(left[kind], charge.want.most - verdicts.used(buckets))
    return _Room(credential, until, left[Kind.RECIPIENTS], left[Kind.BYTES])

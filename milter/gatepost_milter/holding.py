"""Which messages are held, and why: by their credential's mode or age, or until their time. Pure."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime, timedelta
from typing import NamedTuple

from gatepost_core.domain import Credential, Defer, Mode, Reject, stamp
from gatepost_core.domain.rules.places import Place
from gatepost_core.settings import HoldSettings

MODE_HOLD = "the credential is in mode hold"


class Hold(NamedTuple):
    """Why a message is held, in words, and when it is released by itself (UTC); None: by somebody.

    ``places``: where it comes from, which whoever releases it has its credential know.
    """

    reason: str
    until: datetime | None = None
    places: tuple[Place, ...] = ()


class Holding(NamedTuple):
    """What is held. ``ahead``: how much later a message may be sent; ``new``: how long a login is new.

    ``skips``: there are milters after ours, which Postfix does not ask about a message that is held.
    """

    ahead: timedelta = timedelta(hours=60)
    new: timedelta = timedelta(0)
    skips: bool = False

    @classmethod
    def of_settings(cls, settings: HoldSettings, milters_after: Sequence[str]) -> Holding:
        """Return what the settings say."""
        ahead, new = settings.hours_ahead, settings.new_credential_hours
        return cls(timedelta(hours=ahead), timedelta(hours=new), bool(milters_after))

    def of(self, credential: Credential, send_at: datetime | None, now: datetime) -> Hold | None:
        """Return why a message is held. One that somebody is to look at waits for him, whatever its time."""
        if credential.mode is Mode.SANDBOX:
            return None
        if credential.mode is Mode.HOLD:
            return Hold(MODE_HOLD)
        if self.new and now < credential.created_at + self.new:
            return Hold(f"the credential is new: it was made at {stamp(credential.created_at)}")
        if send_at is None or send_at <= now:
            return None
        return Hold(f"to be sent at {stamp(send_at)}", send_at)


HOLDING = Holding()
_AFTER = "milters after Gatepost would not see the message (postfix.milters_after)"
CANNOT_HOLD = Defer(
    451, "4.3.5", f"Server configuration error: the message cannot be held, as {_AFTER}", _AFTER
)


def held_too(held: Hold | None, why: str, places: tuple[Place, ...] = ()) -> Hold:
    """Return why a message is held for one reason more: whoever releases it decides about both."""
    if held is None or held.until is not None:
        return Hold(why, None, places)
    return Hold(f"{held.reason}; {why}", None, places)


def unplaced(username: str, why: str) -> Defer:
    """Defer a message of which nobody can say whether its client is in a new place."""
    return Defer(
        451,
        "4.3.0",
        f"What credential {username} sends from new places is held, and where its client is cannot be told "
        "just now; try again later",
        why,
    )


CANNOT_SEND_LATER = Reject(
    550, "5.6.0", f"X-Gatepost-Send-At cannot be used here, as {_AFTER}; send the message without it", _AFTER
)


def too_far(send_at: datetime, ahead: timedelta) -> Reject:
    """Refuse a message that is to be sent later than the settings allow."""
    hours = f"{ahead / timedelta(hours=1):g}"
    return Reject(
        550,
        "5.6.0",
        f"X-Gatepost-Send-At: {stamp(send_at)} is too far ahead; expected a time within {hours} hours",
        "sent too far ahead",
    )

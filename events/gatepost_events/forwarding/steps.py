"""Which report goes to whom now, and what becomes of it. Pure but for what is given.

It goes to the envelope sender that the client gave, while that may be written to (``judging``), never in a
circle. An account, an address and a message are sent so many in an hour; the others wait. An attempt is noted
before it is made, so that what kills the daemon comes ever later; a report is settled right after Postfix
took it: if the daemon is killed between, it goes once more, with the same Message-ID. What goes wrong with
one report holds up no other; only a store or a Postfix that is not there ends a step.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from datetime import datetime, timedelta
from typing import Final, NamedTuple, Protocol

from gatepost_core.domain.outcomes import Forwarder, ForwardState, SentTo, Waiting
from gatepost_core.domain.walls import Walls
from gatepost_events.forwarding.composing import About, UnfitError, circle, compose
from gatepost_events.forwarding.judging import Directory, objection

# Of one step, so that the daemon's end waits for no more.
_MOST: Final = 10
# After that nobody waits for it any more.
LIFE: Final = timedelta(days=2)
# A message's record may come after a report about it.
_UNKNOWN: Final = timedelta(hours=24)
_AGAIN: Final = timedelta(seconds=60)
_AGAIN_MOST: Final = timedelta(hours=1)
_HOUR: Final = timedelta(hours=1)
# That long it is known which reports came, and what became of them.
_KEPT: Final = timedelta(days=7)
# Of what an account is sent in an hour, the share of one address and of one message, so that nobody who got
# one can use up what is there for all.
_SHARES: Final = {SentTo.ACCOUNT: 1, SentTo.ADDRESS: 4, SentTo.MESSAGE: 10}
# Begins what is noted of a report that Postfix may have taken.
UNHEARD: Final = "Postfix had it all, and its answer was not heard"


class Reply(NamedTuple):
    """What Postfix said: the code of RFC 5321, and its text. Code 0: the session ended before an answer.

    ``unheard``: it ended after the whole message was given.
    """

    code: int
    text: str
    unheard: bool = False


class Postman(Protocol):
    """Who gives messages to Postfix."""

    def open(self) -> None:
        """Have a session. Raises OSError."""
        ...

    def give(self, recipient: str, content: bytes) -> Reply:
        """Give a message from the null sender; return the answer."""
        ...

    def stop(self) -> None:
        """End the session at once, and have no other. From any thread."""
        ...

    def close(self) -> None:
        """End the session."""
        ...


class Outcome(NamedTuple):
    """What became of a report; ``state`` None: it is tried again. ``text``: why, or what Postfix said."""

    report: Waiting
    state: ForwardState | None
    text: str


class Step(NamedTuple):
    """What one step did; ``more``: there may be more to do at once."""

    outcomes: Sequence[Outcome]
    more: bool


class Forwarding:
    """For one thread, but for ``stop``. ``read``: the beginning of the kept report of a name, or None;
    ``hourly``: reports of an account; ``by``: this gateway's name."""

    def __init__(
        self,
        store: Forwarder,
        directory: Directory,
        walls: Walls,
        post: Postman,
        read: Callable[[str], bytes | None],
        hourly: int,
        by: str,
        now: Callable[[], datetime],
    ) -> None:
        self._store = store
        self._directory = directory
        self._walls = walls
        self._post = post
        self._read = read
        self._hourly = hourly
        self._by = by
        self._now = now
        self._sweep_at = now()
        # Accounts that were sent enough, and until when.
        self._full: dict[int, datetime] = {}
        self._stopped = False

    def step(self) -> Step:
        """Forward some of what is due. Raises StoreUnavailable, and OSError where Postfix takes nothing."""
        now = self._now()
        swept = self._swept(now)
        # Later than in an hour nobody is full, but by a clock that was set back.
        self._full = {one: until for one, until in self._full.items() if now < until <= now + _HOUR}
        due = self._store.due(now, _MOST, self._full)
        outcomes: list[Outcome] = []
        try:
            for one in due:
                outcome = None if self._stopped else self._carried(one, self._now())
                if outcome is not None:
                    outcomes.append(outcome)
        except OSError:
            if not outcomes:
                raise
        finally:
            self._post.close()
        return Step(outcomes, swept or bool(due))

    def stop(self) -> None:
        """Have a step end soon, whatever it waits for: the daemon ends. From another thread."""
        self._stopped = True
        self._post.stop()

    def close(self) -> None:
        """Let go of what is open."""
        self._store.close()
        self._directory.close()

    def _swept(self, now: datetime) -> bool:
        if now < self._sweep_at:
            return False
        more = self._store.forget(now - _KEPT) > 0
        self._sweep_at = now if more else now + _HOUR
        return more

    def _carried(self, one: Waiting, now: datetime) -> Outcome | None:
        """Return what became of a report; None where its account was sent enough in this hour."""
        if one.account_id in self._full:
            return None
        try:
            stays = self._stays(one, now)
        except Exception as error:  # noqa: BLE001 - of this report; all others go on
            return self._again(one, f"{type(error).__name__}: {error}", now)
        if stays is not None:
            return stays
        self._post.open()
        if not self._store.begin(one, self._later(one, now)):
            return None
        try:
            return self._given(one, one.sender or "", now)
        except UnfitError as error:
            return self._settled(one, ForwardState.STOPPED, str(error), now)
        except Exception as error:  # noqa: BLE001 - as above
            return self._again(one, f"{type(error).__name__}: {error}", now)

    def _stays(self, one: Waiting, now: datetime) -> Outcome | None:
        """Return what became of a report that is not sent now; None of one that is."""
        if now - one.kept_at > LIFE:
            return self._settled(one, ForwardState.LATE, "it waited for too long", now)
        if one.sender is None:
            if now - one.kept_at > _UNKNOWN:
                return self._settled(one, ForwardState.STOPPED, "its message is not known", now)
            return self._waits(one, "its message is not known yet", now + _AGAIN)
        stopped = objection(self._directory, self._walls, one, one.sender, now)
        if not stopped and self._store.enough(one):
            stopped = "as many were sent about its message as the recipients can make"
        if stopped:
            return self._settled(one, ForwardState.STOPPED, stopped, now)
        for of, share in _SHARES.items():
            most = max(1, self._hourly // share)
            since = self._store.full_since(one, of, most, now)
            if since is None:
                continue
            text = f"its {of.value} was sent {most} in an hour"
            if of is not SentTo.ACCOUNT:
                return self._waits(one, text, since + _HOUR)
            self._full[one.account_id] = since + _HOUR
            return Outcome(one, None, text)
        return None

    def _given(self, one: Waiting, recipient: str, now: datetime) -> Outcome:
        raw = self._read(one.file)
        if raw is None:
            return self._settled(one, ForwardState.STOPPED, "it is not kept any more", now)
        stopped = circle(raw, self._by)
        if stopped:
            return self._settled(one, ForwardState.STOPPED, stopped, now)
        about = About(one.id, one.message, one.address, recipient, one.kept_at, self._by)
        reply = self._post.give(recipient, compose(raw, about))
        said = f"{reply.code} {reply.text}" if reply.code else reply.text
        if reply.code == 250:
            return self._settled(one, ForwardState.SENT, said, now)
        if reply.code >= 500:
            return self._settled(one, ForwardState.REFUSED, said, now)
        before = one.note.startswith(UNHEARD)
        if reply.unheard and before:  # a third time would be more harm than a report that is lost
            return self._settled(one, ForwardState.SENT, f"{UNHEARD}, twice: {said}", now)
        return self._again(one, f"{UNHEARD}: {said}" if reply.unheard else said, now)

    def _settled(self, one: Waiting, state: ForwardState, text: str, now: datetime) -> Outcome:
        self._store.settle(one, state, text, now)
        return Outcome(one, state, text)

    def _waits(self, one: Waiting, text: str, until: datetime) -> Outcome:
        note = f"{UNHEARD}: {text}" if one.note.startswith(UNHEARD) else text
        self._store.postpone(one, note, until)
        return Outcome(one, None, text)

    def _again(self, one: Waiting, text: str, now: datetime) -> Outcome:
        return self._waits(one._replace(attempts=one.attempts + 1), text, self._later(one, now))

    @staticmethod
    def _later(one: Waiting, now: datetime) -> datetime:
        return now + min(_AGAIN * (1 << min(one.attempts, 10)), _AGAIN_MOST)

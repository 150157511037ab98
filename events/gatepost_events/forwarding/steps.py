"""Which report goes to whom now, and what becomes of it: judged anew each time. Pure but for what is given.

It goes to the envelope sender that the client gave, while that is nobody else's by the walls, and never in a
circle. An account is sent so many in an hour, the others wait. A report is settled right after Postfix took
it: if the daemon is killed between, it goes once more, with the same Message-ID.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Sequence
from datetime import datetime, timedelta
from typing import Final, NamedTuple, Protocol

from gatepost_core.domain import Bounces, WallMode
from gatepost_core.domain.outcomes import Forwarder, ForwardState, Waiting
from gatepost_core.domain.rules import normal_domain
from gatepost_core.domain.walls import Walls
from gatepost_events.forwarding.composing import compose, forwarded_before

# Of one step, so that the daemon's end waits for no more.
_MOST: Final = 10
# After that nobody waits for it any more.
LIFE: Final = timedelta(days=2)
# A message's record may come after a report about it.
_UNKNOWN: Final = timedelta(hours=24)
_AGAIN: Final = timedelta(seconds=60)
_AGAIN_MOST: Final = timedelta(hours=1)
_HOUR: Final = timedelta(hours=1)
_FULL: Final = timedelta(minutes=5)
# That long it is known which reports came, and what became of them.
_KEPT: Final = timedelta(days=7)
# What RFC 5321 section 4.1.2 has in a Mailbox at the most; nothing that would end a path or a command, nor
# what shows that a longer one was cut for the record.
_MAILBOX: Final = re.compile(r"[^\s<>…\x00-\x1f\x7f]{1,255}@[^\s<>@…\x00-\x1f\x7f]{1,255}")


class Directory(Protocol):
    """What is read of the store: ``gatepost_core.store.sqlite.reader.Reader``."""

    def bounces(self, account_id: int) -> Bounces:
        """Return what an account hears of reports."""
        ...

    def bounce_domain(self, name: str) -> bool:
        """Say whether bounces arrive at that name."""
        ...

    def close(self) -> None:
        """Let go of it."""
        ...


class Reply(NamedTuple):
    """What Postfix said: the code of RFC 5321, and its text. Code 0: the session ended before an answer."""

    code: int
    text: str


class Postman(Protocol):
    """Who gives messages to Postfix."""

    def open(self) -> None:
        """Have a session. Raises OSError."""
        ...

    def give(self, recipient: str, content: bytes) -> Reply:
        """Give a message from the null sender; return the answer."""
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
    """For one thread. ``read``: the kept report of a name, or None; ``hourly``: reports of an account."""

    def __init__(
        self,
        store: Forwarder,
        directory: Directory,
        walls: Walls,
        post: Postman,
        read: Callable[[str], bytes | None],
        hourly: int,
        now: Callable[[], datetime],
    ) -> None:
        self._store = store
        self._directory = directory
        self._walls = walls
        self._post = post
        self._read = read
        self._hourly = hourly
        self._now = now
        self._sweep_at = now()

    def step(self) -> Step:
        """Forward some of what is due. Raises StoreUnavailable, and OSError where Postfix takes nothing."""
        now = self._now()
        swept = self._swept(now)
        due = self._store.due(now, _MOST)
        outcomes: list[Outcome] = []
        full: set[int] = set()
        try:
            for one in due:
                outcome = self._carried(one, now, full)
                if outcome is not None:
                    outcomes.append(outcome)
        except OSError:
            if not outcomes:
                raise
        finally:
            self._post.close()
        return Step(outcomes, swept or len(due) == _MOST)

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

    def _carried(self, one: Waiting, now: datetime, full: set[int]) -> Outcome | None:
        """Return what became of a report; None where its account was sent enough in this hour."""
        if now - one.kept_at > LIFE:
            return self._settled(one, ForwardState.LATE, "it waited for too long", now)
        if one.sender is None:
            if now - one.kept_at > _UNKNOWN:
                return self._settled(one, ForwardState.STOPPED, "its message is not known", now)
            self._store.postpone(one, "its message is not known yet", now + _AGAIN)
            return Outcome(one, None, "its message is not known yet")
        stopped = self._objection(one, one.sender)
        if stopped:
            return self._settled(one, ForwardState.STOPPED, stopped, now)
        if one.account_id in full:
            return None
        if self._store.sent(one.account_id, now - _HOUR) >= self._hourly:
            full.add(one.account_id)
            text = f"its account was sent {self._hourly} in an hour"
            self._store.postpone_account(one, text, now + _FULL)
            return Outcome(one, None, text)
        raw = self._read(one.file)
        if raw is None:
            return self._settled(one, ForwardState.STOPPED, "it is not kept any more, or too large", now)
        if forwarded_before(raw):
            return self._settled(one, ForwardState.STOPPED, "it is about a report that was forwarded", now)
        return self._given(one, one.sender, raw, now)

    def _given(self, one: Waiting, recipient: str, raw: bytes, now: datetime) -> Outcome:
        self._post.open()
        reply = self._post.give(recipient, compose(raw, one.id, one.message, one.address, recipient))
        said = f"{reply.code} {reply.text}" if reply.code else reply.text
        if reply.code == 250:
            return self._settled(one, ForwardState.SENT, said, now)
        if reply.code >= 500:
            return self._settled(one, ForwardState.REFUSED, said, now)
        until = now + min(_AGAIN * 2 ** min(one.attempts, 10), _AGAIN_MOST)
        self._store.postpone(one, said, until)
        return Outcome(one, None, said)

    def _settled(self, one: Waiting, state: ForwardState, text: str, now: datetime) -> Outcome:
        self._store.settle(one, state, text, now)
        return Outcome(one, state, text)

    def _objection(self, one: Waiting, sender: str) -> str:
        """Say why a report may not go to a message's envelope sender; '' where it may."""
        if self._directory.bounces(one.account_id) is not Bounces.FORWARD:
            return "its account has no reports forwarded"
        if not _MAILBOX.fullmatch(sender):
            return "the envelope sender is empty, or no address with a domain"
        domain = sender.rpartition("@")[2]
        if self._directory.bounce_domain(normal_domain(domain)):
            return "the envelope sender is at a bounce domain: it would come back"
        if self._walls.mode() is WallMode.ENFORCE and self._walls.wall(one.account_id, domain) is not None:
            return "the envelope sender is another account's, or the gateway's own"
        return ""

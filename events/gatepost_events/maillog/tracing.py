"""What becomes of each queue id: from entries of the log to outcomes of recipients. Pure.

Accounts find lines that the log lost: each time a message is taken up, qmgr(8) says how many recipients it
still has, and each of them has an outcome before the message is taken up again or removed. What is missing is
counted, and nothing is made up for it. What has to be remembered is a small text for each queue id that is
still in the queue, which goes to the store with the position.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Final

from gatepost_core.domain.failures import FailureClass
from gatepost_core.domain.outcomes import Told
from gatepost_core.domain.texts import bounded
from gatepost_events.maillog import details
from gatepost_events.maillog.entries import (
    Active,
    Came,
    Entry,
    Expired,
    Held,
    Outcome,
    Refused,
    Released,
    Removed,
)
from gatepost_events.maillog.items import Item, born
from gatepost_events.maillog.lines import Line
from gatepost_events.maillog.missing import Missing

# Queue ids that are remembered; a queue has seldom more. The oldest are forgotten.
ITEMS_MOST: Final = 200_000
# Of the last attempt's text, for a failure that comes of time.
_REMEMBERED: Final = 300
_NEVER: Final = (0, "", "")
# Where among what is kept the time of the first line is.
_BEGAN: Final = ""
_BY_HAND: Final = "removed from the queue by hand"
_GIVEN_MOST: Final = 10_000
_SECOND: Final = 1_000_000
_TYPES: Final = {"sent": "delivered", "deferred": "deferred", "softbounce": "deferred", "bounced": "failed"}


class Tracing:
    """All queue ids that are in the queue. ``kept``: what ``changes`` returned, all together.

    ``told``, ``queued``, ``lost``: as in ``domain.outcomes``, since ``committed``.
    """

    def __init__(self, kept: Mapping[str, str]) -> None:
        self._items = {number: Item.read(text) for number, text in kept.items() if number}
        self._stored = set(kept)
        self._changed: set[str] = set()
        # Time of the first line ever: of queue ids that are older not all was read.
        self._began = int(kept[_BEGAN]) if _BEGAN in kept else 0
        self._missing = Missing()
        # What programs of this host gave to smtpd(8) without a login, as content filters do.
        self._given_back: dict[str, None] = {}
        self.told: list[Told] = []
        self.queued: dict[str, int] = {}
        self.lost = 0

    def feed(self, line: Line, entry: Entry) -> None:
        """Take in what a line says."""
        if not self._began:
            self._began = line.at + _SECOND
            self._changed.add(_BEGAN)
        if not isinstance(entry, Came):
            self._missing.seen(entry.id)
        lost = self.lost
        self._take(line, entry)
        if self.lost != lost:
            self._missing.forget()
        self.told += self._missing.look(line.at)

    def lose(self, lines: int) -> None:
        """Note lines that are known to be lost."""
        self.lost += lines
        self._missing.forget()

    def _take(self, line: Line, entry: Entry) -> None:
        match entry:
            case Outcome():
                self._outcome(line, entry)
            case Active():
                self._active(line, entry)
            case Removed():
                self._removed(line, entry)
            case Expired():
                self._expired(line, entry.id)
            case Came():
                self._came(line, entry)
            case Refused():
                self._refused(line, entry)
            case Held():
                self._message(line, "held", entry.id, {"source": "log", "reason": entry.text})
            case Released():
                self._message(line, "released", entry.id, {"source": "log"})
            case _:
                pass

    def changes(self) -> tuple[dict[str, str], list[str]]:
        """Return what changed of what is to be remembered since ``committed``: texts, and what is gone."""
        kept = {number: self._items[number].text() for number in self._changed if number in self._items}
        if _BEGAN in self._changed:
            kept[_BEGAN] = str(self._began)
        gone = [number for number in self._changed if number not in kept and number in self._stored]
        return kept, gone

    def committed(self) -> None:
        """Forget what was told: it is in the store."""
        kept, gone = self.changes()
        self._stored.update(kept)
        self._stored.difference_update(gone)
        self._changed.clear()
        self.told, self.queued, self.lost = [], {}, 0

    def _new(self, number: str, item: Item) -> Item:
        if len(self._items) >= ITEMS_MOST:
            oldest = next(iter(self._items))
            del self._items[oldest]
            self._changed.add(oldest)
        self._items[number] = item
        self._changed.add(number)
        return item

    def _unseen(self, number: str) -> bool:
        """Say whether all that there was of a queue id must have been read, and nothing was."""
        return number not in self._items and born(number) >= self._began > 0

    def _active(self, line: Line, entry: Active) -> None:
        item = self._items.get(entry.id)
        if item is None:
            whole = self._unseen(entry.id)
            item = self._new(entry.id, Item(entry.id, entry.recipients if whole else -1))
            self.queued[item.root] = line.at
            return
        self._changed.add(entry.id)
        if item.expected < 0 and item.root != entry.id and not item.done:
            item.expected = entry.recipients  # queued anew: it begins with those who are left
            return
        self._account(item)
        item.seen = 0

    def _account(self, item: Item) -> None:
        """Count what the attempt that ends now should have had, and had not."""
        if item.expected >= 0:
            missing = max(0, item.expected - item.done - item.seen)
            self.lost += missing
            item.expected -= missing

    def _outcome(self, line: Line, entry: Outcome) -> None:
        type_ = _TYPES.get(entry.result)
        if type_ is None:  # verify(8) asks whether an address could be delivered to
            return
        self.lost += self._unseen(entry.id)
        item = self._items.get(entry.id) or self._new(entry.id, Item(entry.id))
        self._changed.add(entry.id)
        key = f"{entry.to} {entry.original}" if entry.original else entry.to
        attempt = item.waiting.pop(key, _NEVER)[0] + 1
        if type_ == "deferred":
            item.seen += 1
            item.waiting[key] = (attempt, entry.status, bounded(entry.text, _REMEMBERED))
        else:
            item.done += 1
        root = item.root
        if type_ == "delivered" and self._goes_on(line.program, entry, item):
            return
        detail = details.attempt(entry, attempt, type_)
        self._tell(line, type_, root, entry.original or entry.to, detail)

    def _goes_on(self, program: str, entry: Outcome, item: Item) -> bool:
        """Say whether a delivery only led to a content filter, or to an alias, whose own outcomes follow."""
        if item.hop and details.here(entry.relay):
            return True
        if program == "local":
            number = details.forwarded_as(entry)
        else:
            number = details.queued_as(entry)
            number = number if number in self._given_back else ""
        after = self._items.get(number) if number else None
        if after is None or after.root not in (number, item.root):
            return False  # it has left the queue already
        after.root = item.root
        self._changed.add(number)
        self.queued.pop(number, None)
        return True

    def _removed(self, line: Line, entry: Removed) -> None:
        self.lost += self._unseen(entry.id)
        item = self._items.pop(entry.id, None)
        if item is None:
            if entry.by_hand:  # it was held, and never tried
                self._message(line, "failed", entry.id, self._given_up(entry.id))
            return
        self._changed.add(entry.id)
        if entry.by_hand:
            self._fail(line, item, entry.id, _BY_HAND)
            if item.expected < 0 or item.expected > item.done + len(item.waiting):  # some were not tried yet
                self._tell(line, "failed", item.root, "", self._given_up(entry.id))
        elif item.expected >= 0 and item.done + item.seen >= item.expected:
            # Each recipient has its outcome, so nothing is to be told of the queue.
            self.queued.pop(item.root, None)
        else:
            self._account(item)

    def _expired(self, line: Line, number: str) -> None:
        item = self._items.get(number)
        if item is not None:
            self._changed.add(number)
            self._fail(line, item, number, "given up, too long in the queue")
            item.done += len(item.waiting)
            item.seen = 0
            item.waiting.clear()

    def _fail(self, line: Line, item: Item, number: str, why: str) -> None:
        """Tell that those who wait will get nothing; the class is that of their last attempt."""
        for key, (attempts, status, said) in item.waiting.items():
            to, _, original = key.partition(" ")
            detail = {
                **self._given_up(number, f"{why}; at last: {said}"),
                **details.failure(status, said),
                "status": status,
                "attempt": attempts,
                "permanent": False,
            }
            self._tell(line, "failed", item.root, original or to, detail)

    @staticmethod
    def _given_up(number: str, why: str = _BY_HAND) -> dict[str, Any]:
        kind = {"class": FailureClass.UNKNOWN.value, "permanent": False, "code": "", "status": ""}
        return {"source": "log", "reply": why, "queue_id": number, **kind}

    def _came(self, line: Line, entry: Came) -> None:
        """Note a new message; follow one that was queued anew (postsuper -r), whose old id is gone."""
        if entry.login:
            self._missing.came(entry.id, line.at)
        if not entry.original:
            if not entry.login and details.here(entry.client):
                if len(self._given_back) >= _GIVEN_MOST:
                    del self._given_back[next(iter(self._given_back))]
                self._given_back[entry.id] = None
            return
        before = self._items.get(entry.original) or Item(entry.original)
        self._changed.add(entry.original)
        if entry.client:  # given back by a content filter, which may name a message's id (XFORWARD)
            before.hop = True
            self._new(entry.id, Item(before.root))
        else:
            self._items.pop(entry.original, None)
            self._new(entry.id, Item(before.root, waiting=before.waiting))

    def _refused(self, line: Line, entry: Refused) -> None:
        if not entry.discarded:
            self._message(line, "refused", entry.id, {"source": "log", "reason": entry.text})

    def _message(self, line: Line, type_: str, number: str, detail: Mapping[str, Any]) -> None:
        item = self._items.get(number)
        self._tell(line, type_, item.root if item is not None else number, "", detail)

    def _tell(self, line: Line, type_: str, root: str, recipient: str, detail: Mapping[str, Any]) -> None:
        words = f"{line.at // _SECOND} {line.text} {recipient}"
        at = details.moment(line, str(detail.get("queue_id", root)), detail.get("delay"))
        if type_ == "released":  # where only its second is known: deliveries in that second came after it
            at = line.at
        self.told.append(Told(root, type_, recipient, at, detail, words))

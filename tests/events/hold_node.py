"""A node with held messages, and a helper that answers as it is told."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import replace
from typing import Any

from gatepost_core.domain import Claim, Credential, MessageRecord, StoreUnavailable, WallMode
from gatepost_core.domain.limits import Charges, Counters, Defaults
from gatepost_core.domain.rules.places import Seen
from gatepost_core.domain.suppressing import Suppression
from gatepost_core.domain.walls import Walls
from gatepost_core.serving.asking import NoAnswer
from gatepost_core.store import open_counters, open_places
from gatepost_core.store.holding import orders
from gatepost_events.holding.judging import Carried, Limits
from gatepost_events.holding.own_queue import OwnQueue
from gatepost_events.holding.releasing import Releasing
from gatepost_events.holding.verbs import Answer, Order, Result, Verb
from tests.core.ingest.test_holding import held_by_us
from tests.core.ingest.world import RECORD, World, accepted, numbered
from tests.core.making import credential

ANNA, BEN = "anna@one.example.net", "ben@two.example.net"
# A credential that only another release can read.
NEWER = "gpnewer"
QUEUE = "/var/spool/postfix"


class Directory:
    """One credential, and whom its account has suppressed."""

    def __init__(self) -> None:
        self.known: Credential | None = credential(id=RECORD.credential_id, username=RECORD.username)
        self.suppressed: list[Suppression] = []
        self.claimed: list[Claim] = []
        self.mode = WallMode.ENFORCE

    def claims(self, name: str) -> tuple[Claim, ...]:
        return tuple([one for one in self.claimed if name == one.name or name.endswith(f".{one.name}")])

    def walls(self) -> WallMode:
        return self.mode

    def credential(self, username: str) -> Credential | None:
        if username == NEWER:
            raise StoreUnavailable("rules that this release does not know: moods")
        assert username == RECORD.username
        return self.known

    def suppressions(self, account_id: int, credential: str, keys: object) -> list[Suppression]:
        del account_id, credential, keys
        return [one for one in self.suppressed if not one.tag]

    def suppressed_by_tag(
        self, account_id: int, credential: str, tags: object, keys: object
    ) -> list[Suppression]:
        del account_id, credential, tags, keys
        return [one for one in self.suppressed if one.tag]

    def close(self) -> None:
        """Nothing is open."""


class Node:
    """A node with held messages, and a helper that answers as it is told."""

    def __init__(self, world: World) -> None:
        self.world = world
        self.directory = Directory()
        self.answers: list[Answer | NoAnswer] = []
        self.asked: list[Order] = []
        self.pinged = Answer(Result.DONE, QUEUE)
        self.releasing = self.of("node")

    def of(self, name: str, helper: Callable[[Order], Answer] | None = None) -> Releasing:
        holder = self.world.backend.holder(name)
        counting = Limits(Charges(Defaults()), self.opened())
        walls = Walls(self.directory)
        own, places = OwnQueue(helper or self._answer, QUEUE), self.places()
        return Releasing(holder, self.directory, walls, counting, places, own, lambda: self.world.now)

    def places(self) -> Seen:
        return open_places(self.world.folder / "counters.db")

    def opened(self) -> Counters:
        return open_counters(self.world.folder / "counters.db", self.world.settings.journal)

    def step(self) -> list[Carried]:
        """Carry out what is due, all of it; return what came of it."""
        return list(iter(self.releasing.step, None))

    def _answer(self, order: Order) -> Answer:
        if order.verb is Verb.WHERE:
            return self.pinged
        self.asked.append(order)
        answer = self.answers.pop(0) if self.answers else Answer(Result.DONE)
        if isinstance(answer, NoAnswer):
            raise answer
        return answer

    def scheduled(self, number: int = 1, **changes: Any) -> MessageRecord:
        """Have a message held until it was accepted, which is now."""
        return self.held(number, scheduled=True, **changes)

    def held(
        self,
        number: int = 1,
        *,
        scheduled: bool = False,
        header_sender: Sequence[str] = (),
        places: dict[str, str] | None = None,
        **changes: Any,
    ) -> MessageRecord:
        record = numbered(number, **{"recipients": (ANNA, BEN), **changes})
        entry = held_by_us(record, scheduled=scheduled, of=header_sender, places=places)
        self.world.write(accepted(record), entry)
        self.world.take()
        return record

    def ask(self, record: MessageRecord | str, verb: str = "release", by: str = "root") -> None:
        name = record if isinstance(record, str) else record.id
        with self.world.backend.journal(write=True) as connection:
            orders.ask(connection, name, verb, by, self.world.now)

    def holds(self, **changes: Any) -> None:
        """Change the credential."""
        assert self.directory.known is not None
        self.directory.known = replace(self.directory.known, **changes)

    def found(self, record: MessageRecord) -> tuple[str, str]:
        with self.world.backend.journal() as connection:
            one = orders.asked(connection, [record.id])[record.id]
        return one.state, one.note

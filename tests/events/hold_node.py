"""A node with held messages, and a helper that answers as it is told."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

from gatepost_core.domain import Credential, MessageRecord, StoreUnavailable
from gatepost_core.domain.limits import Charges, Counters, Defaults
from gatepost_core.domain.suppressing import Suppression
from gatepost_core.serving.asking import NoAnswer
from gatepost_core.store import open_counters
from gatepost_core.store.holding import orders
from gatepost_events.holding.judging import Limits
from gatepost_events.holding.releasing import Releasing
from gatepost_events.holding.verbs import Answer, Order, Result
from tests.core.ingest.test_holding import held_by_us
from tests.core.ingest.world import RECORD, World, accepted, numbered
from tests.core.making import credential

ANNA, BEN = "anna@one.example.net", "ben@two.example.net"
# A credential that only another release can read.
NEWER = "gpnewer"


class Directory:
    """One credential, and whom its account has suppressed."""

    def __init__(self) -> None:
        self.known: Credential | None = credential(id=RECORD.credential_id, username=RECORD.username)
        self.suppressed: list[Suppression] = []

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
        self.releasing = self.of("node")

    def of(self, name: str) -> Releasing:
        holder = self.world.backend.holder(name)
        counting = Limits(Charges(Defaults()), self.opened())
        return Releasing(holder, self.directory, counting, self._answer, lambda: self.world.now)

    def opened(self) -> Counters:
        return open_counters(self.world.folder / "counters.db", self.world.settings.journal)

    def _answer(self, order: Order) -> Answer:
        self.asked.append(order)
        answer = self.answers.pop(0) if self.answers else Answer(Result.DONE)
        if isinstance(answer, NoAnswer):
            raise answer
        return answer

    def held(self, number: int = 1, **changes: Any) -> MessageRecord:
        record = numbered(number, **{"recipients": (ANNA, BEN), **changes})
        self.world.write(accepted(record), held_by_us(record))
        self.world.take()
        return record

    def ask(self, record: MessageRecord, verb: str = "release", by: str = "root") -> None:
        with self.world.backend.journal(write=True) as connection:
            orders.ask(connection, record.id, verb, by, self.world.now)

    def holds(self, **changes: Any) -> None:
        """Change the credential."""
        assert self.directory.known is not None
        self.directory.known = replace(self.directory.known, **changes)

    def found(self, record: MessageRecord) -> tuple[str, str]:
        with self.world.backend.journal() as connection:
            one = orders.asked(connection, [record.id])[record.id]
        return one.state, one.note

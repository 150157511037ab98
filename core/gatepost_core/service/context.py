"""What every function of the service layer is given: who acts, and what with."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from contextlib import AbstractContextManager
from dataclasses import dataclass
from datetime import datetime
from typing import TYPE_CHECKING, Any, Protocol

from gatepost_core.domain import BadValue, Forbidden, NotFound, shown, utc_now
from gatepost_core.domain.access import Actor, may, scope

if TYPE_CHECKING:
    from sqlalchemy import Connection

    from gatepost_core.keys.keyring import Keyring
    from gatepost_core.settings import Settings
    from gatepost_core.store.access.repeats import Once
    from gatepost_core.store.backend import Begin


class Store(Protocol):
    """Of ``store.backend.Backend``, what the service layer needs."""

    def directory(self, *, write: bool = False) -> AbstractContextManager[Connection]:
        """Open the directory; ``write``: one transaction. Raises StoreUnavailable."""
        ...

    def journal(self, *, write: bool = False) -> AbstractContextManager[Connection]:
        """Open the journal, as ``directory`` does."""
        ...

    def transactions(self) -> AbstractContextManager[Begin]:
        """Open the journal for many short transactions."""
        ...


@dataclass(frozen=True, slots=True)
class Context:
    """Who acts on which store. ``keyring`` is asked when a key is needed, and raises KeyringError.

    ``once``: the idempotency key of what is asked for, None where it has none.
    """

    actor: Actor
    store: Store
    settings: Settings
    keyring: Callable[[], Keyring]
    clock: Callable[[], datetime] = utc_now
    once: Once | None = None

    @property
    def now(self) -> datetime:
        """The time, UTC."""
        return self.clock()

    def need(self, kind: str, *, write: bool) -> None:
        """Raise Forbidden unless the actor may read or write objects of a kind, at least its account's."""
        if not may(self.actor, kind, write=write, account=self.actor.account):
            needed = scope(kind, write=write)
            raise Forbidden(f"this needs the scope {needed}, which {self.actor.name or 'this'} has not")

    def wall(self, account: str | None) -> bool:
        """Say whether something of ``account`` (None: the gateway's own) exists for the actor."""
        return self.actor.operator or (account is not None and account == self.actor.account)

    def own(self, account: str | None) -> str | None:
        """Return whose objects a list shows: ``account``'s, or None for all, if the actor may ask for that.

        Without one an account's actor sees its own. Raises NotFound for another's.
        """
        if self.actor.operator or account in (None, self.actor.account):
            return account if self.actor.operator else self.actor.account
        raise NotFound(f"no account {shown(account or '')}; 'gatepost account list' shows all")

    def check_rules(self, rules: Mapping[str, Any]) -> None:
        """Raise BadValue for a rule about places that nothing tells here: its messages would get 451."""
        wanted = rules.get("hold_places", ())
        for kind, file in self.settings.hold.place_databases.items():
            if kind in wanted and not isinstance(wanted, str) and not file:
                raise BadValue(
                    "hold_places",
                    f"the setting hold.{kind}_database is empty, and nothing else tells a client's {kind}",
                )

    def operators(self, what: str) -> None:
        """Raise Forbidden unless the actor is an operator; ``what``: what would be done."""
        if not self.actor.operator:
            raise Forbidden(f"{what} is for operators of the gateway")

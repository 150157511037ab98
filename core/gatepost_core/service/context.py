"""What every function of the service layer is given: who acts, and what with."""

from __future__ import annotations

from collections.abc import Callable
from contextlib import AbstractContextManager
from dataclasses import dataclass
from datetime import datetime
from typing import TYPE_CHECKING, Protocol

from gatepost_core.domain import Forbidden, NotFound, shown, utc_now
from gatepost_core.domain.access import Actor, may, scope

if TYPE_CHECKING:
    from sqlalchemy import Connection

    from gatepost_core.keys.keyring import Keyring
    from gatepost_core.settings import Settings
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
    """Who acts on which store. ``keyring`` is asked when a key is needed, and raises KeyringError."""

    actor: Actor
    store: Store
    settings: Settings
    keyring: Callable[[], Keyring]
    clock: Callable[[], datetime] = utc_now

    @property
    def now(self) -> datetime:
        """The time, UTC."""
        return self.clock()

    def need(self, kind: str, *, write: bool) -> None:
        """Raise Forbidden unless the actor may read or write objects of a kind, of its own account at least."""
        if not may(self.actor, kind, write=write, account=self.actor.account):
            raise Forbidden(
                f"this needs the scope {scope(kind, write=write)}, which {self.actor.name} has not"
            )

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

    def operators(self, what: str) -> None:
        """Raise Forbidden unless the actor is an operator; ``what``: what would be done."""
        if not self.actor.operator:
            raise Forbidden(f"{what} is for operators of the gateway")

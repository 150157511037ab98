"""What every request is answered with: settings, the store, keys, and what is told of it."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, cast

from starlette.requests import HTTPConnection

from gatepost_core.domain.access import Actor
from gatepost_core.keys import Keyring
from gatepost_core.service import Context, Store
from gatepost_core.settings import Settings

if TYPE_CHECKING:
    from gatepost_dashboard.report import Reporter


@dataclass(frozen=True, slots=True)
class Parts:
    """Made in the worker, and the same for all of its requests; ``parts_of`` finds it again."""

    settings: Settings
    store: Store
    keyring: Keyring
    report: Reporter

    def context(self, actor: Actor) -> Context:
        """Return what functions of the service layer are given for a request of ``actor``."""
        return Context(actor, self.store, self.settings, lambda: self.keyring)


def parts_of(connection: HTTPConnection) -> Parts:
    """Return the parts of the app that answers a request."""
    return cast("Parts", connection.app.state.parts)

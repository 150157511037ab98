"""What every request is answered with: settings, the store, keys, and what is told of it."""

from __future__ import annotations

from dataclasses import dataclass
from typing import cast

from starlette.requests import HTTPConnection

from gatepost_core.domain.access import Actor
from gatepost_core.keys import Keyring
from gatepost_core.service import Context, Once, Store
from gatepost_core.serving.proxies import Proxies
from gatepost_core.settings import Settings
from gatepost_dashboard.http.rates import Rates
from gatepost_dashboard.http.telling import Reports


@dataclass(frozen=True, slots=True)
class Parts:
    """Made in the worker, and the same for all of its requests; ``parts_of`` finds it again."""

    settings: Settings
    store: Store
    keyring: Keyring
    report: Reports
    proxies: Proxies
    rates: Rates

    @classmethod
    def of(cls, settings: Settings, store: Store, keyring: Keyring, report: Reports) -> Parts:
        """Return the parts of a worker."""
        section = settings.dashboard
        return cls(settings, store, keyring, report, Proxies(section.proxies), Rates(section.rate))

    def context(self, actor: Actor, once: Once | None = None) -> Context:
        """Return what functions of the service layer are given for a request of ``actor``."""
        return Context(actor, self.store, self.settings, lambda: self.keyring, once=once)

    def client(self, connection: HTTPConnection) -> str:
        """Return the address that a request comes from, '' where it is not known."""
        peer = connection.client.host if connection.client is not None else ""
        return self.proxies.client(peer, ",".join(connection.headers.getlist("x-forwarded-for")))


def parts_of(connection: HTTPConnection) -> Parts:
    """Return the parts of the app that answers a request."""
    return cast("Parts", connection.app.state.parts)

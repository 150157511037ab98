"""What is told of each answer: a line of the log, a count, and how often one may still ask."""

from __future__ import annotations

import time
from typing import Protocol

from starlette.datastructures import MutableHeaders
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from gatepost_core.domain.access import Actor
from gatepost_dashboard.http.rates import Rate


class Reports(Protocol):
    """What is told of an answer (``report.Reporter``)."""

    def answered(self, method: str, route: str, status: int, who: str, client: str, seconds: float) -> None:
        """Tell of it."""
        ...

    def signed_in(self, result: str, user: str, client: str) -> None:
        """Tell of somebody who signed in, or tried to: granted, denied, locked, expired."""
        ...


class Telling:
    """A layer of the app. Who answers leaves ``actor``, ``client`` and ``rate`` in the request's state."""

    def __init__(self, app: ASGIApp, report: Reports) -> None:
        self._app, self._report = app, report

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Answer a request, and tell of it."""
        if scope["type"] != "http":
            await self._app(scope, receive, send)
            return
        began, status = time.monotonic(), 0
        state = scope.setdefault("state", {})

        async def sending(message: Message) -> None:
            nonlocal status
            if message["type"] == "http.response.start":
                status = message["status"]
                rate = state.get("rate")
                if isinstance(rate, Rate):
                    headers = MutableHeaders(scope=message)
                    for name, value in rate.headers().items():
                        headers[name] = value
            await send(message)

        try:
            await self._app(scope, receive, sending)
        finally:
            actor = state.get("actor")
            who = actor.name if isinstance(actor, Actor) else ""
            route = getattr(scope.get("route"), "path", "")
            seconds = time.monotonic() - began
            client = state.get("client") or (scope.get("client") or ("",))[0]
            self._report.answered(scope["method"], route, status, who, client, seconds)

"""The last resort: what an app raised in spite of all; it is told once, and answered if nothing was yet."""

from __future__ import annotations

from starlette.types import ASGIApp, Message, Receive, Scope, Send

from gatepost_core.serving import log
from gatepost_dashboard.http.problems import problem


class Faults:
    """A layer around an app. What it raises, its last handler has raised."""

    def __init__(self, app: ASGIApp) -> None:
        self._app = app

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Answer a request, whatever the app does."""
        begun = False

        async def sending(message: Message) -> None:
            nonlocal begun
            begun = True
            await send(message)

        try:
            await self._app(scope, receive, sending)
        except TimeoutError:
            raise  # the client takes nothing: the connection ends
        except Exception as error:
            if begun:
                raise
            log.error("request failed", exc_info=error)
            await problem(500)(scope, receive, send)

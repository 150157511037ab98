"""Bounds of each request: how large its body is, how long that takes, how long a client takes nothing."""

from __future__ import annotations

from anyio import current_time, fail_after
from starlette.exceptions import HTTPException
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from gatepost_dashboard.http.problems import answer

# What is left of a request that was refused is not read.
_CLOSE = {"Connection": "close"}


class Bounds:
    """A layer of the app: ``size`` bytes, ``seconds``."""

    def __init__(self, app: ASGIApp, *, size: int, seconds: float) -> None:
        self._app, self._size, self._seconds = app, size, seconds

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Answer a request within the bounds, or refuse it."""
        if scope["type"] != "http":
            await self._app(scope, receive, send)
            return
        if _announced(scope) > self._size:
            await answer(self._too_large())(scope, receive, send)
            return
        came, whole, left = 0, False, self._seconds

        async def receiving() -> Message:
            nonlocal came, whole, left
            if whole:
                return await receive()
            begun = current_time()
            try:
                with fail_after(left):
                    message = await receive()
            except TimeoutError as error:
                raise HTTPException(408, "the request did not arrive in time", _CLOSE) from error
            # For all pieces together; what the app does between them is not the client's time.
            left = max(0.0, left - (current_time() - begun))
            came += len(message.get("body", b""))
            whole = not message.get("more_body", False)
            if came > self._size:
                raise self._too_large()
            return message

        async def sending(message: Message) -> None:
            with fail_after(self._seconds):
                await send(message)

        await self._app(scope, receiving, sending)

    def _too_large(self) -> HTTPException:
        return HTTPException(413, f"the body of a request may have {self._size} bytes", _CLOSE)


def _announced(scope: Scope) -> int:
    """Return the bytes that a request says its body has, 0 where it does not."""
    for name, value in scope["headers"]:
        if name == b"content-length" and value.isdigit():
            return int(value[:20])
    return 0

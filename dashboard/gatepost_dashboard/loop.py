"""The event loop of the worker: uvicorn's connections on uvloop, each with its bounds.

A request has ``request_seconds`` from its first byte to the end of its header, and 32 KiB for that. As long
has what comes of a body after the answer; and as long may a client take nothing of what is ready for it. For
bodies that are read, see ``http.bounds``. Threads do what blocks.
"""

from __future__ import annotations

import asyncio
import socket
import time
from email.utils import formatdate
from functools import partial
from typing import Final

import uvloop
from anyio import to_thread
from starlette.types import ASGIApp
from uvicorn import Config
from uvicorn.protocols.http.httptools_impl import HttpToolsProtocol
from uvicorn.server import ServerState

from gatepost_core.serving.accepting import accept
from gatepost_core.serving.prefork import WorkerContext
from gatepost_core.settings import DashboardSettings
from gatepost_dashboard.http.headers import POLICY

_BACKLOG: Final = 1024
_SWEEP: Final = 0.5
_IDLE_SECONDS: Final = 30
_DRAIN_SHARE: Final = 0.8
_HEADER_MOST: Final = 32_768


class Server:
    """The worker's part: serves on the listener until it is to drain."""

    def __init__(self, listener: socket.socket, app: ASGIApp, settings: DashboardSettings) -> None:
        self._listener, self._settings = listener, settings
        self._config = Config(
            app,
            lifespan="off",
            http=HttpToolsProtocol,
            ws="none",
            access_log=False,
            log_config=None,
            log_level="critical",  # what goes wrong is told in our own words: http.faults
            proxy_headers=False,
            server_header=False,
            timeout_keep_alive=_IDLE_SECONDS,
        )

    def serve(self, context: WorkerContext) -> None:
        """Serve until ``context`` tells to drain, then answer what has begun and return."""
        self._config.load()
        loop = uvloop.new_event_loop()
        try:
            loop.run_until_complete(self._run(loop, context))
            loop.run_until_complete(loop.shutdown_default_executor())
        finally:
            loop.close()

    async def _run(self, loop: asyncio.AbstractEventLoop, context: WorkerContext) -> None:
        to_thread.current_default_thread_limiter().total_tokens = self._settings.threads
        state, end = ServerState(), asyncio.Event()
        _stamp(state)
        make = partial(_Connection, self._config, state, self._settings)
        server = await accept(make, self._listener, _BACKLOG)
        loop.add_reader(context.drain_fd, end.set)
        beat = loop.create_task(_beating(context))
        while not end.is_set():
            _stamp(state)
            _sweep(state)
            try:
                await asyncio.wait_for(end.wait(), _SWEEP)
            except TimeoutError:
                continue
        loop.remove_reader(context.drain_fd)
        server.close()
        deadline = time.monotonic() + _DRAIN_SHARE * self._settings.drain_seconds
        for connection in list(state.connections):
            connection.shutdown()
        while (state.connections or state.tasks) and time.monotonic() < deadline:
            _sweep(state)
            await asyncio.sleep(0.02)
        for connection in list(state.connections):
            connection.transport.abort()
        for task in list(state.tasks):
            task.cancel()
        beat.cancel()
        await asyncio.sleep(0)


class _Connection(HttpToolsProtocol):
    """One connection. ``due``: when it is given up, 0.0 while it need not be in time."""

    def __init__(self, config: Config, state: ServerState, settings: DashboardSettings) -> None:
        super().__init__(config, state, {})
        self._settings = settings
        self.due = 0.0
        self._unsent, self._taken = 0, 0.0  # bytes that wait for the client; since when there are so many
        self._header = 0  # bytes of it so far; -1: the header is whole

    def connection_made(self, transport: asyncio.Transport) -> None:  # type: ignore[override]
        """Begin, unless there are too many."""
        super().connection_made(transport)
        self.due = time.monotonic() + self._settings.request_seconds
        if len(self.connections) > self._settings.connections:
            self._refuse("503 Service Unavailable", "too many connections; come again")

    def data_received(self, data: bytes) -> None:
        """Take bytes, of a header only so many."""
        if self.transport.is_closing():
            return
        if self._header >= 0:
            self._header += len(data)
            if not self.due:
                self.due = time.monotonic() + self._settings.request_seconds
        super().data_received(data)
        if self._header > _HEADER_MOST:
            self._refuse("431 Request Header Fields Too Large", f"expected {_HEADER_MOST} bytes at most")

    def on_headers_complete(self) -> None:
        """Answer, once the header is there."""
        self._header, self.due = -1, 0.0
        self._unset_keepalive_if_required()
        super().on_headers_complete()

    def on_message_complete(self) -> None:
        """Expect another request."""
        self._header = 0
        super().on_message_complete()
        if self.cycle.response_complete:
            # It was answered before it was whole; what came since ended the wait for the next: begin it anew.
            self.due = 0.0
            self._unset_keepalive_if_required()
            wait = self.timeout_keep_alive
            self.timeout_keep_alive_task = self.loop.call_later(wait, self.timeout_keep_alive_handler)

    def on_response_complete(self) -> None:
        """Wait for the next request; nobody reads what is still to come of this one, so that has its time."""
        super().on_response_complete()
        if self._header < 0 and self.cycle.response_complete:
            self.due = time.monotonic() + self._settings.request_seconds

    def sweep(self, now: float) -> None:
        """Give up, if it takes too long to say what it wants, or takes nothing, even of what it gets last."""
        unsent = self.transport.get_write_buffer_size()
        if unsent != self._unsent:
            self._unsent, self._taken = unsent, now
        stuck = unsent and now - self._taken >= self._settings.request_seconds
        if stuck or (self.due and self.due <= now):
            self.transport.abort()

    def send_400_response(self, msg: str) -> None:
        """Refuse what is no HTTP."""
        del msg
        self._refuse("400 Bad Request", "this is no request of HTTP/1.1")

    def _refuse(self, status: str, text: str) -> None:
        """Say why and close; the app has no part in it."""
        number, _, title = status.partition(" ")
        body = f'{{"type":"about:blank","title":"{title}","status":{number},"detail":"{text}"}}\n'
        lines = (
            f"HTTP/1.1 {status}",
            "Content-Type: application/problem+json",
            f"Content-Length: {len(body)}",
            f"Content-Security-Policy: {POLICY}",
            "Cache-Control: no-store",
            "Connection: close",
        )
        if not self.transport.is_closing():
            self.transport.write("\r\n".join([*lines, "", body]).encode())
            self.transport.close()


def _sweep(state: ServerState) -> None:
    """End what takes too long."""
    now = time.monotonic()
    for one in list(state.connections):
        if isinstance(one, _Connection):
            one.sweep(now)


def _stamp(state: ServerState) -> None:
    state.default_headers = [(b"date", formatdate(usegmt=True).encode())]


async def _beating(context: WorkerContext) -> None:
    while context.beat_every is not None:
        context.beat()
        await asyncio.sleep(context.beat_every)

"""The event loop of a worker: connections on uvloop, each with its deadlines.

A connection has ``request_seconds`` for each request from its first byte on, ``idle_seconds`` between two,
and is ended where nothing of an answer was taken for ``request_seconds``. Requests of one connection are
answered in their order, one at a time; meanwhile no more is read. Threads do what blocks: a flush, a file.
"""

from __future__ import annotations

import asyncio
import socket
import time
from collections import deque
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import dataclass
from functools import partial
from typing import NamedTuple

import uvloop

from gatepost_core.domain import utc_now
from gatepost_core.serving import log
from gatepost_core.serving.accepting import accept
from gatepost_core.serving.lineserver import Observer
from gatepost_core.serving.prefork import WorkerContext
from gatepost_core.serving.proxies import Proxies
from gatepost_core.spool import SpoolError
from gatepost_tracker import pages, proxied
from gatepost_tracker.bounds import Bounds
from gatepost_tracker.codec import Refused, Request, RequestReader, Response, render
from gatepost_tracker.holdings import Images
from gatepost_tracker.records import Records
from gatepost_tracker.report import Reporter
from gatepost_tracker.site import Happened, Image, Keep, Reply, Site
from gatepost_tracker.verdicts import BURST, Bursts

_SWEEP = 0.5
_BACKLOG = 1024
_HELD_MOST = 64 * 1024**2  # bytes of images that slow clients have not taken, of a worker
_FLUSHING, _READING = 8, 2  # threads


@dataclass(frozen=True, slots=True)
class Parts:
    """What a worker answers with."""

    site: Site
    proxies: Proxies
    records: Records
    images: Images
    bounds: Bounds
    bursts: Bursts
    report: Reporter
    observe: Observer


@dataclass(frozen=True, slots=True)
class Times:
    """Seconds, and how many connections at once."""

    request: float
    idle: float
    drain: float
    connections: int
    proxy_protocol: bool


class Server:
    """A worker's part: serves on a socket shared with the other workers until it is to drain."""

    def __init__(self, listener: socket.socket, parts: Parts, times: Times) -> None:
        self._listener = listener
        self.parts, self.times = parts, times
        self.open: set[_Connection] = set()
        self._noting: list[_Noting] = []
        self.held = 0
        self.draining = False
        self.flushing = ThreadPoolExecutor(_FLUSHING, thread_name_prefix="flush")
        self.reading = ThreadPoolExecutor(_READING, thread_name_prefix="image")

    def serve(self, context: WorkerContext) -> None:
        """Serve until ``context`` tells to drain, then answer what has begun and return."""
        loop = uvloop.new_event_loop()
        try:
            loop.run_until_complete(self._run(loop, context))
        finally:
            loop.close()
            self.flushing.shutdown()
            self.reading.shutdown()

    async def _run(self, loop: asyncio.AbstractEventLoop, context: WorkerContext) -> None:
        end = asyncio.Event()
        make = partial(_Connection, self, loop)
        server = await accept(make, self._listener, _BACKLOG)
        loop.add_reader(context.drain_fd, end.set)
        beat = loop.create_task(_beating(context))
        while not end.is_set():
            self._sweep()
            try:
                await asyncio.wait_for(end.wait(), _SWEEP)
            except TimeoutError:
                continue
        loop.remove_reader(context.drain_fd)
        server.close()
        self.draining = True
        deadline = time.monotonic() + self.times.drain
        for connection in list(self.open):
            connection.end_if_idle()
        while self.open and time.monotonic() < deadline:
            self._sweep()
            await asyncio.sleep(0.02)
        for connection in list(self.open):
            connection.abort()
        beat.cancel()
        await asyncio.sleep(0)

    def note(self, loop: asyncio.AbstractEventLoop, one: _Noting) -> None:
        """Keep a click or an open with all others of this turn of the loop, then have it answered.

        Each call of the kernel gives Python's lock away: one for each click cost more than all the rest.
        """
        if not self._noting:
            loop.call_soon(self._settle)
        self._noting.append(one)

    def _settle(self) -> None:
        noted, self._noting = self._noting, []
        self._keep([one.event for one in noted if one.kept])
        for one in noted:
            one.connection.settled(one)

    def _keep(self, events: list[Happened]) -> None:
        """Keep events; whatever becomes of that, the answers go out."""
        try:
            self.parts.records.note(events, utc_now())
        except Exception as error:  # noqa: BLE001 - the reader gets where the link leads
            if len(events) > 1:  # one of them cannot be kept
                for event in events:
                    self._keep([event])
                return
            self.parts.report.lost("spool")
            log.error("event not kept", error=str(error))

    def _sweep(self) -> None:
        now = time.monotonic()
        for connection in [one for one in self.open if one.due <= now]:
            connection.abort()


class _Noting(NamedTuple):
    """An answer that waits for its event; ``kept``: within the bounds."""

    connection: _Connection
    request: Request
    response: Response
    event: Happened
    kept: bool
    client: str
    began: float


async def _beating(context: WorkerContext) -> None:
    while context.beat_every is not None:
        context.beat()
        await asyncio.sleep(context.beat_every)


class _Connection(asyncio.Protocol):
    """One connection. ``due``: when it is given up."""

    def __init__(self, server: Server, loop: asyncio.AbstractEventLoop) -> None:
        self._server, self._loop = server, loop
        self._reader = RequestReader()
        self._todo: deque[Request | Refused] = deque()
        self._before = b"" if server.times.proxy_protocol else None  # of a PROXY header, its first bytes
        self._peer = ""
        self._busy = self._full = self._slow = self._over = self._last = self._noting = False
        self._held = 0
        self.due = 0.0

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        """Begin."""
        self._transport: asyncio.Transport = transport  # type: ignore[assignment]  # uvloop's has no such base
        peer = transport.get_extra_info("peername")
        self._peer = peer[0] if isinstance(peer, tuple) else ""
        self._slow, self.due = True, time.monotonic() + self._server.times.request
        if len(self._server.open) >= self._server.times.connections:
            self._over = True
            self._transport.write(render(pages.LATER, keep_alive=False))
            self._transport.close()
            return
        self._server.open.add(self)
        self._server.parts.observe.connected(1)

    def connection_lost(self, exc: Exception | None) -> None:
        """End."""
        del exc
        self._let_go()
        self._over = True
        if self in self._server.open:
            self._server.open.discard(self)
            self._server.parts.observe.connected(-1)

    def data_received(self, data: bytes) -> None:
        """Take bytes, and answer what is complete."""
        if self._over:
            return
        if self._before is not None:
            rest = self._after_proxy(self._before + data)
            if rest is None:
                return
            data = rest
        self._todo.extend(self._reader.feed(data))
        self._turn()

    def eof_received(self) -> bool:
        """Answer what has come, also where the client sends no more."""
        self._last = bool(self._todo or self._busy or self._full or self._noting)
        return self._last

    def pause_writing(self) -> None:
        """The client takes nothing now."""
        self._full = True
        self.due = time.monotonic() + self._server.times.request

    def resume_writing(self) -> None:
        """It does again."""
        self._full = False
        self._let_go()
        self._turn()

    def abort(self) -> None:
        """Give up."""
        self._transport.abort()

    def end_if_idle(self) -> None:
        """Close where nothing has begun."""
        if not (self._todo or self._busy or self._full or self._noting or self._reader.begun):
            self._transport.close()

    def _after_proxy(self, data: bytes) -> bytes | None:
        try:
            begun = proxied.read(data)
        except proxied.ProxyError as error:
            self._server.parts.report.refused(400, str(error), self._peer)
            self._over = True
            self._transport.abort()
            return None
        if begun is None:
            self._before = data
            return None
        self._before = None
        self._peer = begun.client or self._peer
        return data[begun.size :]

    def _turn(self) -> None:
        """Go on with what is to be answered, until something is to be waited for."""
        while self._todo and not (self._busy or self._full or self._over or self._noting):
            one = self._todo.popleft()
            try:
                self._answer(one)
            except Exception as error:  # noqa: BLE001 - one request must not end the other connections
                log.error("request failed", exc_info=error)
                self._send(Response(500, pages.STRICT), keep_alive=False)
        if self._over or self._noting:
            return
        if self._todo or self._busy or self._full:
            self._transport.pause_reading()
            if self._busy:
                self.due = time.monotonic() + self._server.times.request + self._server.times.drain
            return
        if self._last or (self._server.draining and not self._reader.begun):
            self._over = True
            self._transport.close()
            return
        self._transport.resume_reading()
        now = time.monotonic()
        if not self._reader.begun:
            self._slow, self.due = False, now + self._server.times.idle
        elif not self._slow:
            self._slow, self.due = True, now + self._server.times.request

    def _answer(self, one: Request | Refused) -> None:
        parts = self._server.parts
        if isinstance(one, Refused):
            parts.report.refused(one.status, one.reason, self._peer)
            self._send(Response(one.status, pages.STRICT), keep_alive=False)
            return
        began = time.monotonic()
        client = parts.proxies.client(self._peer, one.fields.get("x-forwarded-for", ""))
        answer = parts.site.answer(one, client)
        if isinstance(answer, Reply):
            if answer.event is not None:
                self._noting = True
                self._server.note(self._loop, self._judged(one, answer.response, answer.event, client, began))
                return
            self._reply(one, answer.response)
            parts.report.answered("other", answer.response.status, client, None)
            parts.observe.seconds(time.monotonic() - began)
        elif isinstance(answer, Image):
            seen = one.fields.get("if-none-match", "")
            work = self._server.reading.submit(parts.images.response, answer.name, seen)
            self._later(work, one, client, None)
        else:
            self._later(self._server.flushing.submit(_kept, parts.records, answer), one, client, answer)

    def _judged(
        self, one: Request, response: Response, event: Happened, client: str, began: float
    ) -> _Noting:
        """Return what is to be kept and answered: within the bounds or not, one of many at once or not."""
        parts = self._server.parts
        kept = parts.bounds.admit(event.message, event.about, began)
        if not kept:
            parts.report.lost("bound")
        elif event.type == "clicked" and parts.bursts.too_many(event.message, event.about, began):
            event = event.judged(BURST)
        return _Noting(self, one, response, event, kept, client, began)

    def settled(self, one: _Noting) -> None:
        """Answer: the event is kept, as far as it can be."""
        self._noting = False
        parts = self._server.parts
        parts.report.answered("other", one.response.status, one.client, one.event)
        parts.observe.seconds(time.monotonic() - one.began)
        if not self._over:
            self._reply(one.request, one.response)
            self._turn()

    def _later(self, work: Future[Response], one: Request, client: str, kept: Keep | None) -> None:
        self._busy = True

        def done(future: Future[Response]) -> None:
            self._loop.call_soon_threadsafe(self._done, future, one, client, kept)

        work.add_done_callback(done)

    def _done(self, future: Future[Response], one: Request, client: str, kept: Keep | None) -> None:
        self._busy = False
        error = future.exception()
        if error is not None:
            log.error("request failed", exc_info=error)
        response = pages.LATER if error is not None else future.result()
        event = kept.event if kept is not None and response is kept.response else None
        kind = "image" if kept is None else "other"
        self._server.parts.report.answered(kind, response.status, client, event)
        if not self._over:
            if len(response.body) + self._server.held > _HELD_MOST:
                response = pages.LATER
            self._reply(one, response)
            self._turn()

    def _reply(self, request: Request, response: Response) -> None:
        keep_alive = request.keep_alive and not self._server.draining
        self._send(response, head=request.method == "HEAD", keep_alive=keep_alive)

    def _send(self, response: Response, *, head: bool = False, keep_alive: bool) -> None:
        data = render(response, head=head, keep_alive=keep_alive)
        self._transport.write(data)
        if self._full:
            self._held += len(data)
            self._server.held += len(data)
        if not keep_alive:
            self._over = True
            self.due = time.monotonic() + self._server.times.request
            self._transport.close()

    def _let_go(self) -> None:
        self._server.held -= self._held
        self._held = 0


def _kept(records: Records, answer: Keep) -> Response:
    """Have an event on disk, and return what is answered then. In a thread."""
    try:
        records.keep(answer.event, utc_now())
    except (SpoolError, ValueError) as error:
        log.error("unsubscribe not kept", error=str(error))
        return answer.failed
    return answer.response

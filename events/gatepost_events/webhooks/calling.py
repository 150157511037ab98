"""The HTTP client: a thread with an event loop, which is given requests and gives back answers.

One request is one attempt: no redirect is followed, no cookie kept, no proxy asked. Of an answer only the
beginning is read, whatever it says of its length. ``Request.deadline`` covers all of it, names included.
"""

from __future__ import annotations

import asyncio
import os
import queue
import ssl
import threading
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Final, NamedTuple

import aiohttp

from gatepost_core.domain.texts import bounded
from gatepost_core.serving import log
from gatepost_core.serving.tls import client_context
from gatepost_core.store.webhooks.outbox import Waiting
from gatepost_events.webhooks.resolving import Forbidden, Names, checked_socket

if TYPE_CHECKING:
    from pathlib import Path

    from aiohttp.abc import AbstractResolver

_READ: Final = 1_000
_SHOWN: Final = 200
_FIRST_ERROR: Final = 400
# Shorter than servers keep a connection that nobody uses: none is used that they close meanwhile.
_IDLE: Final = 2.0
_REDIRECT: Final = range(300, 400)
_OK: Final = range(200, 300)


@dataclass(frozen=True, slots=True)
class Request:
    """One attempt. ``allow_private``: any address will do."""

    row: Waiting
    url: str
    allow_private: bool
    headers: Mapping[str, str] = field(repr=False)
    body: bytes = field(repr=False)


@dataclass(frozen=True, slots=True)
class Answer:
    """What came of it. ``status``: HTTP's, 0 where none came; ``text``: what to tell people.

    ``retry_after``: the field of that name, '' without one.
    """

    row: Waiting
    ok: bool
    status: int
    text: str
    seconds: float
    retry_after: str = ""


class _Said(NamedTuple):
    status: int
    text: str
    retry_after: str = ""


class Client:
    """Sends requests. ``timeout``: seconds for each; ``ca_file``: authorities beside the system's.

    ``names`` makes, within the event loop, what finds addresses.
    """

    def __init__(
        self, timeout: float, ca_file: Path | None, names: Callable[[], AbstractResolver] = Names
    ) -> None:
        self.answers: queue.SimpleQueue[Answer] = queue.SimpleQueue()
        self._timeout = timeout
        self._names = names
        self._context = client_context(str(ca_file or ""), besides=True)
        self._loop = asyncio.new_event_loop()
        self._tasks: set[asyncio.Task[None]] = set()
        self._thread = threading.Thread(target=self._run, name="webhooks-http")
        self._sessions: dict[bool, aiohttp.ClientSession] = {}
        self._thread.start()

    def send(self, request: Request) -> None:
        """Begin a request; its answer comes in ``answers``."""
        self._loop.call_soon_threadsafe(self._begin, request)

    def close(self) -> None:
        """End: what is under way is broken off."""
        self._loop.call_soon_threadsafe(self._loop.stop)
        self._thread.join()

    def _run(self) -> None:
        asyncio.set_event_loop(self._loop)
        try:
            self._loop.run_forever()
            self._loop.run_until_complete(self._end())
        finally:
            self._loop.close()

    async def _end(self) -> None:
        for task in self._tasks:
            task.cancel()
        await asyncio.gather(*self._tasks, return_exceptions=True)
        for session in self._sessions.values():
            await session.close()
        await asyncio.sleep(0)  # transports close in the next turn

    def _begin(self, request: Request) -> None:
        task = self._loop.create_task(self._send(request))
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)

    async def _send(self, request: Request) -> None:
        began = time.monotonic()
        said = _Said(0, "")
        try:
            said = await self._attempt(request)
        except Exception as error:  # noqa: BLE001 - an answer must come, whatever it is
            log.error("internal error", exc_info=error)
            said = _Said(0, repr(error))
        finally:  # also when it is broken off
            seconds = time.monotonic() - began
            # aiohttp keeps bytes that are no UTF-8 as halves of surrogate pairs, which no database takes.
            text = said.text.encode("utf-8", "replace").decode("utf-8")
            self.answers.put(
                Answer(request.row, said.status in _OK, said.status, text, seconds, said.retry_after)
            )

    async def _attempt(self, request: Request) -> _Said:
        try:
            async with asyncio.timeout(self._timeout):
                return await self._post(request)
        except TimeoutError:
            return _Said(0, f"no answer within {self._timeout:g} s")
        except (aiohttp.ClientError, OSError, ValueError) as error:
            return _Said(0, _told(error))

    async def _post(self, request: Request) -> _Said:
        async with self._session(request.allow_private).post(
            request.url, data=request.body, headers=request.headers, allow_redirects=False
        ) as response:
            status = response.status
            if status in _REDIRECT:
                where = bounded(response.headers.get("Location", "nowhere"), _SHOWN)
                return _Said(status, f"{status}: leads to {where}, and redirects are not followed")
            beginning = await response.content.read(_READ)
            if not response.content.at_eof():
                response.close()  # the rest, however long it is, is not waited for
            said = " ".join(beginning.decode("utf-8", "replace").split()) if status >= _FIRST_ERROR else ""
            said = bounded(said, _SHOWN)
            reason = bounded(response.reason or "", _SHOWN)
            text = f"{status} {reason}".rstrip() + (f": {said}" if said else "")
            return _Said(status, text, response.headers.get("Retry-After", ""))

    def _session(self, allow_private: bool) -> aiohttp.ClientSession:
        """Return the session that connects to public addresses only, or to any."""
        if allow_private not in self._sessions:
            connector = aiohttp.TCPConnector(
                limit=0,  # how many there are is decided by slots
                resolver=self._names(),
                use_dns_cache=False,
                ssl=self._context,
                socket_factory=None if allow_private else checked_socket,
                keepalive_timeout=_IDLE,
            )
            self._sessions[allow_private] = aiohttp.ClientSession(
                connector=connector,
                cookie_jar=aiohttp.DummyCookieJar(),
                auto_decompress=False,
                timeout=aiohttp.ClientTimeout(total=None),  # the deadline covers the whole
                skip_auto_headers=("Accept-Encoding",),
            )
        return self._sessions[allow_private]


def _told(error: BaseException) -> str:
    """Return an error in words, by what caused it."""
    causes = [error]
    while causes[-1].__cause__ is not None:
        causes.append(causes[-1].__cause__)
    for one in reversed(causes):
        if isinstance(one, Forbidden):
            return str(one)
        if isinstance(one, ssl.SSLCertVerificationError):
            return f"the certificate cannot be trusted: {one.verify_message}"
        if isinstance(one, ssl.SSLError):
            return bounded(f"no TLS: {one.reason or one}", _SHOWN)
        if isinstance(one, OSError) and one.errno is not None:
            return f"no connection: {os.strerror(one.errno)}"
    if isinstance(error, aiohttp.ClientResponseError | aiohttp.ClientPayloadError):
        return bounded(f"no HTTP: {error}", _SHOWN)
    if isinstance(error, aiohttp.ServerDisconnectedError):
        return "the connection was closed before an answer"
    return bounded(str(error) or type(error).__name__, _SHOWN)

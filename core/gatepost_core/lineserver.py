"""A stream server on top of the supervisor: a thread a connection, a sans-I/O session behind each.

A session gets the bytes that arrived and returns what to do, in order: ``Send`` (at once, or not
before a given time) and ``Close``. It sees neither sockets nor threads. How it fails:

* ``StoreUnavailable`` out of a session: logged, and the connection closed without an answer, which
  Postfix takes for a temporary fault (454 at AUTH, default_action at policy).
* Any other exception: logged with its traceback, that connection closed, the worker goes on.
* Drain: no new connections; requests that have arrived are answered, then each connection ends.

Postfix keeps a connection a smtpd process for as long as that lives, so connections are idle for
long and there is no time limit on them; ``Limits.connections`` bounds them for each worker, more
wait in the kernel's queue for a free place or another worker.
"""

from __future__ import annotations

import os
import resource
import select
import socket
import struct
import threading
import time
from collections.abc import Callable, Sequence
from contextlib import suppress
from dataclasses import dataclass
from typing import Protocol

from gatepost_core.log import get_logger
from gatepost_core.prefork import WorkerContext
from gatepost_core.store.errors import StoreUnavailable

_RECV = 16_384
# Python's frames are on the heap; SQLite and regular expressions need little more than this holds.
_THREAD_STACK = 256 * 1024
_ACCEPT_PAUSE = 0.2
# A struct timeval (setsockopt(2)): a peer that does not read must not keep a thread for ever.
_SEND_TIMEOUT = struct.pack("@ll", 30, 0)


@dataclass(frozen=True, slots=True)
class Send:
    """Send ``data``, not before ``not_before`` (seconds of the monotonic clock)."""

    data: bytes
    not_before: float | None = None


@dataclass(frozen=True, slots=True)
class Close:
    """End the connection; ``reason`` goes to the log. ``fault`` says that it is ours, not the peer's."""

    reason: str
    fault: bool = False


Output = Send | Close


class Session(Protocol):
    """The logic of one connection. Called by one thread only."""

    def start(self) -> Sequence[Output]:
        """Return what the server says first."""
        ...

    def receive(self, data: bytes, now: float) -> Sequence[Output]:
        """Return what to do about ``data``, which arrived at ``now`` (monotonic seconds)."""
        ...


@dataclass(frozen=True, slots=True)
class Limits:
    """``connections`` at once in a worker; ``join_seconds`` for the last answers when draining."""

    connections: int = 2000
    join_seconds: float = 15.0


def _ignore(value: float) -> None:
    """Observe nothing."""
    del value


@dataclass(frozen=True, slots=True)
class Observer:
    """What metrics want to know: ``connected`` +1 and -1, ``seconds`` that a session took to answer."""

    connected: Callable[[int], None] = _ignore
    seconds: Callable[[float], None] = _ignore


class LineServer:
    """A worker's part: accepts on a listening socket shared with the other workers and serves.

    ``session`` makes the logic of a new connection; ``observe`` is told of connections and seconds.
    """

    def __init__(
        self,
        listener: socket.socket,
        session: Callable[[], Session],
        *,
        limits: Limits | None = None,
        observe: Observer | None = None,
    ) -> None:
        self._listener = listener
        self._session = session
        self._limits = limits or Limits()
        self._observe = observe or Observer()
        self._open: dict[socket.socket, threading.Thread] = {}
        self._lock = threading.Lock()
        self._freed = os.eventfd(0, os.EFD_NONBLOCK | os.EFD_CLOEXEC)
        self._log = get_logger()

    def serve(self, context: WorkerContext) -> None:
        """Serve until ``context`` tells to drain, then answer what has arrived and return."""
        threading.stack_size(_THREAD_STACK)
        _allow_descriptors(self._limits.connections + 64)
        poll = select.poll()
        poll.register(context.drain_fd, select.POLLIN)
        poll.register(self._freed, select.POLLIN)
        poll.register(self._listener, select.POLLIN)
        accepting = True
        while True:
            ready = {fd for fd, _ in poll.poll()}
            if context.drain_fd in ready:
                break
            if self._freed in ready:
                os.eventfd_read(self._freed)
            if self._listener.fileno() in ready:
                self._accept()
            room = len(self._open) < self._limits.connections
            if room != accepting:
                poll.modify(self._listener, select.POLLIN if room else 0)
                accepting = room
        self._drain()

    def _accept(self) -> None:
        """Take one connection, unless another worker was quicker."""
        try:
            connection, _ = self._listener.accept()
        except (BlockingIOError, ConnectionAbortedError):
            return
        except OSError as error:  # no descriptor or memory left
            self._log.error("cannot accept a connection", error=str(error))
            time.sleep(_ACCEPT_PAUSE)
            return
        thread = threading.Thread(target=self._run, args=(connection,), daemon=True)
        with self._lock:
            self._open[connection] = thread
        try:
            thread.start()
        except RuntimeError as error:  # no thread left
            self._log.error("cannot serve a connection", error=str(error))
            self._forget(connection)
            time.sleep(_ACCEPT_PAUSE)

    def _run(self, connection: socket.socket) -> None:
        """Serve one connection to its end, whatever happens there."""
        self._observe.connected(1)
        try:
            connection.setblocking(True)
            connection.setsockopt(socket.SOL_SOCKET, socket.SO_SNDTIMEO, _SEND_TIMEOUT)
            if connection.family != socket.AF_UNIX:
                connection.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
            _converse(connection, self._session(), self._observe.seconds)
        except StoreUnavailable as error:
            self._log.error("store unavailable, closing without an answer", error=str(error))
        except OSError as error:  # the peer went away
            self._log.info("connection lost", error=str(error))
        except Exception:  # noqa: BLE001 - one connection's trouble must not end the others
            self._log.error("connection failed", exc_info=True)
        finally:
            self._forget(connection)
            self._observe.connected(-1)

    def _forget(self, connection: socket.socket) -> None:
        with self._lock:
            was_full = len(self._open) >= self._limits.connections
            self._open.pop(connection, None)
            connection.close()
        if was_full:
            os.eventfd_write(self._freed, 1)

    def _drain(self) -> None:
        """End all connections. Bytes that have arrived are still read after SHUT_RD, then end of file."""
        with self._lock:
            for connection in self._open:
                with suppress(OSError):
                    connection.shutdown(socket.SHUT_RD)
            threads = list(self._open.values())
        deadline = time.monotonic() + self._limits.join_seconds
        for thread in threads:
            thread.join(max(0.0, deadline - time.monotonic()))


def _converse(connection: socket.socket, session: Session, observe: Callable[[float], None]) -> None:
    """Carry bytes between a connection and its session until one of them ends it."""
    receive, clock = connection.recv, time.monotonic
    outputs = session.start()
    while True:
        for output in outputs:
            if isinstance(output, Close):
                _log_close(output)
                return
            if output.not_before is not None and (wait := output.not_before - clock()) > 0:
                time.sleep(wait)
            connection.sendall(output.data)
        data = receive(_RECV)
        if not data:
            return
        began = clock()
        outputs = session.receive(data, began)
        observe(clock() - began)


def _log_close(close: Close) -> None:
    log = get_logger()
    (log.error if close.fault else log.warning)("connection closed", reason=close.reason)


def _allow_descriptors(wanted: int) -> None:
    """Raise the soft limit of open files as far as is wanted and allowed."""
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    most = wanted if hard == resource.RLIM_INFINITY else min(wanted, hard)
    if soft != resource.RLIM_INFINITY and soft < most:
        resource.setrlimit(resource.RLIMIT_NOFILE, (most, hard))

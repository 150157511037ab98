"""A stream server on top of the supervisor: an event loop a worker, a sans-I/O session a connection.

A session gets the bytes that arrived and returns what to do, in order (``outputs``): ``Send`` (at once,
or not before a given time), ``Close``, and ``Later`` for what blocks, which a bounded pool of threads
does while the loop goes on. One thread answers all that is quick: threads that hand Python's lock to
each other cost more than the answers. How it fails:

* ``StoreUnavailable`` out of a session: logged, and the connection closed without an answer, which
  Postfix takes for a temporary fault (454 at AUTH, default_action at policy).
* No descriptor or memory left for another connection: those that wait are tried again five times a second;
  the others are served meanwhile.
* Any other exception: logged with its traceback, that connection closed, the worker goes on.
* A peer that does not read its answers for 30 s is dropped.
* A loop that does not turn shows no sign of life, and the parent replaces the worker (heartbeat.py); a
  worker of which ``unfit`` says why it cannot serve any more drains and ends by itself.
* Drain: no new connections; requests that have arrived are answered, then each connection ends.

Postfix keeps a connection a smtpd process for as long as that lives, so connections are idle for
long and there is no time limit on them; ``Limits.connections`` bounds them for each worker, more
wait in the kernel's queue for a free place or another worker.
"""

from __future__ import annotations

import heapq
import itertools
import os
import resource
import select
import socket
import threading
import time
from collections import deque
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress
from dataclasses import dataclass

from gatepost_core.domain.errors import StoreUnavailable
from gatepost_core.serving import log
from gatepost_core.serving.outputs import Close, Later, LineSession, Output, Send
from gatepost_core.serving.prefork import WorkerContext

__all__ = ["Close", "Later", "Limits", "LineServer", "LineSession", "Observer", "Output", "Send"]

_RECV = 16_384
# Python's frames are on the heap; SQLite and regular expressions need little more than this holds.
_THREAD_STACK = 256 * 1024
_ACCEPT_PAUSE = 0.2
_SEND_SECONDS = 30.0
_READ, _WRITE, _WAIT = select.EPOLLIN, select.EPOLLOUT, 0


@dataclass(frozen=True, slots=True)
class Limits:
    """``connections`` at once in a worker; ``join_seconds`` for the last answers when draining.

    ``threads`` is how many ``Later`` are done at once in a worker; more wait their turn.
    """

    connections: int = 2000
    join_seconds: float = 15.0
    threads: int = 16


def _ignore(value: float) -> None:
    """Observe nothing."""
    del value


@dataclass(frozen=True, slots=True)
class Observer:
    """What metrics want to know: ``connected`` +1 and -1, ``seconds`` that a session took to answer.

    ``unfit``: the worker of that slot can serve no more.
    """

    connected: Callable[[int], None] = _ignore
    seconds: Callable[[float], None] = _ignore
    unfit: Callable[[int], None] = _ignore


@dataclass(slots=True, eq=False)
class _Connection:
    """One connection: what is still to be done for it, and what it waits for.

    ``mask`` is what the loop listens for: it reads only when nothing is left to be done. ``due`` is the
    time of the timer in force; ``working`` says that a thread has it.
    """

    socket: socket.socket
    session: LineSession
    todo: deque[Output]
    mask: int = _READ
    due: float = 0.0
    working: bool = False
    began: float = 0.0
    open: bool = True


class LineServer:
    """A worker's part: accepts on a listening socket shared with the other workers and serves.

    ``session`` makes the logic of a new connection, whose socket tells who is there; ``observe`` is told of
    connections and seconds; ``unfit`` says why the worker can serve no more, the empty text while it can.
    """

    def __init__(
        self,
        listener: socket.socket,
        session: Callable[[socket.socket], LineSession],
        *,
        limits: Limits | None = None,
        observe: Observer | None = None,
        unfit: Callable[[], str] = str,
    ) -> None:
        self._listener = listener
        self._session = session
        self._limits = limits or Limits()
        self._observe = observe or Observer()
        self._unfit = unfit
        self._open: dict[int, _Connection] = {}
        self._timers: list[tuple[float, int, _Connection]] = []
        self._numbers = itertools.count()
        self._pool: ThreadPoolExecutor | None = None
        self._done: deque[tuple[_Connection, Sequence[Output] | BaseException]] = deque()
        self._accepting = False
        self._accept_again: float | None = None
        self._beat_every: float | None = None
        self._beat_due = 0.0

    def serve(self, context: WorkerContext) -> None:
        """Serve until ``context`` tells to drain, then answer what has arrived and return."""
        threading.stack_size(_THREAD_STACK)
        _allow_descriptors(self._limits.connections + 64)
        self._poll = select.epoll()
        self._woken = os.eventfd(0, os.EFD_NONBLOCK | os.EFD_CLOEXEC)
        self._poll.register(context.drain_fd, _READ)
        self._poll.register(self._woken, _READ)
        self._accept_if(room=True)
        room = self._limits.connections
        self._beat_every = context.beat_every
        while context.drain_fd not in self._turn(self._accept_again) and self._lives(context):
            if self._accept_again is not None or self._accepting != (len(self._open) < room):
                self._accept_if(room=self._has_room())
        self._poll.unregister(context.drain_fd)
        self._drain()
        self._poll.close()
        os.close(self._woken)

    def _lives(self, context: WorkerContext) -> bool:
        """Give a sign of life when it is due; say whether the worker can go on."""
        if self._beat_every is None or (now := time.monotonic()) < self._beat_due:
            return True
        self._beat_due = now + self._beat_every
        context.beat()
        reason = self._unfit()
        if reason:
            log.error("worker cannot serve any more, ending it", reason=reason)
            self._observe.unfit(context.slot)
        return not reason

    def _drain(self) -> None:
        """End all connections. Bytes that have arrived are still read after SHUT_RD, then end of file."""
        self._accept_if(room=False)
        for connection in list(self._open.values()):
            with suppress(OSError):
                connection.socket.shutdown(socket.SHUT_RD)
        deadline = time.monotonic() + self._limits.join_seconds
        while self._open and time.monotonic() < deadline:
            self._turn(deadline)

    def _turn(self, deadline: float | None) -> set[int]:
        """Wait for what comes next, deal with it, and return the descriptors that were not for here."""
        others = set()
        timeout = self._beat_every  # without a call: most often nothing else is to come
        if self._timers or deadline is not None:
            timeout = self._timeout(deadline)
        for fd, events in self._poll.poll(timeout):
            connection = self._open.get(fd)
            if connection is not None:
                try:
                    self._ready(connection, events)
                except Exception as error:  # noqa: BLE001 - it must not end the other connections
                    self._failed(connection, error)
            elif fd == self._listener.fileno():
                self._accept()
            elif fd == self._woken:
                os.eventfd_read(self._woken)
            else:
                others.add(fd)
        if self._done:
            self._take_done()
        if self._timers:
            self._take_due()
        return others

    def _timeout(self, deadline: float | None) -> float | None:
        """Return how long to wait; None is for ever."""
        due = self._timers[0][0] if self._timers else None
        times = [one for one in (due, deadline) if one is not None]
        if not times:
            return self._beat_every
        left = max(0.0, min(times) - time.monotonic())
        return left if self._beat_every is None else min(left, self._beat_every)

    def _has_room(self) -> bool:
        if self._accept_again is not None:
            if time.monotonic() < self._accept_again:
                return False
            self._accept_again = None
        return len(self._open) < self._limits.connections

    def _accept_if(self, *, room: bool) -> None:
        if room != self._accepting:
            self._accepting = room
            if room:
                self._poll.register(self._listener, _READ)
            else:
                self._poll.unregister(self._listener)

    def _accept(self) -> None:
        """Take the connection that waits, unless another worker was quicker."""
        try:
            accepted, _ = self._listener.accept()
        except (BlockingIOError, ConnectionAbortedError):
            return
        except OSError as error:  # no descriptor or memory left
            log.error("cannot accept a connection", error=str(error))
            self._accept_again = time.monotonic() + _ACCEPT_PAUSE
            return
        accepted.setblocking(False)
        if accepted.family != socket.AF_UNIX:
            accepted.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        connection = _Connection(accepted, self._session(accepted), deque())
        self._open[accepted.fileno()] = connection
        self._poll.register(accepted, _READ)
        self._observe.connected(1)
        self._guarded(connection, self._begin, 0)

    def _guarded(
        self, connection: _Connection, step: Callable[[_Connection, int], None], events: int
    ) -> None:
        """Do a step for a connection; one connection's trouble must not end the others."""
        try:
            step(connection, events)
        except Exception as error:  # noqa: BLE001 - see above
            self._failed(connection, error)

    def _failed(self, connection: _Connection, error: BaseException) -> None:
        if isinstance(error, StoreUnavailable):
            log.error("store unavailable, closing without an answer", error=str(error))
        elif isinstance(error, OSError):  # the peer went away
            log.info("connection lost", error=str(error))
        else:
            log.error("connection failed", exc_info=error)
        self._forget(connection)

    def _begin(self, connection: _Connection, events: int) -> None:
        del events
        self._do(connection, connection.session.start())

    def _ready(self, connection: _Connection, events: int) -> None:
        """Read, or go on with what is to be done; a peer that is gone is told nothing more."""
        if connection.mask != _READ:
            if events & (select.EPOLLHUP | select.EPOLLERR):
                raise ConnectionResetError("the peer hung up before it was answered")
            self._do(connection, ())
            return
        data = connection.socket.recv(_RECV)
        if not data:
            self._forget(connection)
            return
        began = connection.began = time.monotonic()
        outputs = connection.session.receive(data, began)
        if len(outputs) == 1:  # the usual case; while the mask is _READ nothing else waits
            output = outputs[0]
            if isinstance(output, Later):
                self._do(connection, outputs)
                return
            if isinstance(output, Send) and output.not_before is None:
                try:
                    sent = connection.socket.send(output.data)
                except BlockingIOError:
                    sent = 0
                outputs = () if sent == len(output.data) else (Send(output.data[sent:]),)
        self._observe.seconds(time.monotonic() - began)
        if outputs:
            self._do(connection, outputs)

    def _do(self, connection: _Connection, outputs: Sequence[Output]) -> None:
        """Carry out what is to be done, as far as it can be done now, and listen for what comes next."""
        todo = connection.todo
        todo.extend(outputs)
        mask = _READ
        while todo:
            output = todo.popleft()
            if isinstance(output, Send):
                mask = self._send(connection, output)
                if mask != _READ:
                    break
            elif isinstance(output, Close):
                log.now("error" if output.fault else "warning", "connection closed", reason=output.reason)
                self._forget(connection)
                return
            else:
                self._start_work(connection, output)
                mask = _WAIT
                break
        if mask != connection.mask:
            connection.mask = mask
            self._poll.modify(connection.socket, mask)

    def _send(self, connection: _Connection, output: Send) -> int:
        """Send what can be sent now; put back the rest. Return what to listen for then."""
        if output.not_before is not None and output.not_before > time.monotonic():
            connection.todo.appendleft(output)
            self._wake_at(connection, output.not_before)
            return _WAIT
        try:
            sent = connection.socket.send(output.data)
        except BlockingIOError:
            sent = 0
        if sent == len(output.data):
            connection.due = 0.0
            return _READ
        now = time.monotonic()
        if connection.mask == _WRITE and sent == 0 and 0.0 < connection.due <= now:
            raise TimeoutError(f"the peer has read nothing for {_SEND_SECONDS:.0f} s")
        connection.todo.appendleft(Send(output.data[sent:]))
        if sent or connection.mask != _WRITE:
            self._wake_at(connection, now + _SEND_SECONDS)
        return _WRITE

    def _wake_at(self, connection: _Connection, due: float) -> None:
        connection.due = due
        heapq.heappush(self._timers, (due, next(self._numbers), connection))

    def _take_due(self) -> None:
        """Go on with the connections whose time has come."""
        while self._timers and self._timers[0][0] <= time.monotonic():
            due, _, connection = heapq.heappop(self._timers)
            if connection.open and connection.due == due:
                self._guarded(connection, self._again, 0)

    def _again(self, connection: _Connection, events: int) -> None:
        del events
        self._do(connection, ())

    def _start_work(self, connection: _Connection, later: Later) -> None:
        """Have a thread do what blocks."""
        if self._pool is None:
            self._pool = ThreadPoolExecutor(self._limits.threads, thread_name_prefix="later")
        connection.working = True
        self._pool.submit(self._work, connection, later)

    def _work(self, connection: _Connection, later: Later) -> None:
        """In a thread of the pool: do it, and hand the result to the loop."""
        try:
            result: Sequence[Output] | BaseException = later.work()
        except BaseException as error:  # noqa: BLE001 - the loop deals with it
            result = error
        self._done.append((connection, result))
        os.eventfd_write(self._woken, 1)

    def _take_done(self) -> None:
        """Go on with the connections whose work is done."""
        while self._done:
            connection, result = self._done.popleft()
            connection.working = False
            if not connection.open:
                continue
            self._observe.seconds(time.monotonic() - connection.began)
            if isinstance(result, BaseException):
                self._failed(connection, result)
                continue
            connection.todo.extendleft(reversed(result))
            self._guarded(connection, self._again, 0)

    def _forget(self, connection: _Connection) -> None:
        """Close a connection. What a thread still does for it has no effect."""
        if not connection.open:
            return
        connection.open = False
        del self._open[connection.socket.fileno()]
        self._poll.unregister(connection.socket)
        connection.socket.close()
        self._observe.connected(-1)


def _allow_descriptors(wanted: int) -> None:
    """Raise the soft limit of open files as far as is wanted and allowed."""
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    most = wanted if hard == resource.RLIM_INFINITY else min(wanted, hard)
    if soft != resource.RLIM_INFINITY and soft < most:
        resource.setrlimit(resource.RLIMIT_NOFILE, (most, hard))

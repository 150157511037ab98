"""The supervisor of a pre-forking daemon: forks workers, respawns them, drains them on SIGTERM.

The parent is single-threaded and does nothing but wait: signals reach it through a wake-up
descriptor (signal.set_wakeup_fd), never through a handler's code. Workers share what was opened
before the fork (the listening socket). A worker that dies is replaced; when it dies at once again
and again, ever later, up to two seconds; but while none of its kind is left, one comes back within
a second. The parent never gives up. Draining: the parent closes the write end of
a pipe, workers see end of file on ``drain_fd``, finish what they have begun and return; those that
have not after ``drain_seconds`` are killed. A worker that lives and shows no sign of it is killed, and so
replaced, after ``hang_seconds`` (heartbeat.py).

Workers die with their parent (prctl(2), PR_SET_PDEATHSIG), and ignore SIGTERM, SIGINT and SIGHUP:
when to stop is the parent's decision. libmilter waits for these signals with sigwait(3) and so still
gets them; a milter asks for ``process_group``, by which a terminal's Ctrl-C reaches only the parent.
"""

from __future__ import annotations

import ctypes
import functools
import gc
import os
import select
import signal
import sys
import time
from collections.abc import Callable, Sequence
from contextlib import suppress
from dataclasses import dataclass
from types import FrameType, TracebackType
from typing import NoReturn

from gatepost_core.serving import log, notify
from gatepost_core.serving.heartbeat import Heartbeats

_PR_SET_PDEATHSIG = 1
_STEADY_SECONDS = 5.0
_WORKER = "worker"
_BACKOFF_FIRST = 0.1
_BACKOFF_MOST = 2.0
# While nobody of a role is left, one is due within this many seconds: mail is waiting.
_ALONE_MOST = 1.0
_STOP = (signal.SIGTERM, signal.SIGINT, signal.SIGHUP)
_PARENT_SIGNALS = (signal.SIGTERM, signal.SIGINT, signal.SIGHUP, signal.SIGCHLD)
# A message with features makes some thousand objects that live as long as it does. By default each would be
# looked through several times, and what the caches keep as well with every few dozen messages: 3 to 8 % of
# the milter's CPU. Cycles are rare, and reference counts free the rest at once.
_COLLECT = (20_000, 20, 50)
# Loaded before the fork: a child of a process that may have been preempted should not load libraries.
_LIBC = ctypes.CDLL(None, use_errno=True)


def _nothing() -> None:
    """Be the hook of a daemon that has nothing to do there."""


@dataclass(frozen=True, slots=True)
class WorkerContext:
    """What a worker is told: its number from 0, and the descriptor that reads end of file on drain.

    What serves calls ``beat`` every ``beat_every`` seconds, or the worker is replaced; None: it need not.
    """

    slot: int
    drain_fd: int
    beat: Callable[[], None] = _nothing
    beat_every: float | None = None

    def wait_for_drain(self, timeout: float | None = None) -> bool:
        """Wait up to ``timeout`` seconds (None: for ever) and say whether the worker is to finish."""
        poll = select.poll()
        poll.register(self.drain_fd, select.POLLIN)
        return bool(poll.poll(None if timeout is None else timeout * 1000))


Work = Callable[[WorkerContext], None]


def _no_child(slot: int) -> None:
    """Be the hook of a daemon that has nothing to do for a child."""
    del slot


@dataclass(frozen=True, slots=True)
class Hooks:
    """Where a daemon has its say. All but ``in_child`` run in the parent.

    ``in_child``: first thing in a new child, with its slot. ``ready``: once all are forked.
    ``hung``: a worker of that slot is killed, since it serves nobody. ``died``: a child of that slot is gone,
    before it is replaced. ``ended``: all children are gone.
    """

    in_child: Callable[[int], None] = _no_child
    ready: Callable[[], object] = notify.ready
    hung: Callable[[int], None] = _no_child
    died: Callable[[int], None] = _no_child
    ended: Callable[[], None] = _nothing


@dataclass(slots=True)
class _Child:
    """One place for a process: ``pid`` 0 means that it has none now and is due at ``due``."""

    slot: int
    role: str
    work: Work
    pid: int = 0
    started: float = 0.0
    due: float = 0.0
    quick_deaths: int = 0
    killed: bool = False


class Supervisor:
    """Keeps ``workers`` children that run ``work``, and one for each of ``helpers`` (name, work).

    Slots of helpers follow those of the workers; nobody waits for their signs of life. Times are seconds of
    the monotonic clock.
    """

    def __init__(
        self,
        name: str,
        workers: int,
        work: Work,
        *,
        drain_seconds: float,
        hooks: Hooks | None = None,
        helpers: Sequence[tuple[str, Work]] = (),
        process_group: bool = False,
        hang_seconds: float = 0.0,
    ) -> None:
        if workers < 1:
            raise ValueError(f"{name}: {workers} workers; at least 1 is needed")
        self.name = name
        self._drain_seconds = drain_seconds
        self._hooks = hooks or Hooks()
        self._process_group = process_group
        self._children = [_Child(slot, _WORKER, work) for slot in range(workers)]
        self._children += [_Child(workers + at, role, helper) for at, (role, helper) in enumerate(helpers)]
        self._drain_read, self._drain_write = -1, -1
        self._parent = os.getpid()
        self._ping_every = notify.watchdog_interval()
        self._beats = Heartbeats(workers, hang_seconds)

    def run(self) -> int:
        """Serve until SIGTERM or SIGINT, then drain; return the exit status, 0."""
        self._parent = os.getpid()
        with _Signals() as signals:
            self._drain_read, self._drain_write = os.pipe2(os.O_CLOEXEC)
            gc.collect()
            gc.freeze()
            gc.set_threshold(*_COLLECT)
            self._spawn_due(signals)
            self._hooks.ready()
            log.info("ready", pid=self._parent, workers=self._count())
            self._supervise(signals)
            notify.stopping()
            self._drain(signals)
            os.close(self._drain_read)
        self._hooks.ended()
        log.info("stopped")
        return 0

    def _supervise(self, signals: _Signals) -> None:
        """Replace children that die, until told to stop."""
        next_ping = time.monotonic()
        while True:
            now = time.monotonic()
            if self._ping_every is not None and now >= next_ping:
                if self._serves(now):
                    notify.watchdog()
                next_ping = now + self._ping_every
            dues = [child.due for child in self._children if not child.pid]
            if self._ping_every is not None:
                dues.append(next_ping)
            if self._beats.every is not None:
                dues.append(now + self._beats.every)
            for number in signals.wait(min(dues) - now if dues else None):
                if number in (signal.SIGTERM, signal.SIGINT):
                    log.info("stopping", signal=signal.Signals(number).name)
                    return
                if number == signal.SIGHUP:
                    log.info("SIGHUP ignored: restart the daemon to change its settings")
            self._reap()
            self._end_hung()
            self._spawn_due(signals)

    def _end_hung(self) -> None:
        """Kill workers that live and show no sign of it; what they leave is taken up like any death."""
        missed = self._beats.look()
        for child in self._children:
            if child.role == _WORKER and child.pid and not child.killed and missed(child.slot):
                log.error("worker hangs, replacing it", slot=child.slot, child=child.pid)
                child.killed = True
                self._hooks.hung(child.slot)
                os.kill(child.pid, signal.SIGKILL)

    def _serves(self, now: float) -> bool:
        """Say whether a worker lives that did not come after one that died at once, or has lived since.

        While all of them die again and again the watchdog is not fed: a new parent may help.
        """
        return any(
            child.pid and (not child.quick_deaths or now - child.started >= _STEADY_SECONDS)
            for child in self._children
            if child.role == _WORKER
        )

    def _drain(self, signals: _Signals) -> None:
        """Let the children finish; kill what is left when the time is over."""
        os.close(self._drain_write)
        deadline = time.monotonic() + self._drain_seconds
        self._reap(draining=True)  # of one that died with the signal to stop nothing more is heard
        while self._count() and (left := deadline - time.monotonic()) > 0:
            signals.wait(left)
            self._reap(draining=True)
        for child in self._children:
            if child.pid:
                log.warning("killed, not drained in time", role=child.role, slot=child.slot, child=child.pid)
                os.kill(child.pid, signal.SIGKILL)
                os.waitpid(child.pid, 0)
                child.pid = 0

    def _count(self) -> int:
        return sum(1 for child in self._children if child.pid)

    def _reap(self, *, draining: bool = False) -> None:
        """Take note of the children that have ended. Others' children are left alone."""
        for child in self._children:
            if child.pid:
                pid, status = os.waitpid(child.pid, os.WNOHANG)
                if pid:
                    self._bury(child, os.waitstatus_to_exitcode(status), draining=draining)

    def _bury(self, child: _Child, code: int, *, draining: bool) -> None:
        """Log the end of a child and decide when its successor is due."""
        now = time.monotonic()
        pid, lived = child.pid, now - child.started
        child.pid = 0
        child.quick_deaths = child.quick_deaths + 1 if lived < _STEADY_SECONDS else 0
        child.due = now + self._backoff(child.quick_deaths)
        self._hasten(child.role, now)
        self._hooks.died(child.slot)
        if draining and code == 0:
            return
        how = {"signal": _signal_name(-code)} if code < 0 else {"status": code}
        again = None if draining else round(child.due - now, 3)
        log.warning(
            "worker died", role=child.role, slot=child.slot, child=pid, lived=lived, respawn_in=again, **how
        )

    @staticmethod
    def _backoff(quick_deaths: int) -> float:
        """Return the seconds to wait: none for a first death, then twice as long each time."""
        if quick_deaths < 2:
            return 0.0
        return min(_BACKOFF_MOST, _BACKOFF_FIRST * 2.0 ** min(quick_deaths - 2, 16))

    def _hasten(self, role: str, now: float) -> None:
        """See to it that a role without a process has one soon, however often all of them died."""
        peers = [child for child in self._children if child.role == role]
        if not any(child.pid for child in peers):
            first = min(peers, key=lambda child: child.due)
            first.due = min(first.due, now + _ALONE_MOST)

    def _spawn_due(self, signals: _Signals) -> None:
        """Fork a child for each place whose time has come."""
        for child in self._children:
            if not child.pid and child.due <= time.monotonic():
                try:
                    self._spawn(child, signals)
                except OSError as error:  # no process or memory left: try again later
                    child.quick_deaths += 1
                    now = time.monotonic()
                    child.due = now + max(_BACKOFF_FIRST, self._backoff(child.quick_deaths))
                    self._hasten(child.role, now)
                    log.error("cannot fork", role=child.role, slot=child.slot, error=str(error))

    def _spawn(self, child: _Child, signals: _Signals) -> None:
        # Blocked meanwhile: a signal to the new child must not look like one to the parent.
        signal.pthread_sigmask(signal.SIG_BLOCK, _PARENT_SIGNALS)
        try:
            child.started = time.monotonic()
            child.killed = False
            if child.role == _WORKER:
                self._beats.beat(child.slot)
            child.pid = os.fork()
            if child.pid == 0:
                self._be_child(child, signals)
        finally:
            signal.pthread_sigmask(signal.SIG_UNBLOCK, _PARENT_SIGNALS)

    def _context(self, child: _Child) -> WorkerContext:
        if child.role != _WORKER:
            return WorkerContext(child.slot, self._drain_read)
        beat = functools.partial(self._beats.beat, child.slot)
        return WorkerContext(child.slot, self._drain_read, beat, self._beats.every)

    def _be_child(self, child: _Child, signals: _Signals) -> NoReturn:
        """Run ``work`` and end the process: 0 when it returned, 1 when it raised."""
        code = 1
        try:
            signals.reset_in_child()
            _die_with(self._parent)
            if self._process_group:
                os.setpgid(0, 0)
            os.close(self._drain_write)
            signal.pthread_sigmask(signal.SIG_UNBLOCK, _PARENT_SIGNALS)
            self._hooks.in_child(child.slot)
            child.work(self._context(child))
            code = 0
        except BaseException as error:  # noqa: BLE001 - a child never returns into the parent's code
            log.error("worker failed", role=child.role, slot=child.slot, exc_info=error)
        finally:
            log.flush()
            with suppress(OSError, ValueError):
                sys.stdout.flush()
            os._exit(code)


def _die_with(parent: int) -> None:
    """Have the kernel kill this process when its parent ends, also by kill -9."""
    if _LIBC.prctl(_PR_SET_PDEATHSIG, signal.SIGKILL, 0, 0, 0):
        raise OSError(ctypes.get_errno(), "prctl(PR_SET_PDEATHSIG)")
    if os.getppid() != parent:  # it ended before prctl was called
        os._exit(1)


def _signal_name(number: int) -> str:
    with suppress(ValueError):
        return signal.Signals(number).name
    return str(number)


def _note(number: int, frame: FrameType | None) -> None:
    """Handle a signal: nothing, its number has already been written to the wake-up descriptor."""
    del number, frame


class _Signals:
    """The parent's signals as a queue that can be waited for with a time-out."""

    def __enter__(self) -> _Signals:
        self._read, self._write = os.pipe2(os.O_NONBLOCK | os.O_CLOEXEC)
        self._poll = select.poll()
        self._poll.register(self._read, select.POLLIN)
        self._before_fd = signal.set_wakeup_fd(self._write, warn_on_full_buffer=False)
        self._before = {number: signal.signal(number, _note) for number in _PARENT_SIGNALS}
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        # A second SIGTERM while the daemon ends must not make a failure of that: as before, but not deadly.
        for number, handler in self._before.items():
            signal.signal(
                number, signal.SIG_IGN if handler is signal.SIG_DFL and number in _STOP else handler
            )
        signal.set_wakeup_fd(self._before_fd)
        os.close(self._read)
        os.close(self._write)

    def wait(self, timeout: float | None) -> Sequence[int]:
        """Return the numbers of the signals that came, waiting up to ``timeout`` seconds for one."""
        if self._poll.poll(None if timeout is None else max(0.0, timeout) * 1000):
            with suppress(BlockingIOError):
                return os.read(self._read, 4096)
        return b""

    def reset_in_child(self) -> None:
        """Take the parent's signal handling off a new child."""
        signal.set_wakeup_fd(-1)
        for number in (signal.SIGTERM, signal.SIGINT, signal.SIGHUP):
            signal.signal(number, signal.SIG_IGN)
        signal.signal(signal.SIGCHLD, signal.SIG_DFL)
        os.close(self._read)
        os.close(self._write)

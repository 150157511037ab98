"""The daemons of a private stack, started, watched and stopped as systemd would.

One thread owns all of them: it hands each its socket (which so stays bound while a daemon
restarts), takes ``READY=1`` notices (sd_notify(3)), starts a daemon again
that ended by itself, and at the end sends SIGTERM and waits. It lives as long as they do,
because the kernel ties each child to the thread that started it.
"""

from __future__ import annotations

import os
import selectors
import socket
import subprocess
import threading
import time
from collections.abc import Sequence
from contextlib import suppress
from dataclasses import dataclass, field
from pathlib import Path

from gatepost_stack import process
from gatepost_stack.process import StackError

_RESTART_SECONDS = 0.1  # systemd's RestartSec
_NOTICE_BYTES = 4096


@dataclass(slots=True)
class Daemon:
    """One program to keep running: its command line, its log, the socket that it is handed."""

    name: str
    arguments: Sequence[str]
    log: Path
    listener: socket.socket | None = None
    # It ends once the others have: it takes what they leave.
    last: bool = False
    child: subprocess.Popen[bytes] | None = field(default=None, init=False)
    ready: threading.Event = field(default_factory=threading.Event, init=False)
    starts: int = field(default=0, init=False)
    restart_at: float | None = field(default=None, init=False)
    held: bool = field(default=False, init=False)


class Supervisor:
    """Keeps daemons running between ``start`` and ``stop``."""

    def __init__(self, daemons: Sequence[Daemon], notices: Path) -> None:
        self._daemons = list(daemons)
        self._notices = notices
        self._thread = threading.Thread(target=self._run, name="supervisor", daemon=True)
        self._stopping = threading.Event()
        self._failure: str = ""
        self._wake, self._woken = socket.socketpair()
        self._selector = selectors.DefaultSelector()

    def start(self, seconds: float = 30.0) -> None:
        """Start all daemons and wait until each is ready. Raises StackError with the log's last lines."""
        self._thread.start()
        deadline = time.monotonic() + seconds
        for daemon in self._daemons:
            while not daemon.ready.wait(0.05):
                if self._failure or daemon.starts > 1 or time.monotonic() > deadline:
                    why = self._failure or ("ended at once" if daemon.starts > 1 else "is not ready")
                    raise StackError(f"{daemon.name} {why}; its log ends with:\n{process.tail(daemon.log)}")

    def stop(self) -> None:
        """End all daemons by SIGTERM, wait for them, and close their sockets."""
        self._stopping.set()
        with suppress(OSError):
            self._wake.send(b"x")
        if self._thread.is_alive():
            self._thread.join()
        for daemon in self._daemons:
            if daemon.listener:
                daemon.listener.close()
        self._selector.close()
        self._wake.close()
        self._woken.close()

    def pid(self, name: str) -> int:
        """Return the process id of the daemon ``name`` that runs now. Raises KeyError for another name."""
        for daemon in self._daemons:
            if daemon.name == name and daemon.child is not None:
                return daemon.child.pid
        raise KeyError(name)

    def starts(self, name: str) -> int:
        """Return how often the daemon ``name`` was started."""
        return next(daemon.starts for daemon in self._daemons if daemon.name == name)

    def hold(self, name: str, seconds: float = 30.0) -> None:
        """End the daemon ``name`` and leave it so; its socket stays bound. Raises TimeoutError."""
        daemon = next(daemon for daemon in self._daemons if daemon.name == name)
        daemon.held = True
        if daemon.child is not None:
            daemon.child.terminate()
        deadline = time.monotonic() + seconds
        while daemon.ready.is_set():
            if time.monotonic() > deadline:
                raise TimeoutError(f"{name} did not end within {seconds} s")
            self._stopping.wait(0.02)

    def release(self, name: str) -> None:
        """Start the daemon ``name`` again that ``hold`` has ended, and wait until it is ready."""
        daemon = next(daemon for daemon in self._daemons if daemon.name == name)
        starts = daemon.starts
        daemon.held, daemon.restart_at = False, time.monotonic()
        self._wake.send(b"x")
        self.wait_ready(name, starts + 1)

    def wait_ready(self, name: str, starts: int, seconds: float = 30.0) -> None:
        """Wait until the daemon ``name`` is ready after its ``starts``-th start. Raises TimeoutError."""
        daemon = next(daemon for daemon in self._daemons if daemon.name == name)
        deadline = time.monotonic() + seconds
        while daemon.starts < starts or not daemon.ready.is_set():
            if time.monotonic() > deadline:
                raise TimeoutError(f"{name} was not started again within {seconds} s")
            daemon.ready.wait(0.02)
            if daemon.starts < starts:
                self._stopping.wait(0.02)

    def _run(self) -> None:
        inboxes = []
        try:
            self._selector.register(self._woken, selectors.EVENT_READ)
            for daemon in self._daemons:
                inboxes.append(self._open_inbox(daemon))
                self._spawn(daemon)
            while not self._stopping.is_set():
                self._turn()
        except OSError as error:
            self._failure = f"cannot be started: {error}"
            self._stopping.wait()
        finally:
            self._end()
            for inbox in inboxes:
                inbox.close()

    def _open_inbox(self, daemon: Daemon) -> socket.socket:
        inbox = socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM)
        inbox.bind(str(self._notices / daemon.name))
        inbox.setblocking(False)
        self._selector.register(inbox, selectors.EVENT_READ, daemon)
        return inbox

    def _spawn(self, daemon: Daemon) -> None:
        daemon.restart_at = None
        environ = {"NOTIFY_SOCKET": str(self._notices / daemon.name)}
        daemon.child = process.start(daemon.arguments, daemon.log, daemon.listener, environ)
        daemon.starts += 1
        self._selector.register(os.pidfd_open(daemon.child.pid), selectors.EVENT_READ, daemon)

    def _turn(self) -> None:
        """Wait for the next thing to happen, and deal with it."""
        due = [daemon.restart_at for daemon in self._daemons if daemon.restart_at is not None]
        timeout = max(0.0, min(due) - time.monotonic()) if due else None
        for key, _ in self._selector.select(timeout):
            if isinstance(key.fileobj, int):
                self._ended(key.fileobj, key.data)
            elif key.data is not None:
                self._noticed(key.fileobj, key.data)
            else:
                self._woken.recv(_NOTICE_BYTES)
        now = time.monotonic()
        for daemon in self._daemons:
            if daemon.restart_at is not None and daemon.restart_at <= now:
                self._spawn(daemon)

    def _ended(self, pidfd: int, daemon: Daemon) -> None:
        self._selector.unregister(pidfd)
        os.close(pidfd)
        if daemon.child:
            daemon.child.wait()
        daemon.restart_at = None if daemon.held else time.monotonic() + _RESTART_SECONDS
        daemon.ready.clear()

    def _noticed(self, inbox: object, daemon: Daemon) -> None:
        if isinstance(inbox, socket.socket):
            with suppress(BlockingIOError):
                if b"READY=1" in inbox.recv(_NOTICE_BYTES).split(b"\n"):
                    daemon.ready.set()

    def _end(self) -> None:
        for last in (False, True):
            children = [daemon.child for daemon in self._daemons if daemon.child and daemon.last is last]
            running = [child for child in children if child.poll() is None]
            for child in running:
                with suppress(ProcessLookupError):
                    child.terminate()
            for child in running:
                process.stop(child)
        for key in list(self._selector.get_map().values()):
            if isinstance(key.fileobj, int):
                os.close(key.fileobj)

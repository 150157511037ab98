"""Standard error that nobody waits for: what it does not take is kept for later, and beyond that dropped.

Whoever reads it (journald, a container's log driver, a terminal that Ctrl-S has stopped) may be slow or
stuck; a log must not stop mail. ``O_NONBLOCK`` would be set for everybody who shares the open file, the
operator's shell too, so each kind is written in a way that does not block by itself:

* a socket by MSG_DONTWAIT (send(2));
* a pipe by way of a pipe of our own and SPLICE_F_NONBLOCK (splice(2)), in pieces that go as a whole;
* a terminal when poll(2) says that it has room;
* a file as it is: it has room, or the write fails.

What cannot be written at all (a full disk, a closed pipe) is dropped silently: there is nobody to tell.
"""

from __future__ import annotations

import os
import select
import socket
import stat
import threading
from collections import deque
from collections.abc import Callable

# pipe(7): what is not longer is written as a whole, so that processes do not mix their lines.
WHOLE = 4_096
WAITING_MOST = 256 * 1024


class StandardError:
    """Descriptor 2, for many threads. ``told`` makes the line that says how many were dropped."""

    def __init__(self, told: Callable[[int], bytes]) -> None:
        self._told = told
        self.begin()

    def begin(self) -> None:
        """Start anew, with nothing that waits: in a forked child, whose parent writes what waited there."""
        self._lock = threading.Lock()
        self._waiting: deque[bytes] = deque()
        self._size = 0
        self._dropped = 0
        self._pipe: tuple[int, int] | None = None

    def write(self, lines: bytes = b"") -> bool:
        """Write what waits, then ``lines``, as far as they are taken now. Says whether nothing waits."""
        with self._lock:
            if lines:
                self._waiting.append(lines)
                self._size += len(lines)
            if not self._drain() and lines and self._size > WAITING_MOST:
                newest = self._waiting.pop()
                self._size -= len(newest)
                self._dropped += newest.count(b"\n")
            return not self._waiting

    def _drain(self) -> bool:
        while self._waiting:
            piece = self._waiting[0]
            sent = min(self._send(piece), len(piece))
            self._size -= sent
            if sent < len(piece):
                self._waiting[0] = piece[sent:]
                return False
            self._waiting.popleft()
            if self._dropped and not self._waiting:
                self._waiting.append(self._told(self._dropped))
                self._size += len(self._waiting[0])
                self._dropped = 0
        return True

    def _send(self, piece: bytes) -> int:
        """Return how many bytes were taken, all of them when they can never be."""
        try:
            mode = os.fstat(2).st_mode
            if stat.S_ISFIFO(mode):
                return self._splice(piece[:WHOLE])
            if stat.S_ISSOCK(mode):
                with socket.socket(fileno=os.dup(2)) as own:
                    return own.send(piece, socket.MSG_DONTWAIT)
            if stat.S_ISCHR(mode) and not _has_room():
                return 0
            return os.write(2, piece)
        except BlockingIOError:
            return 0
        except OSError:  # see the module's text
            return len(piece)

    def _splice(self, piece: bytes) -> int:
        """Move a piece into the pipe that standard error is. Raises BlockingIOError when it is full."""
        if self._pipe is None:
            self._pipe = os.pipe2(os.O_CLOEXEC | os.O_NONBLOCK)
        out, into = self._pipe
        written = os.write(into, piece)
        try:
            return os.splice(out, 2, written, flags=os.SPLICE_F_NONBLOCK)
        except OSError:
            os.read(out, written)
            raise


def _has_room() -> bool:
    poll = select.poll()
    poll.register(2, select.POLLOUT)
    return bool(poll.poll(0))

"""A go-between on the milter socket that kills the worker in the middle of its edits.

Postfix talks to it, and it to gatepost-milter. It knows which worker serves each session, and lets through an
agreed number of edits of a message; then that worker is killed (SIGKILL) and the session cut, so that Postfix
has seen exactly as much as if the worker had died right there.
"""

from __future__ import annotations

import os
import select
import signal
import socket
import struct
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

from tests.integration.wire import MODIFICATIONS

# After how many edits a worker is killed, one after the other; a message with fewer edits loses its worker
# when all were made and only the answer is missing. 0: while it works on the message.
EDITS = range(17)
_EVERY = 4  # messages: the others get through


class Killer:
    """The plan of kills, shared by all sessions."""

    def __init__(self, kills: int, workers: Callable[[], list[int]]) -> None:
        self._lock = threading.Lock()
        self._wanted = kills
        self._planned = self._messages = 0
        self._workers = workers
        self.killed: list[tuple[int, int]] = []  # process id, edits that Postfix had seen
        self.connecting = threading.Lock()

    @property
    def done(self) -> bool:
        """Whether all kills have happened."""
        return len(self.killed) >= self._wanted

    def plan(self) -> int:
        """Return after how many edits the worker of the message that begins now dies; -1: it lives."""
        with self._lock:
            self._messages += 1
            if self._planned >= self._wanted or self._messages % _EVERY:
                return -1
            self._planned += 1
            return EDITS[self._planned % len(EDITS)]

    def give_back(self) -> None:
        """Plan anew a kill that did not happen: the worker had been killed for another session's sake."""
        with self._lock:
            self._planned -= 1

    def kill(self, pid: int, edits: int) -> None:
        with suppress(ProcessLookupError):  # another session's kill came first
            os.kill(pid, signal.SIGKILL)
        with self._lock:
            self.killed.append((pid, edits))

    def sockets(self) -> dict[str, int]:
        """Return which worker holds which sockets now."""
        found: dict[str, int] = {}
        for pid in self._workers():
            with suppress(OSError):
                for entry in Path(f"/proc/{pid}/fd").iterdir():
                    with suppress(OSError):
                        found[str(entry.readlink())] = pid
        return {name: pid for name, pid in found.items() if name.startswith("socket:")}


class _Session:
    """One session between Postfix and a worker, in a thread of its own."""

    def __init__(self, postfix: socket.socket, path: str, killer: Killer) -> None:
        self._postfix, self._path, self._killer = postfix, path, killer
        self._pid = 0
        self._left = -1
        self._edits = 0
        self._from_postfix, self._from_milter = b"", b""

    def run(self) -> None:
        try:
            self._pass_on()
        finally:
            self._disarm()

    def _disarm(self) -> None:
        if self._left >= 0:
            self._left = -1
            self._killer.give_back()

    def _kill(self) -> None:
        self._left = -1
        self._killer.kill(self._pid, self._edits)

    def _pass_on(self) -> None:
        with suppress(OSError), self._postfix, socket.socket(socket.AF_UNIX) as milter:
            # One at a time, so that the socket which a worker has more afterwards is this one's.
            with self._killer.connecting:
                before = self._killer.sockets()
                milter.connect(self._path)
                self._pid = self._owner(milter, before)
            while self._pid:
                ready, _, _ = select.select([self._postfix, milter], [], [])
                if milter in ready and not self._to_postfix(milter):
                    return
                if self._postfix in ready and not self._to_milter(milter):
                    return

    def _owner(self, milter: socket.socket, before: dict[str, int]) -> int:
        """Return who has accepted the connection; 0 when nobody did, or who did was killed since."""
        deadline = time.monotonic() + 20
        while time.monotonic() < deadline and not select.select([milter], [], [], 0)[0]:
            fresh = {name: pid for name, pid in self._killer.sockets().items() if name not in before}
            if len(fresh) == 1:
                return fresh.popitem()[1]
            time.sleep(0.002)
        return 0

    def _to_milter(self, milter: socket.socket) -> bool:
        data = self._postfix.recv(1 << 16)
        if not data:
            return False
        milter.sendall(data)
        self._from_postfix, packets = _taken(self._from_postfix + data)
        for command in (one[4:5] for one in packets):
            if command == b"E":  # SMFIC_BODYEOB
                self._disarm()
                self._left, self._edits = self._killer.plan(), 0
                if self._left == 0:
                    self._kill()
                    return False
        return True

    def _to_postfix(self, milter: socket.socket) -> bool:
        data = milter.recv(1 << 16)
        if not data:
            return False
        self._from_milter, packets = _taken(self._from_milter + data)
        for one in packets:
            edit = one[4:5] in MODIFICATIONS
            if self._left > 0 and (self._edits >= self._left or (self._edits and not edit)):
                self._kill()
                return False
            self._edits += edit
            self._postfix.sendall(one)
        return True


def _taken(buffer: bytes) -> tuple[bytes, list[bytes]]:
    """Return what is left of a buffer, and the whole packets in it."""
    packets: list[bytes] = []
    while len(buffer) >= 4 and len(buffer) >= 4 + struct.unpack(">I", buffer[:4])[0]:
        end = 4 + struct.unpack(">I", buffer[:4])[0]
        packets.append(buffer[:end])
        buffer = buffer[end:]
    return buffer, packets


@contextmanager
def between(killer: Killer, here: Path, milter: Path, group: int) -> Iterator[None]:
    """Listen at ``here`` for Postfix (its ``group``), and pass each session on to ``milter``."""
    with socket.socket(socket.AF_UNIX) as listener:
        listener.bind(str(here))
        os.chown(here, 0, group)
        here.chmod(0o660)
        listener.listen(64)
        threads: list[threading.Thread] = []

        def accept() -> None:
            while True:
                try:
                    session, _ = listener.accept()
                except OSError:
                    return
                threads.append(threading.Thread(target=_Session(session, str(milter), killer).run))
                threads[-1].start()

        accepting = threading.Thread(target=accept)
        accepting.start()
        try:
            yield
        finally:
            listener.shutdown(socket.SHUT_RDWR)
            accepting.join()
            for thread in threads:
                thread.join()

"""A small server on core's line server, for tests: each line is a command.

``pid``: the worker's process id. ``later``: answered after 0.3 s. ``store``: the store fails. ``bug``:
the session raises. ``bye``: answered, then closed. ``hang``: no answer for a minute. ``work``: a thread
answers after 0.4 s; ``work bug`` and ``work store``: that fails. ``flood``: 8 MB. Others: echoed.
"""

from __future__ import annotations

import os
import sys
import time
from collections.abc import Sequence

from gatepost_core.domain import StoreUnavailable
from gatepost_core.serving import Close, Later, Output, Send, log
from gatepost_core.serving.lineserver import Limits, LineServer
from gatepost_core.serving.listen import inherited
from gatepost_core.serving.prefork import Supervisor


class Echo:
    def __init__(self) -> None:
        self._rest = b""

    def start(self) -> Sequence[Output]:
        return [Send(b"hello\n")]

    def receive(self, data: bytes, now: float) -> Sequence[Output]:
        *lines, self._rest = (self._rest + data).split(b"\n")
        return [output for line in lines for output in self._answer(line, now)]

    def _answer(self, line: bytes, now: float) -> Sequence[Output]:
        match line:
            case b"pid":
                return [Send(b"%d\n" % os.getpid())]
            case b"later":
                return [Send(b"later\n", now + 0.3)]
            case b"store":
                raise StoreUnavailable("no such file")
            case b"bug":
                raise ValueError("a bug of the session's")
            case b"bye":
                return [Send(b"bye\n"), Close("asked to")]
            case b"work" | b"work bug" | b"work store":
                return [Later(lambda: _work(line))]
            case b"flood":
                return [Send(b"x" * 8_000_000 + b"\n")]
            case b"hang":
                time.sleep(60)
        return [Send(line + b"\n")]


def _work(line: bytes) -> Sequence[Send | Close]:
    time.sleep(0.4)
    if line == b"work store":
        raise StoreUnavailable("no such file")
    if line == b"work bug":
        raise ValueError("a bug of the work's")
    return [Send(b"worked\n")]


def main() -> int:
    workers, drain_seconds, connections = int(sys.argv[1]), float(sys.argv[2]), int(sys.argv[3])
    log.configure("logfmt", "info", "echo")
    (listener,) = inherited()
    server = LineServer(listener, lambda _: Echo(), limits=Limits(connections=connections))
    hang_seconds = float(sys.argv[4]) if len(sys.argv) > 4 else 0.0
    supervisor = Supervisor(
        "echo", workers, server.serve, drain_seconds=drain_seconds, hang_seconds=hang_seconds
    )
    return supervisor.run()


if __name__ == "__main__":
    sys.exit(main())

"""The least that a login or a message can cost in Python: servers that read what Postfix sends and agree.

They speak just enough of Dovecot's auth protocol, the policy protocol and, by libmilter, the milter protocol;
they ask nobody, decide nothing, keep nothing and log nothing.
"""

from __future__ import annotations

import gc
import select
import socket
import subprocess
import sys
import tempfile
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Literal

from gatepost_bench.ready import wait_for

_GREETING = b"VERSION\t1\t0\nMECH\tPLAIN\tplaintext\nSPID\t1\nCUID\t1\nDONE\n"


@contextmanager
def running(role: Literal["sasl", "policy", "milter"], *words: str) -> Iterator[tuple[Path, int]]:
    """Run a server; yield its socket and its process id. Raises RuntimeError when it does not start."""
    with tempfile.TemporaryDirectory(prefix="gatepost-floor-", dir="/var/tmp") as folder:
        Path(folder).chmod(0o755)
        path = Path(folder) / "socket"
        server = subprocess.Popen([sys.executable, "-P", __file__, role, str(path), *words])
        try:
            wait_for(path, server)
            yield path, server.pid
        finally:
            server.kill()
            server.wait()


def sasl(path: str, user: str) -> None:
    """Serve logins on a UNIX socket until killed; every login is ``user``'s."""
    _serve(path, _GREETING, lambda connection: _log_in(connection, user))


def policy(path: str) -> None:
    """Serve policy questions on a UNIX socket until killed; nothing is refused."""
    _serve(path, b"", _permit)


def milter(path: str) -> None:
    """Serve as a milter on a UNIX socket until killed; it is sent what ours is, and every message passes."""
    import Milter  # noqa: PLC0415 - the others do without libmilter
    import milter as library  # noqa: PLC0415

    from gatepost_milter.libmilter.shell import NO_REPLY, NOT_SENT  # noqa: PLC0415

    wanted = NOT_SENT | NO_REPLY | Milter.P_HDR_LEADSPC

    def negotiate(ctx: library.milterContext, options: list[int]) -> int:
        del ctx
        options[1:] = [options[1] & wanted, 0, 0]
        return Milter.CONTINUE

    library.set_flags(Milter.CHGBODY | Milter.CHGHDRS | Milter.ADDHDRS | Milter.CHGFROM)
    library.set_envfrom_callback(lambda *_: Milter.NOREPLY)
    library.set_envrcpt_callback(lambda *_: Milter.NOREPLY)
    library.set_header_callback(lambda *_: Milter.NOREPLY)
    library.set_body_callback(lambda *_: Milter.NOREPLY)
    library.set_eom_callback(lambda _: Milter.ACCEPT)
    library.register("floor", negotiate=negotiate)
    library.setconn(f"unix:{path}")
    library.opensocket(True)
    Path(path).chmod(0o666)
    library.main()


def _serve(path: str, greeting: bytes, answer: Callable[[socket.socket], bool]) -> None:
    listener = socket.socket(socket.AF_UNIX)
    listener.bind(path)
    listener.listen(128)
    Path(path).chmod(0o666)
    poll = select.epoll()
    poll.register(listener, select.EPOLLIN)
    connections: dict[int, socket.socket] = {}
    gc.freeze()
    while True:
        for fd, _ in poll.poll():
            if fd == listener.fileno():
                accepted, _ = listener.accept()
                connections[accepted.fileno()] = accepted
                poll.register(accepted, select.EPOLLIN)
                accepted.sendall(greeting)
            elif not answer(connections[fd]):
                poll.unregister(fd)
                connections.pop(fd).close()


def _permit(connection: socket.socket) -> bool:
    data = connection.recv(16_384)
    if data:
        connection.sendall(b"action=DUNNO\n\n")
    return bool(data)


def _log_in(connection: socket.socket, user: str) -> bool:
    data = connection.recv(16_384)
    start = data.find(b"AUTH\t")
    if start >= 0:
        number = data[start + 5 : start + 20].split(b"\t", 1)[0]
        connection.sendall(b"OK\t%s\tuser=%s\n" % (number, user.encode()))
    return bool(data)


if __name__ == "__main__":
    roles: dict[str, Callable[..., None]] = {"sasl": sasl, "policy": policy, "milter": milter}
    roles[sys.argv[1]](*sys.argv[2:])

"""The least that a login can cost in Python: an epoll loop that reads a request and says OK to it.

It speaks just enough of Dovecot's auth protocol for Postfix, asks nobody and logs nothing.
"""

from __future__ import annotations

import gc
import select
import socket
import sys
from pathlib import Path

_GREETING = b"VERSION\t1\t0\nMECH\tPLAIN\tplaintext\nSPID\t1\nCUID\t1\nDONE\n"


def main(path: str, user: str) -> None:
    """Serve on a UNIX socket until killed; every login is ``user``'s."""
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
                accepted.sendall(_GREETING)
            elif not _answer(connections[fd], user):
                poll.unregister(fd)
                connections.pop(fd).close()


def _answer(connection: socket.socket, user: str) -> bool:
    data = connection.recv(16_384)
    start = data.find(b"AUTH\t")
    if start >= 0:
        number = data[start + 5 : start + 20].split(b"\t", 1)[0]
        connection.sendall(b"OK\t%s\tuser=%s\n" % (number, user.encode()))
    return bool(data)


if __name__ == "__main__":
    main(*sys.argv[1:])

"""Giving libmilter a listening socket of our own.

libmilter binds its socket itself, by umask, and takes none that systemd hands over. So it is
let bind a throw-away one, and our socket is put in its place (dup2(2)): then the address is checked,
owned and handed over as for the other daemons, and can stay bound while this one restarts.

The socket is non-blocking: several processes accept on it, and one that lost the race would sit
in accept(2) and not hear of its stop.
"""

from __future__ import annotations

import os
import socket
import tempfile
from pathlib import Path

import milter


def throw_away_address(family: int, folder: str) -> str:
    """Return an address of the family for libmilter to bind, which nobody will connect to.

    libmilter drops a connection whose address family is not that of the socket it bound.
    """
    if family == socket.AF_UNIX:
        return f"unix:{folder}/milter"
    return "inet6:0@::1" if family == socket.AF_INET6 else "inet:0@127.0.0.1"


def adopt(listener: socket.socket) -> None:
    """Have libmilter accept on ``listener``, which is then closed here. In the parent, after register().

    Raises milter.error, or RuntimeError when libmilter opened no socket that can be found.
    """
    with tempfile.TemporaryDirectory(prefix="gatepost-milter-") as folder:
        milter.setconn(throw_away_address(listener.family, folder))
        before = _listening()
        milter.opensocket(True)
        opened = _listening() - before
        if len(opened) != 1:
            raise RuntimeError(f"libmilter opened {len(opened)} listening sockets, expected 1")
        os.dup2(listener.fileno(), opened.pop(), inheritable=False)
    listener.close()


def _listening() -> set[int]:
    """Return this process's descriptors that are listening sockets."""
    found = set()
    for entry in Path("/proc/self/fd").iterdir():
        try:
            candidate = socket.socket(fileno=int(entry.name))
        except OSError:
            continue  # no socket, or the descriptor of the listing itself
        if candidate.getsockopt(socket.SOL_SOCKET, socket.SO_ACCEPTCONN):
            found.add(candidate.fileno())
        candidate.detach()
    return found

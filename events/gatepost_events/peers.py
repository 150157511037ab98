"""Who may give orders: root, the daemon's own user, and users that the settings name.

The kernel says whose a connection is (SO_PEERCRED, unix(7)). Whoever can connect at all is decided by the
socket's owner and mode; this holds also where those are wrong.
"""

from __future__ import annotations

import os
import pwd
import socket
import struct
from collections.abc import Iterable, Iterator

_CREDENTIALS = struct.Struct("iII")  # struct ucred: process, user, group


class Peers:
    """Names are looked up once, here: that may ask a directory, and must not hold up a loop."""

    def __init__(self, users: Iterable[str]) -> None:
        self._allowed = {0, os.geteuid(), *_numbers(users)}

    def refusal(self, connection: socket.socket) -> str:
        """Say why who is at the other end may give no orders; empty if he may."""
        try:
            raw = connection.getsockopt(socket.SOL_SOCKET, socket.SO_PEERCRED, _CREDENTIALS.size)
            process, user, _ = _CREDENTIALS.unpack(raw)
        except (OSError, struct.error) as error:
            return f"the system does not tell whose process is at the other end ({error})"
        if user in self._allowed:
            return ""
        return (
            f"process {process} of user {user} may give no orders; root, this daemon's own user and "
            "those of events.users may"
        )


def _numbers(users: Iterable[str]) -> Iterator[int]:
    for user in users:
        try:
            yield pwd.getpwnam(user).pw_uid
        except KeyError:  # not on this host: see the setting
            continue

"""Connections of a listener that others go on with: other workers, and systemd across a restart."""

from __future__ import annotations

import asyncio
import socket
import sys
from collections.abc import Callable
from typing import Any, Final

# asyncio from 3.13 on, and uvloop there, remove a UNIX socket's file when the server is closed; whoever
# listens on goes on without a name, and nobody finds it.
_KEEP_FILE: Final[dict[str, Any]] = {"cleanup_socket": False} if sys.version_info >= (3, 13) else {}


async def accept(
    make: Callable[[], asyncio.BaseProtocol], listener: socket.socket, backlog: int
) -> asyncio.Server:
    """Serve what comes over a listener's duplicate; closing the server leaves the listener as it was."""
    loop = asyncio.get_running_loop()
    if listener.family == socket.AF_UNIX:
        return await loop.create_unix_server(make, sock=listener.dup(), backlog=backlog, **_KEEP_FILE)
    return await loop.create_server(make, sock=listener.dup(), backlog=backlog)

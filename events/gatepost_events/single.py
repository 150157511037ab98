"""One process of a node takes the spool: a lock that ends with it (flock(2))."""

from __future__ import annotations

import fcntl
import os
from pathlib import Path

_NAME = "taken.lock"


class Single:
    """The right to take the spool at ``directory``. Made after the fork."""

    def __init__(self, directory: Path) -> None:
        self._path = directory / _NAME
        self._descriptor: int | None = None

    def hold(self) -> None:
        """Have the right from now on. Raises OSError, in words, while another process has it."""
        if self._descriptor is not None:
            return
        descriptor = os.open(self._path, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o640)
        try:
            fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
            os.ftruncate(descriptor, 0)
            os.write(descriptor, f"{os.getpid()}\n".encode())
        except BlockingIOError:
            holder = os.read(descriptor, 32).decode("ascii", "replace").strip()
            os.close(descriptor)
            raise OSError(
                f"another gatepost-events takes the spool {self._path.parent} (process {holder}): one of a "
                "node does; end one of them"
            ) from None
        except BaseException:
            os.close(descriptor)
            raise
        self._descriptor = descriptor

"""Messages that came back, kept as files for whoever wants to read them; the oldest go first."""

from __future__ import annotations

import os
import threading
import time
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path

_SUFFIX = ".eml"
# So many files are kept between two looks at what is old.
_EACH = 200


class Kept:
    """``directory`` must be there. ``seconds`` and ``most`` bytes: how long, and how much, is kept."""

    def __init__(
        self, directory: Path, *, seconds: float, most: int, clock: Callable[[], float] = time.time
    ) -> None:
        self._directory = directory
        self._seconds = seconds
        self._most = most
        self._clock = clock
        self._count = 0
        self._pruning = threading.Lock()

    def keep(self, name: str, content: bytes, *, flush: bool) -> None:
        """Keep a message under a name, whole or not at all; on disk if ``flush``. Raises OSError."""
        draft = self._directory / f".{name}.{os.getpid()}.{threading.get_ident()}"
        try:
            with draft.open("wb") as file:
                file.write(content)
                if flush:
                    file.flush()
                    os.fsync(file.fileno())
            draft.replace(self._directory / name)
        except OSError:
            draft.unlink(missing_ok=True)
            raise
        self._count += 1
        if self._count % _EACH == 1:
            self.prune()

    def prune(self) -> None:
        """Let go of what is too old or too much. Whatever stands in the way is tried again later."""
        if not self._pruning.acquire(blocking=False):
            return
        try:
            with suppress(OSError):
                self._prune()
        finally:
            self._pruning.release()

    def _prune(self) -> None:
        files = []
        with os.scandir(self._directory) as entries:
            for entry in entries:
                with suppress(FileNotFoundError):
                    if entry.name.endswith(_SUFFIX) or entry.name.startswith("."):
                        status = entry.stat(follow_symlinks=False)
                        files.append((status.st_mtime, status.st_size, entry.path))
        left = sum(size for _, size, _ in files)
        oldest = self._clock() - self._seconds
        for changed, size, path in sorted(files):
            if changed >= oldest and left <= self._most:
                return
            Path(path).unlink(missing_ok=True)
            left -= size

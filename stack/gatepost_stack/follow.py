"""The log files of a stack as one stream on standard error, while it runs and after it stopped."""

from __future__ import annotations

import sys
from pathlib import Path


class Log:
    """Copies what is new in each ``*.log`` of a directory, every line with its file's name in front."""

    def __init__(self) -> None:
        self._read: dict[Path, int] = {}

    def turn(self, directory: Path, *, last: bool = False) -> None:
        """Copy the whole lines written since the last turn; ``last`` also copies one without an end."""
        for path in sorted(directory.glob("*.log")):
            with path.open("rb") as file:
                file.seek(self._read.get(path, 0))
                data = file.read()
            if not last:
                data = data[: data.rfind(b"\n") + 1]
            self._read[path] = self._read.get(path, 0) + len(data)
            for line in data.decode("utf-8", errors="replace").splitlines():
                sys.stderr.write(f"{path.stem}: {line}\n")
        sys.stderr.flush()

    def finish(self, directory: Path) -> None:
        """Copy the rest, when nobody writes any more."""
        self.turn(directory, last=True)

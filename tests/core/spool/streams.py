"""Streams as tests write and take them; a stream on a small file system of its own."""

from __future__ import annotations

import subprocess
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from gatepost_core.spool import Entry, reader, segment

SIZE = 64 * 1024
MOST = 16 * SIZE
HEAD = segment.HEAD_SIZE


def some(number: int, content: bytes = b"content") -> Entry:
    return Entry(number.to_bytes(13, "big"), 1, 1, content)


class Store:
    """Takes a stream as gatepost-events does: entries and positions together."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.positions: dict[bytes, int] = {}
        self.finished: set[bytes] = set()
        self.numbers: list[int] = []
        self.faults: dict[bytes, str] = {}

    def take(self, most: int = 100) -> Store:
        """Read until nothing more is there."""
        more = True
        while more:
            more = False
            for batch in reader.read(self.folder, self.positions, most):
                self.numbers += [int.from_bytes(one.id, "big") for one in batch.entries]
                self.positions[batch.segment] = batch.end
                more = more or bool(batch.entries)
                if batch.finished:
                    self.finished.add(batch.segment)
                if batch.fault:
                    self.faults[batch.segment] = batch.fault
        return self


@contextmanager
def small_folder(folder: Path, segments: int) -> Iterator[Path]:
    """Make a folder that has room for so many segments. Mounting needs root, as other tests here do."""
    folder.mkdir()
    subprocess.run(["mount", "-t", "tmpfs", "-o", f"size={segments * SIZE}", "tmpfs", folder], check=True)
    yield folder
    subprocess.run(["umount", "--lazy", folder], check=True)

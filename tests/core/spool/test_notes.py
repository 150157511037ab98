"""Entries that nobody waits for: there at once, flushed later, kept in memory while the disk is at fault."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from gatepost_core.spool import Notes
from tests.waiting import until

from .streams import MOST, SIZE, Store, small_folder, some


@pytest.fixture
def stream(tmp_path: Path) -> Iterator[Path]:
    with small_folder(tmp_path / "notes", 4) as folder:
        yield folder


def test_what_was_noted_is_there_at_once(stream: Path) -> None:
    """A process that is killed right after a login has noted it."""
    notes = Notes(stream, size=SIZE, most=MOST)
    notes.append(some(1))
    assert Store(stream).take().numbers == [1]
    notes.append(some(2))
    assert Store(stream).take().numbers == [1, 2]
    notes.close()
    assert Store(stream).take().numbers == [1, 2]


def test_a_full_segment_is_followed_by_another_and_nothing_is_lost(stream: Path) -> None:
    notes = Notes(stream, size=SIZE, most=MOST)
    for number in range(150):
        notes.append(some(number, b"x" * 1000))
    notes.close()
    assert sorted(Store(stream).take().numbers) == list(range(150))


def test_a_full_disk_costs_nothing_but_is_told_once_and_what_came_is_written_later(stream: Path) -> None:
    filler = stream / "filler"
    filler.write_bytes(bytes(3 * SIZE + SIZE // 2))
    said: list[str] = []
    notes = Notes(stream, size=SIZE, most=MOST, report=said.append)
    for number in range(100):
        notes.append(some(number))
    [why] = said
    assert "No space left on device" in why
    filler.unlink()
    until(lambda: Store(stream).take().numbers == list(range(100)))
    until(lambda: said == [why, ""])
    notes.close()


def test_of_too_many_that_cannot_be_written_the_oldest_are_let_go(stream: Path) -> None:
    filler = stream / "filler"
    filler.write_bytes(bytes(3 * SIZE + SIZE // 2))
    notes = Notes(stream, size=SIZE, most=MOST, kept=10)
    for number in range(100):
        notes.append(some(number))
    filler.unlink()
    notes.close()
    assert Store(stream).take().numbers == list(range(90, 100))

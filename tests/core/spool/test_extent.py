"""How far a stream is written and a reader behind is found in few reads, whatever the stream has."""

from __future__ import annotations

import os
from collections.abc import Iterator
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from gatepost_core.spool import COUNTED, HEAD_SIZE, Beyond, Entry, Writer, beyond, ends, read
from gatepost_core.spool.extent import _end

SIZE = 1 << 20


def entry(number: int, size: int = 300) -> Entry:
    """Return one made ``number`` milliseconds after 1970 began."""
    return Entry(number.to_bytes(6, "big") + bytes(7), 1, 1, b"x" * size)


@pytest.fixture
def writer(tmp_path: Path) -> Iterator[Writer]:
    (tmp_path / "milter").mkdir()
    writer = Writer(tmp_path / "milter", size=SIZE, most=64 * SIZE)
    yield writer
    writer.close()


def positions(folder: Path, most: int = 1000) -> dict[bytes, int]:
    """Return how far a reader is that has taken so many entries of each segment."""
    return {batch.segment: batch.end for batch in read(folder, {}, most)}


def test_a_stream_ends_where_its_reader_does(tmp_path: Path, writer: Writer) -> None:
    for number in range(50):
        writer.append(entry(number, 1 + 97 * number))
        assert ends(tmp_path) == {"milter": positions(tmp_path / "milter")}


def test_a_reader_that_has_all_is_not_behind(tmp_path: Path, writer: Writer) -> None:
    writer.begin()
    assert beyond(tmp_path, ends(tmp_path), {}) == {}
    writer.append(entry(1))
    assert beyond(tmp_path, ends(tmp_path), {"milter": positions(tmp_path / "milter")}) == {}


def test_what_was_not_taken_is_counted_and_its_oldest_told(tmp_path: Path, writer: Writer) -> None:
    writer.append(*[entry(1000 + number) for number in range(10)])
    taken = {"milter": positions(tmp_path / "milter", 4)}
    until = ends(tmp_path)
    writer.append(entry(5000))  # came later, and is not asked for
    assert beyond(tmp_path, until, taken) == {"milter": Beyond(6, 6 * 324, 1.004)}
    assert beyond(tmp_path, until, {}) == {"milter": Beyond(10, 10 * 324, 1.0)}


def test_several_segments_and_streams_are_counted(tmp_path: Path, writer: Writer) -> None:
    writer.append(entry(2))
    again = Writer(tmp_path / "milter", size=SIZE, most=64 * SIZE)
    again.append(entry(1), entry(3))
    again.close()
    (tmp_path / "sasl").mkdir()
    found = beyond(tmp_path, ends(tmp_path), {})
    assert found == {"milter": Beyond(3, 3 * 324, 0.001)}


def test_very_many_are_counted_up_to_a_bound(tmp_path: Path, writer: Writer) -> None:
    for _ in range(30):
        writer.append(*[entry(1, 20) for _ in range(1000)])
    found = beyond(tmp_path, ends(tmp_path), {})["milter"]
    assert (found.entries, found.size) == (COUNTED, 30_000 * 44)


def test_what_is_no_entry_ends_the_count_and_not_the_program(tmp_path: Path, writer: Writer) -> None:
    writer.append(entry(1), entry(2))
    (segment,) = ends(tmp_path)["milter"]
    path = tmp_path / "milter" / f"{segment.hex()}.segment"
    with path.open("r+b") as file:
        file.seek(HEAD_SIZE + 324 + 4)
        file.write(b"\xff\xff\xff\xff")
    assert beyond(tmp_path, ends(tmp_path), {})["milter"].entries == 1
    (tmp_path / "milter" / f"{'0' * 32}.segment").write_bytes(os.urandom(100_000))
    assert beyond(tmp_path, ends(tmp_path), {})["milter"].entries >= 1
    (tmp_path / "milter" / f"{'1' * 32}.segment").touch()
    assert ends(tmp_path)["milter"][bytes.fromhex("1" * 32)] == 0


@given(size=st.integers(0, 40_000), end=st.integers(0, 40_000))
def test_the_end_of_what_is_written_is_found_anywhere(
    tmp_path_factory: pytest.TempPathFactory, size: int, end: int
) -> None:
    end = min(size, end)
    path = tmp_path_factory.getbasetemp() / "segment"
    path.write_bytes(b"x" * end + bytes(size - end))
    with path.open("rb") as file:
        assert _end(file.fileno()) == end


def test_a_large_segment_takes_few_reads(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Twice as large takes one more."""
    path = tmp_path / "large"
    reads: list[int] = []
    pread = os.pread

    def counted(descriptor: int, size: int, offset: int) -> bytes:
        reads.append(size)
        return pread(descriptor, size, offset)

    monkeypatch.setattr(os, "pread", counted)
    path.write_bytes(b"x" * 10_000_000)
    with path.open("r+b") as file:
        file.truncate(1 << 30)
        assert _end(file.fileno()) == 10_000_000
    assert len(reads) <= 20

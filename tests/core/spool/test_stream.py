"""A stream on disk: writers, readers and retirement, with real files."""

from __future__ import annotations

import threading
import time
from contextlib import suppress
from pathlib import Path

import pytest

from gatepost_core.spool import SpoolFull, Writer, retiring, segment
from tests.waiting import until

from .streams import HEAD, MOST, SIZE, Store, some


def test_what_was_appended_is_read_once(stream: Path) -> None:
    writer, store = Writer(stream, size=SIZE, most=MOST), Store(stream)
    for number in range(3000):
        writer.append(some(number))
        if number % 500 == 0:
            store.take()
    assert sorted(store.take().numbers) == list(range(3000))
    assert len(segment.segments(stream)) > 1
    assert not store.faults


def test_a_segment_is_finished_only_when_its_writer_is_gone(stream: Path) -> None:
    writer, store = Writer(stream, size=SIZE, most=MOST), Store(stream)
    writer.append(some(1))
    assert not store.take().finished
    writer.append(some(2))
    writer.close()
    assert store.take().numbers == [1, 2]
    assert len(store.finished) == 1


def test_a_new_writer_never_appends_to_an_old_segment(stream: Path) -> None:
    for number in range(3):
        writer = Writer(stream, size=SIZE, most=MOST)
        writer.append(some(number))
        writer.close()
    assert len(segment.segments(stream)) == 3
    assert sorted(Store(stream).take().numbers) == [0, 1, 2]


@pytest.mark.parametrize("step", [0.0, -5.0], ids=["stands still", "goes back"])
def test_what_one_writer_appends_is_read_in_its_order_whatever_the_clock_does(
    stream: Path, step: float
) -> None:
    now = 1_800_000_000.0

    def clock() -> float:
        nonlocal now
        now += step
        return now

    writer = Writer(stream, size=SIZE, most=MOST, clock=clock)
    for number in range(12):
        writer.append(some(number, bytes(SIZE // 2)))
    assert len(segment.segments(stream)) == 12
    assert Store(stream).take().numbers == list(range(12))


def test_many_threads_share_flushes_and_lose_nothing(stream: Path) -> None:
    writer = Writer(stream, size=SIZE, most=MOST)

    def fifty(first: int) -> None:
        for number in range(first, first + 50):
            writer.append(some(number))

    threads = [threading.Thread(target=fifty, args=(first,)) for first in range(0, 800, 50)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    numbers = Store(stream).take().numbers
    assert sorted(numbers) == list(range(800))
    assert len(set(numbers)) == 800
    for first in range(0, 800, 50):  # a thread's own entries keep their order
        own = [number for number in numbers if first <= number < first + 50]
        assert own == sorted(own)


def test_a_stream_that_is_full_refuses_in_words_and_goes_on_once_there_is_room(stream: Path) -> None:
    writer, store = Writer(stream, size=SIZE, most=2 * SIZE), Store(stream)
    kept = 0
    with suppress(SpoolFull):
        for kept in range(10_000):
            writer.append(some(kept, b"x" * 1000))
    with pytest.raises(SpoolFull, match="gatepost-events"):
        writer.append(some(kept))
    assert store.take().numbers == list(range(kept))
    assert retiring.retire(stream, store.finished, keep=0.0, now=time.time() + 1)
    writer.append(some(kept))
    assert store.take().numbers == list(range(kept + 1))


def test_what_the_store_has_goes_early_where_it_takes_the_room_of_new_mail(stream: Path) -> None:
    """Files are kept for backups, but not at the price of mail: beyond half of the share the oldest go."""
    store = Store(stream)
    for number in range(8):
        writer = Writer(stream, size=SIZE, most=MOST)
        writer.append(some(number))
        writer.close()
    unread = segment.segments(stream)[-1].id
    finished = store.take().finished - {unread}
    oldest = [one.id for one in segment.segments(stream)]
    assert not retiring.retire(stream, finished, keep=3600.0, now=time.time(), most=16 * SIZE)
    gone = retiring.retire(stream, finished, keep=3600.0, now=time.time(), most=10 * SIZE)
    assert gone == oldest[:3]
    gone = retiring.retire(stream, finished, keep=3600.0, now=time.time(), most=2)
    assert unread not in gone
    assert [one.id for one in segment.segments(stream)] == [unread]


def test_the_next_segment_is_ready_before_the_present_one_is_full(stream: Path) -> None:
    """Nobody's message waits until a new file of zeros has been written."""
    writer = Writer(stream, size=SIZE, most=MOST)
    writer.append(some(1, b"x" * (SIZE // 2 - 2 * HEAD)))
    assert not list(stream.glob("*.new"))
    writer.append(some(2, b"x" * HEAD))
    until(lambda: [path.stat().st_size for path in stream.glob("*.new")] == [SIZE])
    made = next(stream.glob("*.new")).stat().st_ino
    writer.append(some(3, b"x" * (SIZE // 2)))
    assert made in {path.stat().st_ino for path in stream.glob("*.segment")}
    assert Store(stream).take().numbers == [1, 2, 3]
    writer.close()


def test_a_next_segment_that_was_not_needed_waits_for_whoever_needs_one(stream: Path) -> None:
    writer = Writer(stream, size=SIZE, most=MOST)
    writer.append(some(1, b"x" * (SIZE // 2 + HEAD)))
    writer.close()
    assert {path.suffix for path in stream.iterdir()} == {".segment", ".spare"}
    writer = Writer(stream, size=SIZE, most=MOST)
    writer.append(some(2))
    assert {path.suffix for path in stream.iterdir()} == {".segment"}


def test_a_spare_of_another_size_is_removed(stream: Path) -> None:
    """segment_size was changed, or a segment was cut by a fault: such a file would never be used again."""
    (stream / f"{'0' * 32}.spare").write_bytes(bytes(SIZE // 2))
    writer = Writer(stream, size=SIZE, most=MOST)
    writer.append(some(1))
    assert {path.suffix for path in stream.iterdir()} == {".segment"}
    assert Store(stream).take().numbers == [1]


def test_segments_are_used_again_and_nothing_of_their_earlier_use_is_read(stream: Path) -> None:
    store = Store(stream)
    for number in range(20):
        writer = Writer(stream, size=SIZE, most=3 * SIZE)
        writer.append(some(number, b"y" * 5000))
        writer.close()
        store.take()
        retiring.retire(stream, store.finished, keep=0.0, now=time.time() + 1)
    assert store.numbers == list(range(20))
    assert not store.faults
    assert segment.used(stream) <= 3 * SIZE


@pytest.mark.parametrize("why", ["writer", "unread", "young"])
def test_a_segment_stays_while_its_writer_lives_or_the_store_has_not_all_or_it_is_young(
    stream: Path, why: str
) -> None:
    writer, store = Writer(stream, size=SIZE, most=MOST), Store(stream)
    writer.append(some(1))
    own = segment.segments(stream)[0].id
    if why != "writer":
        writer.close()
    finished = set[bytes]() if why == "unread" else {own}
    keep = 3600.0 if why == "young" else 0.0
    assert not retiring.retire(stream, finished, keep=keep, now=time.time() + 1)
    assert store.take().numbers == [1]

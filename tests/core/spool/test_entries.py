"""Entries as bytes: what is written is read again, and nothing else is taken for an entry."""

from __future__ import annotations

import random

import pytest

from gatepost_core.spool import Entry, entry
from gatepost_core.spool.entry import CONTENT_MOST, End
from tests.steps import World, assert_linear

SEGMENT, OTHER = b"s" * 16, b"t" * 16


def some(number: int) -> Entry:
    return Entry(number.to_bytes(13, "big"), 1, 2, b"content %d " % number * (number % 7 + 1))


def test_entries_are_read_as_they_were_written() -> None:
    written = [some(number) for number in range(100)]
    data = entry.encode(SEGMENT, written)
    found = entry.decode(SEGMENT, data + bytes(1000), 1000)
    assert found.entries == written
    assert (found.size, found.end) == (len(data), End.ZERO)


def test_no_more_are_read_than_asked_for_and_the_next_ones_begin_where_they_end() -> None:
    written = [some(number) for number in range(10)]
    data = entry.encode(SEGMENT, written)
    first = entry.decode(SEGMENT, data, 4)
    assert first.entries == written[:4]
    assert entry.decode(SEGMENT, data[first.size :], 10).entries == written[4:]


def test_entries_of_a_files_earlier_use_are_none() -> None:
    found = entry.decode(SEGMENT, entry.encode(OTHER, [some(1)]), 10)
    assert (found.entries, found.size, found.end) == ([], 0, End.DAMAGED)


@pytest.mark.parametrize("seed", range(20))
def test_a_changed_bit_costs_its_entry_and_those_after_it_and_invents_none(seed: int) -> None:
    chance = random.Random(seed)  # noqa: S311 - a test that can be repeated
    written = [some(number) for number in range(20)]
    data = bytearray(entry.encode(SEGMENT, written))
    bit = chance.randrange(len(data) * 8)
    data[bit // 8] ^= 1 << bit % 8
    found = entry.decode(SEGMENT, bytes(data) + bytes(64), 100)
    assert found.entries == written[: len(found.entries)]
    assert len(entry.encode(SEGMENT, found.entries)) <= bit // 8
    assert len(found.entries) < len(written)


@pytest.mark.parametrize("cut", range(1, 60, 3))
def test_a_torn_entry_is_none_and_those_before_it_are_whole(cut: int) -> None:
    data = entry.encode(SEGMENT, [some(1), some(6)])
    found = entry.decode(SEGMENT, data[:-cut] + bytes(cut), 100)
    assert found.entries == [some(1)]
    assert found.end is not End.ZERO or cut >= len(entry.encode(SEGMENT, [some(6)]))


def test_a_size_that_no_entry_has_is_damage_and_asks_for_no_more_bytes() -> None:
    data = entry.encode(SEGMENT, [some(1)])
    wrong = data[:4] + (CONTENT_MOST + 1).to_bytes(4, "little") + data[8:]
    assert entry.decode(SEGMENT, wrong, 10).end is End.DAMAGED


@pytest.mark.parametrize("content", [b"", b"x" * (CONTENT_MOST + 1)])
def test_a_content_that_cannot_be_kept_is_refused_and_named(content: bytes) -> None:
    with pytest.raises(ValueError, match=f"an entry of {len(content)} bytes"):
        entry.check([Entry(bytes(13), 1, 1, content)])


def test_reading_takes_steps_by_the_bytes_that_are_read(world: World) -> None:
    module = world.load("gatepost_core.spool.entry")
    assert_linear(
        world,
        lambda size: entry.encode(SEGMENT, [some(number) for number in range(size)]),
        lambda data: module.decode(SEGMENT, data, len(data)),
    )

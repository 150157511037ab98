"""Message ids: unique, sorted by time, and unharmed by a change of case."""

from __future__ import annotations

import re
from contextlib import suppress

import pytest
from hypothesis import given
from hypothesis import strategies as st

from gatepost_core.domain import ids

raw_id = st.binary(min_size=13, max_size=13)


@given(raw_id)
def test_an_id_spells_its_bytes_in_any_case_of_letters(raw: bytes) -> None:
    text = ids.from_bytes(raw)
    assert re.fullmatch("[2-7a-z]{21}", text)
    assert ids.to_bytes(text) == ids.to_bytes(text.upper()) == raw


@given(raw_id, raw_id)
def test_ids_sort_as_their_bytes_do(one: bytes, other: bytes) -> None:
    assert (ids.from_bytes(one) < ids.from_bytes(other)) is (one < other)


@given(st.integers(0, 2**48 - 2))
def test_a_later_id_sorts_after_an_earlier_one(milliseconds: int) -> None:
    assert ids.new(milliseconds) < ids.new(milliseconds + 1)
    assert int.from_bytes(ids.to_bytes(ids.new(milliseconds))[:6], "big") == milliseconds


def test_ids_of_one_millisecond_differ() -> None:
    assert len({ids.new(1_700_000_000_000) for _ in range(10_000)}) == 10_000


@given(st.text(max_size=30))
def test_any_other_text_is_refused_with_a_value_error(text: str) -> None:
    with suppress(ValueError):
        assert ids.from_bytes(ids.to_bytes(text)) == text.lower()


@given(raw_id)
def test_no_two_texts_spell_the_same_id(raw: bytes) -> None:
    text = ids.from_bytes(raw)
    for last in "234567abcdefghijklmnopqrstuvwxyz":
        if last != text[-1]:
            with suppress(ValueError):
                assert ids.to_bytes(text[:-1] + last) != raw


@pytest.mark.parametrize("raw", [b"", bytes(12), bytes(14)])
def test_an_id_has_13_bytes(raw: bytes) -> None:
    with pytest.raises(ValueError, match="13 bytes"):
        ids.from_bytes(raw)

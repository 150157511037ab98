"""What was used lately is remembered, never more than was agreed, whatever threads do."""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor

import pytest
from hypothesis import given
from hypothesis import strategies as st

from gatepost_core.domain.memo import Recent, memo


@given(st.lists(st.integers(0, 9), max_size=60))
def test_the_values_used_last_are_held_and_no_more(keys: list[int]) -> None:
    recent = Recent[int, str](4)
    used: list[int] = []
    for key in keys:
        assert (recent.get(key) == str(key)) is (key in used)
        recent.put(key, str(key))
        used = [*(other for other in used if other != key), key][-4:]
        assert len(recent) == len(used)
    recent.clear()
    assert len(recent) == 0


def test_threads_get_their_own_value_or_none() -> None:
    recent = Recent[int, int](8)

    def work(seed: int) -> None:
        for number in range(3000):
            key = (seed + number * 7) % 20
            assert recent.get(key) in (None, key)
            recent.put(key, key)

    with ThreadPoolExecutor(8) as pool:
        list(pool.map(work, range(8)))
    assert len(recent) <= 8


def test_a_dropped_value_is_gone_and_absent_is_told_from_nothing() -> None:
    recent = Recent[str, None](4)
    absent = object()
    recent.put("nobody", None)
    assert recent.get("nobody", absent) is None
    recent.drop("nobody")
    recent.drop("nobody")
    assert recent.get("nobody", absent) is absent


def test_a_value_put_again_is_the_one_used_last() -> None:
    recent = Recent[str, int](2)
    for key, value in (("a", 1), ("b", 2), ("a", 3), ("c", 4)):
        recent.put(key, value)
    assert (recent.get("a"), recent.get("b"), recent.get("c")) == (3, None, 4)


class Counted:
    """Functions that count how often they do their work."""

    def __init__(self) -> None:
        self.worked = 0

        @memo(3, longest=10)
        def doubled(text: str) -> str:
            self.worked += 1
            return text * 2

        @memo(3, longest=10)
        def joined(one: str, other: bytes) -> str:
            self.worked += 1
            return one + other.decode()

        self.doubled, self.joined = doubled, joined


@given(st.lists(st.text("ab", max_size=14), max_size=40))
def test_a_memo_gives_what_the_function_gives(texts: list[str]) -> None:
    counted = Counted()
    for text in texts:
        assert counted.doubled(text) == text * 2
        assert counted.joined(text, text.encode()) == text * 2


def test_a_memo_works_once_for_what_is_usual_and_each_time_for_what_is_long() -> None:
    counted = Counted()
    assert [counted.doubled("a" * 10) for _ in range(3)] == ["a" * 20] * 3
    assert counted.worked == 1
    assert [counted.doubled("a" * 11) for _ in range(3)] == ["a" * 22] * 3
    assert counted.worked == 4
    assert [counted.joined("a" * 6, b"b" * 4) for _ in range(3)] == ["aaaaaabbbb"] * 3
    assert counted.worked == 5
    assert [counted.joined("a" * 6, b"b" * 5) for _ in range(3)] == ["aaaaaabbbbb"] * 3
    assert counted.worked == 8


def test_a_memo_forgets_the_one_not_used_for_longest() -> None:
    counted = Counted()
    for text in ("a", "b", "c", "a", "d", "a", "b"):
        counted.doubled(text)
    assert counted.worked == 5
    counted.doubled.cache_clear()
    counted.doubled("a")
    assert counted.worked == 6


def test_a_fault_is_not_remembered() -> None:
    asked: list[str] = []

    @memo(4)
    def refused(text: str) -> None:
        asked.append(text)
        raise ValueError(text)

    for _ in range(2):
        with pytest.raises(ValueError, match="x"):
            refused("x")
    assert len(asked) == 2

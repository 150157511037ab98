"""What was used lately is kept, never more than was agreed, whatever threads do."""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor

from hypothesis import given
from hypothesis import strategies as st

from gatepost_milter.editing.recent import Recent


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

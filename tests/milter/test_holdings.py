"""The bytes of messages under way are bounded, shared out, and always given back."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from gatepost_milter.libmilter.holdings import Holdings, share
from gatepost_milter.transaction import FREE, Transaction

MB = 1_000_000


def sent(holdings: Holdings, username: str, size: int, chunk: int = 65_535) -> Transaction:
    transaction = Transaction(username, b"<a@example.test>")
    while size > 0:
        piece = min(size, chunk)
        size -= piece
        transaction.room -= piece
        if transaction.room >= 0 or holdings.more(transaction):
            transaction.add_body(b"x" * piece)
    return transaction


def test_beyond_the_bound_a_large_message_is_forgotten_and_a_small_one_passes() -> None:
    holdings = Holdings(80 * MB)
    large = [sent(holdings, name, 38 * MB) for name in ("a", "b", "c")]
    assert [one.crowded for one in large] == [False, True, True]
    assert not any(sent(holdings, "a", FREE - 1).crowded for _ in range(100))
    assert not sent(holdings, "b", MB).crowded
    assert holdings.total <= 80 * MB
    for one in large:
        holdings.give_back(one)
        holdings.give_back(one)
    assert not sent(holdings, "b", 38 * MB).crowded


def test_one_credential_gets_half_so_that_others_large_messages_pass() -> None:
    holdings = Holdings(100 * MB)
    own = [sent(holdings, "greedy", 10 * MB) for _ in range(12)]
    assert sum(not one.crowded for one in own) == 5
    assert not sent(holdings, "other", 20 * MB).crowded


def test_a_quarter_is_kept_for_messages_of_usual_size() -> None:
    holdings = Holdings(100 * MB)
    for number in range(100):
        sent(holdings, f"large {number}", 10 * MB)
    assert holdings.total <= 75 * MB
    passed = [sent(holdings, f"usual {number}", 900_000) for number in range(20)]
    assert not any(one.crowded for one in passed)


def test_a_share_has_room_for_the_largest_message_that_postfix_takes() -> None:
    assert share(256 * MB, 2, 40 * MB) == 128 * MB
    assert share(MB, 4, 40 * MB) == 80 * MB
    assert not sent(Holdings(share(1, 4, 40 * MB)), "a", 40 * MB).crowded


@given(st.lists(st.tuples(st.sampled_from("abc"), st.integers(0, 5 * MB), st.booleans()), max_size=30))
def test_whatever_comes_and_goes_the_bound_holds_and_all_is_given_back(
    messages: list[tuple[str, int, bool]],
) -> None:
    heard: list[int] = []
    holdings = Holdings(8 * MB, heard.append)
    under_way: list[Transaction] = []
    for name, size, answered in messages:
        under_way.append(sent(holdings, name, size, 400_000))
        assert holdings.total == sum(heard) == sum(one.held for one in under_way) <= 8 * MB
        if answered:
            holdings.give_back(under_way.pop(0))
    for one in under_way:
        holdings.give_back(one)
    assert holdings.total == 0
    assert holdings._by_owner == {}

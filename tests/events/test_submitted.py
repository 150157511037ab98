"""Settling of messages with an idempotency key: by what the log told, and never without evidence."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence

import pytest

from gatepost_core.domain import ids
from gatepost_core.domain.limits.submissions import Claimed, ClaimState, Fate, Outcome, Submission
from gatepost_core.serving.asking import NoAnswer
from gatepost_events.holding.own_queue import OwnQueue
from gatepost_events.holding.verbs import Answer, Order, Result, Verb
from gatepost_events.submitted import Settled, Submitted

NOW = 1_800_000_000.0
KNOWN = Fate("4Q", queued=False, refused=False, held=False)
HELD = KNOWN._replace(held=True)


class Claims:
    """Accepted messages as a dictionary; the engine's own tests are elsewhere."""

    def __init__(self, *messages: str) -> None:
        self.waiting = sorted(messages)
        self.settled: list[str] = []
        self.freed: list[str] = []
        self.oldest = ""

    def claim(self, wanted: Submission, message_id: str, queue_id: str, now: int, most: int) -> Claimed:
        del wanted, message_id, queue_id, now, most
        return Claimed(Outcome.NEW)

    def accept(self, message_id: str, recipients: int, state: ClaimState) -> bool:
        return bool((message_id, recipients, state))

    def give_back(self, message_id: str) -> bool:
        self.freed.append(message_id)
        self.waiting.remove(message_id)
        return True

    def accepted(self, after: str, most: int) -> Sequence[str]:
        return [one for one in self.waiting if one > after][:most]

    def queued(self, messages: Iterable[str]) -> None:
        for one in messages:
            self.settled.append(one)
            self.waiting.remove(one)

    def sweep(self, oldest: str) -> int:
        self.oldest = oldest
        return 0

    def first_of(self, queue_id: str) -> str:
        return queue_id

    def close(self) -> None:
        """Nothing is open."""


class Fates:
    def __init__(self, fates: Mapping[str, Fate]) -> None:
        self.fates = dict(fates)

    def of(self, messages: Sequence[str]) -> Mapping[str, Fate]:
        return {one: self.fates[one] for one in messages if one in self.fates}

    def close(self) -> None:
        """Nothing is open."""


def messages(number: int) -> list[str]:
    return sorted(ids.new((int(NOW) + one) * 1000) for one in range(number))


def unasked(order: Order) -> Answer:
    raise AssertionError(order)


def settling(
    claims: Claims,
    fates: Mapping[str, Fate],
    look: Callable[[Order], Answer] = unasked,
    clock: Callable[[], float] = lambda: NOW,
) -> Submitted:
    return Submitted(claims, Fates(fates), look, 24, clock)


@pytest.mark.parametrize(
    ("fate", "settled", "freed"),
    [
        (None, False, False),
        (KNOWN, False, False),
        (KNOWN._replace(queued=True), True, False),
        # A held one that was released and taken up.
        (HELD._replace(queued=True), True, False),
        (KNOWN._replace(refused=True), False, True),
        (HELD._replace(refused=True), False, True),
        # What contradicts itself is accepted anew.
        (KNOWN._replace(refused=True, queued=True), False, True),
    ],
)
def test_a_message_is_settled_by_evidence(fate: Fate | None, settled: bool, freed: bool) -> None:
    (number,) = messages(1)
    claims = Claims(number)
    done = settling(claims, {number: fate} if fate is not None else {}).step()
    assert (claims.settled, claims.freed) == ([number] if settled else [], [number] if freed else [])
    assert done == Settled(int(settled), int(freed), 0, more=False)


@pytest.mark.parametrize(
    ("answer", "settled"),
    [(Result.DONE, True), (Result.ABSENT, False), (Result.REFUSED, False), (Result.FAILED, False)],
)
def test_a_held_message_is_looked_for_in_the_hold_queue(answer: Result, settled: bool) -> None:
    (number,) = messages(1)
    claims, asked = Claims(number), list[Order]()

    def look(order: Order) -> Answer:
        asked.append(order)
        return Answer(answer)

    steps = settling(claims, {number: HELD}, look)
    steps.step()
    assert asked == [Order(Verb.LOOK, "4Q")]
    assert claims.settled == ([number] if settled else [])
    steps.step()
    assert len(asked) == 1  # each is a command of Postfix's: not with every step


def test_what_another_instance_of_postfix_holds_under_the_same_queue_id_settles_nothing() -> None:
    (number,) = messages(1)
    claims, looks, now = Claims(number), list[str](), [NOW]
    queue = "/var/spool/postfix-2"

    def helper(order: Order) -> Answer:
        looks.extend([order.queue_id] if order.verb is Verb.LOOK else [])
        return Answer(Result.DONE, queue if order.verb is Verb.WHERE else "")

    own = OwnQueue(helper, "/var/spool/postfix", lambda: now[0])
    steps = settling(claims, {number: HELD}, own.look, lambda: now[0])
    steps.step()
    assert (looks, claims.settled) == ([], [])
    queue = "/var/spool/postfix"
    now[0] += 60
    steps.step()
    assert (looks, claims.settled) == (["4Q"], [number])


def test_what_is_not_in_the_hold_queue_yet_is_looked_for_ever_less_often() -> None:
    (number,), now, asked = messages(1), [NOW], list[float]()

    def look(order: Order) -> Answer:
        assert order.queue_id == "4Q"
        asked.append(now[0] - NOW)
        return Answer(Result.ABSENT)

    steps = settling(Claims(number), {number: HELD}, look, lambda: now[0])
    for second in range(200):
        now[0] = NOW + second
        steps.step()
    assert asked == [0, 1, 3, 7, 15, 31, 63, 123, 183]


def test_a_helper_that_does_not_answer_is_left_alone_for_a_while() -> None:
    numbers, asked, now = messages(30), list[Order](), [NOW]
    claims = Claims(*numbers)

    def look(order: Order) -> Answer:
        asked.append(order)
        raise NoAnswer("nobody listens")

    steps = settling(claims, dict.fromkeys(numbers, HELD), look, lambda: now[0])
    for _ in range(5):
        steps.step()
    assert len(asked) == 1
    now[0] += 10
    steps.step()
    assert (len(asked), claims.settled, claims.freed) == (2, [], [])


def test_few_are_looked_for_at_once_and_all_in_the_end() -> None:
    numbers = messages(25)
    claims, asked = Claims(*numbers), list[Order]()

    def look(order: Order) -> Answer:
        asked.append(order)
        return Answer(Result.DONE)

    steps, seen = settling(claims, dict.fromkeys(numbers, HELD), look), list[int]()
    for _ in range(3):
        steps.step()
        seen.append(len(asked))
    assert (seen, sorted(claims.settled)) == ([10, 20, 25], numbers)


def test_many_that_are_not_settled_hide_nobody_who_is() -> None:
    numbers = messages(1_000)
    claims = Claims(*numbers)
    settled = [numbers[350], numbers[950]]
    # The last hundred came just now.
    now = NOW + 900 + 120
    steps = settling(claims, dict.fromkeys(settled, KNOWN._replace(queued=True)), clock=lambda: now)
    assert steps.step() == Settled(1, 0, 0, more=True)
    assert claims.settled == [numbers[950]]
    # What waits for the log costs one look after each rest.
    assert [steps.step() for _ in range(4)] == [
        Settled(1, 0, 0, more=True),
        *[Settled(0, 0, 0, more=False)] * 3,
    ]
    assert sorted(claims.settled) == settled


def test_many_that_came_just_now_are_settled_without_a_rest() -> None:
    numbers = messages(100) + [ids.new(int((NOW + 100) * 1000) + one) for one in range(500)]
    claims = Claims(*numbers)
    steps = settling(claims, dict.fromkeys(numbers, KNOWN._replace(queued=True)), clock=lambda: NOW + 101)
    done = [steps.step() for _ in range(4)]
    assert [one.more for one in done] == [True, True, True, False]
    assert sorted(claims.settled) == sorted(numbers)


def test_keys_are_forgotten_after_their_hours() -> None:
    claims = Claims()
    settling(claims, {}).step()
    assert claims.oldest == ids.first(int((NOW - 24 * 3_600) * 1000))

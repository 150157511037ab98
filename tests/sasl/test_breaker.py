"""The circuit breaker and the cache of granted logins, on a clock of the test's own."""

from __future__ import annotations

from dataclasses import replace

import pytest
from hypothesis import given
from hypothesis import strategies as st

from gatepost_core.domain import Source
from gatepost_sasl.authenticator import BackendUnavailable
from gatepost_sasl.backends.breaker import Breaker
from gatepost_sasl.backends.cache import GrantedLogins
from gatepost_sasl.backends.pool import NotAsked
from tests.core.making import credential


class Clock:
    def __init__(self) -> None:
        self.now = 100.0

    def __call__(self) -> float:
        return self.now


def fault() -> None:
    raise BackendUnavailable("down")


def not_asked() -> None:
    raise NotAsked("busy")


def fail(breaker: Breaker, times: int = 1) -> None:
    for _ in range(times):
        with pytest.raises(BackendUnavailable, match="down"):
            breaker.call(fault)


def test_after_so_many_faults_in_a_row_it_is_not_asked_for_a_while() -> None:
    clock = Clock()
    breaker = Breaker("ldap", 3, 10, clock)
    fail(breaker, 2)
    assert breaker.call(lambda: "fine") == "fine"  # which ends the row
    fail(breaker, 3)
    with pytest.raises(BackendUnavailable, match="not asked after 3 faults in a row; tried again in"):
        breaker.call(lambda: pytest.fail("it was asked"))


def test_after_the_while_one_login_tries_and_its_answer_closes_it() -> None:
    clock = Clock()
    breaker = Breaker("ldap", 1, 10, clock)
    fail(breaker)
    clock.now += 10

    def trying() -> str:
        with pytest.raises(BackendUnavailable, match="being tried again now"):
            breaker.call(lambda: "a second one")
        return "answer"

    assert breaker.call(trying) == "answer"
    assert breaker.call(lambda: "the next one") == "the next one"


def test_a_try_that_faults_opens_it_again() -> None:
    clock = Clock()
    breaker = Breaker("ldap", 2, 10, clock)
    fail(breaker, 2)
    clock.now += 10
    fail(breaker)
    clock.now += 9.9
    with pytest.raises(BackendUnavailable, match="not asked"):
        breaker.call(lambda: "x")
    clock.now += 0.2
    assert breaker.call(lambda: "x") == "x"


def test_a_mistake_of_ours_in_a_try_does_not_keep_it_open_for_ever() -> None:
    clock = Clock()
    breaker = Breaker("ldap", 1, 10, clock)
    fail(breaker)
    clock.now += 10
    with pytest.raises(ZeroDivisionError):
        breaker.call(lambda: 1 // 0)
    clock.now += 10
    assert breaker.call(lambda: "x") == "x"


def test_congestion_is_no_fault_and_ends_no_row() -> None:
    clock = Clock()
    breaker = Breaker("pam", 2, 10, clock)
    for _ in range(5):
        with pytest.raises(NotAsked):
            breaker.call(not_asked)
    fail(breaker, 2)
    clock.now += 10
    with pytest.raises(NotAsked):
        breaker.call(not_asked)
    assert breaker.call(lambda: "x") == "x"


def test_it_can_be_switched_off() -> None:
    breaker = Breaker("pam", 0, 10, Clock())
    fail(breaker, 50)
    assert breaker.call(lambda: "x") == "x"


@given(st.lists(st.sampled_from(["fault", "answer", "busy", "wait"]), max_size=60))
def test_whatever_happens_it_lets_a_login_through_after_its_time(events: list[str]) -> None:
    clock = Clock()
    breaker = Breaker("ldap", 3, 10, clock)
    calls = {"fault": fault, "answer": lambda: None, "busy": not_asked}
    for event in events:
        if event == "wait":
            clock.now += 4
            continue
        try:
            breaker.call(calls[event])
        except BackendUnavailable:
            continue
    clock.now += 10
    assert breaker.call(lambda: "x") == "x"


CREDENTIAL = credential(username="lena", source=Source.LDAP)


def test_a_granted_login_is_recalled_with_its_password_until_its_time_is_over() -> None:
    clock = Clock()
    cache = GrantedLogins(60, clock)
    cache.remember("lena", "right", CREDENTIAL)
    assert cache.recall("lena", "right") == CREDENTIAL
    assert cache.recall("lena", "wrong") is None
    assert cache.recall("lars", "right") is None
    clock.now += 60
    assert cache.recall("lena", "right") is None


def test_a_password_that_is_refused_now_is_forgotten_and_another_is_not() -> None:
    cache = GrantedLogins(60, Clock())
    cache.remember("lena", "old", CREDENTIAL)
    cache.forget("lena", "guess")
    assert cache.recall("lena", "old") is not None
    cache.forget("lena", "old")
    assert cache.recall("lena", "old") is None


def test_the_cache_is_off_unless_asked_for_and_keeps_no_password() -> None:
    cache = GrantedLogins(0, Clock())
    cache.remember("lena", "secret", CREDENTIAL)
    assert cache.recall("lena", "secret") is None
    kept = GrantedLogins(60, Clock())
    kept.remember("lena", "secret", CREDENTIAL)
    assert "secret" not in repr(vars(kept))


def test_what_the_cache_keeps_is_bounded() -> None:
    cache = GrantedLogins(60, Clock())
    for number in range(10_500):
        cache.remember(f"user{number}", "x", replace(CREDENTIAL, id=number))
    assert len(cache._entries) == 10_000
    assert cache.recall("user10499", "x") is not None

"""Guessing, and signing in while a password changes: what is held off, or late, and who waits for whom."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Iterator
from itertools import count

import pyotp
import pytest
from anyio import Event, create_task_group, run
from anyio.lowlevel import checkpoint

from gatepost_core.domain.access import Role
from gatepost_core.keys import chosen, totp
from gatepost_core.service import Context
from gatepost_core.service.people import users
from gatepost_core.service.people.signing_in import LATER, Answer, Origin, SigningIn
from gatepost_core.store.access import users as rows
from gatepost_dashboard.pages.installing import guard_of
from gatepost_dashboard.pages.turns import BusyError, Turns
from tests.dashboard.asking import Dashboard, dashboard
from tests.pages.people import PASSWORD, Person, context_of, person
from tests.pages.visiting import Visitor

NEW = "seven green bottles hang"
HERE = Origin("192.0.2.1", "a")
_numbers = count(1)


@pytest.fixture(scope="module")
def running(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Dashboard]:
    with dashboard(tmp_path_factory.mktemp("guessing")) as one:
        yield one


@pytest.fixture
def context(running: Dashboard) -> Context:
    return context_of(running.settings)


@pytest.fixture
def signing(context: Context) -> SigningIn:
    return signing_of(context)


@pytest.fixture
def visitor(running: Dashboard) -> Visitor:
    return Visitor(f"http://127.0.0.1:{running.port}/")


def signing_of(context: Context, ticks: Callable[[], float] = lambda: 1_000.0) -> SigningIn:
    """Sign in without a daemon, at a clock that stands still."""
    return SigningIn(
        context.store, context.keyring(), guard_of(context.settings.sasl), context.settings, ticks=ticks
    )


def viewer(context: Context) -> Person:
    return person(context.settings, f"viewer{next(_numbers)}", {"demo": Role.VIEWER})


def with_second(context: Context, who: Person) -> str:
    """Give a user a second factor, and return its secret."""
    secret = totp.new_secret()
    with context.store.directory(write=True) as connection:
        number = rows.get(connection, who.name).id
        rows.set_totp(connection, number, totp.sealed(context.keyring(), secret, number), 1)
    return secret


def test_a_password_by_a_link_is_in_the_audit_log_and_in_the_log(
    running: Dashboard, context: Context, visitor: Visitor
) -> None:
    invited = users.add(context, "linked", operator=False, roles={"demo": Role.EDITOR})
    before = len(running.rows("audit"))
    assert visitor.post(f"/welcome/{invited.token}", {"password": NEW, "again": NEW}).status == 303
    (noted,) = running.rows("audit")[before:]
    assert {"user", str(invited.user.id), "127.0.0.1", "demo", "user.password-by-link"} <= set(noted)
    running.running.wait_log("event=sign-in result=password-by-link user=linked ip=127.0.0.1")


def test_a_link_ends_with_a_newer_one_a_new_password_and_when_its_user_is_disabled(
    context: Context, signing: SigningIn
) -> None:
    who = viewer(context)
    first, second = users.link(context, who.name), users.link(context, who.name)
    assert signing.invited(first.token) is None
    signed = signing.signed(signing.password(who.name, PASSWORD, HERE).cookie)
    assert signed is not None
    assert signing.invited(second.token) is not None
    assert signing.change_password(signed, PASSWORD, NEW, HERE).why == ""
    assert signing.invited(second.token) is None
    third = users.link(context, who.name)
    users.change(context, who.name, enabled=False)
    users.change(context, who.name, enabled=True)
    assert signing.invited(third.token) is None


def new_password(context: Context, who: Person) -> None:
    signing = signing_of(context)
    signed = signing.signed(signing.password(who.name, PASSWORD, HERE).cookie)
    assert signed is not None
    assert signing.change_password(signed, PASSWORD, NEW, HERE).why == ""


def disabled(context: Context, who: Person) -> None:
    users.change(context, who.name, enabled=False)


@pytest.mark.parametrize("meanwhile", [new_password, disabled, with_second])
def test_a_sign_in_by_what_has_changed_meanwhile_begins_no_session(
    context: Context,
    signing: SigningIn,
    monkeypatch: pytest.MonkeyPatch,
    meanwhile: Callable[[Context, Person], object],
) -> None:
    who, right = viewer(context), chosen.is_chosen

    def checked(kept: str | None, password: str) -> bool:
        good = right(kept, password)
        monkeypatch.setattr(chosen, "is_chosen", right)
        meanwhile(context, who)
        return good

    monkeypatch.setattr(chosen, "is_chosen", checked)
    answer = signing.password(who.name, PASSWORD, HERE)
    assert (answer.cookie, answer.event) == ("", "denied")


def test_a_right_code_begins_no_session_once_the_one_that_waited_has_ended(context: Context) -> None:
    who, ending = viewer(context), [False]
    secret = with_second(context, who)

    def ticks() -> float:  # told at the beginning of an attempt, when the session that waits was found
        if ending.pop():
            users.end_sessions(context, who.name)
        ending.append(False)
        return 1_000.0

    signing = signing_of(context, ticks)
    half = signing.password(who.name, PASSWORD, HERE).cookie
    ending[0] = True
    answer = signing.code(half, pyotp.TOTP(secret).now(), HERE)
    assert (answer.cookie, answer.event) == ("", "expired")


def test_a_link_that_ends_while_its_password_is_hashed_sets_none(
    context: Context, signing: SigningIn, monkeypatch: pytest.MonkeyPatch
) -> None:
    who, hashed = viewer(context), chosen.hashed
    link = users.link(context, who.name)

    def slowly(password: str) -> str:
        users.change(context, who.name, enabled=False)
        return hashed(password)

    monkeypatch.setattr(chosen, "hashed", slowly)
    assert signing.choose(link.token, NEW, HERE).event == "expired"
    users.change(context, who.name, enabled=True)
    assert signing.password(who.name, PASSWORD, HERE).cookie, "the one until now stays"


def test_no_name_that_is_typed_locks_a_users_codes(context: Context, signing: SigningIn) -> None:
    who = viewer(context)
    secret = with_second(context, who)
    for typed in (f"second factor of {who.name}", f"code:{who.name}", f"code: {who.name}"):
        for _ in range(context.settings.sasl.guess_limit):
            signing.password(typed, "x", HERE)
    half = signing.password(who.name, PASSWORD, HERE)
    assert half.code
    assert signing.code(half.cookie, pyotp.TOTP(secret).now(), HERE).event == "granted"


def test_each_failure_is_answered_later_as_at_smtp(context: Context, signing: SigningIn) -> None:
    who = viewer(context)
    waits = [signing.password(who.name, "x", HERE).wait for _ in range(8)]
    assert waits == [0.25, 0.25, 0.5, 1.0, 2.0, 4.0, 4.0, 4.0]
    assert signing.password(who.name, PASSWORD, HERE).wait == 0.0
    waits = [signing.password(who.name, "x", HERE).wait for _ in range(11)]
    assert waits[-1] == 4.0, "in the time of any failure while locked out"


def failing(times: int, attempt: Callable[[Origin], Answer]) -> None:
    for number in range(times):
        assert attempt(Origin(f"198.51.{number}.1", "a")).event != "granted"


def test_who_is_guessed_from_many_networks_gets_each_answer_late(
    context: Context, signing: SigningIn
) -> None:
    who, many = viewer(context), 2 * context.settings.sasl.guess_limit + 5
    failing(many, lambda origin: signing.password(who.name, "x", origin))
    assert signing.password(who.name, "x", HERE).wait == 4.0
    granted = signing.password(who.name, PASSWORD, HERE)
    assert (granted.event, granted.wait) == ("granted", 4.0)
    assert signing.password(who.name, PASSWORD, HERE).wait == 0.0, "but where the user has signed in since"


def test_whose_codes_are_guessed_from_many_networks_gets_each_answer_late(
    context: Context, signing: SigningIn
) -> None:
    who, many = viewer(context), 2 * context.settings.sasl.guess_limit + 5
    secret = with_second(context, who)

    def half() -> str:
        return signing.password(who.name, PASSWORD, HERE).cookie

    failing(many, lambda origin: signing.code(half(), "000000", origin))
    granted = signing.code(half(), pyotp.TOTP(secret).now(), HERE)
    assert (granted.event, granted.wait) == ("granted", 4.0)


def test_own_new_passwords_are_counted_too(context: Context, signing: SigningIn) -> None:
    who = viewer(context)
    signed = signing.signed(signing.password(who.name, PASSWORD, HERE).cookie)
    assert signed is not None
    for _ in range(context.settings.sasl.guess_limit):
        assert signing.change_password(signed, PASSWORD, PASSWORD, HERE).why == ""
    assert signing.change_password(signed, PASSWORD, PASSWORD, HERE).why == LATER
    assert signing.password(who.name, PASSWORD, HERE).cookie, "signing in is another matter"


def test_an_answer_is_held_back(context: Context, visitor: Visitor) -> None:
    who, began = viewer(context), time.monotonic()
    assert visitor.post("/sign-in", {"name": who.name, "password": "x"}).status == 401
    assert time.monotonic() - began >= 0.25


def test_one_has_a_turn_a_few_wait_and_all_others_are_told_at_once() -> None:
    async def asked() -> tuple[list[int], int]:
        turns, go, done, refused = Turns(waiting=2), Event(), list[int](), 0

        async def one(number: int) -> None:
            nonlocal refused
            try:
                async with turns.turn():
                    await go.wait()
                    done.append(number)
            except BusyError:
                refused += 1

        async with create_task_group() as group:
            for number in range(5):
                group.start_soon(one, number)
                await checkpoint()
            while refused < 2:
                await checkpoint()
            assert done == []
            go.set()
        async with turns.turn():
            pass
        return done, refused

    assert run(asked) == ([0, 1, 2], 2)


def test_the_api_waits_for_nobody_who_signs_in(running: Dashboard, visitor: Visitor) -> None:
    answers, over = list[tuple[int, str]](), threading.Event()

    def flood(number: int) -> None:
        turn = 0
        while not over.is_set():
            turn += 1
            form = {"name": f"nobody{number}x{turn}", "password": "x" * 14}
            answer = Visitor(visitor.base).post("/sign-in", form)
            answers.append((answer.status, answer.headers.get("retry-after", "")))

    threads = [threading.Thread(target=flood, args=(number,)) for number in range(40)]
    for thread in threads:
        thread.start()
    try:
        while (503, "2") not in answers and threads[0].is_alive() and len(answers) < 200:
            over.wait(0.01)
        began = time.monotonic()
        assert running.ask("GET", "/accounts", running.operator).status == 200
        took = time.monotonic() - began
    finally:
        over.set()
        for thread in threads:
            thread.join()
    assert set(answers) == {(401, ""), (503, "2")}
    assert took < 4, "it was 9 s while each sign-in waited in a thread of all pages"

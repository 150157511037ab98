"""Signing in: by whom, how often, with what, and until when."""

from __future__ import annotations

import re
import time
from datetime import timedelta

import pyotp
import pytest

from gatepost_core.domain.access import Role
from gatepost_core.service.people import users
from gatepost_core.service.people.signing_in import Origin, SigningIn
from gatepost_dashboard.pages.installing import guard_of
from gatepost_stack.provision import ACCOUNT
from gatepost_stack.stack import Stack
from tests.cli.command import Gatepost
from tests.integration.harness import Gateway
from tests.pages.conftest import member
from tests.pages.people import PASSWORD, Person, context_of, person
from tests.pages.visiting import Visitor

pytestmark = pytest.mark.integration
NEW = "seven green bottles hang"


@pytest.fixture
def gatepost(stack: Stack) -> Gatepost:
    return Gatepost(stack.layout.var)


def link_of(data: dict[str, str]) -> str:
    return data["link"][data["link"].index("/welcome/") :]


def test_a_user_chooses_a_password_by_a_link_that_is_good_once(
    stack: Stack, visitor: Visitor, gatepost: Gatepost
) -> None:
    made = gatepost("user", "add", "carol@example.test", "--role", f"{ACCOUNT}=editor", "--json").data
    path = link_of(made)
    assert made["link"].startswith(stack.dashboard_url)
    assert "carol@example.test" in visitor.get(path).text
    for wrong in ("short", "carol@example.test", "aaaaaaaaaaaaaaaa"):
        answer = visitor.post(path, {"password": wrong, "again": wrong})
        assert (answer.status, visitor.cookies) == (422, {}), wrong
    assert visitor.post(path, {"password": NEW, "again": "another one"}).status == 422
    assert visitor.post(path, {"password": NEW, "again": NEW}).status == 303
    assert visitor.get("/credentials").status == 200
    other = Visitor(stack.dashboard_url)
    assert other.post(path, {"password": PASSWORD, "again": PASSWORD}).status == 404
    assert other.sign_in(Person("Carol@Example.test", NEW)).status == 303, "names know no capitals"
    assert gatepost("user", "show", "carol@example.test", "--json").data["password_chosen"] is True
    kept = b"".join(file.read_bytes() for file in stack.layout.runtime.rglob("*.db*"))
    assert NEW.encode() not in kept
    assert path.rpartition("/")[2].encode() not in kept
    logs = "".join(file.read_text(errors="replace") for file in stack.layout.logs.iterdir())
    assert NEW not in logs
    assert path.rpartition("/")[2] not in logs


def test_a_wrong_name_and_a_wrong_password_are_answered_alike(stack: Stack, visitor: Visitor) -> None:
    who = member(stack, Role.VIEWER)
    wrong = visitor.post("/sign-in", {"name": who.name, "password": "wrong"})
    nobody = visitor.post("/sign-in", {"name": f"{who.name}0", "password": "wrong"})
    assert (wrong.status, nobody.status) == (401, 401)
    assert wrong.text.replace(who.name, "X") == nobody.text.replace(f"{who.name}0", "X")
    assert visitor.cookies == {}


def test_whoever_guesses_is_locked_out_and_the_right_password_does_not_help(
    stack: Stack, visitor: Visitor
) -> None:
    who, limit = member(stack, Role.VIEWER), stack.settings.sasl.guess_limit
    for _ in range(limit):
        assert "do not belong together" in visitor.post("/sign-in", {"name": who.name, "password": "x"}).text
    assert "too many attempts" in visitor.sign_in(who).text
    Gateway(stack).logged("dashboard", rf"event=sign-in result=locked user={who.name} ip=127.0.0.1")


def test_a_session_is_a_new_one_at_each_sign_in_and_ends_with_the_sign_out(stack: Stack) -> None:
    who, visitor = member(stack, Role.VIEWER), Visitor(stack.dashboard_url, {"gatepost": "A" * 43})
    visitor.sign_in(who)
    first = dict(visitor.cookies)
    assert first["gatepost"] != "A" * 43
    visitor.sign_in(who)
    assert visitor.cookies != first
    assert Visitor(stack.dashboard_url, first).get("/credentials").status == 303, "the one before has ended"
    second = dict(visitor.cookies)
    visitor.post("/sign-out")
    assert visitor.cookies == {}
    assert Visitor(stack.dashboard_url, second).get("/credentials").status == 303


def test_the_cookie_is_out_of_reach_for_scripts_and_other_sites(stack: Stack, visitor: Visitor) -> None:
    answer = visitor.sign_in(member(stack, Role.VIEWER))
    cookie = answer.headers["set-cookie"]
    assert {"HttpOnly", "Path=/", "SameSite=lax"} <= {part.strip() for part in cookie.split(";")}
    assert "Domain" not in cookie


def test_sessions_are_listed_and_one_can_be_ended_from_another(stack: Stack) -> None:
    who = member(stack, Role.VIEWER)
    here, there = Visitor(stack.dashboard_url), Visitor(stack.dashboard_url)
    here.sign_in(who)
    there.sign_in(who)
    page = here.get("/profile").text
    assert page.count("Firefox on Linux") == 2
    (number,) = re.findall(r'action="/profile/sessions/(\d+)/end"', page)
    assert here.post(f"/profile/sessions/{number}/end").status == 303
    assert there.get("/profile").status == 303
    assert here.get("/profile").status == 200


def test_a_new_password_ends_all_other_sessions_and_the_old_one_is_good_no_more(stack: Stack) -> None:
    who = member(stack, Role.VIEWER)
    here, there = Visitor(stack.dashboard_url), Visitor(stack.dashboard_url)
    here.sign_in(who)
    there.sign_in(who)
    wrong = here.post("/profile/password", {"old": "no", "new": NEW, "again": NEW})
    assert (wrong.status, there.get("/profile").status) == (422, 200)
    assert here.post("/profile/password", {"old": PASSWORD, "new": NEW, "again": NEW}).status == 303
    assert (here.get("/profile").status, there.get("/profile").status) == (200, 303)
    assert there.sign_in(who).status == 401
    assert there.sign_in(Person(who.name, NEW)).status == 303


def test_a_second_factor_is_asked_for_and_each_code_counts_once(stack: Stack) -> None:
    who, here = member(stack, Role.VIEWER), Visitor(stack.dashboard_url)
    here.sign_in(who)
    page = here.get("/profile/second").text
    secret = "".join(re.findall(r'id="key">([A-Z2-7 ]+)<', page)[0].split())
    (sealed,) = re.findall(r'name="sealed" value="([^"]+)"', page)
    clock = pyotp.TOTP(secret)
    assert here.post("/profile/second", {"sealed": sealed, "code": "000000"}).status == 422
    code = clock.now()
    done = here.post("/profile/second", {"sealed": sealed, "code": code})
    codes = re.findall(r"[a-z2-9]{4}-[a-z2-9]{4}-[a-z2-9]{4}", done.text)
    assert len(codes) == 8
    assert here.get("/profile").status == 200

    there = Visitor(stack.dashboard_url)
    assert there.sign_in(who).there.startswith("/sign-in/code")
    assert there.get("/credentials").status == 303, "half a sign-in is none"
    assert there.post("/sign-in/code", {"code": code}).status == 401, "it has counted when it was set up"
    half = dict(there.cookies)
    assert there.post("/sign-in/code", {"code": codes[0].upper()}).status == 303
    assert there.cookies != half
    assert there.get("/credentials").status == 200
    again = Visitor(stack.dashboard_url)
    again.sign_in(who)
    assert again.post("/sign-in/code", {"code": codes[0]}).status == 401, "a recovery code is used up"
    later = clock.at(int(time.time()) + 30)
    assert again.post("/sign-in/code", {"code": later}).status == 303, "a clock may be a little off"
    third = Visitor(stack.dashboard_url)
    third.sign_in(who)
    assert third.post("/sign-in/code", {"code": later}).status == 401
    for _ in range(4):
        third.post("/sign-in/code", {"code": "000000"})
    assert "Sign in once more" in third.post("/sign-in/code", {"code": codes[1]}).text, "five were wrong"


def test_whoever_may_do_less_is_signed_out(stack: Stack, visitor: Visitor, gatepost: Gatepost) -> None:
    who = member(stack, Role.OWNER)
    visitor.sign_in(who)
    gatepost("user", "set", who.name, "--role", f"{ACCOUNT}=viewer")
    assert visitor.get("/credentials").status == 303
    visitor.sign_in(who)
    gatepost("user", "set", who.name, "--disable")
    assert visitor.get("/credentials").status == 303
    assert visitor.sign_in(who).status == 401
    assert users.get(context_of(stack.settings), who.name).enabled is False


def test_who_has_a_role_in_two_accounts_looks_at_one_at_a_time(stack: Stack, visitor: Visitor) -> None:
    stack.provision.owner("second", "second.test")
    who = person(stack.settings, "both", {ACCOUNT: Role.OWNER, "second": Role.VIEWER})
    theirs = stack.provision.credential(label="Of the second", account="second").username
    own = stack.provision.credential(label="Of the first").username
    visitor.sign_in(who)
    assert visitor.get(f"/credentials/{own}").status == 200
    assert visitor.get(f"/credentials/{theirs}").status == 404
    assert visitor.post("/account", {"account": "second", "next": "/credentials"}).there == "/credentials"
    assert visitor.get(f"/credentials/{theirs}").status == 200
    assert visitor.get(f"/credentials/{own}").status == 404
    assert visitor.get("/credentials/new").status == 403, "a viewer there"
    assert visitor.post("/account", {"account": "rival"}).status == 404


def test_after_the_sign_in_one_is_where_one_wanted_to_go_but_never_elsewhere(
    stack: Stack, visitor: Visitor
) -> None:
    who = member(stack, Role.VIEWER)
    assert visitor.get("/messages?q=tag:a").there == "/sign-in?next=/messages%3Fq%3Dtag%3Aa"
    for wanted, there in (
        ("/messages?q=tag:a", "/messages?q=tag:a"),
        ("//evil.test/", "/"),
        ("https://evil.test/", "/"),
        ("/\\evil.test", "/"),
        ("/a\r\nSet-Cookie: a=b", "/"),
    ):
        answer = visitor.post("/sign-in", {"name": who.name, "password": PASSWORD, "next": wanted})
        assert (answer.status, answer.there) == (303, there)


def test_a_link_ends_after_a_day(stack: Stack) -> None:
    context = context_of(stack.settings)
    invited = users.add(context, "late@example.test", operator=True, roles={})
    now = [context.now]
    guard = guard_of(stack.settings.sasl)
    signing = SigningIn(context.store, context.keyring(), guard, stack.settings, lambda: now[0])
    assert signing.invited(invited.token) == invited.user
    now[0] += timedelta(hours=24)
    assert signing.invited(invited.token) is None
    now[0] -= timedelta(hours=24)
    answer = signing.choose(invited.token, NEW, Origin("192.0.2.1", "a"))
    assert signing.signed(answer.cookie)
    now[0] += timedelta(hours=13)
    assert signing.signed(answer.cookie) is None, "not used for half a day"
    fresh = signing.password("late@example.test", NEW, Origin("192.0.2.1", "a")).cookie
    for _ in range(15):
        assert signing.signed(fresh), "used all the time"
        now[0] += timedelta(hours=11)
    now[0] += timedelta(hours=4)
    assert signing.signed(fresh) is None, "a week is the end"

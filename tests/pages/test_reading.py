"""What pages read of people and browsers: searches, forms, where a change comes from. Bounded, and linear."""

from __future__ import annotations

import json
import shlex
from contextlib import suppress
from datetime import UTC, datetime, timedelta

import pytest
from hypothesis import given
from hypothesis import strategies as st

from gatepost_core.postfix.connecting import Gateway
from gatepost_core.postfix.snippets import Filled, snippets
from gatepost_dashboard.pages.forms import FormError
from gatepost_dashboard.pages.forms import read as read_form
from gatepost_dashboard.pages.guarding import foreign, local_path
from gatepost_dashboard.pages.rendering import Pages, program
from gatepost_dashboard.pages.searching import SearchError, read
from tests.steps import World, assert_linear

NOW = datetime(2026, 11, 28, 18, tzinfo=UTC)


def test_a_search_asks_for_all_that_it_names() -> None:
    found = read(
        'from:a@b.test to:c.test status:Failed tag:x after:7d before:2026-11-27 spring "big offer"', NOW
    )
    wanted = found.wanted
    assert (wanted.sender, wanted.to, wanted.status, wanted.tag) == ("a@b.test", "c.test", "failed", "x")
    assert wanted.subject == "spring big offer"
    assert wanted.since == NOW - timedelta(days=7)
    assert wanted.until == datetime(2026, 11, 27, tzinfo=UTC)
    assert read("id:2al4aoburu2wmt2y4xvis", NOW).name == "2al4aoburu2wmt2y4xvis"
    assert read('subject:"two words"', NOW).wanted.subject == "two words"
    assert read("", NOW).wanted.subject == ""
    assert read("re:a@b.test", NOW).wanted.subject == "re:a@b.test"


@pytest.mark.parametrize(
    ("text", "told"),
    [
        ("status:lost", "status:lost is none; expected one of delivered"),
        ("colour:red", "colour: is nothing to look by"),
        ("to:a to:b", "to: stands there twice"),
        ("before:tomorrow", "before:tomorrow is no time"),
        ("after:99999999-01-01", "is no time"),
        ("x" * 501, "501 characters are too many"),
    ],
)
def test_what_a_search_does_not_understand_is_named(text: str, told: str) -> None:
    with pytest.raises(SearchError, match=told):
        read(text, NOW)


@given(st.text(max_size=500))
def test_any_text_is_a_search_or_refused(text: str) -> None:
    with suppress(SearchError):
        read(text, NOW)


@pytest.mark.parametrize("part", ['"', "a:", 'a:"', "status:", "x ", ":" * 3, "from:from:"])
def test_reading_a_search_is_linear(world: World, part: str) -> None:
    searching = world.load("gatepost_dashboard.pages.searching")

    def words(text: str) -> None:
        try:
            list(searching._words(text))
        except searching.SearchError:
            return

    assert_linear(world, lambda n: part * n, words)


@pytest.mark.parametrize("body", [b"a=%ff", b"\xff", b"&".join([b"a=1"] * 400), b"a=%zz%00%c3"])
def test_a_form_that_is_none_is_refused(body: bytes) -> None:
    with pytest.raises(FormError):
        read_form(body)


def test_a_form_has_fields_that_are_not_too_long() -> None:
    form = read_form(b"a=1+2%0A3&b=&a=4&c=%3Cb%3E")
    assert (form.get("a"), form.all("a"), form.get("b"), form.get("none")) == (
        "1 2 3",
        ("1 2\n3", "4"),
        "",
        "",
    )
    with pytest.raises(FormError, match="c has 3 characters; at most 2"):
        form.get("c", 2)


@pytest.mark.parametrize(
    ("headers", "fine"),
    [
        ({"sec-fetch-site": "same-origin", "origin": "https://a.test"}, True),
        ({"sec-fetch-site": "same-origin"}, True),
        ({"origin": "https://a.test"}, True),
        ({"origin": "http://inside:2581", "host": "inside:2581"}, True),
        ({"origin": "https://b.test", "host": "inside:2581"}, False),
        ({"sec-fetch-site": "same-origin", "origin": "https://b.test", "host": "inside:2581"}, False),
        ({"sec-fetch-site": "none"}, False),
        ({"host": "inside:2581"}, False),
        ({"origin": "https://[", "host": ""}, False),
    ],
)
def test_a_change_is_our_own_only_where_the_browser_says_so(headers: dict[str, str], fine: bool) -> None:
    assert (foreign(headers, "https://a.test") == "") is fine


@pytest.mark.parametrize("path", ["//a", "/\\a", "a", "https://a", "/a\n", "/a b", "/" + "a" * 500, "/ü", ""])
def test_after_the_sign_in_one_goes_nowhere_else(path: str) -> None:
    assert local_path(path) == "/"


def test_what_people_wrote_is_escaped_and_what_is_missing_is_a_fault() -> None:
    shown = Pages().render("signin.html", {"me": None, "next": '"><b>', "name": "<script>", "why": "<i>"})
    assert "<b>" not in shown
    assert "<script>" not in shown
    with pytest.raises(Exception, match="is undefined"):
        Pages().render("signin.html", {"me": None})


def test_a_program_is_named_as_people_call_it() -> None:
    chrome = "Mozilla/5.0 (Windows NT 10.0) AppleWebKit/537.36 (KHTML, like Gecko) Chrome/150.0 Safari/537.36"
    assert program(chrome) == "Chrome on Windows"
    assert program(chrome + " Edg/150.0") == "Edge on Windows"
    assert program("curl/8") == "curl/8"
    assert program("") == "unknown"


def test_what_is_filled_into_snippets_stays_text_in_every_language() -> None:
    sender = "it's\"$(x)`\\%s@example.test"
    filled = Filled(Gateway("mail.example.test", (465,)), "us'er", "gps_x", sender, "acme")
    texts = {one.name: one.text for one in snippets(filled)}
    assert sender in shlex.split(texts["swaks"])
    assert "us'er:gps_x" in shlex.split(texts["curl"].partition("|")[2].replace("\\\n", " "))
    compile(texts["python"], "python", "exec")
    assert json.dumps(sender) in texts["python"]
    assert json.dumps(sender) in texts["node"]
    assert "SMTP_SSL" in texts["python"]
    assert "starttls" not in texts["python"]
    assert "it\\'s" in texts["php"]
    assert "smtp_tls_wrappermode=yes" in texts["postfix"]

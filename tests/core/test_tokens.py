"""Signed tokens: only this service makes them, and what they sign cannot be changed."""

from __future__ import annotations

import base64
import re
from contextlib import suppress
from dataclasses import replace
from urllib.parse import quote

import pytest
from hypothesis import given
from hypothesis import strategies as st

from gatepost_core.domain import ids
from gatepost_core.keys.tokens import (
    BounceTokens,
    Click,
    ClickTokens,
    Origin,
    TokenError,
    TrackingMode,
    normal_path,
)
from gatepost_core.keys.urlpaths import PathError

from .keys import keyring, rotated

KEYRING, OTHER = keyring("k"), keyring("o")
ROTATED = rotated(KEYRING)
HOST, BOUNCES = "click.example.test", "bounces.example.test"
OWN = Origin(HOST, 7, ids.new(1))
BOUNCED = replace(OWN, host=BOUNCES)
message_id = st.binary(min_size=13, max_size=13).map(ids.from_bytes)
credential = st.integers(0, 2**32 - 1) | st.integers(0, 300)
origin = st.builds(Origin, st.just(HOST), credential, message_id, st.sampled_from(list(TrackingMode)))
authority = st.from_regex(r"[a-z0-9.-]{1,60}(:[0-9]{1,5})?", fullmatch=True)
path = st.text(max_size=60).map(lambda text: "/" + text.replace(".", ""))
scheme = st.sampled_from(["http", "https"])


@given(scheme, authority, path, origin)
def test_a_click_token_holds_where_the_link_led(where: str, host: str, rest: str, own: Origin) -> None:
    token = ClickTokens(KEYRING).issue(where, host, rest, own)
    assert re.fullmatch(r"[A-Za-z0-9_-]+", token)
    assert ClickTokens(KEYRING).verify(token, HOST, rest) == Click(where, host, own)


links = st.lists(
    st.tuples(
        scheme | st.just("ftp"),
        authority | st.just(""),
        path | st.from_regex(r"[/?]?[A-Za-z0-9./?=&%\n-]{0,12}", fullmatch=True),
    ),
    max_size=8,
)


@given(links, origin)
def test_the_tokens_of_a_message_s_links_are_those_of_each_link(
    given_links: list[tuple[str, str, str]], own: Origin
) -> None:
    def one(link: tuple[str, str, str]) -> str | None:
        try:
            return ClickTokens(KEYRING).issue(*link, own)
        except TokenError:
            return None

    assert ClickTokens(KEYRING).issuer(own).many(given_links) == list(map(one, given_links))


@given(scheme, authority, path, path, origin)
def test_a_click_token_serves_no_other_path(
    where: str, host: str, rest: str, other: str, own: Origin
) -> None:
    token = ClickTokens(KEYRING).issue(where, host, rest, own)
    if normal_path(rest) != normal_path(other):
        with pytest.raises(TokenError):
            ClickTokens(KEYRING).verify(token, HOST, other)


@given(scheme, authority, path, origin, st.data())
def test_a_click_token_with_one_bit_changed_is_refused(
    where: str, host: str, rest: str, own: Origin, data: st.DataObject
) -> None:
    token = ClickTokens(KEYRING).issue(where, host, rest, own)
    raw = bytearray(base64.urlsafe_b64decode(token + "=" * (-len(token) % 4)))
    bit = data.draw(st.integers(0, len(raw) * 8 - 1))
    raw[bit // 8] ^= 1 << bit % 8
    changed = base64.urlsafe_b64encode(bytes(raw)).rstrip(b"=").decode()
    with pytest.raises(TokenError):
        ClickTokens(KEYRING).verify(changed, HOST, rest)


@given(st.text(max_size=80), path)
def test_a_text_that_is_no_token_is_refused_and_nothing_else_happens(text: str, rest: str) -> None:
    with pytest.raises(TokenError):
        ClickTokens(KEYRING).verify(text, HOST, rest)
    assert BounceTokens(KEYRING).verify(text, BOUNCES) is None


@given(st.binary(max_size=80))
def test_bytes_that_only_look_like_a_token_are_refused(raw: bytes) -> None:
    text = base64.urlsafe_b64encode(raw).rstrip(b"=").decode()
    with pytest.raises(TokenError):
        ClickTokens(KEYRING).verify(text, HOST, "/")


def test_somebody_elses_key_makes_no_token_of_ours() -> None:
    with pytest.raises(TokenError):
        ClickTokens(KEYRING).verify(ClickTokens(OTHER).issue("https", "a.test", "/", OWN), HOST, "/")
    assert BounceTokens(KEYRING).verify(BounceTokens(OTHER).issue(BOUNCED), BOUNCES) is None


def test_tokens_outlive_a_key_rotation_and_not_the_keys_removal() -> None:
    old_click, old_bounce = (
        ClickTokens(KEYRING).issue("https", "a.test", "/x", OWN),
        BounceTokens(KEYRING).issue(BOUNCED),
    )
    assert ClickTokens(ROTATED).verify(old_click, HOST, "/x").origin == OWN
    assert BounceTokens(ROTATED).verify(old_bounce, BOUNCES) == BOUNCED
    new_click, new_bounce = (
        ClickTokens(ROTATED).issue("https", "a.test", "/x", OWN),
        BounceTokens(ROTATED).issue(BOUNCED),
    )
    with pytest.raises(TokenError, match="key that is gone"):
        ClickTokens(KEYRING).verify(new_click, HOST, "/x")
    assert BounceTokens(KEYRING).verify(new_bounce, BOUNCES) is None


@pytest.mark.parametrize(
    ("where", "host"), [("ftp", "a.test"), ("javascript", "x"), ("https", ""), ("", "a.test")]
)
def test_only_web_addresses_get_a_click_token(where: str, host: str) -> None:
    with pytest.raises(TokenError, match="not a web address"):
        ClickTokens(KEYRING).issue(where, host, "/", OWN)


@pytest.mark.parametrize("rest", ["/..", "/../x", "/a/../../x", "/./.."])
def test_a_path_that_climbs_above_the_root_gets_no_token(rest: str) -> None:
    with pytest.raises(TokenError, match="climbs"):
        ClickTokens(KEYRING).issue("https", "a.test", rest, OWN)


@pytest.mark.parametrize(
    ("written", "asked"),
    [
        ("/a b", "/a%20b"),
        ("/%7euser", "/~user"),
        ("/%c3%a9", "/é"),
        ("/a'b", "/a%27b"),
        ("/?q=[x]", "/?q=%5Bx%5D"),
        ("/a/./b/../c", "/a/c"),
        ("", "/"),
        ("?x=1", "/?x=1"),
        ("/a\nb", "/ab"),
    ],
)
def test_what_a_browser_makes_of_a_path_is_the_same_path(written: str, asked: str) -> None:
    assert normal_path(written) == normal_path(asked)


@pytest.mark.parametrize(
    ("one", "other"),
    [("/a%2Fb", "/a/b"), ("/?a%26b", "/?a&b"), ("/a", "/A"), ("/a?", "/a/?"), ("/?x=%2B", "/?x=+")],
)
def test_what_means_another_page_is_another_path(one: str, other: str) -> None:
    assert normal_path(one) != normal_path(other)


@given(path)
def test_the_normal_form_is_stable_and_survives_a_second_escaping_of_odd_bytes(rest: str) -> None:
    once = normal_path(rest).decode("ascii")
    assert normal_path(once) == once.encode()
    stripped = rest.translate({9: None, 10: None, 13: None})
    assert normal_path(quote(stripped, safe="/?&=+;:@!$*(),%#")) == once.encode()


def remove_dot_segments(given_path: str) -> str:
    """The algorithm of RFC 3986 section 5.2.4, step by step, for paths that begin with a slash."""
    left, output = given_path, ""
    while left:
        if left.startswith("/./"):
            left = left[2:]
        elif left == "/.":
            left = "/"
        elif left.startswith("/../"):
            left, output = left[3:], output.rpartition("/")[0]
        elif left == "/..":
            left, output = "/", output.rpartition("/")[0]
        else:
            end = left.find("/", 1) if "/" in left[1:] else len(left)
            left, output = left[end:], output + left[:end]
    return output


@given(st.lists(st.sampled_from(["a", "b", ".", "..", ""]), max_size=8))
def test_dot_segments_are_resolved_as_rfc_3986_has_it(parts: list[str]) -> None:
    rest = "/" + "/".join(parts)
    with suppress(PathError):  # above the root
        assert normal_path(rest).decode() == remove_dot_segments(rest)


@given(origin)
def test_a_bounce_address_survives_a_change_of_case_and_fits_a_local_part(own: Origin) -> None:
    issued = BounceTokens(KEYRING).issue(own)
    assert re.fullmatch("bounce-[a-z2-7]{40}", issued)
    assert len(issued) <= 64
    assert (
        BounceTokens(KEYRING).verify(issued, HOST)
        == BounceTokens(KEYRING).verify(issued.upper(), HOST)
        == own
    )


@given(origin, st.integers(0, 39), st.sampled_from("abcdefghijklmnopqrstuvwxyz234567"))
def test_a_bounce_address_with_one_letter_changed_is_not_ours(own: Origin, place: int, letter: str) -> None:
    issued = BounceTokens(KEYRING).issue(own)
    place += len("bounce-")
    changed = issued[:place] + letter + issued[place + 1 :]
    assert (BounceTokens(KEYRING).verify(changed, HOST) == own) is (changed == issued)


@given(origin)
def test_a_bounce_address_needs_its_prefix(own: Origin) -> None:
    issued = BounceTokens(KEYRING).issue(own).removeprefix("bounce-")
    assert BounceTokens(KEYRING).verify(issued, HOST) is None

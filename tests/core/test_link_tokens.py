"""Tokens of images and of unsubscribe links: opened by their own library only, and by nobody else's key."""

from __future__ import annotations

import base64
from collections.abc import Callable
from contextlib import suppress
from dataclasses import replace

import pytest
from hypothesis import given
from hypothesis import strategies as st

from gatepost_core.domain import ids
from gatepost_core.keys import PURPOSES, Keyring
from gatepost_core.keys.tokens import (
    BounceTokens,
    Click,
    ClickTokens,
    OpenTokens,
    Origin,
    PixelTokens,
    TokenError,
    UnsubscribeTokens,
    Unsubscription,
)
from tests.steps import World, assert_linear

from .test_tokens import HOST, KEYRING, OTHER, OWN, ROTATED, authority, origin, path, scheme

recipient = st.text(min_size=1, max_size=60)
MAKE: dict[str, Callable[[Origin], str]] = {
    "click": lambda own: ClickTokens(KEYRING).issue("https", "a.test", "/", own),
    "open": lambda own: OpenTokens(KEYRING).issue("https", "a.test", "/", own),
    "pixel": lambda own: PixelTokens(KEYRING).issue(own),
    "unsubscribe": lambda own: UnsubscribeTokens(KEYRING).issue(Unsubscription(own, "a@b.test")),
}
READ: dict[str, Callable[[str], object]] = {
    "click": lambda token: ClickTokens(KEYRING).verify(token, HOST, "/"),
    "open": lambda token: OpenTokens(KEYRING).verify(token, HOST, "/"),
    "pixel": lambda token: PixelTokens(KEYRING).verify(token, HOST),
    "unsubscribe": lambda token: UnsubscribeTokens(KEYRING).verify(token, HOST),
}


def _at(keys: Keyring) -> dict[str, Callable[[str, str], object]]:
    return {
        "click": lambda token, host: ClickTokens(keys).verify(token, host, "/"),
        "open": lambda token, host: OpenTokens(keys).verify(token, host, "/"),
        "pixel": lambda token, host: PixelTokens(keys).verify(token, host),
        "unsubscribe": lambda token, host: UnsubscribeTokens(keys).verify(token, host),
    }


AT = _at(KEYRING)


@given(scheme, authority, path, origin)
def test_an_open_token_holds_where_the_image_is(where: str, host: str, rest: str, own: Origin) -> None:
    token = OpenTokens(KEYRING).issue(where, host, rest, own)
    assert OpenTokens(KEYRING).verify(token, HOST, rest) == Click(where, host, own)
    with pytest.raises(TokenError):
        OpenTokens(KEYRING).verify(token, HOST, rest + "x")


@given(origin)
def test_a_pixel_token_holds_its_message(own: Origin) -> None:
    assert PixelTokens(KEYRING).verify(PixelTokens(KEYRING).issue(own), HOST) == own


@given(origin, recipient)
def test_an_unsubscribe_token_holds_all_that_the_request_needs(own: Origin, who: str) -> None:
    told = Unsubscription(own, who)
    token = UnsubscribeTokens(KEYRING).issue(told)
    assert UnsubscribeTokens(KEYRING).verify(token, HOST) == told
    assert token.replace("-", "").replace("_", "").isalnum()


@pytest.mark.parametrize("who", ["", "a" * 321])
def test_what_is_no_recipient_gets_no_unsubscribe_token(who: str) -> None:
    with pytest.raises(TokenError, match="not a recipient"):
        UnsubscribeTokens(KEYRING).issue(Unsubscription(OWN, who))


@pytest.mark.parametrize("made", MAKE)
@pytest.mark.parametrize("read", READ)
def test_no_token_serves_for_another_purpose(made: str, read: str) -> None:
    token = MAKE[made](OWN)
    if made == read:
        READ[read](token)
    else:
        with pytest.raises(TokenError):
            READ[read](token)


@pytest.mark.parametrize("kind", MAKE)
@given(data=st.data())
def test_a_token_with_one_bit_changed_is_refused(kind: str, data: st.DataObject) -> None:
    raw = bytearray(base64.urlsafe_b64decode(MAKE[kind](OWN) + "=="))
    bit = data.draw(st.integers(0, len(raw) * 8 - 1))
    raw[bit // 8] ^= 1 << bit % 8
    with pytest.raises(TokenError):
        READ[kind](base64.urlsafe_b64encode(bytes(raw)).rstrip(b"=").decode())


@pytest.mark.parametrize("kind", READ)
@given(text=st.text(max_size=60), raw=st.binary(max_size=60))
def test_what_is_no_token_is_refused(kind: str, text: str, raw: bytes) -> None:
    for token in (text, base64.urlsafe_b64encode(raw).rstrip(b"=").decode()):
        with pytest.raises(TokenError):
            READ[kind](token)


def test_tokens_outlive_a_rotation_and_nobody_elses_key_makes_them() -> None:
    assert PixelTokens(ROTATED).verify(PixelTokens(KEYRING).issue(OWN), HOST) == OWN
    with pytest.raises(TokenError, match="does not fit"):
        PixelTokens(KEYRING).verify(PixelTokens(OTHER).issue(OWN), HOST)
    with pytest.raises(TokenError, match="key that is gone"):
        PixelTokens(KEYRING).verify(PixelTokens(ROTATED).issue(OWN), HOST)


HOSTS = ["click.other.test", "example.test", "click.example.test.", "xclick.example.test", ""]


@pytest.mark.parametrize("host", HOSTS)
def test_a_token_serves_at_no_other_host(host: str) -> None:
    for kind, make in MAKE.items():
        with pytest.raises(TokenError, match="does not fit"):
            AT[kind](make(OWN), host)
    assert BounceTokens(KEYRING).verify(BounceTokens(KEYRING).issue(OWN), host) is None


@pytest.mark.parametrize("host", ["CLICK.Example.test", "click.example.test:8443"])
def test_the_case_of_a_host_and_its_port_are_none_of_the_token(host: str) -> None:
    for kind, make in MAKE.items():
        assert AT[kind](make(OWN), host)
        assert AT[kind](make(replace(OWN, host=host)), HOST)


def test_a_token_has_one_spelling() -> None:
    for kind, make in MAKE.items():
        for number in range(40):
            token = make(replace(OWN, message_id=ids.new(number)))
            others = {token + "=", token + "==", token + "\n", " " + token, token[:-1] + _next(token[-1])}
            others |= {token.replace("-", "+"), token.replace("_", "/"), token.replace("K", "\u212a")}
            for other in others - {token}:
                with pytest.raises(TokenError):
                    AT[kind](other, HOST)


def test_a_bounce_address_has_one_spelling_but_for_the_case_of_its_letters() -> None:
    bounces = BounceTokens(KEYRING)
    for number in range(200):
        issued = bounces.issue(replace(OWN, message_id=ids.new(number)))
        others = {
            issued + "=",
            issued + "a",
            issued[:-1],
            issued.replace("k", "\u212a"),
            issued.replace("s", "\u017f"),
        }
        for other in others - {issued}:
            assert bounces.verify(other, HOST) is None


def test_keys_are_apart_for_links_unsubscribing_and_bounces() -> None:
    foreign = {name: {**KEYRING.keys, **dict.fromkeys([name], OTHER.keys[name])} for name in PURPOSES}
    of = {"click": "click", "open": "click", "pixel": "click", "unsubscribe": "unsubscribe"}
    for kind, make in MAKE.items():
        for purpose in PURPOSES:
            assert _opens(kind, make(OWN), Keyring(foreign[purpose])) is (of[kind] != purpose)
    for purpose in PURPOSES:
        local = BounceTokens(KEYRING).issue(OWN)
        assert (BounceTokens(Keyring(foreign[purpose])).verify(local, HOST) is None) is (purpose == "bounce")


def test_a_link_grows_by_no_more_than_its_token_needs() -> None:
    """Bytes: 13 of the message's id, 10 of the MAC, 2 before them, the host it leads to, the credential."""
    for credential_id, size in ((7, 1), (300, 2), (70_000, 3), (2**31, 4)):
        own = replace(OWN, credential_id=credential_id)
        token = ClickTokens(KEYRING).issue("https", "www.shop.example.org", "/", own)
        assert len(token) == -(-(2 + size + 13 + 20 + 10) * 4 // 3)


def test_a_credential_that_no_token_can_name_gets_none() -> None:
    for credential in (-1, 2**32):
        with pytest.raises(TokenError, match="not a credential"):
            PixelTokens(KEYRING).issue(replace(OWN, credential_id=credential))


@pytest.mark.parametrize("text", ["A", "_", "=", "\u212a", "bounce-"])
def test_tokens_are_read_in_linear_time(world: World, text: str) -> None:
    tokens = world.load("gatepost_core.keys.tokens")
    reader, bounces = tokens.ClickTokens(KEYRING), tokens.BounceTokens(KEYRING)

    def read(token: str) -> None:
        with suppress(tokens.TokenError):
            reader.verify(token, HOST, token)
        bounces.verify(token, HOST)

    assert_linear(world, lambda n: text * n, read, size=3000)


def _next(character: str) -> str:
    alphabet = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_"
    return alphabet[alphabet.index(character) ^ 1]


def _opens(kind: str, token: str, keys: Keyring) -> bool:
    try:
        _at(keys)[kind](token, HOST)
    except TokenError:
        return False
    return True

"""Tokens of images and of unsubscribe links: opened by their own library only, and by nobody else's key."""

from __future__ import annotations

import base64
from collections.abc import Callable

import pytest
from hypothesis import given
from hypothesis import strategies as st

from gatepost_core import ids
from gatepost_core.tokens import (
    Click,
    ClickTokens,
    OpenTokens,
    PixelTokens,
    TokenError,
    UnsubscribeTokens,
    Unsubscription,
)

from .test_tokens import KEYRING, OTHER, ROTATED, authority, message_id, path, scheme

recipient = st.text(min_size=1, max_size=60)
MAKE: dict[str, Callable[[str], str]] = {
    "click": lambda own: ClickTokens(KEYRING).issue("https", "a.test", "/", own),
    "open": lambda own: OpenTokens(KEYRING).issue("https", "a.test", "/", own),
    "pixel": lambda own: PixelTokens(KEYRING).issue(own),
    "unsubscribe": lambda own: UnsubscribeTokens(KEYRING).issue(Unsubscription(own, 1, "a@b.test")),
}
READ: dict[str, Callable[[str], object]] = {
    "click": lambda token: ClickTokens(KEYRING).verify(token, "/"),
    "open": lambda token: OpenTokens(KEYRING).verify(token, "/"),
    "pixel": PixelTokens(KEYRING).verify,
    "unsubscribe": UnsubscribeTokens(KEYRING).verify,
}


@given(scheme, authority, path, message_id)
def test_an_open_token_holds_where_the_image_is(where: str, host: str, rest: str, own: str) -> None:
    token = OpenTokens(KEYRING).issue(where, host, rest, own)
    assert OpenTokens(KEYRING).verify(token, rest) == Click(where, host, own)
    with pytest.raises(TokenError):
        OpenTokens(KEYRING).verify(token, rest + "x")


@given(message_id)
def test_a_pixel_token_holds_its_message(own: str) -> None:
    assert PixelTokens(KEYRING).verify(PixelTokens(KEYRING).issue(own)) == own


@given(message_id, st.integers(0, 2**32 - 1), recipient)
def test_an_unsubscribe_token_holds_all_that_the_request_needs(own: str, account: int, who: str) -> None:
    told = Unsubscription(own, account, who)
    token = UnsubscribeTokens(KEYRING).issue(told)
    assert UnsubscribeTokens(KEYRING).verify(token) == told
    assert token.replace("-", "").replace("_", "").isalnum()


@pytest.mark.parametrize("who", ["", "a" * 321])
def test_what_is_no_recipient_gets_no_unsubscribe_token(who: str) -> None:
    with pytest.raises(TokenError, match="not a recipient"):
        UnsubscribeTokens(KEYRING).issue(Unsubscription(ids.new(1), 1, who))


@pytest.mark.parametrize("made", MAKE)
@pytest.mark.parametrize("read", READ)
def test_no_token_serves_for_another_purpose(made: str, read: str) -> None:
    token = MAKE[made](ids.new(1))
    if made == read:
        READ[read](token)
    else:
        with pytest.raises(TokenError, match="not a token of kind"):
            READ[read](token)


@pytest.mark.parametrize("kind", MAKE)
@given(data=st.data())
def test_a_token_with_one_bit_changed_is_refused(kind: str, data: st.DataObject) -> None:
    raw = bytearray(base64.urlsafe_b64decode(MAKE[kind](ids.new(1)) + "=="))
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
    own = ids.new(1)
    assert PixelTokens(ROTATED).verify(PixelTokens(KEYRING).issue(own)) == own
    with pytest.raises(TokenError, match="does not fit"):
        PixelTokens(KEYRING).verify(PixelTokens(OTHER).issue(own))
    with pytest.raises(TokenError, match="key that is gone"):
        PixelTokens(KEYRING).verify(PixelTokens(ROTATED).issue(own))

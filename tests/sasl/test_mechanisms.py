"""PLAIN and LOGIN as objects that are given responses, and SASLprep."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from gatepost_sasl.mechanisms import MECHANISMS, Challenge, Done, Login, MechanismError, Plain
from gatepost_sasl.saslprep import PrepError, saslprep

# RFC 4013 section 3.
EXAMPLES = [("I\u00adX", "IX"), ("user", "user"), ("USER", "USER"), ("\u00aa", "a"), ("\u2168", "IX")]
PROHIBITED = ["\u0007", "\u0627\u0031", "a\x7f", "\u0627a\u0627", "\ue000", "\u200e"]


@pytest.mark.parametrize(("text", "prepared"), EXAMPLES)
def test_saslprep_gives_what_the_rfc_says(text: str, prepared: str) -> None:
    assert saslprep(text) == prepared


@pytest.mark.parametrize("text", PROHIBITED)
def test_saslprep_refuses_what_the_rfc_prohibits(text: str) -> None:
    with pytest.raises(PrepError):
        saslprep(text)


def test_saslprep_turns_every_space_into_an_ascii_one() -> None:
    assert saslprep("a\u00a0b\u3000c") == "a b c"


@given(st.text(alphabet=st.characters(min_codepoint=32, max_codepoint=126)))
def test_saslprep_leaves_printable_ascii_alone(text: str) -> None:
    assert saslprep(text) == text


@given(st.text())
def test_saslprep_raises_nothing_but_its_own_error(text: str) -> None:
    try:
        prepared = saslprep(text)
    except PrepError:
        return
    assert not any(ord(char) < 32 for char in prepared)


@given(st.sampled_from(sorted(MECHANISMS)), st.lists(st.none() | st.binary(max_size=40), max_size=4))
def test_any_responses_end_in_a_challenge_a_login_or_a_mechanism_error(
    name: str, responses: list[bytes | None]
) -> None:
    mechanism = MECHANISMS[name]()
    for response in responses:
        try:
            outcome = mechanism.next(response)
        except MechanismError:
            return
        if isinstance(outcome, Done):
            assert outcome.username
            assert outcome.password
            return
        assert isinstance(outcome, Challenge)


def test_plain_takes_an_identity_that_is_the_user_name_in_another_spelling() -> None:
    response = "J\u00f6rg\0Jo\u0308rg\0secret".encode()
    assert Plain().next(response) == Done("J\u00f6rg", "secret")


@pytest.mark.parametrize("response", [b"", b"alice", b"\0alice", b"\0alice\0a\0b", b"bob\0alice\0secret"])
def test_plain_refuses_what_is_not_its_form(response: bytes) -> None:
    with pytest.raises(MechanismError):
        Plain().next(response)


def test_login_refuses_an_empty_user_name_that_was_asked_for() -> None:
    login = Login()
    assert login.next(None) == Challenge(b"Username:")
    with pytest.raises(MechanismError, match="user name is empty"):
        login.next(b"")


def test_a_login_does_not_show_its_password_when_printed() -> None:
    assert "secret" not in repr(Done("alice", "secret"))

"""PLAIN and LOGIN as objects that are given responses, and SASLprep."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from gatepost_sasl.mechanisms import (
    MECHANISMS,
    Challenge,
    Done,
    LoginMechanism,
    MechanismError,
    PlainMechanism,
    Proof,
)
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
    assert PlainMechanism().next(response) == Done("J\u00f6rg", "secret")


@pytest.mark.parametrize("response", [b"", b"alice", b"\0alice", b"\0alice\0a\0b", b"bob\0alice\0secret"])
def test_plain_refuses_what_is_not_its_form(response: bytes) -> None:
    with pytest.raises(MechanismError):
        PlainMechanism().next(response)


def test_login_refuses_an_empty_user_name_that_was_asked_for() -> None:
    login = LoginMechanism()
    assert login.next(None) == Challenge(b"Username:")
    with pytest.raises(MechanismError, match="user name is empty"):
        login.next(b"")


def test_a_login_does_not_show_its_password_when_printed() -> None:
    assert "secret" not in repr(Done("alice", "secret"))


GENERATED = "gpabcdefghij2345"


def username(mechanism: str, name: bytes, authzid: bytes = b"") -> str:
    """Return the name that a mechanism makes of what was typed."""
    if mechanism == "PLAIN":
        outcome = PlainMechanism().next(authzid + b"\0" + name + b"\0secret")
    else:
        login = LoginMechanism()
        login.next(name)
        outcome = login.next(b"secret")
    assert isinstance(outcome, Done)
    return outcome.username


@pytest.mark.parametrize("mechanism", sorted(MECHANISMS))
@pytest.mark.parametrize(
    "typed", ["GPABCDEFGHIJ2345", "Gpabcdefghij2345", " gpabcdefghij2345", "gpabcdefghij2345  "]
)
def test_a_generated_name_may_be_typed_as_phones_do(mechanism: str, typed: str) -> None:
    assert username(mechanism, typed.encode()) == GENERATED
    assert username(mechanism, typed.replace(" ", "\u00a0").encode()) == GENERATED


@pytest.mark.parametrize("mechanism", sorted(MECHANISMS))
@pytest.mark.parametrize(
    "typed", ["Alice", " alice", "GPABC", "GPABCDEFGHIJ2345X", "GPABCDEFGHIJ1234", "GP ABCDEFGHIJ2345"]
)
def test_other_names_stay_as_they_are_for_their_back_ends_to_decide(mechanism: str, typed: str) -> None:
    assert username(mechanism, typed.encode()) == typed


def test_whoever_acts_for_himself_may_type_his_name_in_two_ways() -> None:
    assert username("PLAIN", GENERATED.encode(), GENERATED.upper().encode()) == GENERATED
    with pytest.raises(MechanismError, match="authorization identity"):
        username("PLAIN", GENERATED.encode(), b"A" * 9000)


@pytest.mark.parametrize("mechanism", sorted(MECHANISMS))
@pytest.mark.parametrize("name", ["a" * 255, "ö" * 127 + "a"])
def test_a_name_may_have_255_bytes_and_not_one_more(mechanism: str, name: str) -> None:
    assert username(mechanism, name.encode()) == name
    for longer in (name + "a", "\ufdfa" * 80, "a" * 9000):  # one that SASLprep makes longer
        with pytest.raises(MechanismError, match="longer than 255 bytes"):
            username(mechanism, longer.encode())


@pytest.mark.parametrize("mechanism", sorted(MECHANISMS))
def test_a_password_may_have_1024_bytes_and_not_one_more(mechanism: str) -> None:
    def logged_in(password: bytes) -> Challenge | Done | Proof:
        made = MECHANISMS[mechanism]()
        if mechanism == "LOGIN":
            made.next(b"alice")
        return made.next(password if mechanism == "LOGIN" else b"\0alice\0" + password)

    assert logged_in(b"p" * 1024) == Done("alice", "p" * 1024)
    with pytest.raises(MechanismError, match=r"longer than 1,024 bytes"):
        logged_in(b"p" * 1025)

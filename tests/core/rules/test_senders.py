"""Rules: what a credential may send, decided alike at RCPT, at DATA and at end of message."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

import pytest
from hypothesis import given
from hypothesis import strategies as st

from gatepost_core.domain import Pass, Reject, Rules, State
from gatepost_core.domain.logins import judge
from gatepost_core.domain.rules import (
    UNREADABLE,
    check_envelope_sender,
    check_from_header,
    normal_address,
    normal_domain,
    sender_allowed,
)
from tests.core.making import credential

NOW = datetime(2026, 5, 1, 12, tzinfo=UTC)
domain = st.from_regex(r"(?:[a-z][a-z0-9]{0,9}\.){1,3}[a-z]{2,6}", fullmatch=True)
local = st.from_regex(r"[a-zA-Z0-9.+_-]{1,20}", fullmatch=True)


@pytest.mark.parametrize(
    ("pattern", "address", "allowed"),
    [
        ("a@example.test", "a@example.test", True),
        ("a@example.test", "A@Example.TEST.", True),
        ("a@example.test", "b@example.test", False),
        ("a@example.test", "a@sub.example.test", False),
        ("example.test", "anyone@example.test", True),
        ("example.test", "anyone@sub.example.test", False),
        ("example.test", "anyone@badexample.test", False),
        ("*.example.test", "anyone@sub.example.test", True),
        ("*.example.test", "anyone@a.b.example.test", True),
        ("*.example.test", "anyone@example.test", False),
        ("*.example.test", "anyone@badexample.test", False),
        ("xn--exmple-cua.test", "a@EXÄMPLE.test", True),
        ("fass.example", "a@faß.example", False),
        ("xn--fa-hia.example", "a@faß.example", True),
        ("ok.example", "a@ok\u200c.example", False),
        ("ok.example", "a@o\u00adk.example", False),
        ("ok.example", "a@o\u212a.example", False),
        ("ok.example", "a@\uff4fk.example", False),
        ("ok.example", "a@ok\u3002example", False),
        ("kim@ok.example", "\u212aim@ok.example", False),
        ("xn--exmple-cua.test", "a@exämple.test", True),
        ("example.test", "no-address", False),
        ("example.test", "example.test", False),
        ("example.test", "x@evil.test@example.test", True),
        ("a@example.test", "x@evil.test@example.test", False),
    ],
)
def test_a_sender_pattern_matches_what_it_says(pattern: str, address: str, allowed: bool) -> None:
    assert sender_allowed((pattern,), address) is allowed


@given(domain, local, domain)
def test_a_domain_lets_no_other_domain_in(own: str, name: str, other: str) -> None:
    assert sender_allowed((own,), f"{name}@{other}") is (own == other)
    assert sender_allowed((f"*.{own}",), f"{name}@{other}") is other.endswith(f".{own}")


@given(local, domain)
def test_an_address_is_the_same_however_it_is_spelt(name: str, own: str) -> None:
    normal = normal_address(f"{name}@{own}")
    assert normal == f"{name.lower()}@{own}"
    for spelling in (f"{name.upper()}@{own.title()}", f" {name}@{own}. ", normal):
        assert normal_address(spelling) == normal


@given(st.text())
def test_no_text_is_too_odd_to_be_compared(text: str) -> None:
    assert isinstance(normal_domain(text), str)
    assert sender_allowed(("example.test",), text) in (True, False)


@given(st.text())
def test_without_patterns_any_sender_passes(address: str) -> None:
    assert sender_allowed((), address)


def test_the_null_sender_passes_a_restricted_credential() -> None:
    assert check_envelope_sender(credential(rules=Rules(senders=("example.test",))), "") == Pass(
        "sender allowed"
    )


def test_a_refused_envelope_sender_is_named_with_its_credential() -> None:
    refused = check_envelope_sender(credential(rules=Rules(senders=("example.test",))), "a@evil.test")
    assert str(refused) == "550 5.7.1 Sender address <a@evil.test> is not allowed for credential gp1"


def test_every_from_address_is_held_to_the_senders() -> None:
    own = credential(rules=Rules(senders=("example.test",)))
    assert isinstance(check_from_header(own, ["a@example.test", "b@example.test"]), Pass)
    refused = check_from_header(own, ["a@example.test", "boss@evil.test"])
    assert isinstance(refused, Reject)
    assert "<boss@evil.test>" in refused.text


def test_a_restricted_credential_needs_a_from_that_can_be_read() -> None:
    assert isinstance(check_from_header(credential(rules=Rules(senders=("example.test",))), []), Reject)
    assert isinstance(check_from_header(credential(), []), Pass)


def test_a_credential_that_is_gone_disabled_or_expired_is_refused_and_told_why() -> None:
    texts = {
        "does not exist any more": judge(None, "gp1", NOW),
        "is disabled": judge(credential(state=State.DISABLED), "gp1", NOW),
        "expired on 2026-05-01T12:00:00Z": judge(credential(expires_at=NOW), "gp1", NOW),
    }
    for text, decision in texts.items():
        assert isinstance(decision, Reject)
        assert decision.code == 550
        assert text in decision.text


def test_a_credential_is_good_until_the_moment_it_expires() -> None:
    ends = NOW + timedelta(microseconds=1)
    assert isinstance(judge(credential(expires_at=ends), "gp1", NOW), Pass)
    assert isinstance(judge(credential(expires_at=ends), "gp1", ends), Reject)
    assert isinstance(judge(credential(), "gp1", NOW), Pass)


def test_an_unreadable_from_address_is_refused_with_a_text_of_its_own() -> None:
    """The reply says what happened and what was expected, also beside an address that is allowed."""
    answer = check_from_header(
        credential(rules=Rules(senders=("example.test",))), ["a@example.test", UNREADABLE]
    )
    assert isinstance(answer, Reject)
    assert str(answer).startswith(
        "550 5.7.1 The From header holds something that cannot be read as an address; expected "
    )
    assert UNREADABLE not in answer.text

"""Which back end decides about a name."""

from __future__ import annotations

import fnmatch

import pytest
from hypothesis import given
from hypothesis import strategies as st

from gatepost_core.settings import SettingsError, load
from gatepost_sasl.authenticator import BackendUnavailable, Denied, Granted, Peer, Verdict
from gatepost_sasl.backends import build
from gatepost_sasl.chain import Chain, ChainEntry
from gatepost_sasl.names import Names

PEER = Peer("192.0.2.7")


class Answers:
    """A back end that always answers the same."""

    def __init__(self, answer: Verdict | Exception) -> None:
        self.answer = answer

    def at_once(self, username: str, password: str, peer: Peer) -> Verdict:
        return self.authenticate(username, password, peer)

    def authenticate(self, username: str, password: str, peer: Peer) -> Verdict:
        del username, password, peer
        if isinstance(self.answer, Exception):
            raise self.answer
        return self.answer


@pytest.mark.parametrize(
    ("pattern", "name", "claimed"),
    [
        ("*", "", True),
        ("gp*", "gpabc", True),
        ("gp*", "GPABC", True),
        ("gp*", "xgpabc", False),
        ("*@example.org", "a@EXAMPLE.org", True),
        ("*@example.org", "a@example.org.evil", False),
        ("a*b*c", "axxbyyc", True),
        ("a.c", "abc", False),
        ("[a]", "a", False),
        ("lena", "lena", True),
        ("lena", "lena2", False),
    ],
)
def test_a_pattern_is_held_against_the_whole_name(pattern: str, name: str, claimed: bool) -> None:
    assert (name in Names([pattern])) is claimed


def test_no_pattern_claims_nothing() -> None:
    assert "" not in Names([])


@given(st.text(alphabet="abc*", max_size=8), st.text(alphabet="abc", max_size=8))
def test_patterns_mean_what_the_shells_do(pattern: str, name: str) -> None:
    assert (name in Names([pattern])) is fnmatch.fnmatchcase(name, pattern)


@given(st.text(max_size=30), st.text(alphabet="ab*.[(\\", max_size=12))
def test_any_pattern_can_be_asked_about_any_name(name: str, pattern: str) -> None:
    assert (name in Names([pattern])) in (True, False)


def test_many_stars_cost_no_more_than_the_name_is_long() -> None:
    assert "a" * 255 not in Names(["*a" * 6 + "b"])


def test_the_first_that_claims_decides_whatever_it_says() -> None:
    later = ChainEntry("later", Names(["*"]), Answers(Granted("later")))
    for answer in (Denied("no"), Granted("first")):
        chain = Chain([ChainEntry("first", Names(["a*"]), Answers(answer)), later])
        assert chain.authenticate("alice", "x", PEER) == answer
        assert chain.authenticate("bob", "x", PEER) == Granted("later")
    chain = Chain([ChainEntry("first", Names(["a*"]), Answers(BackendUnavailable("down"))), later])
    with pytest.raises(BackendUnavailable):
        chain.authenticate("alice", "x", PEER)


def test_a_back_end_that_claims_every_name_is_asked_without_a_detour() -> None:
    every, some = (
        ChainEntry("every", Names(["*"]), Answers(Granted("x"))),
        ChainEntry("some", Names(["a*"]), Answers(Denied("no"))),
    )
    assert Chain([every, some]).shortest() is every.authenticator
    chain = Chain([some, every])
    assert chain.shortest() is chain


def test_a_name_that_nobody_claims_is_unknown() -> None:
    chain = Chain([ChainEntry("only", Names(["a*"]), Answers(Granted("x")))])
    assert isinstance(chain.authenticate("bob", "x", PEER), Denied)


@pytest.mark.parametrize(
    ("settings", "says"),
    [
        ({"sasl.backends": "store,ldap"}, "ldap is never asked: store comes before it"),
        ({"sasl.backends": "store,radius"}, "unknown back end 'radius'"),
        ({"sasl.backends": ""}, "expected one or more"),
        ({"sasl.backends": "ldap"}, "ldap.servers: at least one"),
        ({"sasl.backends": "ldap", "ldap.servers": "http://x"}, "is not ldap://HOST"),
        ({"sasl.backends": "ldap", "ldap.servers": "ldap://x"}, "ldap.base: needed"),
        ({"sasl.backends": "ldap", "ldap.bind_dn": "cn=x"}, "ldap.bind_password: needed"),
        ({"sasl.backends": "ldap", "ldap.filter": "(uid=x)"}, "ldap.filter"),
        ({"sasl.backends": "ldap", "ldap.filter": "uid={user})"}, "is not a search filter"),
        ({"sasl.backends": "ldap", "ldap.filter": "(uid={nobody})"}, "nothing else in braces"),
        ({"sasl.backends": "ldap", "ldap.user_template": "uid=={user},,"}, "is not a distinguished name"),
        ({"sasl.backends": "ldap", "ldap.ca_file": "/nonexistent"}, "ldap.ca_file = '/nonexistent'"),
        ({"sasl.backends": "ldap", "ldap.group_features": "marketing"}, "is not GROUP => NAME"),
        ({"sasl.backends": "ldap", "ldap.features": "colour"}, "unknown feature 'colour'"),
        ({"sasl.backends": "pam", "pam.service": "gatepost-nowhere"}, "there is no file /etc/pam.d/"),
        ({"sasl.backends": "pam", "pam.service": "../shadow"}, "pam.service"),
    ],
)
def test_back_ends_that_cannot_work_are_named_before_the_start(settings: dict[str, str], says: str) -> None:
    with pytest.raises(SettingsError) as caught:
        build.check(load(overrides=settings, environ={}))
    assert says in str(caught.value)

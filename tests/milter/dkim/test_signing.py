"""Which domain signs, and what happens when none can."""

from __future__ import annotations

import re
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest

from gatepost_core.domain import Defer, DkimKey, Grant, Reject, SenderDomain, stamp
from gatepost_core.domain.rules import UNREADABLE
from gatepost_core.keys import Keyring
from gatepost_core.keys.dkim_keys import KeyState, active_keys, key_states, new_keys, txt_record
from gatepost_core.keys.keyring import create_missing
from gatepost_core.settings import DkimSettings
from gatepost_milter.dkim.signing import Choice, Limits, Signing, room
from gatepost_milter.editing.headers import Headers
from gatepost_milter.editing.message import Plan, render
from tests.core.making import credential
from tests.milter.making import message

from .judges import BOTH, by_dkimpy

NOW = datetime(2026, 5, 1, tzinfo=UTC)
CREDENTIAL = credential(features={"dkim": True})
MESSAGE = message("From: a@example.test\nX-Gatepost-Tags: x\nSubject: s\n\nbody\n")


@pytest.fixture
def keyring(tmp_path: Path) -> Keyring:
    create_missing(tmp_path / "keys")
    return Keyring.load(tmp_path / "keys")


def make_domain(keyring: Keyring, name: str, account_id: int = 1) -> SenderDomain:
    keys = tuple(
        DkimKey(key.selector, key.algorithm, key.public, key.sealed_private, NOW)
        for key in new_keys(keyring, name, NOW)
    )
    return SenderDomain(1, account_id, "acme", name, f"click.{name}", f"bounces.{name}", NOW, keys)


def chosen(keyring: Keyring, authors: list[str], **settings: str) -> Choice | Reject:
    known = {
        name: make_domain(keyring, name, account)
        for name, account in (("example.test", 1), ("other.test", 2))
    }
    known["bare.test"] = replace(known["example.test"], name="bare.test", keys=())
    signing = Signing(DkimSettings.model_validate(settings), keyring)
    return signing.choose(known.get, CREDENTIAL, authors, NOW)


def signer(choice: Choice | Reject) -> str | None:
    assert isinstance(choice, Choice)
    return choice.domain.name if choice.domain else None


def test_the_first_authors_domain_signs_in_any_spelling(keyring: Keyring) -> None:
    assert signer(chosen(keyring, ["a@Example.TEST", "b@example.test"])) == "example.test"


@pytest.mark.parametrize("stranger", ["b@nowhere.test", "b@other.test", "b@bare.test", UNREADABLE])
@pytest.mark.parametrize("first", [True, False])
def test_a_message_of_several_authors_is_signed_only_if_each_of_them_qualifies(
    keyring: Keyring, stranger: str, first: bool
) -> None:
    """A reader takes the signature for all of them."""
    authors = ["a@example.test", stranger] if first else [stranger, "a@example.test"]
    assert signer(chosen(keyring, authors)) is None


def test_a_domain_that_was_granted_signs_for_the_account_it_was_granted_to(keyring: Keyring) -> None:
    domain = replace(make_domain(keyring, "other.test", 2), grants=(Grant(1, "acme"),))
    signing = Signing(DkimSettings(), keyring)
    assert (
        signer(signing.choose({"other.test": domain}.get, CREDENTIAL, ["a@other.test"], NOW)) == "other.test"
    )


@pytest.mark.parametrize(
    ("authors", "refused"),
    [
        (["a@example.test"], False),
        (["a@bare.test"], False),
        (["a@example.test", "a@nowhere.test"], True),
        (["a@other.test"], True),
        ([UNREADABLE], True),
        ([], True),
    ],
)
def test_who_asks_for_no_signature_is_held_to_registered_domains_too(
    keyring: Keyring, authors: list[str], refused: bool
) -> None:
    """Otherwise taking the feature dkim from a credential would set it free."""
    domain = make_domain(keyring, "example.test")
    known = {"example.test": domain, "bare.test": replace(domain, keys=())}
    strict = Signing(DkimSettings(unregistered="refuse"), keyring)
    assert isinstance(strict.refusal(known.get, CREDENTIAL, authors), Reject) is refused
    assert Signing(DkimSettings(), keyring).refusal(known.get, CREDENTIAL, authors) is None


@pytest.mark.parametrize(
    ("authors", "why"),
    [
        (["a@nowhere.test"], "nowhere.test is not a registered sender domain of this account"),
        (["a@sub.example.test"], "sub.example.test is not a registered sender domain of this account"),
        (["a@other.test"], "other.test is not a registered sender domain of this account"),
        (["a@bare.test"], "bare.test has no active key"),
        ([], "the From header holds no address"),
        ([UNREADABLE, "a@example.test"], "the From header holds an address that cannot be read"),
        (
            ["a@example.test", "b@nowhere.test"],
            "nowhere.test is not a registered sender domain of this account",
        ),
    ],
)
def test_what_cannot_sign_passes_unsigned_is_signed_by_default_or_is_refused(
    keyring: Keyring, authors: list[str], why: str
) -> None:
    assert chosen(keyring, authors) == Choice(None, why)
    assert (
        signer(chosen(keyring, authors, unregistered="default", default_domain="example.test"))
        == "example.test"
    )
    refused = chosen(keyring, authors, unregistered="refuse")
    assert isinstance(refused, Reject)
    assert (refused.code, refused.enhanced) == (550, "5.7.1")


def test_refusing_looks_at_every_author(keyring: Keyring) -> None:
    refused = chosen(keyring, ["a@example.test", "b@nowhere.test"], unregistered="refuse")
    assert isinstance(refused, Reject)
    assert "nowhere.test is not a registered sender domain" in refused.text
    assert signer(chosen(keyring, ["a@example.test"], unregistered="refuse")) == "example.test"


def test_a_default_domain_that_is_not_there_is_told(keyring: Keyring) -> None:
    choice = chosen(keyring, ["a@nowhere.test"], unregistered="default", default_domain="gone.test")
    assert isinstance(choice, Choice)
    assert choice.domain is None
    assert "dkim.default_domain gone.test is not registered" in choice.reason


def test_a_default_needs_its_name() -> None:
    with pytest.raises(ValueError, match="needs the domain that signs"):
        DkimSettings(unregistered="default")


def test_the_outcome_of_all_other_edits_is_signed(keyring: Keyring) -> None:
    domain = make_domain(keyring, "example.test")
    headers = Headers.of(MESSAGE.headers).without(lambda header: header.name == b"X-Gatepost-Tags")
    plan = Plan(headers, b"edited\r\n", applied=("tags",))
    signed = Signing(DkimSettings(), keyring).apply(MESSAGE, plan, Choice(domain), NOW)
    assert isinstance(signed, Plan)
    assert signed.applied == ("tags", "dkim")
    assert "dkim" in signed.seconds
    published = {
        f"{key.selector}._domainkey.example.test": txt_record(key.algorithm, key.public)
        for key in domain.keys
    }
    assert by_dkimpy(render(MESSAGE, signed), published) == BOTH


def test_a_signature_of_what_is_sent_later_ends_so_many_days_after_that(keyring: Keyring) -> None:
    choice, settings = Choice(make_domain(keyring, "example.test")), DkimSettings(expire_days=7)
    for ahead, ends in ((2, 9), (-2, 7)):
        at = stamp(NOW + timedelta(days=ahead))
        signed = Signing(settings, keyring).apply(MESSAGE, Plan(features={"sendat": at}), choice, NOW)
        assert isinstance(signed, Plan)
        assert signed.headers is not None
        times = re.findall(rb"t=(\d+); x=(\d+);", b"".join(one.value for one in signed.headers.top))
        made, end = (str(int(one.timestamp())).encode() for one in (NOW, NOW + timedelta(days=ends)))
        assert times == [(made, end)] * 2


def test_unsigned_mail_says_why(keyring: Keyring) -> None:
    plan = Signing(DkimSettings(), keyring).apply(MESSAGE, Plan(), Choice(None, "because"), NOW)
    assert isinstance(plan, Plan)
    assert (plan.skipped, plan.headers) == ({"dkim": "because"}, None)


def test_a_key_that_cannot_be_opened_defers_the_message(keyring: Keyring, tmp_path: Path) -> None:
    create_missing(tmp_path / "others")
    domain = make_domain(Keyring.load(tmp_path / "others"), "example.test")
    verdict = Signing(DkimSettings(), keyring).apply(MESSAGE, Plan(), Choice(domain), NOW)
    assert isinstance(verdict, Defer)
    assert "not of the same backup" in verdict.reason


def test_a_rotation_has_no_gap(keyring: Keyring) -> None:
    """At every moment one key of each algorithm signs, and it was published before."""
    old = make_domain(keyring, "example.test").keys
    begin, end = NOW + timedelta(hours=48), NOW + timedelta(hours=216)
    new = tuple(
        DkimKey(key.selector, key.algorithm, key.public, key.sealed_private, NOW, begin)
        for key in new_keys(keyring, "example.test", NOW, [key.selector for key in old])
    )
    keys = (*(replace(key, retires_at=end) for key in old), *new)
    assert len({key.selector for key in keys}) == 4
    for hour in range(0, 300, 4):
        now = NOW + timedelta(hours=hour)
        signing = active_keys(keys, now)
        assert [key.algorithm for key in signing] == ["rsa", "ed25519"]
        assert {key.selector for key in signing} == {key.selector for key in (new if now >= begin else old)}
        assert all(key.retires_at is None or key.retires_at > now for key in signing)
    states = [set(key_states(keys, when).values()) for when in (NOW, begin, end)]
    assert states == [
        {KeyState.ACTIVE, KeyState.PENDING},
        {KeyState.ACTIVE, KeyState.RETIRING},
        {KeyState.ACTIVE, KeyState.RETIRED},
    ]


def test_keys_are_parsed_once_and_again_when_the_domain_changed(keyring: Keyring) -> None:
    signing, domain = Signing(DkimSettings(), keyring), make_domain(keyring, "example.test")
    first = signing._keys.keys(domain, NOW)
    assert signing._keys.keys(replace(domain), NOW)[0] is first[0]
    other = make_domain(keyring, "example.test")
    assert signing._keys.keys(other, NOW)[0] is not first[0]


def test_room_is_left_for_the_signature() -> None:
    assert room(0) == 0
    assert 0 < room(1_000_000) < 1_000_000 - 16_000
    assert Limits() == Limits(0, 0)

"""Whom an event suppresses, under which spellings somebody is found, what takes another's place."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from datetime import UTC, datetime, timedelta

import pytest
from hypothesis import given
from hypothesis import strategies as st

from gatepost_core.domain import Mode, ids
from gatepost_core.domain.suppressing import (
    NoAddressError,
    Reason,
    Scope,
    Suppression,
    Terms,
    Told,
    entered,
    hashed,
    in_force,
    keys,
    merged,
    nobody_left,
    refusal,
    spelled,
    suppressed_by,
)
from tests.steps import World, assert_linear

NOW = datetime(2026, 11, 28, 12, 0, tzinfo=UTC)
MONTH = timedelta(days=30)
TERMS = Terms(MONTH)
HARD = {"class": "mailbox", "permanent": True, "reply": "550 5.1.1  no such\nuser"}
BOUNCED = Told(
    id="event",
    type="bounced",
    time=NOW,
    message=ids.new(int((NOW - timedelta(minutes=1)).timestamp() * 1000)),
    recipient="Bob@Example.ORG",
    account_id=3,
    credential="gpx",
    mode=Mode.LIVE,
    had=True,
    several=False,
    delivered=False,
    detail=HARD,
)
STANDING = Suppression(3, "bob@example.org", Reason.BOUNCE, NOW, event="first")


@pytest.mark.parametrize(
    ("told", "reason"),
    [
        (BOUNCED, Reason.BOUNCE),
        (replace(BOUNCED, type="failed"), Reason.BOUNCE),
        (replace(BOUNCED, type="failed", several=True), Reason.BOUNCE),
        (replace(BOUNCED, type="complaint", detail={"feedback_type": "abuse"}), Reason.COMPLAINT),
        (replace(BOUNCED, several=True, delivered=True), Reason.BOUNCE),
    ],
)
def test_a_hard_bounce_or_a_complaint_suppresses_for_the_account(told: Told, reason: Reason) -> None:
    (found,) = suppressed_by(told, TERMS)
    assert (found.reason, found.scope, found.account_id) == (reason, Scope.ACCOUNT, 3)
    assert (found.address, found.since, found.expires_at) == ("bob@example.org", NOW, None)
    assert (found.event, found.message) == ("event", told.message)


def test_an_unsubscribe_suppresses_for_the_credential_however_old_its_message_is() -> None:
    old = ids.new(int((NOW - timedelta(days=900)).timestamp() * 1000))
    (found,) = suppressed_by(
        replace(BOUNCED, type="unsubscribed", message=old, several=True, detail={}, tags=("news",)), TERMS
    )
    assert (found.reason, found.scope, found.credential) == (Reason.UNSUBSCRIBE, Scope.CREDENTIAL, "gpx")


def test_an_unsubscribe_may_be_about_the_tags_of_its_message_alone() -> None:
    told = replace(BOUNCED, type="unsubscribed", tags=("news", "march", "news"))
    found = suppressed_by(told, TERMS, by_tag=True)
    assert [(one.scope, one.credential, one.tag) for one in found] == [
        (Scope.TAG, "gpx", "news"),
        (Scope.TAG, "gpx", "march"),
    ]
    (found_without,) = suppressed_by(replace(told, tags=()), TERMS, by_tag=True)
    assert found_without.scope is Scope.CREDENTIAL
    (bounced,) = suppressed_by(replace(told, type="bounced"), TERMS, by_tag=True)
    assert bounced.scope is Scope.ACCOUNT


@pytest.mark.parametrize("class_", ["full", "policy", "infrastructure", "size/content", "unknown", ""])
@pytest.mark.parametrize("type_", ["bounced", "failed"])
def test_no_other_class_of_failure_suppresses(class_: str, type_: str) -> None:
    assert suppressed_by(replace(BOUNCED, type=type_, detail=HARD | {"class": class_}), TERMS) == ()


@pytest.mark.parametrize(
    "told",
    [
        pytest.param(replace(BOUNCED, mode=Mode.SANDBOX), id="sandbox"),
        pytest.param(replace(BOUNCED, had=False), id="not a recipient of the message"),
        pytest.param(replace(BOUNCED, recipient=""), id="names nobody"),
        pytest.param(replace(BOUNCED, account_id=0), id="account not known"),
        pytest.param(replace(BOUNCED, detail=HARD | {"permanent": False}), id="passes"),
        pytest.param(replace(BOUNCED, detail=HARD | {"permanent": "yes"}), id="no yes or no"),
        pytest.param(replace(BOUNCED, several=True), id="several, and no delivery in our log"),
        pytest.param(replace(BOUNCED, type="complaint", several=True), id="the same, a complaint"),
        pytest.param(replace(BOUNCED, time=NOW + MONTH), id="too old a message"),
        pytest.param(replace(BOUNCED, type="complaint", time=NOW + MONTH), id="the same, a complaint"),
        pytest.param(replace(BOUNCED, type="deferred"), id="deferred"),
        pytest.param(replace(BOUNCED, type="response"), id="an answer"),
        pytest.param(replace(BOUNCED, type="unsubscribed", credential=""), id="credential not known"),
    ],
)
def test_what_is_forged_too_old_or_no_fault_of_the_mailbox_suppresses_nobody(told: Told) -> None:
    assert suppressed_by(told, TERMS) == ()


def test_what_the_host_said_is_one_line() -> None:
    (found,) = suppressed_by(BOUNCED, TERMS)
    assert found.detail == "550 5.1.1 no such user"


@pytest.mark.parametrize(
    "text",
    [
        "bob@example.org",
        "BOB@EXAMPLE.ORG",
        " <bob@example.org.> ",
        '"bob"@example.org',
        '"b\\ob"@Example.Org',
    ],
)
def test_an_address_has_one_spelling(text: str) -> None:
    assert spelled(text) == "bob@example.org"


def test_domains_have_one_spelling_and_mailboxes_with_a_plus_are_others() -> None:
    assert spelled("Bob@bücher.example") == spelled("bob@xn--bcher-kva.example")
    assert spelled("bob+news@example.org") != spelled("bob@example.org")
    assert spelled('"a b"@example.org') == "a b@example.org"


def test_an_address_is_found_by_itself_its_hash_its_domain_and_those_above() -> None:
    assert keys("Bob@Mail.Example.org") == (
        "bob@mail.example.org",
        hashed("bob@mail.example.org"),
        "mail.example.org",
        "*.example.org",
        "*.org",
    )
    assert keys("example.org") == ("example.org", "*.org")
    assert keys(f"{'x' * 400}@example.org") == ("example.org", "*.org")
    assert keys("") == ()


@given(st.text(max_size=400))
def test_any_recipient_has_keys_that_do_not_change_once_spelled(text: str) -> None:
    found = keys(text)
    assert len(found) <= 256
    if "@" in text and found and "@" in found[0]:
        assert keys(found[0])[0] == spelled(found[0])


@pytest.mark.parametrize(
    "make",
    [
        pytest.param(lambda n: "a." * n, id="labels"),
        pytest.param(lambda n: f'"{chr(92) * n}"@example.org', id="escapes"),
        pytest.param(lambda n: "@" * n, id="at signs"),
        pytest.param(lambda n: f"{'ü' * n}@{'ü' * n}", id="beyond ASCII"),
    ],
)
def test_finding_a_recipient_costs_no_more_than_its_address_is_long(
    world: World, make: Callable[[int], str]
) -> None:
    assert_linear(world, make, world.load("gatepost_core.domain.suppressing").keys, 1_000)


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("Bob@Example.org", "bob@example.org"),
        ("Example.ORG.", "example.org"),
        ("*.Bücher.example", "*.xn--bcher-kva.example"),
        (hashed("bob@example.org"), hashed("bob@example.org")),
    ],
)
def test_what_is_entered_is_an_address_a_domain_or_all_below_one(text: str, expected: str) -> None:
    assert entered(text) == expected


@pytest.mark.parametrize(
    "text",
    [
        *("", "bob", "@", "bob@", "@example.org", "bob@localhost", "a b.org", "*.org", "**.example.org"),
        *("#abc", f"{'x' * 65}@example.org", f"{'x' * 64}.org", "bob@-x.org", "bob@exa\tmple.org"),
    ],
)
def test_what_is_neither_is_refused_with_what_was_expected(text: str) -> None:
    with pytest.raises(NoAddressError, match="expected something like bob@example"):
        entered(text)


def later(**changes: object) -> Suppression:
    return replace(STANDING, since=NOW + timedelta(hours=1), event="second", **changes)  # type: ignore[arg-type]


def test_the_first_that_stands_stays() -> None:
    assert merged(None, STANDING) == STANDING
    assert merged(STANDING, later()) is None
    assert merged(STANDING, STANDING) is None


def test_what_happened_before_it_was_lifted_does_not_bring_it_back_and_what_happens_then_does() -> None:
    lifted = replace(STANDING, removed_at=NOW + timedelta(minutes=30))
    assert merged(lifted, STANDING) is None
    assert merged(lifted, replace(STANDING, event="late", since=NOW + timedelta(minutes=29))) is None
    assert merged(lifted, later()) == later()


def test_one_that_has_expired_or_ends_earlier_gives_way() -> None:
    short = replace(STANDING, expires_at=NOW + timedelta(minutes=30))
    assert merged(short, later()) == later()
    longer = replace(STANDING, expires_at=NOW + timedelta(hours=2))
    assert merged(longer, later()) == later()
    assert merged(longer, later(expires_at=NOW + timedelta(hours=1, minutes=1))) is None


def test_a_bounce_takes_the_place_of_what_somebody_entered_and_ends_no_earlier() -> None:
    entered_by_hand = replace(STANDING, reason=Reason.MANUAL)
    assert merged(entered_by_hand, later(expires_at=NOW + MONTH)) == later()
    assert merged(STANDING, later(reason=Reason.MANUAL)) is None


def test_a_refusal_names_the_oldest_that_stands() -> None:
    expired = replace(STANDING, since=NOW - MONTH, expires_at=NOW)
    lifted = replace(STANDING, since=NOW - MONTH, removed_at=NOW)
    assert in_force([expired, lifted], NOW) is None
    assert in_force([later(), expired, STANDING, lifted], NOW + timedelta(hours=2)) == STANDING


def test_a_bounce_may_have_an_end_and_an_opt_out_has_none() -> None:
    terms = Terms(MONTH, {Reason.BOUNCE: timedelta(days=7), Reason.UNSUBSCRIBE: timedelta(days=7)})
    (bounced,) = suppressed_by(BOUNCED, terms)
    assert bounced.expires_at == NOW + timedelta(days=7)
    (complained,) = suppressed_by(replace(BOUNCED, type="complaint"), terms)
    assert complained.expires_at is None


@given(
    st.builds(
        Told,
        id=st.text(max_size=5),
        type=st.sampled_from(["bounced", "failed", "complaint", "unsubscribed", "delivered", "x"]),
        time=st.just(NOW),
        message=st.just(BOUNCED.message),
        recipient=st.one_of(st.just("bob@example.org"), st.text(max_size=400)),
        account_id=st.integers(0, 2),
        credential=st.sampled_from(["", "gpx"]),
        mode=st.sampled_from(Mode),
        had=st.booleans(),
        several=st.booleans(),
        delivered=st.booleans(),
        detail=st.dictionaries(
            st.sampled_from(["class", "permanent", "reply", "text"]),
            st.one_of(
                st.none(), st.booleans(), st.just("mailbox"), st.text(max_size=400), st.lists(st.text())
            ),
        ),
    )
)
def test_whatever_is_told_only_what_is_proven_suppresses(told: Told) -> None:
    for one in suppressed_by(told, TERMS):
        assert told.mode is not Mode.SANDBOX
        assert (told.had, one.account_id) == (True, told.account_id)
        assert one.address == spelled(told.recipient)
        if told.type in ("bounced", "failed"):
            assert (told.detail["class"], told.detail["permanent"]) == ("mailbox", True)
        assert told.type in ("failed", "unsubscribed") or told.delivered or not told.several
        assert one.scope is (Scope.CREDENTIAL if told.type == "unsubscribed" else Scope.ACCOUNT)


@pytest.mark.parametrize("reason", Reason)
def test_mail_that_somebody_asked_for_is_stopped_by_bounces_and_complaints_alone(reason: Reason) -> None:
    found = [replace(STANDING, reason=reason)]
    assert in_force(found, NOW) == found[0]
    stops = reason in (Reason.BOUNCE, Reason.COMPLAINT)
    assert (in_force(found, NOW, transactional=True) is not None) == stops


def test_a_refusal_says_what_to_type_also_for_a_domain_and_for_what_was_forgotten() -> None:
    of_domain = Suppression(3, "*.example.org", Reason.MANUAL, NOW, credential="gpx")
    assert str(refusal(of_domain, "acme", "bob@x.example.org")).endswith(
        "reason manual; your mail administrator can lift it: gatepost suppression remove *.example.org "
        "--account acme --credential gpx"
    )
    forgotten = replace(STANDING, address=hashed("bob@example.org"))
    assert "remove bob@example.org --account" in str(refusal(forgotten, "acme", "Bob@example.org"))


def test_where_nobody_is_left_the_refusal_names_one_and_the_tag() -> None:
    one = replace(STANDING, reason=Reason.UNSUBSCRIBE, credential="gpx", tag="news")
    assert str(nobody_left(one, "acme", "bob@example.org")) == (
        "550 5.7.1 No recipient is left: <bob@example.org> is suppressed for the tag news since "
        "2026-11-28T12:00:00Z, reason unsubscribe; your mail administrator can lift it: gatepost suppression "
        "remove bob@example.org --account acme --credential gpx --tag news"
    )

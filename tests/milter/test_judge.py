"""The judge: state, senders and features of one message at its end, on a real store."""

from __future__ import annotations

import json
from collections.abc import Iterator
from dataclasses import asdict, replace
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest

from gatepost_core.domain import Defer, Mode, Reject, State, WallMode, stamp
from gatepost_core.domain.walls import Walls
from gatepost_core.keys import Keyring
from gatepost_core.keys.tokens import ClickTokens
from gatepost_core.store import Reader, StoreUnavailable, credentials
from gatepost_core.store.images import FileImageStore
from gatepost_milter.contexts import ContextMaker, SizeLimits, Tracking
from gatepost_milter.holding import HOLDING, Hold, Holding
from gatepost_milter.html.room import TAGS_MOST
from gatepost_milter.judge import Accepted, Judge
from gatepost_milter.transaction import Transaction
from tests.core.stores import Store, make_store
from tests.steps import World, assert_linear

LINK = b'<a href="https://shop.example.org/spring?x=1">Spring</a>\r\n'


@pytest.fixture
def store(tmp_path: Path) -> Store:
    return make_store(tmp_path)


OPENED: list[Reader] = []


@pytest.fixture(autouse=True)
def readers() -> Iterator[None]:
    """Close what a test's judges read by."""
    yield
    while OPENED:
        OPENED.pop().close()


def reader_of(store: Store) -> Reader:
    OPENED.append(Reader(store.settings.store.url))
    return OPENED[-1]


def judge(store: Store, now: datetime | None = None, fallback: str = "", holding: Holding = HOLDING) -> Judge:
    reader = reader_of(store)
    contexts = ContextMaker(
        reader,
        Keyring.load(store.settings.keys.directory),
        FileImageStore(store.folder / "images"),
        Tracking(fallback_domain=fallback),
        SizeLimits(),
    )
    return Judge(
        reader, contexts, walls=Walls(reader), holding=holding, clock=lambda: now or datetime.now(UTC)
    )


def transaction(username: str, *headers: tuple[str, bytes], body: bytes = LINK) -> Transaction:
    begun = Transaction(username, b"<sender@bob.test>")
    begun.add_recipient(b"<reader@example.org>")
    for name, value in (*headers, ("Content-Type", b" text/html; charset=utf-8")):
        begun.add_header(name, value)
    begun.add_body(body)
    return begun


def test_a_record_says_who_sent_what_to_whom(store: Store) -> None:
    sent = transaction(
        "alice",
        ("From", b" Ann <ann@example.test>"),
        ("Subject", b" Gr\xc3\xbc\xc3\x9fe\n an alle"),
        ("Message-ID", b"\n <1@example.test>"),
        ("Sender", b" List <list@example.test>"),
        ("X-Gatepost-Tags", b" spring, news"),
    )
    verdict = judge(store).decide(sent, "4Q1")
    assert isinstance(verdict, Accepted)
    record = verdict.record
    assert (record.username, record.queue_id) == ("alice", "4Q1")
    assert (record.sender, record.recipients) == ("sender@bob.test", ("reader@example.org",))
    assert (record.header_from, record.subject) == ("ann@example.test", "Grüße an alle")
    assert record.message_id == "<1@example.test>"
    credential = reader_of(store).credential("alice")
    assert credential is not None
    assert (record.credential_id, record.account_id) == (credential.id, credential.account_id)
    assert record.tags == ("spring", "news")
    assert record.applied == ("tags",)
    assert record.size - record.size_after == len("X-Gatepost-Tags: spring, news\r\n")
    assert verdict.senders == ("list@example.test",)


@pytest.mark.parametrize(
    ("field", "shown"),
    [
        (b"=?utf-8?q?Gr=C3=BC=C3=9Fe?= =?utf-8?b?IGFuIGFsbGU=?=", "Gr\u00fc\u00dfe an alle"),
        (b"=?utf-8?q?one=0D=0A=00two?=", "one \ufffdtwo"),
        (b"=?utf-8?q?=F0=9F=98=80?= " * 500, "\U0001f600" * 500),
        (b"=?utf-8?q?" + b"=C3=BC" * 8_000 + b"?=", None),
        (b"=?utf-8?q?not closed", "=?utf-8?q?not closed"),
    ],
)
def test_a_subject_is_kept_as_readers_see_it(store: Store, field: bytes, shown: str | None) -> None:
    sent = transaction("alice", ("From", b" ann@example.test"), ("Subject", b" " + field))
    verdict = judge(store).decide(sent, "4Q1")
    assert isinstance(verdict, Accepted)
    subject = verdict.record.subject
    assert subject == shown if shown is not None else len(subject) == 500


def test_no_message_fills_the_journal_by_what_it_says_of_itself(store: Store) -> None:
    """Many authors, the longest addresses and subject that Postfix lets through, many parts to explain."""
    authors = b", ".join(b"<a%d%s@example.test>" % (number, b"x" * 180) for number in range(20))
    parts = b"".join(
        b"--b\r\nContent-Type: text/html; charset=no-such-%d\r\n\r\n<p>x</p>\r\n" % number
        for number in range(200)
    )
    sent = Transaction("alice", b"<%s@bob.test>" % (b"s" * 2_000))
    sent.add_recipient(b"<%s@example.org>" % (b"r" * 2_000))
    for name, value in (
        ("From", b" " + authors),
        ("Subject", b" " + b"word " * 20_000),
        ("Message-ID", b" <%s@example.test>" % (b"m" * 2_000)),
        ("Content-Type", b" multipart/mixed; boundary=b"),
        ("X-Gatepost-InlineCSS", b" on"),
        ("X-Gatepost-Tags", b" " + b",".join(b"%02d" % number + b"t" * 62 for number in range(20))),
    ):
        sent.add_header(name, value)
    sent.add_body(parts + b"--b--\r\n")
    verdict = judge(store).decide(sent, "4Q1")
    assert isinstance(verdict, Accepted)
    record = verdict.record
    assert len(json.dumps(asdict(record), default=str)) < 10_000
    assert record.header_from.startswith("a0xxx")
    assert len(record.message_id) == 250
    for text in (record.header_from, record.subject, record.sender, *record.recipients):
        assert text.endswith("…")
        assert len(text) <= 1_000
    assert max(map(len, record.skipped.values())) <= 1_000
    assert len(record.tags) == 20


@pytest.mark.parametrize("name", ["X-Gatepost-TrackOpens", "x-smtpeter-trackopens"])
def test_an_override_turns_a_feature_on_that_the_credential_has_not(store: Store, name: str) -> None:
    sent = transaction("alice", ("From", b" a@example.test"), (name, b" on"))
    verdict = judge(store, fallback="click.example.test").decide(sent, "1")
    assert isinstance(verdict, Accepted)
    assert verdict.record.applied == ("trackopens",)
    assert b"https://click.example.test/o/" in (verdict.plan.body or b"")


@pytest.mark.parametrize("when", ["disabled", "removed", "expired"])
def test_a_credential_that_ended_meanwhile_is_refused_for_good(store: Store, when: str) -> None:
    username = {"disabled": "alice", "removed": "nobody", "expired": "old"}[when]
    if when == "disabled":
        store.set_state("alice", State.DISABLED)
    verdict = judge(store).decide(transaction(username, ("From", b" a@example.test")), "4Q1")
    assert isinstance(verdict, Reject)
    assert (verdict.code, verdict.enhanced) == (550, "5.7.1")
    assert username in verdict.text


def test_an_end_date_counts_to_the_second(store: Store) -> None:
    old = reader_of(store).credential("old")
    assert old is not None
    assert old.expires_at is not None
    sent = ("From", b" a@example.test")
    before = judge(store, old.expires_at - timedelta(seconds=1)).decide(transaction("old", sent), "1")
    after = judge(store, old.expires_at).decide(transaction("old", sent), "1")
    assert isinstance(before, Accepted)
    assert isinstance(after, Reject)


@pytest.mark.parametrize(
    ("headers", "named"),
    [
        ([("From", b" Boss <boss@example.test>")], "<boss@example.test>"),
        ([("From", b" b@bob.test, boss@example.test")], "<boss@example.test>"),
        ([("From", b" b@bob.test"), ("From", b" boss@example.test")], "<boss@example.test>"),
        ([("From", b' "boss@example.test" <b@bob.test')], "cannot be read as an address"),
        ([("From", b" =?utf-8?q?=FF=3Cboss=40b=2Etest=3E?= <b@bob.test>")], "<boss@b.test>"),
        ([("From", b" =?utf-8?q?=3Cboss=40b=0D=0A.test=3E?= <b@bob.test>")], r"<boss@b\r\n.test>"),
        (
            [("From", b" b@bob.test"), ("Sender", b" boss@example.test")],
            "Sender header address <boss@example.test>",
        ),
        (
            [("Sender", b" b@bob.test"), ("From", b" b@bob.test"), ("sender", b" boss")],
            "The Sender header cannot be read",
        ),
        ([], "no address"),
    ],
)
def test_a_restricted_credential_is_held_to_every_author(
    store: Store, headers: list[tuple[str, bytes]], named: str
) -> None:
    verdict = judge(store).decide(transaction("bob", *headers), "4Q1")
    assert isinstance(verdict, Reject)
    assert (verdict.code, verdict.enhanced) == (550, "5.7.1")
    assert named in verdict.text


def test_html_beyond_what_is_read_is_held_to_its_author_and_its_overrides_all_the_same(store: Store) -> None:
    body, override = LINK + b"<b>\r\n" * TAGS_MOST, ("X-Gatepost-TrackClicks", b" on")
    boss, own = ("From", b" boss@example.test"), ("From", b" b@bob.test")
    assert isinstance(judge(store).decide(transaction("bob", boss, override, body=body), "4Q1"), Reject)
    verdict = judge(store, fallback="c.test").decide(transaction("bob", own, override, body=body), "4Q2")
    assert isinstance(verdict, Accepted)
    assert (verdict.plan.body, len(verdict.header_calls)) == (None, 1)
    assert verdict.record.skipped == {"trackclicks": f"the HTML body has more than {TAGS_MOST} tags"}


def test_its_own_author_passes(store: Store) -> None:
    sent = transaction("bob", ("From", b" B <B@Bob.Test>"), ("Sender", b" B, Inc. <b@bob.test>"))
    verdict = judge(store).decide(sent, "4Q1")
    assert isinstance(verdict, Accepted)


@pytest.mark.parametrize(
    ("mode", "held"),
    [
        (Mode.LIVE, Hold("to be sent at 2026-11-27T14:00:00Z", datetime(2026, 11, 27, 14, tzinfo=UTC))),
        (Mode.HOLD, Hold("the credential is in mode hold")),
        (Mode.SANDBOX, None),
    ],
)
def test_what_is_sent_later_is_held_as_its_credential_s_mode_has_it(
    store: Store, mode: Mode, held: Hold | None
) -> None:
    with store.writing() as connection:
        credentials.change(connection, "alice", mode=mode)
    sent = transaction(
        "alice", ("From", b" a@example.test"), ("X-Gatepost-Send-At", b" 2026-11-27T14:00:00Z")
    )
    verdict = judge(store, datetime(2026, 11, 27, 12, tzinfo=UTC)).decide(sent, "Q")
    assert isinstance(verdict, Accepted)
    assert (verdict.held, verdict.record.mode) == (held, mode)


@pytest.mark.parametrize(("hours", "held"), [(0, False), (3, True), (2, False)])
def test_messages_of_a_new_credential_are_held_for_so_many_hours(
    store: Store, hours: int, held: bool
) -> None:
    reader = reader_of(store)
    made = reader.credential("alice")
    assert made is not None
    holding = Holding(new=timedelta(hours=hours))
    found = holding.of(made, None, made.created_at + timedelta(hours=2))
    reason = f"the credential is new: it was made at {stamp(made.created_at)}"
    assert found == (Hold(reason) if held else None)
    later = made.created_at + timedelta(hours=9)
    assert holding.of(made, later, made.created_at + timedelta(hours=1)) == (
        Hold(reason) if hours else Hold(f"to be sent at {stamp(later)}", later)
    )
    assert holding.of(replace(made, mode=Mode.SANDBOX), None, made.created_at) is None


def test_nothing_is_held_past_milters_that_come_after_ours(store: Store) -> None:
    """Postfix asks none of them about a message that is held: not the virus scanner."""
    later = ("X-Gatepost-Send-At", b" 2026-11-28T12:00:00Z")
    now = datetime(2026, 11, 27, 12, tzinfo=UTC)
    for header, code in ((later, 550), (None, None)):
        sent = transaction("alice", ("From", b" a@example.test"), *([header] if header else []))
        verdict = judge(store, now, holding=Holding(skips=True)).decide(sent, "Q")
        assert (verdict.code if isinstance(verdict, Reject) else None) == code
    new = Holding(new=timedelta(days=36_500), skips=True)
    verdict = judge(store, now, holding=new).decide(transaction("alice", ("From", b" a@example.test")), "Q")
    assert isinstance(verdict, Defer)
    assert "postfix.milters_after" in verdict.text


def test_only_what_has_features_is_left_to_another_thread(store: Store) -> None:
    author = ("From", b" B <b@bob.test>")
    plain = judge(store).at_once(transaction("bob", author), "4Q1")
    overridden = judge(store).at_once(transaction("bob", author, ("X-Gatepost-Tags", b" spring")), "4Q2")
    assert isinstance(plain, Accepted)
    assert callable(overridden)
    verdict = overridden()
    assert isinstance(verdict, Accepted)
    assert verdict.plan.tags == ("spring",)


def test_links_lead_through_the_from_domains_click_domain_with_a_token_that_knows_the_message(
    store: Store,
) -> None:
    sent = transaction("alice", ("From", b" a@example.test"), ("X-Gatepost-TrackClicks", b" on"))
    verdict = judge(store).decide(sent, "4Q1")
    assert isinstance(verdict, Accepted)
    assert verdict.plan.body is not None
    link = verdict.plan.body.split(b'"')[1].decode()
    assert link.startswith("https://click.example.test/")
    assert link.endswith("/spring?x=1")
    token = link.removeprefix("https://click.example.test/").removesuffix("/spring?x=1")
    tokens = ClickTokens(Keyring.load(store.settings.keys.directory))
    click = tokens.verify(token, "click.example.test", "/spring?x=1")
    assert (click.scheme, click.authority) == ("https", "shop.example.org")
    assert click.origin.message_id == verdict.record.id
    assert click.origin.credential_id == verdict.record.credential_id


@pytest.mark.parametrize(("fallback", "host"), [("", None), ("click.gateway.test", b"click.gateway.test")])
def test_an_unregistered_from_domain_has_the_fallback_click_domain_or_none(
    store: Store, fallback: str, host: bytes | None
) -> None:
    sent = transaction("alice", ("From", b" a@other.test"), ("X-Gatepost-TrackClicks", b" on"))
    verdict = judge(store, fallback=fallback).decide(sent, "4Q1")
    assert isinstance(verdict, Accepted)
    if host is None:
        assert verdict.plan.body is None
        assert verdict.record.skipped == {"trackclicks": "no click domain for the From domain"}
    else:
        assert host in (verdict.plan.body or b"")


def test_a_store_that_cannot_be_read_is_no_verdict(store: Store, tmp_path: Path) -> None:
    judging = judge(store)
    (tmp_path / "directory.db").rename(tmp_path / "away.db")
    with pytest.raises(StoreUnavailable):
        judging.decide(transaction("alice", ("From", b" a@example.test")), "4Q1")
    (tmp_path / "away.db").rename(tmp_path / "directory.db")
    assert isinstance(judging.decide(transaction("alice", ("From", b" a@example.test")), "4Q2"), Accepted)


BROKEN = b' "Boss" <boss@beta.test'


@pytest.mark.parametrize("username", ["alice", "bob"])
@pytest.mark.parametrize(
    "headers",
    [
        [("From", b" boss@beta.test")],
        [("From", b" Boss <boss@Sub.Beta.TEST>")],
        [("From", b" b@bob.test, boss@beta.test")],
        [("From", b" b@bob.test"), ("From", b" boss@beta.test")],
        [("From", b" b@bob.test"), ("Sender", b" boss@bounces.beta.test")],
        [("From", b" b@bob.test"), ("Sender", b" boss@click.beta.test")],
        [("From", b' "<boss@beta.test>" <b@bob.test>')],
        [("From", b" b@bob.test"), ("From", BROKEN)],
        [("From", b" b@bob.test"), ("sender", BROKEN)],
        [("From", b" Boss <boss@beta . test")],
        [("From", b" =?utf-8?q?=3Cboss=40beta=2Etest=3E?= <x@bob.test")],
    ],
)
def test_a_message_in_the_name_of_another_accounts_domain_is_refused(
    store: Store, headers: list[tuple[str, bytes]], username: str
) -> None:
    """With sender rules and without: bob is held to bob.test, alice to nothing."""
    store.other_account()
    verdict = judge(store).decide(transaction(username, *headers), "4Q1")
    assert isinstance(verdict, Reject)
    assert (verdict.code, verdict.enhanced) == (550, "5.7.1")
    if username == "alice":
        assert "another account registered" in verdict.text


@pytest.mark.parametrize(
    "headers",
    [
        [("From", b" a@example.test")],
        [("From", b" a@sub.example.test"), ("Sender", b" x@bounces.example.test")],
        [("From", b" a@nobody.test, b@example.test")],
        [("From", b" a@notbeta.test")],
        [("From", b' "boss@beta.test" <a@example.test>')],
        [("From", b" Scanner")],
        [],
    ],
)
def test_what_is_its_own_or_nobodys_passes(store: Store, headers: list[tuple[str, bytes]]) -> None:
    store.other_account()
    verdict = judge(store).decide(transaction("alice", *headers), "4Q1")
    assert isinstance(verdict, Accepted)
    assert "walls" not in verdict.record.skipped


def test_a_grant_lifts_the_wall_at_once(store: Store) -> None:
    store.other_account(granted=True)
    sent = transaction("alice", ("From", b" a@beta.test"), ("X-Gatepost-TrackClicks", b" on"))
    verdict = judge(store).decide(sent, "4Q1")
    assert isinstance(verdict, Accepted)
    assert b"https://click.beta.test/" in (verdict.plan.body or b"")


def test_where_walls_only_report_the_message_passes_and_the_record_says_what_would_be_refused(
    store: Store,
) -> None:
    store.other_account()
    store.set_walls(WallMode.REPORT)
    verdict = judge(store).decide(transaction("alice", ("From", b" a@sub.beta.test")), "4Q1")
    assert isinstance(verdict, Accepted)
    assert verdict.record.skipped["walls"] == "would be refused: beta.test is another account's"


def test_a_from_field_that_is_too_long_to_be_looked_through_is_refused(store: Store) -> None:
    sent = transaction("alice", ("From", b" <" + b"a." * 30_000 + b"test"))
    verdict = judge(store).decide(sent, "4Q1")
    assert isinstance(verdict, Reject)
    assert "too long" in verdict.text


def test_headers_that_cannot_be_read_are_looked_through_in_linear_time(world: World) -> None:
    read = world.load("gatepost_milter.parts.authors")._names
    for piece in (b"a.", b" . ", b"a@", b"x ", b".", b"=?utf-8?q?", "é.".encode(), b"<", b"a" * 3 + b".b "):
        assert_linear(world, lambda n, piece=piece: [piece * n], lambda fields: list(read(fields)))  # type: ignore[misc]

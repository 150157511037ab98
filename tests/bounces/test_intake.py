"""What is taken at the bounce domains, and what counts: whose address, how old, how often."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest

from gatepost_bounces.intake import Intake, Mailbox
from gatepost_bounces.keeping import Kept
from gatepost_core.domain import ids, spooled
from gatepost_core.keys import Keyring
from gatepost_core.keys.keyring import create_missing
from gatepost_core.keys.tokens import BounceTokens, Origin

from .forms import HOST, MTA, Directory, complaint, failed, issued, plain, report

NOW = datetime(2026, 11, 28, 3, 0, tzinfo=UTC)
MESSAGE = ids.new(int((NOW - timedelta(hours=1)).timestamp() * 1000))
OLD = ids.new(int((NOW - timedelta(days=31)).timestamp() * 1000))


@pytest.fixture
def keys(tmp_path: Path) -> Keyring:
    create_missing(tmp_path)
    return Keyring.load(tmp_path)


@pytest.fixture
def intake(keys: Keyring) -> Intake:
    return Intake(Directory(), BounceTokens(keys), feedback="fbl", oldest=timedelta(days=30))


def test_only_addresses_that_were_given_out_are_taken_in_any_case(intake: Intake, keys: Keyring) -> None:
    address = issued(keys, MESSAGE)
    for one in (address, address.upper()):
        mailbox = intake.mailbox(one)
        assert mailbox is not None
        assert mailbox.origin is not None
        assert mailbox.origin.message_id == MESSAGE
    assert intake.mailbox(f"FBL@{HOST}") == Mailbox(None)
    local_part = address.partition("@")[0]
    for one in (
        f"{local_part}@other.test",
        "fbl@other.test",
        f"bob@{HOST}",
        f"{local_part[:-1]}@{HOST}",
        "",
        "@",
    ):
        assert intake.mailbox(one) is None


def test_the_same_bounce_twice_is_one_event_and_other_recipients_are_others(
    intake: Intake, keys: Keyring
) -> None:
    mailbox = intake.mailbox(issued(keys, MESSAGE))
    assert mailbox is not None
    first, again, other = (
        intake.take(report(MTA, failed(name), extra=text), mailbox, "", NOW).events[0]
        for name, text in (("bob@example.org", ""), ("Bob@example.org", "again\n"), ("eve@example.org", ""))
    )
    assert first.id == again.id != other.id
    event = spooled.read_event(first.content)
    assert (event.type, event.message, event.recipient) == ("bounced", MESSAGE, "bob@example.org")


def test_reports_and_nothing_else_may_be_forwarded_where_somebody_wants_it(
    intake: Intake, keys: Keyring
) -> None:
    asked = Intake(Directory(forwards=True), BounceTokens(keys), feedback="fbl", oldest=timedelta(days=30))
    address = issued(keys, MESSAGE)
    mailbox = asked.mailbox(address)
    assert mailbox is not None
    relayed = failed("bob@example.org").replace("Action: failed", "Action: relayed")
    for raw in (report(MTA, failed("bob@example.org")), report(MTA, relayed)):
        (found,) = asked.take(raw, mailbox, "", NOW).forwards
        told = spooled.read_report(found.content)
        assert (found.kind, told.message, told.address) == (spooled.REPORT, MESSAGE, address)
        assert told.file == asked.take(raw, mailbox, "", NOW).file
        assert asked.take(raw, mailbox, "", NOW).forwards == (found,)
        assert intake.take(raw, mailbox, "", NOW).forwards == ()
    vacation = plain("Away", "Back soon.", "Auto-Submitted: auto-replied")
    for raw in (vacation, complaint("Original-Rcpt-To: <bob@example.org>"), plain("Hm", "hm")):
        assert asked.take(raw, mailbox, "", NOW).forwards == ()
    old = asked.mailbox(issued(keys, OLD))
    assert old is not None
    assert asked.take(report(MTA, failed("bob@example.org")), old, "", NOW).forwards == ()
    token = BounceTokens(keys).issue(Origin(HOST, 8, MESSAGE))
    another = asked.mailbox(f"{token}@{HOST}")  # of an account that does not want it
    assert another is not None
    assert asked.take(report(MTA, failed("bob@example.org")), another, "", NOW).forwards == ()


def test_what_comes_late_is_told_to_people_and_counts_for_nothing(intake: Intake, keys: Keyring) -> None:
    mailbox = intake.mailbox(issued(keys, OLD))
    assert mailbox is not None
    taken = intake.take(report(MTA, failed("bob@example.org")), mailbox, "", NOW)
    assert taken.events == ()
    assert "31 days ago" in taken.unread


def test_a_complaint_at_the_feedback_address_counts_only_with_a_bounce_address_of_ours(
    intake: Intake, keys: Keyring
) -> None:
    shown = complaint("Original-Rcpt-To: <bob@example.org>", f"Original-Mail-From: <{issued(keys, MESSAGE)}>")
    (event,) = intake.take(shown, Mailbox(None), "fbl@provider.test", NOW).events
    assert spooled.read_event(event.content).message == MESSAGE
    for raw in (
        complaint("Original-Rcpt-To: <bob@example.org>"),
        plain("x", "y"),
        report(MTA, failed("b@e.test")),
    ):
        taken = intake.take(raw, Mailbox(None), "fbl@provider.test", NOW)
        assert (taken.events, bool(taken.unread)) == ((), True)


def test_kept_files_are_whole_and_the_oldest_make_room(tmp_path: Path) -> None:
    kept = Kept(tmp_path, seconds=1_000, most=25)
    for name in ("a.eml", "b.eml", "c.eml"):
        kept.keep(name, b"0123456789", flush=True)
    kept.prune()
    assert {path.read_bytes() for path in tmp_path.iterdir()} == {b"0123456789"}
    assert len(list(tmp_path.iterdir())) == 2
    Kept(tmp_path, seconds=-1, most=25).prune()
    assert not list(tmp_path.iterdir())

"""Receivers that are down for hours and days: only the clock is the test's, all else is real."""

from __future__ import annotations

import json
import socket
from datetime import timedelta

import pytest

from gatepost_core.domain.outcomes import Logged, Told
from gatepost_core.store.webhooks import outbox
from tests.core.ingest.test_suppressor import told

from .clock import Clock, sender
from .receiver import Receiver, receiving, reset, status
from .world import Hooked

MINUTE = timedelta(minutes=1)
HOUR = timedelta(hours=1)
DAY = timedelta(days=1)


def nobody() -> str:
    """Return a URL where nobody listens."""
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        return f"http://127.0.0.1:{taken.getsockname()[1]}/"


def test_after_an_hour_without_a_receiver_everything_arrives_once_and_in_order(hooked: Hooked) -> None:
    made = hooked.add(nobody())
    with sender(hooked) as sent:
        sent.settle()  # from here on
        records = []
        for _ in range(20):
            records.append(hooked.send("bounced", "complaint"))
            hooked.take()
            sent.pass_by(3 * MINUTE, MINUTE)
        shown = hooked.say("show", made["id"])
        assert (shown["waiting"], shown["blocked"]) == (60, 40)
        with receiving() as receiver:
            hooked.say("set", made["id"], "--url", receiver.url)
            sent.pass_by(4 * HOUR, 5 * MINUTE)
            assert len(receiver.got) == 60
            assert len({one.number for one in receiver.got}) == 60
            for record in records:
                types = [one.event["type"] for one in receiver.got if one.event["message"] == record.id]
                assert types == ["accepted", "bounced", "complaint"]
        shown = hooked.say("show", made["id"])
        assert (shown["waiting"], shown["given_up"], shown["failures"]) == (0, 0, 0)


def test_what_is_never_taken_is_tried_eight_times_given_up_and_sent_again_when_asked(
    hooked: Hooked, receiver: Receiver
) -> None:
    made = hooked.add(receiver.url)
    receiver.plan = [status(500)] * 8
    with sender(hooked) as sent:
        sent.settle()
        record = hooked.send("bounced")
        hooked.take()
        began = sent.clock.now
        sent.pass_by(30 * HOUR, 5 * MINUTE)
        log = list(reversed(hooked.say("log", made["id"])))
        assert [one["attempt"] for one in log] == [1, 2, 3, 4, 5, 6, 7, 8, 1]
        assert [one["ok"] for one in log] == [False] * 8 + [True]
        assert sent.clock.now - began > 27 * HOUR
        assert log[7]["next_attempt_at"] is None
        # The next event of the message was not held up for good.
        assert receiver.types == ["accepted"] * 8 + ["bounced"]
        (gone,) = hooked.say("log", made["id"], "--given-up")
        assert (gone["message"], gone["attempts"]) == (record.id, 8)
        assert hooked.say("replay", made["id"], "--given-up")["events"] == 1
        sent.settle()
        assert receiver.types[9:] == ["accepted"]
        assert receiver.got[9].number == receiver.got[0].number
        assert hooked.say("log", made["id"], "--given-up") == []


def test_who_asks_for_an_hour_of_rest_has_it(hooked: Hooked, receiver: Receiver) -> None:
    hooked.add(receiver.url)
    receiver.plan = [status(429, Retry_After="3600")]
    with sender(hooked) as sent:
        sent.settle()
        hooked.send()
        hooked.take()
        sent.pass_by(59 * MINUTE, MINUTE)
        assert len(receiver.got) == 1
        sent.pass_by(2 * MINUTE, MINUTE)
        assert receiver.types == ["accepted", "accepted"]


def test_after_five_days_without_success_it_is_switched_off_and_says_so(hooked: Hooked) -> None:
    made = hooked.add(nobody())
    with sender(hooked) as sent:
        sent.settle()
        for _ in range(10):
            hooked.send()
            hooked.take()
            sent.pass_by(12 * HOUR, HOUR)
        (told,) = hooked.say("list")
        assert told["state"] == "active"
        hooked.send()
        hooked.take()
        sent.pass_by(12 * HOUR, HOUR)
        (told,) = hooked.say("list")
        assert told["state"] == "off"
        assert "attempts of 5 days failed" in told["off_reason"]
        hooked.send()
        hooked.take()
        sent.settle()
        assert hooked.say("show", made["id"])["waiting"] == 0
    with receiving() as receiver:
        hooked.say("set", made["id"], "--url", receiver.url, "--enable")
        with sender(hooked, Clock()) as sent:
            record = hooked.send()
            hooked.take()
            sent.settle()
            assert [one.event["message"] for one in receiver.got] == [record.id]
            assert hooked.say("replay", made["id"], "--since", "2000-01-01")["events"] == 13
            sent.pass_by(MINUTE, MINUTE)
            assert len({one.number for one in receiver.got}) == 13


def test_an_endpoint_that_says_it_is_gone_is_switched_off_at_once(hooked: Hooked, receiver: Receiver) -> None:
    made = hooked.add(receiver.url)
    receiver.usual = status(410)
    with sender(hooked) as sent:
        sent.settle()
        hooked.send("bounced")
        hooked.take()
        sent.settle()
    told = hooked.say("show", made["id"])
    assert (told["state"], told["off_reason"]) == ("off", "it answered 410 Gone: 410 Gone: no")
    assert len(receiver.got) == 1


def test_what_finds_no_room_in_the_queue_waits_in_the_journal_and_nobody_else_for_it(
    hooked: Hooked, receiver: Receiver
) -> None:
    hooked.add(receiver.url + "/well")
    slow = hooked.add(nobody())
    with sender(hooked, backlog=5) as sent:
        sent.settle()
        records = [hooked.send("bounced") for _ in range(20)]
        hooked.take()
        sent.settle()
        more = [hooked.send("bounced") for _ in range(20)]
        hooked.take()
        sent.settle()
        assert len(receiver.got) == 80
        assert hooked.say("show", slow["id"])["waiting"] == 40
        with receiving() as other:
            hooked.say("set", slow["id"], "--url", other.url)
            sent.pass_by(10 * MINUTE, MINUTE)
            assert len({one.number for one in other.got}) == len(other.got) == 80
            for record in (*records, *more):
                types = [one.event["type"] for one in other.got if one.event["message"] == record.id]
                assert types == ["accepted", "bounced"]


def test_two_secrets_sign_while_one_takes_the_place_of_the_other(hooked: Hooked, receiver: Receiver) -> None:
    made = hooked.add(receiver.url)
    changed = hooked.say("rotate", made["id"], "--overlap", "24h")
    with sender(hooked) as sent:
        sent.settle()
        hooked.send()
        hooked.take()
        sent.settle()
        got = receiver.got[0]
        assert got.verified(made["secret"]) == got.verified(changed["secret"])
        assert len(got.headers["webhook-signature"].split()) == 2
        sent.clock.now += 25 * HOUR
        hooked.send()
        hooked.take()
        sent.settle()
        (signature,) = receiver.got[1].headers["webhook-signature"].split()
        assert signature.startswith("v1,")
    again = hooked.say("rotate", made["id"], "--overlap", "0h")
    assert len(hooked.say("show", made["id"])["secrets"]) == 1
    with sender(hooked) as sent:
        sent.settle()
        hooked.send()
        hooked.take()
        sent.settle()
    assert receiver.got[2].verified(again["secret"])["type"] == "accepted"


def test_what_was_on_its_way_when_a_sender_died_goes_out_again_when_its_lease_is_over(
    hooked: Hooked, receiver: Receiver
) -> None:
    hooked.add(receiver.url)
    with sender(hooked) as sent:
        sent.settle()
        hooked.send()
        hooked.take()
        now = sent.clock.now
        with sent.sending._begin() as connection:
            sent.sending._fill(connection, now)
            (handle,) = outbox.earliest(connection)
            assert len(outbox.claim(connection, {handle: 4}, now, MINUTE, "another node")) == 1
        sent.settle()
        assert receiver.got == []
        sent.pass_by(MINUTE, MINUTE)
        assert len(receiver.got) == 1


def test_a_test_is_tried_once_whatever_comes_of_it(hooked: Hooked, receiver: Receiver) -> None:
    made = hooked.add(receiver.url)
    receiver.plan = [reset]
    with hooked.daemon():
        failed = hooked.gatepost("webhook", "test", made["id"], "--json")
        assert (failed.code, failed.data["ok"], failed.data["next_attempt_at"]) == (1, False, None)
        done = hooked.gatepost("webhook", "test", made["id"], "--json")
        assert (done.code, done.data["status"]) == (0, 204)
    told = receiver.got[1].verified(made["secret"])
    assert (told["type"], told["account"], told["detail"]) == ("ping", "acme", {"webhook": made["id"]})
    assert hooked.say("log", made["id"], "--given-up") == []
    assert json.loads(receiver.got[0].body)["type"] == "ping"


@pytest.mark.parametrize("first", [True, False])
def test_an_event_whose_class_a_report_tells_later_is_sent_once(
    hooked: Hooked, receiver: Receiver, first: bool
) -> None:
    hooked.add(receiver.url, "--type", "failed")
    with sender(hooked) as sent:
        sent.settle()
        record = hooked.send()
        hooked.take()
        detail = {"class": "unknown", "permanent": True, "source": "log"}
        at = int(hooked.node.now.timestamp() * 1_000_000)
        whom = record.recipients[0]
        hooked.node.hear(Logged("failed", [Told(record.queue_id, "failed", whom, at, detail, "failed")]))
        if first:
            sent.settle()
        hooked.node.write(told("bounced", record, whom, hooked.node.now))
        hooked.take()
        sent.settle()
        (got,) = receiver.got
        assert got.event["detail"]["class"] == ("unknown" if first else "mailbox")
        (now,) = hooked.gatepost("event", "list", "--type", "failed", "--json").data
        assert now["detail"]["class"] == "mailbox"
        assert now["detail"].get("sent_as") == ("unknown" if first else None)

"""Events arrive at a webhook as they happen: signed, with the same id each time, and tried again."""

from __future__ import annotations

import pytest
from standardwebhooks import WebhookVerificationError

from gatepost_core.domain import ids, spooled
from gatepost_core.spool import Entry
from tests.core.ingest.world import NOON
from tests.waiting import until

from .receiver import Receiver, reset, status
from .world import Hooked


def test_what_is_accepted_arrives_signed_as_event_list_shows_it(hooked: Hooked, receiver: Receiver) -> None:
    with hooked.daemon():
        made = hooked.add(receiver.url)
        record = hooked.send()
        (got,) = receiver.wait(1)
        told = got.verified(made["secret"])
        assert (told["type"], told["message"], told["account"]) == ("accepted", record.id, "acme")
        assert [told] == hooked.gatepost("event", "list", "--json").data
        assert got.number == told["id"]
        assert got.headers["content-type"] == "application/json"
        with pytest.raises(WebhookVerificationError):
            got.verified("whsec_" + "A" * 43 + "=")


def test_what_a_receiver_does_not_take_is_tried_again_with_the_same_id(
    hooked: Hooked, receiver: Receiver
) -> None:
    receiver.plan = [status(500)]
    with hooked.daemon() as daemon:
        made = hooked.add(receiver.url)
        hooked.send()
        receiver.wait(1)
        told = until(lambda: hooked.say("log", made["id"]))
        assert (told[0]["ok"], told[0]["status"], told[0]["answer"]) == (
            False, 500, "500 Internal Server Error: no",
        )  # fmt: skip
        assert hooked.say("list")[0]["failing_since"]
        first, second = receiver.wait(2)
        assert second.at - first.at >= 4.5
        assert first.number == second.number
        assert second.verified(made["secret"]) == first.event
        daemon.wait_log("a webhook takes events again")
        shown = hooked.say("show", made["id"])
        assert (shown["waiting"], shown["failing_since"], shown["failures"]) == (0, None, 0)


def test_events_of_a_message_wait_for_the_earlier_one_and_other_messages_go_on(
    hooked: Hooked, receiver: Receiver
) -> None:
    receiver.plan = [reset]
    with hooked.daemon():
        made = hooked.add(receiver.url)
        first = hooked.send("bounced", "complaint")
        receiver.wait(1)
        shown = until(lambda: (told := hooked.say("show", made["id"]))["blocked"] == 2 and told)
        assert shown["waiting"] == 3
        second = hooked.send("bounced")
        got = receiver.wait(6)
        assert [one.event["message"] for one in got[1:3]] == [second.id] * 2
        assert [one.event["type"] for one in got if one.event["message"] == first.id] == [
            "accepted", "accepted", "bounced", "complaint",
        ]  # fmt: skip


def test_an_account_s_webhook_gets_its_own_events_of_the_types_it_asks_for(
    hooked: Hooked, receiver: Receiver
) -> None:
    hooked.gatepost("account", "add", "beta")
    with hooked.daemon():
        mine = hooked.add(f"{receiver.url}/acme", "--type", "bounced")
        other = hooked.add(f"{receiver.url}/beta", account="beta")
        record = hooked.send("bounced")
        receiver.wait(1)
        theirs = hooked.send(account_id=2)
        got = receiver.wait(2)
        assert [(one.path, one.event["message"]) for one in got] == [
            ("/hook/acme", record.id),
            ("/hook/beta", theirs.id),
        ]
        assert got[0].verified(mine["secret"])["type"] == "bounced"
        with pytest.raises(WebhookVerificationError):
            got[1].verified(mine["secret"])
        assert got[1].verified(other["secret"])["account"] == "beta"


def test_an_account_that_ignores_bounces_is_not_sent_what_reports_tell(
    hooked: Hooked, receiver: Receiver
) -> None:
    hooked.gatepost("account", "set", "acme", "--bounces", "ignore")
    with hooked.daemon():
        hooked.add(receiver.url)
        record = hooked.send()
        content = spooled.event("bounced", record.id, "ben@two.example.net", NOON, {"source": "dsn"})
        hooked.node.write(Entry(ids.to_bytes(ids.new(0)), spooled.VERSION, spooled.EVENT, content))
        later = hooked.send("complaint")
        until(lambda: len(hooked.gatepost("event", "list", "--json").data) == 4)
        got = receiver.wait(3)
        assert [(one.event["message"], one.event["type"]) for one in got] == [
            (record.id, "accepted"), (later.id, "accepted"), (later.id, "complaint"),
        ]  # fmt: skip


def test_nothing_that_was_noted_before_a_webhook_was_made_is_sent(hooked: Hooked, receiver: Receiver) -> None:
    with hooked.daemon():
        earlier = hooked.send()
        until(lambda: hooked.gatepost("event", "list", "--json").data)
        made = hooked.add(receiver.url)
        later = hooked.send()
        assert [one.event["message"] for one in receiver.wait(1)] == [later.id]
        hooked.say("replay", made["id"], "--since", "2000-01-01", "--limit", "1")
        assert [one.event["message"] for one in receiver.wait(2)] == [later.id, earlier.id]

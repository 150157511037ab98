"""A message through Postfix, and what a customer's receiver hears of it: the whole stack."""

from __future__ import annotations

from pathlib import Path

import pytest

from gatepost_stack.stack import Stack
from tests.cli.command import Gatepost
from tests.events.webhooks.receiver import receiving
from tests.integration.harness import SENDER, Gateway, fresh_recipient, text_message
from tests.waiting import until

pytestmark = pytest.mark.integration


def test_what_is_sent_and_comes_back_is_heard_by_the_webhook_signed_and_in_order(tmp_path: Path) -> None:
    with Stack(tmp_path) as stack, receiving() as receiver:
        gatepost, gateway = Gatepost(stack.layout.var), Gateway(stack)
        assert gatepost.config == stack.layout.settings_file
        login = stack.provision.credential({"trackbounces": True})
        (account,) = [one["name"] for one in gatepost("account", "list", "--json").data][:1]
        words = ("webhook", "add", receiver.url, "--account", account, "--allow-private", "--json")
        made = gatepost(*words)
        assert made.code == 0, made.err
        with gateway.logged_in(login) as client:
            client.sendmail(SENDER, [fresh_recipient()], text_message())
        first = until(lambda: next((one for one in receiver.got if one.event["type"] == "accepted"), None))
        told = first.verified(made.data["secret"])
        assert (told["credential"], told["account"]) == (login.username, account)
        shown = gatepost("event", "list", "--message", told["message"], "--json").data
        assert told in shown
        with gateway.logged_in(login) as client:
            client.sendmail(SENDER, ["hard@bounce.example.test"], text_message())
        bounced = until(
            lambda: next((one for one in receiver.got if one.event["type"] in ("bounced", "failed")), None),
            lambda: f"a bounce; {receiver.types}; {gateway.log('events')}",
        )
        number = bounced.verified(made.data["secret"])["message"]
        types = [one.event["type"] for one in receiver.got if one.event["message"] == number]
        assert types[0] == "accepted"
        tested = gatepost("webhook", "test", made.data["id"], "--json")
        assert (tested.code, tested.data["status"]) == (0, 204)
